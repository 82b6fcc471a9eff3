"""A bound tag holds: through every door of the server, in storms of pushes, across deletes, switches and restarts.

Source of the cases: facts/registries.md section 9, the wounds of other registries.
"""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from botocore.exceptions import ClientError

from held_ground import WatchedClient, check_form, refused
from images import (
    OCI_CONFIG,
    OCI_IMAGE,
    OCI_INDEX,
    OCI_LAYER,
    Image,
    descriptor,
    digest_of,
    image,
    index,
    push,
    push_blob,
    push_parts,
    put,
    sha256,
)
from json_api import Api, Clock, Person, client_of, refusal
from rawhttp import ADMINISTRATOR
from running import ACCOUNT, KEY_ID, SECRET, Answer, RunningServer, basic, running, settings
from volley import request, volley

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALICE = f"arn:aws:iam::{ACCOUNT}:user/administrator"
ADMINISTRATOR_KEY = Person("administrator", KEY_ID, SECRET)


@pytest.fixture
def held(ecr: Any, repository: str) -> str:
    """An IMMUTABLE repository."""
    ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    return repository


@contextmanager
def own_server(data: Path, **overrides: str | None) -> Iterator[tuple[RunningServer, WatchedClient, Any, Any]]:
    """Run a server of one's own; yield it with clients of its three interfaces."""
    with running(settings(data, **overrides)) as server:
        client = WatchedClient(server.host, server.port, ADMINISTRATOR)
        ecr, holdfast = (client_of(server, ADMINISTRATOR_KEY, service) for service in ("ecr", "holdfast"))
        try:
            yield server, client, ecr, holdfast
        finally:
            for one in (client, ecr, holdfast):
                one.close()


def variants(client: WatchedClient, repository: str, count: int) -> list[Image]:
    """Make different manifests over the same blobs, which are pushed."""
    config, layer = b"{}", b"one layer for all"
    push_blob(client, repository, config)
    push_blob(client, repository, layer)
    return [
        image(layer, config=config, annotations={"number": f"{number} {os.urandom(4).hex()}"})
        for number in range(count)
    ]


def tag_request(repository: str, reference: str, pushed: Image) -> bytes:
    return request(
        "PUT", f"/v2/{repository}/manifests/{reference}", pushed.manifest, {"Content-Type": pushed.media_type}
    )


def sentence(tag: str, repository: str) -> str:
    return (
        f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the "
        "tag is immutable."
    )


def held_answer(answer: Answer, tag: str, repository: str) -> dict[str, Any]:
    """Assert that a push was refused as a held tag is, and return the detail."""
    refused(answer, 409, "DENIED")
    assert answer.message.startswith(sentence(tag, repository))
    return dict(answer.json()["errors"][0]["detail"])


def history(server: RunningServer, repository: str, tag: str) -> list[tuple[str, str | None]]:
    """Read (digest, why it ended) of a tag from the database file, oldest first."""
    return [
        (str(digest), cause)
        for digest, cause in _rows(
            server,
            "SELECT b.digest, b.end_cause FROM bindings b JOIN repositories r ON r.id = b.repository_id "
            "WHERE r.name = ? AND b.tag = ? ORDER BY b.id",
            repository,
            tag,
        )
    ]


def record(server: RunningServer, repository: str, tag: str | None) -> list[tuple[str, dict[str, Any]]]:
    """Read (kind, body) of what happened to a tag from the database file, oldest first."""
    return [
        (str(kind), json.loads(body))
        for kind, body in _rows(
            server,
            "SELECT kind, body FROM entries WHERE repository = ? AND tag IS ? ORDER BY sequence",
            repository,
            tag,
        )
    ]


def _rows(server: RunningServer, statement: str, *values: str | None) -> list[tuple[Any, ...]]:
    path = server.holdfast.settings.data / "holdfast.db"
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return list(connection.execute(statement, values))
    finally:
        connection.close()


# --- one winner ------------------------------------------------------------------------------------------------------


def _one_winner(answers: list[Answer], pushed: list[Image], tag: str, repository: str) -> str:
    """Assert that exactly one of many pushes won and every other was told so; return the digest that won."""
    for answer in answers:
        check_form(answer)
    won = [one.digest for one, answer in zip(pushed, answers, strict=True) if answer.status == 201]
    assert len(won) == 1
    for one, answer in zip(pushed, answers, strict=True):
        if answer.status != 201:
            detail = held_answer(answer, tag, repository)
            assert detail["bound_digest"] == won[0]
            assert detail["pushed_digest"] == one.digest
    return won[0]


@pytest.mark.parametrize("round_number", range(4))
def test_of_200_pushes_at_once_to_a_new_tag_exactly_one_wins(
    server: RunningServer, oci: WatchedClient, held: str, round_number: int
) -> None:
    tag = f"v{round_number}"
    pushed = variants(oci, held, 200)
    answers = volley(server, [tag_request(held, tag, one) for one in pushed])
    won = _one_winner(answers, pushed, tag, held)
    assert digest_of(oci, held, tag) == won
    assert history(server, held, tag) == [(won, None)]
    kinds = [kind for kind, _ in record(server, held, tag)]
    assert kinds.count("tag-bound") == 1
    assert kinds.count("tag-refused") == 199
    for one in pushed:  # the bytes were accepted, each under its digest
        assert oci("HEAD", f"/v2/{held}/manifests/{one.digest}").status == 200


