"""Pulling through the cache, from a real second registry."""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from images import descriptor, digest_of, image, index, push, push_parts, put
from json_api import allow, client_of, constraint, person, policy, refusal
from running import ACCOUNT, running, settings
from stub import Asked, Told, stub

if TYPE_CHECKING:
    from pathlib import Path

    from flows.conftest import Pair

DAY_SECONDS = 24 * 3600


@pytest.fixture(scope="module")
def prefix(pair: Pair) -> str:
    """The prefix of a rule for the upstream."""
    name = f"up{uuid.uuid4().hex[:8]}"
    pair.rule(name)
    return name


@pytest.fixture
def name() -> str:
    """A repository of the upstream that no other test uses."""
    return f"team/{uuid.uuid4().hex[:10]}"


def immutable(pair: Pair, prefix: str) -> None:
    """Have the cache's repositories made IMMUTABLE."""
    pair.ecr.create_repository_creation_template(
        prefix=prefix, appliedFor=["PULL_THROUGH_CACHE"], imageTagMutability="IMMUTABLE"
    )


def test_an_index_comes_whole_with_its_digest_and_is_bound_by_the_service(pair: Pair, prefix: str, name: str) -> None:
    pushed = index(image(b"amd64" * 1000), image(b"arm64" * 1000))
    assert push(pair.push, name, "v1", pushed).status == 201
    here = f"{prefix}/{name}"
    got = pair.pull("GET", f"/v2/{here}/manifests/v1")
    assert got.status == 200, got.body
    assert got.body == pushed.manifest
    assert got.headers["Docker-Content-Digest"] == pushed.digest
    for child in pushed.children:
        assert pair.pull("GET", f"/v2/{here}/manifests/{child.digest}").body == child.manifest
        for blob in child.blobs:
            served = pair.pull("GET", f"/v2/{here}/blobs/{descriptor(blob, 'x')['digest']}")
            assert (served.status, served.body) == (200, blob)
    (made,) = pair.entries(here, "repository-created")
    assert json.loads(made["body"])["occasion"] == "PULL_THROUGH_CACHE"
    (bound,) = pair.entries(here, "tag-bound")
    assert bound["principal"].endswith("pullthroughcache.ecr.amazonaws.com/AWSServiceRoleForECRPullThroughCache")
    assert json.loads(bound["body"])["behalf"] == f"arn:aws:iam::{ACCOUNT}:user/administrator"


def test_head_and_digest_and_batch_get_image_pull_through_too(pair: Pair, prefix: str, name: str) -> None:
    first, second, third = image(b"1"), image(b"2"), image(b"3")
    for tag, pushed in (("a", first), ("b", second), ("c", third)):
        push(pair.push, name, tag, pushed)
    here = f"{prefix}/{name}"
    assert digest_of(pair.pull, here, "a") == first.digest
    assert pair.pull("GET", f"/v2/{here}/manifests/{second.digest}").body == second.manifest
    reply = pair.ecr.batch_get_image(
        repositoryName=here, imageIds=[{"imageTag": "c"}, {"imageTag": "nothing"}, {"imageDigest": first.digest}]
    )
    assert {one["imageId"]["imageDigest"] for one in reply["images"]} == {first.digest, third.digest}
    assert [one["failureCode"] for one in reply["failures"]] == ["ImageNotFound"]


def test_what_upstream_does_not_have_is_not_here_and_makes_no_repository(pair: Pair, prefix: str, name: str) -> None:
    got = pair.pull("GET", f"/v2/{prefix}/{name}/manifests/v1")
    assert (got.status, got.code) == (404, "NAME_UNKNOWN")
    assert not pair.entries(f"{prefix}/{name}")


