"""A bound tag holds in storms: hundreds of pushes, deletes and switches at one moment, and one winner.

Source of the cases: facts/registries.md section 9 (harbor#23118, quay's no-op lock, gitlab#1132).
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from held_ground import WatchedClient, check_form
from holding import (
    held_answer,
    history,
    own_server,
    record,
    sentence,
    tag_request,
    variants,
)
from images import (
    Image,
    digest_of,
    index,
    push_parts,
    put,
)
from json_api import Api
from volley import request, volley

if TYPE_CHECKING:
    from pathlib import Path

    from running import Answer, RunningServer


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