def test_of_many_pushes_through_every_door_at_once_exactly_one_wins(
    server: RunningServer, oci: WatchedClient, held: str
) -> None:
    api = Api(server)
    pushed = variants(oci, held, 90)
    requests = []
    for number, one in enumerate(pushed):
        if number % 3 == 0:
            requests.append(tag_request(held, "v1", one))
        elif number % 3 == 1:
            requests.append(tag_request(held, f"{one.digest}?tag=v1", one))
        else:
            prepared = api.prepare(
                "PutImage",
                {"repositoryName": held, "imageManifest": one.manifest.decode(), "imageTag": "v1"},
            )
            lines = "".join(f"{name}: {value}\r\n" for name, value in prepared.headers.items())
            requests.append(
                f"POST / HTTP/1.1\r\n{lines}Content-Length: {len(prepared.body)}\r\n\r\n".encode() + prepared.body
            )
    answers = volley(server, requests)
    api.close()
    won = [one.digest for one, answer in zip(pushed, answers, strict=True) if answer.status in {200, 201}]
    assert len(won) == 1
    assert digest_of(oci, held, "v1") == won[0]
    for number, answer in enumerate(answers):
        if answer.status in {200, 201}:
            continue
        if number % 3 == 2:
            assert answer.status == 400
            assert answer.json()["__type"] == "ImageTagAlreadyExistsException"
            assert answer.json()["message"].startswith(sentence("v1", held))
        else:
            held_answer(answer, "v1", held)
    assert history(server, held, "v1") == [(won[0], None)]


def test_many_first_pushes_into_a_repository_that_is_made_by_them_have_one_winner(tmp_path: Path) -> None:
    with own_server(tmp_path / "data", create_on_push="IMMUTABLE") as (server, client, _, _):
        for number in range(5):
            repository = f"new/r{number}"
            pushed = [index(annotations={"n": f"{n}"}) for n in range(40)]  # an index of nothing needs no blobs
            answers = volley(server, [tag_request(repository, "v1", one) for one in pushed])
            won = _one_winner(answers, pushed, "v1", repository)
            assert digest_of(client, repository, "v1") == won


@pytest.mark.parametrize("mode", ["IMMUTABLE", "MUTABLE"])
def test_the_same_digest_again_succeeds_and_changes_nothing(
    server: RunningServer, oci: WatchedClient, ecr: Any, repository: str, mode: str
) -> None:
    ecr.create_repository(repositoryName=repository, imageTagMutability=mode)
    (one,) = variants(oci, repository, 1)
    answers = volley(server, [tag_request(repository, "v1", one)] * 50)
    assert {answer.status for answer in answers} == {201}
    for _ in range(3):
        assert put(oci, repository, "v1", one).status == 201
        assert put(oci, repository, f"{one.digest}?tag=v1", one).status == 201
    assert history(server, repository, "v1") == [(one.digest, None)]
    assert [kind for kind, _ in record(server, repository, "v1")] == ["tag-bound"]


def test_one_index_under_many_tags_at_once_is_bound_to_all(
    server: RunningServer, oci: WatchedClient, held: str
) -> None:
    pushed = index(*variants(oci, held, 2))
    push_parts(oci, held, pushed)
    answers = volley(server, [tag_request(held, f"t{number}", pushed) for number in range(40)])
    assert {answer.status for answer in answers} == {201}
    assert {digest_of(oci, held, f"t{number}") for number in range(40)} == {pushed.digest}


def test_pushes_of_several_tags_at_once_are_all_or_nothing_and_never_mixed(
    server: RunningServer, oci: WatchedClient, held: str
) -> None:
    pushed = variants(oci, held, 60)
    answers = volley(server, [tag_request(held, f"{one.digest}?tag=a&tag=b&tag=c", one) for one in pushed])
    won = [one.digest for one, answer in zip(pushed, answers, strict=True) if answer.status == 201]
    assert len(won) == 1
    assert [digest_of(oci, held, tag) for tag in "abc"] == won * 3


def test_pushes_of_overlapping_tags_at_once_leave_no_half_of_one(
    server: RunningServer, oci: WatchedClient, held: str
) -> None:
    pushed = variants(oci, held, 60)
    sets = [("a", "b"), ("b", "c"), ("c", "a")]
    answers = volley(
        server,
        [
            tag_request(held, f"{one.digest}?" + "&".join(f"tag={tag}" for tag in sets[number % 3]), one)
            for number, one in enumerate(pushed)
        ],
    )
    bound = {tag: digest_of(oci, held, tag) for tag in "abc"}
    for number, (one, answer) in enumerate(zip(pushed, answers, strict=True)):
        names_it = {tag for tag, digest in bound.items() if digest == one.digest}
        assert names_it == (set(sets[number % 3]) if answer.status == 201 else set())


# --- what a refusal says ---------------------------------------------------------------------------------------------