def test_what_upstream_does_not_have_is_asked_for_again_after_some_seconds(pair: Pair, prefix: str, name: str) -> None:
    here = f"{prefix}/{name}"
    assert pair.pull("GET", f"/v2/{here}/manifests/v1").status == 404
    pushed = image(b"late")
    push(pair.push, name, "v1", pushed)
    push(pair.push, name, "v2", pushed)
    assert pair.pull("GET", f"/v2/{here}/manifests/v1").status == 404
    assert digest_of(pair.pull, here, "v2") == pushed.digest, "another tag is another question"
    pair.clock.ahead_seconds = 6
    assert digest_of(pair.pull, here, "v1") == pushed.digest


def test_a_movable_tag_follows_upstream_after_a_day_and_not_before(pair: Pair, prefix: str, name: str) -> None:
    old, new = image(b"old"), image(b"new")
    push(pair.push, name, "latest", old)
    here = f"{prefix}/{name}"
    assert digest_of(pair.pull, here, "latest") == old.digest
    push(pair.push, name, "latest", new)
    pair.clock.ahead_seconds = DAY_SECONDS - 60
    assert digest_of(pair.pull, here, "latest") == old.digest
    pair.clock.ahead_seconds = DAY_SECONDS + 60
    assert digest_of(pair.pull, here, "latest") == new.digest
    assert digest_of(pair.pull, here, old.digest) == old.digest, "what was pulled stays under its digest"


def test_a_held_tag_is_the_first_that_came_and_drift_is_told_and_never_followed(pair: Pair, name: str) -> None:
    prefix = f"held{uuid.uuid4().hex[:8]}"
    pair.rule(prefix)
    immutable(pair, prefix)
    first, moved, again = image(b"first"), image(b"moved"), image(b"again")
    push(pair.push, name, "1.0", first)
    here = f"{prefix}/{name}"
    assert digest_of(pair.pull, here, "1.0") == first.digest
    for ahead, pushed, entries in ((1, moved, 1), (2, moved, 1), (3, again, 2)):
        push(pair.push, name, "1.0", pushed)
        pair.clock.ahead_seconds = ahead * (DAY_SECONDS + 60)
        assert digest_of(pair.pull, here, "1.0") == first.digest
        assert digest_of(pair.pull, here, "1.0") == first.digest
        pair.clock.ahead_seconds = 0  # botocore signs in the present
        (drift,) = [one for one in pair.holdfast.list_upstream_drift()["drift"] if one["repositoryName"] == here]
        assert (drift["imageDigest"], drift["upstreamDigest"]) == (first.digest, pushed.digest)
        assert len(pair.entries(here, "upstream-drifted")) == entries
    assert b"holdfast_upstream_drifted_tags 1" in pair.cache.anonymous()("GET", "/metrics").body
    assert pair.push("DELETE", f"/v2/{name}/manifests/1.0").status == 202
    pair.clock.ahead_seconds = 4 * (DAY_SECONDS + 60)
    assert digest_of(pair.pull, here, "1.0") == first.digest
    pair.clock.ahead_seconds = 0
    (gone,) = [one for one in pair.holdfast.list_upstream_drift()["drift"] if one["repositoryName"] == here]
    assert "upstreamDigest" not in gone
    push(pair.push, name, "1.0", first)
    pair.clock.ahead_seconds = 5 * (DAY_SECONDS + 60)
    assert digest_of(pair.pull, here, "1.0") == first.digest
    pair.clock.ahead_seconds = 0
    assert not [one for one in pair.holdfast.list_upstream_drift()["drift"] if one["repositoryName"] == here]


def test_a_held_tag_that_was_deleted_does_not_come_back_as_another(pair: Pair, name: str) -> None:
    prefix = f"gone{uuid.uuid4().hex[:8]}"
    pair.rule(prefix)
    immutable(pair, prefix)
    first, moved = image(b"first"), image(b"moved")
    push(pair.push, name, "1.0", first)
    here = f"{prefix}/{name}"
    assert digest_of(pair.pull, here, "1.0") == first.digest
    pair.ecr.delete_repository(repositoryName=here, force=True)
    push(pair.push, name, "1.0", moved)
    assert pair.pull("GET", f"/v2/{here}/manifests/1.0").code == "MANIFEST_UNKNOWN"
    assert pair.entries(here, "tag-refused")
    push(pair.push, name, "1.0", first)
    assert digest_of(pair.pull, here, "1.0") == first.digest


