"""E18: pushes on a condition, our extension: `If-None-Match` and `If-Match` on PUT of a manifest."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from held_ground import WatchedClient, refused
from holding import variants
from images import digest_of, image, push, push_parts, put
from volley import request, volley

if TYPE_CHECKING:
    from images import Image
    from running import Answer, RunningServer


def put_if(client: WatchedClient, repository: str, reference: str, pushed: Image, **conditions: str) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in conditions.items()}
    return client(
        "PUT",
        f"/v2/{repository}/manifests/{reference}",
        pushed.manifest,
        {"Content-Type": pushed.media_type, **headers},
    )


@pytest.fixture
def pushed(oci: WatchedClient, repository: str) -> tuple[Image, Image]:
    """Push one image under v1 and the parts of another."""
    first, second = image(), image()
    assert push(oci, repository, "v1", first).status == 201
    push_parts(oci, repository, second)
    return first, second


def test_e18_only_if_the_tag_is_free(oci: WatchedClient, repository: str, pushed: tuple[Image, Image]) -> None:
    first, second = pushed
    told = refused(put_if(oci, repository, "v1", second, If_None_Match="*"), 412, "DENIED")
    assert told.json()["errors"][0]["detail"] == {"tag": "v1", "bound_digest": first.digest}
    assert oci("GET", f"/v2/{repository}/manifests/{second.digest}").status == 404, "nothing was kept"
    assert digest_of(oci, repository, "v1") == first.digest
    assert put_if(oci, repository, "v2", second, If_None_Match="*").status == 201
    assert put_if(oci, repository, "v2", second, If_None_Match="*").status == 201, "the second try of the same push"


def test_e18_only_if_the_tag_names_what_was_seen(
    oci: WatchedClient, repository: str, pushed: tuple[Image, Image]
) -> None:
    first, second = pushed
    seen = oci("HEAD", f"/v2/{repository}/manifests/v1").headers["ETag"]
    assert put_if(oci, repository, "v1", second, If_Match=f'"{second.digest[:-1]}0"').status == 412
    assert put_if(oci, repository, "v9", second, If_Match="*").status == 412
    assert put_if(oci, repository, "v1", second, If_Match=seen).status == 201
    told = refused(put_if(oci, repository, "v1", first, If_Match=seen), 412, "DENIED")
    assert second.digest in told.message
    assert digest_of(oci, repository, "v1") == second.digest


def test_e18_of_many_tags_all_must_meet_the_condition(
    oci: WatchedClient, repository: str, pushed: tuple[Image, Image]
) -> None:
    _, second = pushed
    answer = put_if(oci, repository, f"{second.digest}?tag=new&tag=v1", second, If_None_Match="*")
    refused(answer, 412, "DENIED")
    assert digest_of(oci, repository, "new") is None
    assert put_if(oci, repository, f"{second.digest}?tag=new&tag=newer", second, If_None_Match="*").status == 201


def test_e18_a_held_tag_refuses_as_ever_whatever_the_condition(oci: WatchedClient, held: str) -> None:
    first, second = image(), image()
    assert push(oci, held, "v1", first).status == 201
    push_parts(oci, held, second)
    for condition in ({"If_None_Match": "*"}, {"If_Match": f'"{first.digest}"'}, {"If_Match": "*"}):
        refused(put_if(oci, held, "v1", second, **condition), 409, "DENIED")
    assert put_if(oci, held, "v1", first, If_None_Match="*").status == 201
    assert digest_of(oci, held, "v1") == first.digest


@pytest.mark.parametrize("header", ["", "v1", '"', '"a" "b"', ", ".join(['"a"'] * 33)])
def test_e18_a_condition_that_is_none_is_refused_before_anything_is_done(
    oci: WatchedClient, repository: str, pushed: tuple[Image, Image], header: str
) -> None:
    first, second = pushed
    for name in ("If_Match", "If_None_Match"):
        refused(put_if(oci, repository, "v1", second, **{name: header}), 400, "UNSUPPORTED")
    assert digest_of(oci, repository, "v1") == first.digest


def test_e18_of_many_who_saw_the_same_one_moves_the_tag(
    server: RunningServer, oci: WatchedClient, repository: str
) -> None:
    base, *racers = variants(oci, repository, 21)
    assert put(oci, repository, "v1", base).status == 201
    requests = [
        request(
            "PUT",
            f"/v2/{repository}/manifests/v1",
            one.manifest,
            {"Content-Type": one.media_type, "If-Match": f'"{base.digest}"'},
        )
        for one in racers
    ]
    answers = volley(server, requests)
    assert sorted(answer.status for answer in answers) == [201] + [412] * 19
    winner = next(one for one, answer in zip(racers, answers, strict=True) if answer.status == 201)
    assert digest_of(oci, repository, "v1") == winner.digest