def test_a_refused_push_keeps_its_manifest_and_says_all_that_a_person_would_ask(oci: WatchedClient, held: str) -> None:
    first, second = image(), image()
    push(oci, held, "v1", first)
    answer = push(oci, held, "v1", second)
    detail = held_answer(answer, "v1", held)
    at = detail.pop("bound_at")
    assert abs(time.time() - time.mktime(time.strptime(at + "UTC", "%Y-%m-%dT%H:%M:%SZ%Z")) + time.timezone) < 120
    command = f"holdfast tag {held}@{second.digest} NEW_TAG"
    assert detail == {
        "repository": held,
        "tag": "v1",
        "rule": "held",
        "reason": "the repository is IMMUTABLE",
        "bound_digest": first.digest,
        "bound_by": ALICE,
        "pushed_digest": second.digest,
        "pushed_manifest": "kept under its digest",
        "next": command,
    }
    for told in (first.digest, at, ALICE, second.digest, command):
        assert told in answer.message
    assert oci("GET", f"/v2/{held}/manifests/{second.digest}").body == second.manifest
    assert oci("GET", f"/v2/{held}/manifests/v1").body == first.manifest
    # Nothing is uploaded again to publish it under another tag.
    assert put(oci, held, f"{second.digest}?tag=v2", second).status == 201
    assert digest_of(oci, held, "v2") == second.digest


def test_the_style_of_a_refusal_is_a_setting_and_ecrs_is_exact(tmp_path: Path) -> None:
    with own_server(tmp_path / "data", create_on_push="IMMUTABLE") as (_, client, _, holdfast):
        first, second = image(), image()
        push(client, "r/a", "v1", first)
        holdfast.put_registry_settings(refusalStyle="ecr")
        answer = refused(push(client, "r/a", "v1", second), 400, "TAG_INVALID")
        assert answer.message == sentence("v1", "r/a")
        assert client("GET", f"/v2/r/a/manifests/{second.digest}").body == second.manifest
        holdfast.put_registry_settings(refusalStyle="denied")
        held_answer(put(client, "r/a", "v1", second), "v1", "r/a")
        holdfast.put_registry_settings(refusalStyle="ecr")
    with own_server(tmp_path / "data") as (_, client, _, _):
        refused(put(client, "r/a", "v1", second), 400, "TAG_INVALID")
        assert digest_of(client, "r/a", "v1") == first.digest


def test_an_old_docker_that_pushes_children_to_the_tag_is_recognised_and_told(oci: WatchedClient, held: str) -> None:
    children = image(), image()
    pushed = index(*children)
    push_parts(oci, held, pushed)
    assert put(oci, held, "v1", children[0]).status == 201
    # docker 28.1 and buildx 0.21: the second platform to the same tag, then the index.
    second = held_answer(put(oci, held, "v1", children[1]), "v1", held)
    assert "hint" not in second
    answer = put(oci, held, "v1", pushed)
    detail = held_answer(answer, "v1", held)
    assert "docker before 28.2 and buildx before 0.22" in detail["hint"]
    assert detail["hint"] in answer.message
    assert detail["bound_digest"] == children[0].digest
    assert digest_of(oci, held, "v1") == children[0].digest
    assert put(oci, held, "v2", pushed).status == 201


def test_a_refusal_through_put_image_is_ecrs_exception_and_keeps_the_manifest(
    oci: WatchedClient, ecr: Any, held: str
) -> None:
    first, second = image(), image()
    push(oci, held, "v1", first)
    push_parts(oci, held, second)
    told = refusal(ecr.put_image, repositoryName=held, imageManifest=second.manifest.decode(), imageTag="v1")
    assert told.code == "ImageTagAlreadyExistsException"
    assert told.message.startswith(sentence("v1", held))
    assert oci("HEAD", f"/v2/{held}/manifests/{second.digest}").status == 200
    assert digest_of(oci, held, "v1") == first.digest


# --- side doors ------------------------------------------------------------------------------------------------------


def test_several_tags_of_which_one_is_held_are_all_refused(oci: WatchedClient, held: str) -> None:
    first, second = variants(oci, held, 2)
    put(oci, held, "a", first)
    for query in ("tag=a&tag=b", "tag=b&tag=a", "tag=b&tag=c&tag=a&tag=d"):
        held_answer(put(oci, held, f"{second.digest}?{query}", second), "a", held)
    held_answer(put(oci, held, "b?tag=a", second), "a", held)
    assert [digest_of(oci, held, tag) for tag in "abcd"] == [first.digest, None, None, None]
    assert put(oci, held, f"{first.digest}?tag=a&tag=b", first).headers.get_all("OCI-Tag") == ["a", "b"]