def test_a_tag_pushed_here_is_no_business_of_upstreams(pair: Pair, prefix: str, name: str) -> None:
    here, ours, theirs = f"{prefix}/{name}", image(b"ours"), image(b"theirs")
    push(pair.push, name, "t", theirs)
    pair.ecr.create_repository(repositoryName=here)
    push(pair.pull, here, "t", ours)
    pair.clock.ahead_seconds = 3 * DAY_SECONDS
    assert digest_of(pair.pull, here, "t") == ours.digest
    pair.clock.ahead_seconds = 0
    assert not pair.entries(here, "upstream-drifted")


def test_a_registry_that_rests_serves_what_is_here(pair: Pair, prefix: str, name: str) -> None:
    old = image(b"old")
    push(pair.push, name, "v", old)
    here = f"{prefix}/{name}"
    assert digest_of(pair.pull, here, "v") == old.digest
    push(pair.push, name, "v", image(b"new"))
    pair.holdfast.set_read_only(readOnly=True, reason="a test")
    try:
        pair.clock.ahead_seconds = DAY_SECONDS + 60
        assert digest_of(pair.pull, here, "v") == old.digest
        assert pair.pull("GET", f"/v2/{here}/manifests/v").status == 200
    finally:
        pair.clock.ahead_seconds = 0
        pair.holdfast.set_read_only(readOnly=False)


def test_many_first_pulls_make_one_fetch(pair: Pair, prefix: str, name: str) -> None:
    pushed = image(b"x" * 2_000_000)
    push(pair.push, name, "v", pushed)
    answers: list[int] = []

    def pull() -> None:
        answers.append(pair.pull("GET", f"/v2/{prefix}/{name}/manifests/v").status)
        pair.pull.close()

    threads = [threading.Thread(target=pull) for _ in range(12)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert answers == [200] * 12
    assert len(pair.entries(f"{prefix}/{name}", "tag-bound")) == 1


def test_pulling_through_needs_its_own_rights(pair: Pair, prefix: str, name: str) -> None:
    push(pair.push, name, "v", image(b"y"))
    here = f"{prefix}/{name}"
    read = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:DescribeRepositories"]
    for more, missing in (
        ([], "ecr:BatchImportUpstreamImage"),
        (["ecr:BatchImportUpstreamImage"], "ecr:CreateRepository"),
    ):
        who = person(pair.holdfast, policy(allow(*read, *more)))
        got = pair.cache.client(who.key_id, who.secret)("GET", f"/v2/{here}/manifests/v")
        assert (got.status, got.code) == (403, "DENIED")
        assert missing in got.message
    who = person(pair.holdfast, policy(allow(*read, "ecr:BatchImportUpstreamImage", "ecr:CreateRepository")))
    assert digest_of(pair.cache.client(who.key_id, who.secret), here, "v") is not None
    reader = person(pair.holdfast, policy(allow(*read)))
    assert digest_of(pair.cache.client(reader.key_id, reader.secret), here, "v") is not None, "what is here is served"


def test_the_upstream_prefix_and_the_root_prefix(pair: Pair, name: str) -> None:
    pushed = image(b"z")
    push(pair.push, name, "v", pushed)
    mapped = f"map{uuid.uuid4().hex[:8]}"
    pair.rule(mapped, upstreamRepositoryPrefix="team")
    assert digest_of(pair.pull, f"{mapped}/{name.removeprefix('team/')}", "v") == pushed.digest
    pair.rule("ROOT")
    try:
        assert digest_of(pair.pull, name, "v") == pushed.digest
    finally:
        pair.ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="ROOT")


