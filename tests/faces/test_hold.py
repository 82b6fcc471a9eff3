"""A bound tag holds: through every door of the server, across deletes, switches and restarts.

Source of the cases: facts/registries.md section 9, the wounds of other registries.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from held_ground import WatchedClient, refused
from holding import (
    ALICE,
    held_answer,
    history,
    own_server,
    record,
    record_of_registry,
    rows,
    sentence,
    variants,
)
from images import (
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
from json_api import Clock, refusal
from running import KEY_ID, SECRET, RunningServer, basic, running, settings

if TYPE_CHECKING:
    from pathlib import Path

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
    sequences = [row[0] for row in rows(server, "SELECT sequence FROM entries ORDER BY sequence")]
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