@pytest.mark.parametrize("how", ["tag", "digest", "ecr by tag", "ecr by digest", "ecr by both", "repository"])
def test_the_name_of_a_held_tag_that_was_deleted_waits_for_its_digest(
    server: RunningServer, oci: WatchedClient, ecr: Any, held: str, how: str
) -> None:
    first, second = image(), image()
    push(oci, held, "v1", first)
    push(oci, held, "v1", second)
    _delete(oci, ecr, held, "v1", first.digest, how)
    assert digest_of(oci, held, "v1") is None
    for _ in range(2):
        answer = push(oci, held, "v1", second)
        detail = held_answer(answer, "v1", held)
        assert detail["rule"] == "tombstone"
        assert detail["bound_digest"] == first.digest
        assert detail["deleted_by"] == ALICE
        assert detail["deleted_at"] in answer.message
        assert first.digest in detail["reason"]
        assert digest_of(oci, held, "v1") is None
    told = refusal(ecr.put_image, repositoryName=held, imageManifest=second.manifest.decode(), imageTag="v1")
    assert told.code == "ImageTagAlreadyExistsException"
    held_answer(put(oci, held, f"{second.digest}?tag=v1&tag=v2", second), "v1", held)
    assert digest_of(oci, held, "v2") is None
    # Its own digest may come back, and then it is as before.
    assert push(oci, held, "v1", first).status == 201
    assert digest_of(oci, held, "v1") == first.digest
    assert held_answer(put(oci, held, "v1", second), "v1", held)["rule"] == "held"
    kinds = [kind for kind, _ in record(server, held, "v1")]
    assert kinds[0] == "tag-bound"
    assert "tag-deleted" in kinds
    assert kinds[-2:] == ["tag-restored", "tag-refused"]


def _delete(oci: WatchedClient, ecr: Any, repository: str, tag: str, digest: str, how: str) -> None:
    match how:
        case "tag":
            assert oci("DELETE", f"/v2/{repository}/manifests/{tag}").status == 202
        case "digest":
            assert oci("DELETE", f"/v2/{repository}/manifests/{digest}").status == 202
        case "repository":
            ecr.delete_repository(repositoryName=repository, force=True)
            ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
        case _:
            named = {
                "ecr by tag": {"imageTag": tag},
                "ecr by digest": {"imageDigest": digest},
                "ecr by both": {"imageTag": tag, "imageDigest": digest},
            }[how]
            answer = ecr.batch_delete_image(repositoryName=repository, imageIds=[named])
            assert answer["failures"] == []


def test_every_tag_of_a_digest_that_was_deleted_waits_for_it(oci: WatchedClient, held: str) -> None:
    first, second = variants(oci, held, 2)
    put(oci, held, f"{first.digest}?tag=a&tag=b&tag=c", first)
    assert oci("DELETE", f"/v2/{held}/manifests/{first.digest}").status == 202
    for tag in "abc":
        held_answer(put(oci, held, tag, second), tag, held)
    assert put(oci, held, "d", second).status == 201


@pytest.mark.parametrize("mode", ["IMMUTABLE", "MUTABLE"])
def test_a_repository_that_was_deleted_and_made_again_keeps_its_names_waiting(
    oci: WatchedClient, ecr: Any, held: str, mode: str
) -> None:
    first, second = image(), image()
    push(oci, held, "v1", first)
    push(oci, held, "v2", first)
    with pytest.raises(ClientError, match="RepositoryNotEmptyException"):
        ecr.delete_repository(repositoryName=held)
    assert digest_of(oci, held, "v1") == first.digest
    for _ in range(2):
        ecr.delete_repository(repositoryName=held, force=True)
        ecr.create_repository(repositoryName=held, imageTagMutability=mode)
        held_answer(push(oci, held, "v1", second), "v1", held)
        assert push(oci, held, "v1", first).status == 201
        held_answer(push(oci, held, "v2", second), "v2", held)
        if mode == "MUTABLE":  # what came back is free again: only the way back was barred
            assert put(oci, held, "v1", second).status == 201
            assert put(oci, held, "v1", first).status == 201
            ecr.put_image_tag_mutability(repositoryName=held, imageTagMutability="IMMUTABLE")


def test_a_switch_to_mutable_does_not_give_away_names_that_wait(oci: WatchedClient, ecr: Any, held: str) -> None:
    first, second = image(), image()
    push(oci, held, "v1", first)
    oci("DELETE", f"/v2/{held}/manifests/v1")
    ecr.put_image_tag_mutability(repositoryName=held, imageTagMutability="MUTABLE")
    held_answer(push(oci, held, "v1", second), "v1", held)
    assert digest_of(oci, held, "v1") is None


def test_an_administrator_may_give_a_name_up(oci: WatchedClient, holdfast: Any, held: str) -> None:
    first, second = image(), image()
    push(oci, held, "v1", first)
    oci("DELETE", f"/v2/{held}/manifests/v1")
    held_answer(push(oci, held, "v1", second), "v1", held)
    holdfast.forget_tag(repositoryName=held, imageTag="v1")
    assert put(oci, held, "v1", second).status == 201
    held_answer(put(oci, held, "v1", first), "v1", held)