def test_without_upstream_what_is_here_is_served_and_the_rest_is_told(tmp_path: Path) -> None:
    up = image(b"down")
    blobs = {descriptor(blob, "x")["digest"]: blob for blob in up.blobs}
    broken = threading.Event()

    def answer(asked: Asked) -> Told:
        if broken.is_set():
            return Told(503, b"{}")
        last = asked.path.rpartition("/")[2]
        if last in blobs:
            return Told(200, blobs[last])
        if "/manifests/" in asked.path and last in {"v", up.digest}:
            return Told(200, up.manifest, (("Content-Type", up.media_type), ("Docker-Content-Digest", up.digest)))
        return Told(200 if asked.path == "/v2/" else 404, b"{}")

    with stub(answer) as other, running(settings(tmp_path)) as cache:
        ecr, holdfast = cache.aws("ecr"), cache.aws("holdfast")
        ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="down", upstreamRegistryUrl=other.url)
        pull = cache.client()
        assert digest_of(pull, "down/app", "v") == up.digest
        broken.set()
        assert digest_of(pull, "down/app", "v") == up.digest
        lost = pull("GET", "/v2/down/app/manifests/w")
        assert (lost.status, lost.code) == (503, "UNAVAILABLE")
        reply = ecr.batch_get_image(repositoryName="down/app", imageIds=[{"imageTag": "w"}])
        assert reply["failures"][0]["failureCode"] == "UpstreamUnavailable"
        checked = ecr.validate_pull_through_cache_rule(ecrRepositoryPrefix="down")
        assert not checked["isValid"]
        assert checked["failure"]
        ecr.close()
        holdfast.close()


@pytest.mark.parametrize("lie", ["manifest", "blob", "longer"])
def test_bytes_of_another_digest_are_never_kept(tmp_path: Path, lie: str) -> None:
    up = image(b"true bytes")
    blobs = {descriptor(blob, "x")["digest"]: blob for blob in up.blobs}

    def answer(asked: Asked) -> Told:
        last = asked.path.rpartition("/")[2]
        if last in blobs:
            content = {"blob": b"#" * len(blobs[last]), "longer": blobs[last] * 2}.get(lie, blobs[last])
            return Told(200, content)
        if "/manifests/" in asked.path:
            manifest = (
                up.manifest.replace(b'"schemaVersion"', b' "schemaVersion"') if lie == "manifest" else up.manifest
            )
            return Told(200, manifest, (("Content-Type", up.media_type), ("Docker-Content-Digest", up.digest)))
        return Told(200, b"{}")

    with stub(answer) as other, running(settings(tmp_path)) as cache:
        ecr = cache.aws("ecr")
        ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="lies", upstreamRegistryUrl=other.url)
        got = cache.client()("GET", "/v2/lies/app/manifests/v")
        assert got.status == 503, got.body
        ecr.close()


# --- rules -----------------------------------------------------------------------------------------------------------


def test_rules_are_made_described_changed_and_deleted(pair: Pair) -> None:
    prefix = f"quay{uuid.uuid4().hex[:6]}"
    made = pair.ecr.create_pull_through_cache_rule(ecrRepositoryPrefix=prefix, upstreamRegistryUrl="quay.io")
    assert made["upstreamRegistry"] == "quay"
    assert "upstreamRepositoryPrefix" not in made
    assert made["registryId"] == ACCOUNT
    again = refusal(
        pair.ecr.create_pull_through_cache_rule, ecrRepositoryPrefix=prefix + "/", upstreamRegistryUrl="ghcr.io"
    )
    assert again.code == "PullThroughCacheRuleAlreadyExistsException"
    arn = pair.holdfast.put_upstream_credential(name="robot", username="u", password="p")["upstreamCredential"]
    with_suffix = arn["credentialArn"] + "-AbCdEf"
    changed = pair.ecr.update_pull_through_cache_rule(ecrRepositoryPrefix=prefix, credentialArn=with_suffix)
    assert changed["credentialArn"] == with_suffix
    (rule,) = pair.ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=[prefix])["pullThroughCacheRules"]
    assert rule["credentialArn"] == with_suffix
    assert rule["updatedAt"] >= rule["createdAt"]
    listed = pair.ecr.get_paginator("describe_pull_through_cache_rules").paginate(PaginationConfig={"PageSize": 1})
    assert prefix in [one["ecrRepositoryPrefix"] for page in listed for one in page["pullThroughCacheRules"]]
    pair.ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix=prefix)
    for operation in ("delete", "update", "validate"):
        call = getattr(pair.ecr, f"{operation}_pull_through_cache_rule")
        given = {"credentialArn": with_suffix} if operation == "update" else {}
        assert refusal(call, ecrRepositoryPrefix=prefix, **given).code == "PullThroughCacheRuleNotFoundException"
    missing = refusal(pair.ecr.describe_pull_through_cache_rules, ecrRepositoryPrefixes=[prefix])
    assert missing.code == "PullThroughCacheRuleNotFoundException"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://x",
        "http://u:p@x",
        "https://x/path",
        "https://x?y",
        "x y",
        "https://[::",
        "http://169.254.1.1/a",
        "a" * 301,
    ],
)
def test_an_address_that_cannot_be_is_refused_with_ecrs_sentence(pair: Pair, url: str) -> None:
    told = refusal(pair.ecr.create_pull_through_cache_rule, ecrRepositoryPrefix="bad", upstreamRegistryUrl=url)
    assert told.code == "UnsupportedUpstreamRegistryException"
    assert told.message.endswith("is invalid. Specify a valid upstream registry URL and try again")


