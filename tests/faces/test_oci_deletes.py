"""Deletes: what others still need stays, what goes is gone, and nothing else goes with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from held_ground import WatchedClient, refused
from images import digest_of, image, index, push, put, sha256

if TYPE_CHECKING:
    from running import Answer


def delete(client: WatchedClient, repository: str, reference: str) -> Answer:
    return client("DELETE", f"/v2/{repository}/manifests/{reference}")


def test_deleting_a_tag_keeps_its_manifest(oci: WatchedClient, repository: str) -> None:
    pushed = image()
    push(oci, repository, "v1", pushed)
    put(oci, repository, "v2", pushed)
    answer = delete(oci, repository, "v1")
    assert (answer.status, answer.body) == (202, b"")
    assert digest_of(oci, repository, "v1") is None
    assert digest_of(oci, repository, "v2") == pushed.digest
    assert oci("GET", f"/v2/{repository}/manifests/{pushed.digest}").body == pushed.manifest
    refused(delete(oci, repository, "v1"), 404, "MANIFEST_UNKNOWN")


def test_deleting_a_digest_takes_its_tags_and_no_other(oci: WatchedClient, repository: str) -> None:
    pushed, other = image(), image()
    push(oci, repository, "v1", pushed)
    put(oci, repository, "v2", pushed)
    push(oci, repository, "other", other)
    assert delete(oci, repository, pushed.digest).status == 202
    assert oci("GET", f"/v2/{repository}/tags/list").json()["tags"] == ["other"]
    refused(oci("GET", f"/v2/{repository}/manifests/{pushed.digest}"), 404, "MANIFEST_UNKNOWN")
    refused(delete(oci, repository, pushed.digest), 404, "MANIFEST_UNKNOWN")
    assert digest_of(oci, repository, "other") == other.digest


def test_a_child_of_an_index_stays_until_the_index_is_gone(oci: WatchedClient, repository: str) -> None:
    pushed = index(image(), image())
    push(oci, repository, "v1", pushed)
    for child in pushed.children:
        answer = refused(delete(oci, repository, child.digest), 409, "DENIED")
        assert answer.json()["errors"][0]["detail"] == {"referenced_by": [pushed.digest]}
        assert oci("HEAD", f"/v2/{repository}/manifests/{child.digest}").status == 200
    assert delete(oci, repository, pushed.digest).status == 202
    for child in pushed.children:
        assert delete(oci, repository, child.digest).status == 202


def test_a_child_with_a_tag_of_its_own_stays_whole_when_its_deletion_is_refused(
    oci: WatchedClient, repository: str
) -> None:
    child = image()
    push(oci, repository, "child", child)
    push(oci, repository, "v1", index(child))
    refused(delete(oci, repository, child.digest), 409, "DENIED")
    assert digest_of(oci, repository, "child") == child.digest


def test_a_subject_may_go_and_its_referrers_stay(oci: WatchedClient, repository: str) -> None:
    subject = image()
    push(oci, repository, "v1", subject)
    signature = image(subject=subject.descriptor)
    push(oci, repository, "sig", signature)
    assert delete(oci, repository, subject.digest).status == 202
    assert digest_of(oci, repository, "sig") == signature.digest
    found = oci("GET", f"/v2/{repository}/referrers/{subject.digest}").json()["manifests"]
    assert [one["digest"] for one in found] == [signature.digest]


def test_the_same_manifest_in_another_repository_stays(oci: WatchedClient, repository: str) -> None:
    pushed = image()
    other = f"{repository}-other"
    push(oci, repository, "v1", pushed)
    push(oci, other, "v1", pushed)
    assert delete(oci, repository, pushed.digest).status == 202
    assert oci("GET", f"/v2/{other}/manifests/v1").body == pushed.manifest


def test_what_was_deleted_can_be_pushed_again(oci: WatchedClient, repository: str) -> None:
    pushed = image()
    for _ in range(3):
        push(oci, repository, "v1", pushed)
        assert oci("GET", f"/v2/{repository}/manifests/v1").body == pushed.manifest
        assert delete(oci, repository, pushed.digest).status == 202
        assert digest_of(oci, repository, "v1") is None


@pytest.mark.parametrize("reference", ["v1", sha256(b"nothing")])
def test_nothing_is_deleted_in_a_repository_that_is_not_there(oci: WatchedClient, reference: str) -> None:
    refused(delete(oci, "not/there", reference), 404, "NAME_UNKNOWN")