def test_a_setting_restores_ecrs_way_with_names_of_deleted_tags(tmp_path: Path) -> None:
    with own_server(tmp_path / "data", create_on_push="IMMUTABLE") as (server, client, ecr, holdfast):
        first, second, third = variants(client, "r/a", 3)
        put(client, "r/a", "v1", first)
        client("DELETE", "/v2/r/a/manifests/v1")
        held_answer(put(client, "r/a", "v1", second), "v1", "r/a")
        holdfast.put_registry_settings(deletedTags="free")
        assert put(client, "r/a", "v1", second).status == 201
        held_answer(put(client, "r/a", "v1", first), "v1", "r/a")  # bound it is held as ever
        client("DELETE", "/v2/r/a/manifests/v1")
        assert put(client, "r/a", "v1", third).status == 201
        ecr.delete_repository(repositoryName="r/a", force=True)
        ecr.create_repository(repositoryName="r/a", imageTagMutability="IMMUTABLE")
        first, second = variants(client, "r/a", 2)
        assert put(client, "r/a", "v1", first).status == 201
        holdfast.put_registry_settings(deletedTags="held")
        client("DELETE", "/v2/r/a/manifests/v1")
        held_answer(put(client, "r/a", "v1", second), "v1", "r/a")
        assert put(client, "r/a", "v1", first).status == 201
        changes = [body for kind, body in record_of_registry(server) if kind == "registry-changed"]
        assert [change["after"]["deleted_tags"] for change in changes] == ["free", "held"]


def record_of_registry(server: RunningServer) -> list[tuple[str, dict[str, Any]]]:
    rows = _rows(server, "SELECT kind, body FROM entries ORDER BY sequence")
    return [(str(kind), json.loads(body)) for kind, body in rows]


def test_in_a_storm_of_pushes_and_deletes_a_held_name_never_has_two_digests(
    server: RunningServer, oci: WatchedClient, held: str
) -> None:
    pushed = variants(oci, held, 6)
    requests = []
    for _ in range(8):
        for one in pushed:
            requests += [
                tag_request(held, "v1", one),
                tag_request(held, f"{one.digest}?tag=v1", one),
                request("DELETE", f"/v2/{held}/manifests/v1"),
                request("DELETE", f"/v2/{held}/manifests/{one.digest}"),
            ]
    for answer in volley(server, requests):
        check_form(answer)
        assert answer.status in {201, 202, 404, 409}
    digests = {digest for digest, _ in history(server, held, "v1")}
    assert len(digests) == 1
    assert digest_of(oci, held, "v1") in {None, *digests}


# --- modes -----------------------------------------------------------------------------------------------------------


def test_tags_of_mutable_repositories_stay_free(
    server: RunningServer, oci: WatchedClient, ecr: Any, repository: str
) -> None:
    ecr.create_repository(repositoryName=repository)
    pushed = variants(oci, repository, 5)
    for one in [*pushed, *pushed]:
        assert put(oci, repository, "latest", one).status == 201
        assert digest_of(oci, repository, "latest") == one.digest
    assert oci("DELETE", f"/v2/{repository}/manifests/latest").status == 202
    assert put(oci, repository, "latest", pushed[2]).status == 201
    told = history(server, repository, "latest")
    assert [digest for digest, _ in told] == [one.digest for one in [*pushed, *pushed, pushed[2]]]
    assert [cause for _, cause in told] == ["moved"] * 9 + ["deleted", None]
    kinds = [kind for kind, _ in record(server, repository, "latest")]
    assert kinds == ["tag-bound"] + ["tag-moved"] * 9 + ["tag-deleted", "tag-bound"]


def test_every_push_at_once_to_a_mutable_tag_succeeds_and_the_last_is_what_it_names(
    server: RunningServer, oci: WatchedClient, ecr: Any, repository: str
) -> None:
    ecr.create_repository(repositoryName=repository)
    pushed = variants(oci, repository, 100)
    answers = volley(server, [tag_request(repository, "latest", one) for one in pushed])
    assert {answer.status for answer in answers} == {201}
    told = history(server, repository, "latest")
    assert len(told) == 100
    assert told[-1] == (digest_of(oci, repository, "latest"), None)
    assert {digest for digest, _ in told} == {one.digest for one in pushed}


@pytest.mark.parametrize(
    ("mode", "filters", "held_tags", "free_tags"),
    [
        (
            "IMMUTABLE_WITH_EXCLUSION",
            ["dev-*", "latest"],
            ["v1", "latest2", "xdev-1", "DEV-1"],
            ["dev-1", "dev-", "latest"],
        ),
        ("MUTABLE_WITH_EXCLUSION", ["v*.*", "stable"], ["v1.2", "v.", "stable"], ["v1", "latest", "xv1.2", "unstable"]),
        ("IMMUTABLE_WITH_EXCLUSION", ["*"], [], ["v1", "latest"]),
        ("MUTABLE_WITH_EXCLUSION", ["*"], ["v1", "latest"], []),
    ],
)
def test_filters_decide_tag_by_tag(
    oci: WatchedClient,
    ecr: Any,
    repository: str,
    mode: str,
    filters: list[str],
    held_tags: list[str],
    free_tags: list[str],
) -> None:
    ecr.create_repository(
        repositoryName=repository,
        imageTagMutability=mode,
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": one} for one in filters],
    )
    first, second = variants(oci, repository, 2)
    for tag in (*held_tags, *free_tags):
        assert put(oci, repository, tag, first).status == 201
    for tag in held_tags:
        detail = held_answer(put(oci, repository, tag, second), tag, repository)
        assert mode in detail["reason"]
        assert digest_of(oci, repository, tag) == first.digest
    for tag in free_tags:
        assert put(oci, repository, tag, second).status == 201
        assert digest_of(oci, repository, tag) == second.digest
    # A deleted tag waits if and only if it was held.
    for tag in (*held_tags, *free_tags):
        bound = digest_of(oci, repository, tag)
        assert oci("DELETE", f"/v2/{repository}/manifests/{tag}").status == 202
        other = second if bound == first.digest else first
        assert put(oci, repository, tag, other).status == (409 if tag in held_tags else 201)