def test_an_address_beyond_ecrs_list_needs_a_right_of_its_own(pair: Pair) -> None:
    who = person(pair.holdfast, policy(allow("ecr:*")))
    ecr = client_of(pair.cache, who)
    told = refusal(
        ecr.create_pull_through_cache_rule, ecrRepositoryPrefix="inner", upstreamRegistryUrl="http://10.0.0.1"
    )
    assert told.code == "AccessDeniedException"
    assert "holdfast:UseAnyUpstream" in told.message
    ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="gcr-like", upstreamRegistryUrl="registry.k8s.io")
    ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix="gcr-like")
    ecr.close()


def test_wrong_rules_are_refused(pair: Pair) -> None:
    create: Any = pair.ecr.create_pull_through_cache_rule
    lost = f"arn:aws:secretsmanager:eu-central-1:{ACCOUNT}:secret:ecr-pullthroughcache/lost"
    told = refusal(create, ecrRepositoryPrefix="aa", upstreamRegistryUrl="ghcr.io", credentialArn=lost)
    assert told.code == "SecretNotFoundException"
    told = refusal(create, ecrRepositoryPrefix="aa", upstreamRegistryUrl="ghcr.io", upstreamRegistry="quay")
    assert told.code == "InvalidParameterException"
    told = refusal(create, ecrRepositoryPrefix="ROOT", upstreamRegistryUrl="ghcr.io", upstreamRepositoryPrefix="some")
    assert told.message == constraint(
        "upstreamRepositoryPrefix", "The ROOT prefix cannot have an upstream repository prefix"
    )


def test_a_password_is_told_by_nobody(pair: Pair) -> None:
    pair.holdfast.put_upstream_credential(name="quiet", username="u", password="never-told-again")
    listed = pair.holdfast.list_upstream_credentials()["upstreamCredentials"]
    assert [one["username"] for one in listed if one["name"] == "quiet"] == ["u"]
    database = pair.cache.holdfast.settings.data
    assert not any(b"never-told-again" in path.read_bytes() for path in database.glob("holdfast.db*"))
    pair.holdfast.delete_upstream_credential(name="quiet")
    assert refusal(pair.holdfast.delete_upstream_credential, name="quiet").code == "SecretNotFoundException"


def test_parts_pushed_by_hand_make_no_tag(pair: Pair, prefix: str, name: str) -> None:
    """An upstream that lists an image without having it gives nothing, and no tag is bound."""
    pushed = image(b"q")
    push_parts(pair.push, name, pushed)
    assert put(pair.push, name, pushed.digest, pushed).status == 201
    assert pair.pull("GET", f"/v2/{prefix}/{name}/manifests/never").status == 404