def test_a_switch_of_mode_holds_what_is_there_and_a_switch_back_frees_it(
    server: RunningServer, oci: WatchedClient, ecr: Any, repository: str
) -> None:
    ecr.create_repository(repositoryName=repository)
    first, second = variants(oci, repository, 2)
    put(oci, repository, "v1", first)
    put(oci, repository, "v1", second)
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
    held_answer(put(oci, repository, "v1", first), "v1", repository)
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
    ecr.put_image_tag_mutability(
        repositoryName=repository,
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "v*"}],
    )
    assert put(oci, repository, "v1", first).status == 201
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
    held_answer(put(oci, repository, "v1", second), "v1", repository)
    changes = [body for kind, body in record(server, repository, None) if kind == "mutability-changed"]
    assert [(one["before"]["mode"], one["after"]["mode"]) for one in changes] == [
        ("MUTABLE", "IMMUTABLE"),
        ("IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"),
        ("IMMUTABLE_WITH_EXCLUSION", "IMMUTABLE"),
    ]


@pytest.mark.parametrize("round_number", range(3))
def test_a_switch_in_the_middle_of_a_storm_of_moves_binds_every_push_after_its_answer(
    server: RunningServer, oci: WatchedClient, ecr: Any, repository: str, round_number: int
) -> None:
    assert round_number >= 0
    ecr.create_repository(repositoryName=repository)
    pushed = variants(oci, repository, 40)
    put(oci, repository, "latest", pushed[0])
    stop = threading.Event()

    log: list[tuple[float, str, int]] = []

    def wait_for(count: int) -> None:
        until = time.monotonic() + 30
        while len(log) < count and time.monotonic() < until:
            time.sleep(0.005)

    def move(number: int) -> None:
        client = server.client()
        turn = number
        while not stop.is_set():
            one = pushed[turn % len(pushed)]
            began = time.monotonic()
            log.append((began, one.digest, put(client, repository, "latest", one).status))
            turn += 7
        client.close()

    with ThreadPoolExecutor(6) as pool:
        movers = [pool.submit(move, number) for number in range(6)]
        wait_for(40)
        ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
        switched = time.monotonic()
        bound = digest_of(oci, repository, "latest")
        wait_for(len(log) + 40)
        stop.set()
        for mover in movers:
            mover.result()
    assert digest_of(oci, repository, "latest") == bound
    assert {status for _, _, status in log} <= {201, 409}  # also of those under way: nobody was judged by the old mode
    assert sum(status == 201 for began, _, status in log if began < switched) > 10
    after = [(digest, status) for began, digest, status in log if began > switched]
    assert len(after) > 10
    assert {status for digest, status in after if digest != bound} == {409}
    assert {status for digest, status in after if digest == bound} <= {201}
    told = history(server, repository, "latest")
    assert told[-1] == (bound, None)


# --- signatures ------------------------------------------------------------------------------------------------------


def signature(*names: str, **more: Any) -> Image:
    """Make what cosign keeps behind a `.sig` tag: one layer a signature, told apart by its annotation."""
    layers = [
        descriptor(b"payload", "application/vnd.dev.cosign.simplesigning.v1+json",
                   annotations={"dev.cosignproject.cosign/signature": name})
        for name in names
    ]  # fmt: skip
    config = json.dumps({"signed": list(names)}).encode()
    document = {
        "schemaVersion": 2,
        "mediaType": OCI_IMAGE,
        "config": descriptor(config, OCI_CONFIG),
        "layers": layers,
        **more,
    }
    return Image(json.dumps(document).encode(), OCI_IMAGE, (config, b"payload"))


@pytest.mark.parametrize("ending", [".sig", ".att", ".sbom", ""])
def test_a_signature_tag_may_grow_and_nothing_else_under_immutability(
    server: RunningServer, oci: WatchedClient, held: str, ending: str
) -> None:
    subject = image()
    push(oci, held, "v1", subject)
    tag = subject.digest.replace(":", "-") + ending
    one, two, three = signature("a"), signature("a", "b"), signature("b", "a", "c")
    assert push(oci, held, tag, one).status == 201
    assert push(oci, held, tag, two).status == 201
    assert push(oci, held, tag, three).status == 201
    for dropped in (one, two, signature("a", "b"), signature("c"), signature(), signature("a", "b", "d")):
        detail = held_answer(push(oci, held, tag, dropped), tag, held)
        assert detail["rule"] == "append-only"
        assert "may only grow" in detail["reason"]
        assert digest_of(oci, held, tag) == three.digest
    forged = json.loads(three.manifest)
    forged["layers"][0]["annotations"]["dev.cosignproject.cosign/signature"] = "forged"
    held_answer(push(oci, held, tag, Image(json.dumps(forged).encode(), OCI_IMAGE, three.blobs)), tag, held)
    assert history(server, held, tag) == [(one.digest, "appended"), (two.digest, "appended"), (three.digest, None)]
    moved = [body for kind, body in record(server, held, tag) if kind == "tag-moved"]
    assert [(body["before"], body["digest"], body["rule"]) for body in moved] == [
        (one.digest, two.digest, "append-only"),
        (two.digest, three.digest, "append-only"),
    ]


def test_the_referrers_fallback_index_may_grow(oci: WatchedClient, held: str) -> None:
    subject = image()
    push(oci, held, "v1", subject)
    tag = subject.digest.replace(":", "-")
    signatures = [image(subject=subject.descriptor) for _ in range(3)]
    for one in signatures:
        push_parts(oci, held, one)
        assert put(oci, held, one.digest, one).status == 201
    for count in (1, 2, 3):
        grown = index(*signatures[:count])
        assert put(oci, held, tag, grown).status == 201
        assert digest_of(oci, held, tag) == grown.digest
    assert held_answer(put(oci, held, tag, index(*signatures[1:])), tag, held)["rule"] == "append-only"
    assert held_answer(put(oci, held, tag, signatures[0]), tag, held)["rule"] == "append-only"


def test_many_signers_at_once_lose_no_signature(server: RunningServer, oci: WatchedClient, held: str) -> None:
    tag = "sha256-" + "a" * 64 + ".sig"
    push(oci, held, tag, signature("first"))
    rivals = [signature("first", f"s{number}") for number in range(20)]
    for one in rivals:
        push_parts(oci, held, one)
    answers = volley(server, [tag_request(held, tag, one) for one in rivals])
    assert [answer.status for answer in answers].count(201) == 1
    assert {answer.status for answer in answers} == {201, 409}
    assert len(history(server, held, tag)) == 2


def test_a_name_that_only_resembles_a_signature_tag_does_not_grow(oci: WatchedClient, held: str) -> None:
    one, two = signature("a"), signature("a", "b")
    for tag in ("sha256-abc.sig", "v1.sig", "sha256-" + "a" * 63 + ".sig", "sha256-" + "A" * 64):
        assert push(oci, held, tag, one).status == 201
        assert held_answer(push(oci, held, tag, two), tag, held)["rule"] == "held"


def test_signing_by_referrers_needs_no_tag(oci: WatchedClient, held: str) -> None:
    subject = image()
    push(oci, held, "v1", subject)
    for number in range(3):
        signed = image(subject=subject.descriptor, artifactType="application/x.sig", annotations={"n": str(number)})
        push_parts(oci, held, signed)
        assert put(oci, held, signed.digest, signed).status == 201
    found = oci("GET", f"/v2/{held}/referrers/{subject.digest}").json()["manifests"]
    assert len(found) == 3
    assert digest_of(oci, held, "v1") == subject.digest


# --- the record ------------------------------------------------------------------------------------------------------


def test_every_act_and_refusal_is_in_the_record_with_who_when_and_through_what(
    server: RunningServer, oci: WatchedClient, ecr: Any, repository: str
) -> None:
    began = time.time_ns() // 1_000
    ecr.create_repository(repositoryName=repository, imageTagMutability="MUTABLE")
    first, second = variants(oci, repository, 2)
    put(oci, repository, "v1", first)
    put(oci, repository, "v1", first)
    put(oci, repository, "v1", second)
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
    put(oci, repository, "v1", first)
    with pytest.raises(ClientError):
        ecr.put_image(repositoryName=repository, imageManifest=first.manifest.decode(), imageTag="v1")
    oci("DELETE", f"/v2/{repository}/manifests/v1")
    put(oci, repository, "v1", first)
    put(oci, repository, "v1", second)
    ecr.delete_repository(repositoryName=repository, force=True)
    told = record(server, repository, "v1")
    assert [(kind, body["through"]) for kind, body in told] == [
        ("tag-bound", "oci"),
        ("tag-moved", "oci"),
        ("tag-refused", "oci"),
        ("tag-refused", "ecr"),
        ("tag-deleted", "oci"),
        ("tag-refused", "oci"),
        ("tag-restored", "oci"),
        ("tag-deleted", "ecr"),
    ]
    for _, body in told:
        assert body["principal"] == ALICE
        assert body["access_key"] == KEY_ID
        assert body["source"] == "127.0.0.1"
        assert began <= body["at"] <= time.time_ns() // 1_000
    bound, moved, refused_push, _, deleted, waiting, restored, gone = (body for _, body in told)
    assert (bound["digest"], bound["before"], bound["rule"]) == (first.digest, None, "free-name")
    assert (moved["digest"], moved["before"], moved["rule"]) == (second.digest, first.digest, "not-held")
    assert (refused_push["pushed"], refused_push["digest"], refused_push["rule"]) == (
        first.digest,
        second.digest,
        "held",
    )
    assert (deleted["digest"], deleted["held"]) == (second.digest, True)
    assert (waiting["pushed"], waiting["digest"], waiting["rule"]) == (first.digest, second.digest, "tombstone")
    assert (restored["digest"], restored["rule"]) == (second.digest, "tombstone")
    assert gone["why"] == "its repository was deleted"
    assert [kind for kind, _ in record(server, repository, None)] == [
        "repository-created",
        "mutability-changed",
        "repository-deleted",
    ]
    assert SECRET not in json.dumps([body for _, body in told])


def test_the_record_has_no_gaps(server: RunningServer) -> None:
    sequences = [row[0] for row in _rows(server, "SELECT sequence FROM entries ORDER BY sequence")]
    assert sequences == list(range(1, len(sequences) + 1))


def test_a_push_that_failed_for_another_reason_leaves_no_entry(
    server: RunningServer, oci: WatchedClient, held: str
) -> None:
    refused(put(oci, held, "v1", image()), 400, "MANIFEST_BLOB_UNKNOWN")
    refused(oci("PUT", f"/v2/{held}/manifests/v1", b"{}", {"Content-Type": OCI_INDEX}), 400, "MANIFEST_INVALID")
    assert record(server, held, "v1") == []
    assert history(server, held, "v1") == []


# --- restarts --------------------------------------------------------------------------------------------------------


def test_a_restart_on_the_same_data_keeps_everything(tmp_path: Path) -> None:
    data = tmp_path / "data"
    first, second, third = (image(f"layer {number}".encode()) for number in range(3))
    with own_server(data, create_on_push="IMMUTABLE") as (_, client, ecr, _):
        push(client, "r/held", "v1", first)
        push(client, "r/held", "gone", first)
        push(client, "r/held", "v1", second)
        assert client("DELETE", "/v2/r/held/manifests/gone").status == 202
        ecr.create_repository(repositoryName="r/free")
        push(client, "r/free", "v1", first)
        push(client, "r/free", "v1", second)
        push(client, "r/lost", "v1", third)
        ecr.delete_repository(repositoryName="r/lost", force=True)
        before = client("GET", "/v2/r/held/manifests/v1")
    for _ in range(2):
        with own_server(data, create_on_push="IMMUTABLE") as (server, client, ecr, _):
            after = client("GET", "/v2/r/held/manifests/v1")
            assert (after.body, after.headers["Docker-Content-Digest"]) == (before.body, first.digest)
            for blob in first.blobs:
                assert client("GET", f"/v2/r/held/blobs/{sha256(blob)}").body == blob
            held_answer(put(client, "r/held", "v1", second), "v1", "r/held")
            held_answer(put(client, "r/held", "gone", second), "gone", "r/held")
            assert digest_of(client, "r/free", "v1") == second.digest
            assert history(server, "r/free", "v1") == [(first.digest, "moved"), (second.digest, None)]
            held_answer(push(client, "r/lost", "v1", first), "v1", "r/lost")
            modes = {
                one["repositoryName"]: one["imageTagMutability"] for one in ecr.describe_repositories()["repositories"]
            }
            assert modes == {"r/held": "IMMUTABLE", "r/free": "MUTABLE", "r/lost": "IMMUTABLE"}
    with own_server(data) as (_, client, _, _):
        assert push(client, "r/lost", "v1", third).status == 201
        assert put(client, "r/held", "gone", first).status == 201


def test_a_clock_that_goes_back_moves_no_tag(tmp_path: Path) -> None:
    clock = Clock()
    with running(settings(tmp_path / "data", create_on_push="IMMUTABLE"), clock=clock) as server:
        client = WatchedClient(server.host, server.port, basic(KEY_ID, SECRET))
        first, second = variants(client, "r/a", 2)
        put(client, "r/a", "v1", first)
        for ahead in (-3 * 86_400, 3 * 86_400):
            clock.ahead_seconds = ahead
            held_answer(put(client, "r/a", "v1", second), "v1", "r/a")
            client("DELETE", "/v2/r/a/manifests/v1")
            held_answer(put(client, "r/a", "v1", second), "v1", "r/a")
            assert put(client, "r/a", "v1", first).status == 201
        client.close()


def test_the_blobs_of_a_held_image_cannot_be_deleted_from_under_it(oci: WatchedClient, held: str) -> None:
    pushed = image()
    push(oci, held, "v1", pushed)
    for blob in pushed.blobs:
        refused(oci("DELETE", f"/v2/{held}/blobs/{sha256(blob)}"), 409, "DENIED")
    foreign = {**descriptor(b"kept elsewhere", OCI_LAYER), "urls": ["https://example.test/layer"]}
    push_blob(oci, held, b"kept elsewhere")
    document = {**json.loads(pushed.manifest), "layers": [foreign]}
    with_foreign = Image(json.dumps(document).encode(), OCI_IMAGE, pushed.blobs)
    assert put(oci, held, "v2", with_foreign).status == 201
    refused(oci("DELETE", f"/v2/{held}/blobs/{foreign['digest']}"), 409, "DENIED")
