"""Replication: between registries that one server hosts, and to another server by URL."""

from __future__ import annotations

import asyncio
import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.conftest import UPSTREAM_KEY, UPSTREAM_SECRET
from holdfast.core.replication import (
    Configuration,
    Destination,
    Rule,
    gives_up,
    kept_configuration,
    parse_configuration,
    pause_seconds,
)
from holdfast.store import bindings, catalog, content, manifests
from images import digest_of, image, index, push, push_parts, put
from json_api import INVALID, allow, constraint, policy, refusal
from running import ACCOUNT, REGION
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from flows.conftest import Pair
    from holdfast.store.catalog import Registry, Repository
    from images import Image

ELSEWHERE = "us-west-2"
FAR = "ap-south-1"
WAIT_SECONDS = 30


def goes_to(*destinations: tuple[str, str], prefix: str | None = None, deletes: bool = False) -> dict[str, Any]:
    """Return a rule."""
    rule: dict[str, Any] = {"destinations": [{"region": one, "registryId": two} for one, two in destinations]}
    if prefix is not None:
        rule["repositoryFilters"] = [{"filter": prefix, "filterType": "PREFIX_MATCH"}]
    if deletes:
        rule["deleteReplication"] = {"enabled": True}
    return rule


class There:
    """Another registry of the server, looked at in its database."""

    def __init__(self, pair: Pair, registry: Registry) -> None:
        self._database = pair.cache.holdfast._database
        self._registry = registry
        self._loop = pair.cache.loop

    def _ask(self, question: Callable[[Any], Any]) -> Any:
        async def ask() -> Any:
            return question(self._database)

        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result(10)

    def repository(self, name: str) -> Repository | None:
        return self._ask(lambda reader: catalog.repository(reader, self._registry.id, name))  # type: ignore[no-any-return]

    def tag(self, name: str, tag: str) -> str | None:
        """What a tag names there."""
        found = self.repository(name)
        bound = self._ask(lambda reader: bindings.live(reader, found.id, tag)) if found else None
        return bound.digest if bound else None

    def has(self, name: str, pushed: Image) -> bool:
        """Whether an image is there with all its parts, byte for byte."""
        found = self.repository(name)
        if found is None:
            return False
        stored = self._ask(lambda reader: manifests.payload(reader, found.id, pushed.digest))
        blobs = self._ask(
            lambda reader: content.blobs(reader, found.id, [one.digest for one in map(_blob, pushed.blobs)])
        )
        return (
            stored is not None
            and stored.payload == pushed.manifest
            and len(blobs) == len({_blob(one).digest for one in pushed.blobs})
            and all(self.has(name, child) for child in pushed.children)
        )


def _blob(one: bytes) -> Any:
    from holdfast.core.digest import Digest  # noqa: PLC0415 - a name that tests use otherwise

    class Named:
        digest = str(Digest.of(one))

    return Named


@pytest.fixture(scope="module")
def there(pair: Pair) -> There:
    """The same account's registry in another region."""
    database = pair.cache.holdfast._database

    async def make() -> Registry:
        return await database.write(lambda txn: catalog.ensure_registry(txn, ACCOUNT, ELSEWHERE, 1))

    return There(pair, asyncio.run_coroutine_threadsafe(make(), pair.cache.loop).result(10))


@pytest.fixture
def name(pair: Pair) -> Iterator[str]:
    """A repository that exists, and a configuration that is empty again afterwards."""
    made = f"app/{uuid.uuid4().hex[:10]}"
    pair.ecr.create_repository(repositoryName=made)
    yield made
    pair.ecr.put_replication_configuration(replicationConfiguration={"rules": []})


def configure(pair: Pair, *rules: dict[str, Any]) -> None:
    pair.ecr.put_replication_configuration(replicationConfiguration={"rules": list(rules)})


def status(pair: Pair, name: str, **image_id: str) -> dict[str, tuple[str, str | None]]:
    """Return destination region -> status and failure code, once nothing is in progress."""

    def settled() -> dict[str, tuple[str, str | None]] | None:
        told = pair.ecr.describe_image_replication_status(repositoryName=name, imageId=image_id)["replicationStatuses"]
        if not told or any(one["status"] == "IN_PROGRESS" for one in told):
            return None
        return {one["region"]: (one["status"], one.get("failureCode")) for one in told}

    return eventually(settled)


# --- between registries hosted here ----------------------------------------------------------------------------------


def test_a_push_appears_whole_in_the_other_registry_and_only_what_a_rule_fits(
    pair: Pair, there: There, name: str
) -> None:
    configure(pair, goes_to((ELSEWHERE, ACCOUNT), prefix="app/"))
    other = f"other/{uuid.uuid4().hex[:8]}"
    pair.ecr.create_repository(repositoryName=other)
    pushed, signature = index(image(b"1"), image(b"2")), image(b"sig")
    push(pair.pull, other, "v1", pushed)
    push(pair.pull, name, "v1", pushed)
    assert status(pair, name, imageTag="v1") == {ELSEWHERE: ("COMPLETE", None)}
    assert there.tag(name, "v1") == pushed.digest
    assert there.has(name, pushed)
    assert there.repository(other) is None
    refers = image(b"sbom", subject={**pushed.descriptor})
    push_parts(pair.pull, name, refers)
    assert put(pair.pull, name, refers.digest, refers).status == 201
    assert status(pair, name, imageDigest=refers.digest) == {ELSEWHERE: ("COMPLETE", None)}
    assert there.has(name, refers), "what refers to an image goes with it"
    assert not there.has(name, signature)
    made = there.repository(name)
    assert made is not None
    assert (str(made.mutability.mode), made.created_by.rpartition("/")[2]) == (
        "MUTABLE",
        "AWSServiceRoleForECRReplication",
    )


def test_what_was_pushed_before_is_not_replicated_until_a_backfill(pair: Pair, there: There, name: str) -> None:
    old, new = image(b"old"), image(b"new")
    push(pair.pull, name, "old", old)
    configure(pair, goes_to((ELSEWHERE, ACCOUNT), prefix=name))
    push(pair.pull, name, "new", new)
    assert status(pair, name, imageTag="new") == {ELSEWHERE: ("COMPLETE", None)}
    assert there.tag(name, "old") is None
    destination = {"region": ELSEWHERE, "registryId": ACCOUNT}
    started = pair.ecr.start_replication_backfill(destination=destination)
    assert started["status"] == "PREPARING"
    identity = started["replicationBackfillId"]

    def ended() -> Any:
        found = pair.ecr.describe_replication_backfill_results(replicationBackfillId=identity)
        return found if "endedAt" in found else None

    done = eventually(ended)
    assert done["status"] == "COMPLETE"
    assert done["progress"] == {
        "totalReplicationCount": 2,
        "completedReplicationCount": 2,
        "failedReplicationCount": 0,
        "failureCodes": [],
    }
    assert sorted(one["imageId"]["imageTag"] for one in done["results"]) == ["new", "old"]
    assert there.tag(name, "old") == old.digest
    listed = pair.ecr.list_replication_backfills()["backfills"]
    assert listed[0]["replicationBackfillId"] == identity
    assert refusal(pair.ecr.stop_replication_backfill, replicationBackfillId=identity).code == (
        "ReplicationBackfillInvalidStatusException"
    )
    unknown = str(uuid.uuid4())
    for call in (pair.ecr.stop_replication_backfill, pair.ecr.describe_replication_backfill_results):
        assert refusal(call, replicationBackfillId=unknown).code == "ReplicationBackfillNotFoundException"
    told = refusal(pair.ecr.start_replication_backfill, destination={"region": FAR, "registryId": ACCOUNT})
    assert told.code == INVALID


def test_a_backfill_is_one_a_region_and_can_be_stopped(pair: Pair, name: str) -> None:
    place = {"region": "eu-north-1", "registryId": ACCOUNT}
    pair.holdfast.put_replication_peer(destination=place, url="http://127.0.0.1:1")
    push(pair.pull, name, "v", image(b"x"))
    configure(pair, goes_to(("eu-north-1", ACCOUNT), ("eu-north-1", "999999999999"), prefix=name))
    identity = pair.ecr.start_replication_backfill(destination=place)["replicationBackfillId"]
    again = refusal(pair.ecr.start_replication_backfill, destination={**place, "registryId": "999999999999"})
    assert again.code == "ReplicationBackfillInProgressException"

    def listed() -> Any:
        found = pair.ecr.list_replication_backfills()["backfills"]
        return next(one for one in found if one["replicationBackfillId"] == identity)

    eventually(lambda: listed()["status"] == "IN_PROGRESS")
    stopped = pair.ecr.stop_replication_backfill(replicationBackfillId=identity)
    assert stopped["status"] in {"STOPPED", "STOPPING"}
    eventually(lambda: listed()["status"] == "STOPPED")
    assert listed()["endedAt"] >= listed()["startedAt"]
    pair.holdfast.delete_replication_peer(destination=place)


def test_a_tag_that_holds_there_holds_and_the_replication_failed(pair: Pair, there: There, name: str) -> None:
    pair.ecr.create_repository_creation_template(
        prefix=name.rpartition("/")[0], appliedFor=["PULL_THROUGH_CACHE"], imageTagMutability="MUTABLE"
    )
    inner = f"{name}/held"
    pair.ecr.create_repository(repositoryName=inner)
    configure(pair, goes_to((ELSEWHERE, ACCOUNT), prefix=name))
    first, second = image(b"first"), image(b"second")
    push(pair.pull, inner, "v1", first)
    assert status(pair, inner, imageTag="v1") == {ELSEWHERE: ("COMPLETE", None)}
    found = there.repository(inner)
    assert found is not None
    hold(pair, found)
    push(pair.pull, inner, "v1", second)
    assert status(pair, inner, imageTag="v1") == {ELSEWHERE: ("FAILED", "ImageTagAlreadyExists")}
    assert there.tag(inner, "v1") == first.digest
    assert there.has(inner, second), "the image arrives, without the tag"
    (row,) = pair.holdfast.list_replications(repositoryName=inner, status="FAILED")["replications"]
    assert row["failureReason"].startswith(f"The image tag 'v1' already exists in the '{inner}' repository")
    (entry,) = pair.entries(inner, "replication-failed")
    assert json.loads(entry["body"])["code"] == "ImageTagAlreadyExists"
    pair.ecr.delete_repository_creation_template(prefix=name.rpartition("/")[0])


def hold(pair: Pair, found: Repository) -> None:
    """Make a repository of the other registry IMMUTABLE."""
    from holdfast.core.mutability import MutabilitySettings, TagMutability  # noqa: PLC0415 - used once

    database = pair.cache.holdfast._database

    async def switch() -> None:
        await database.write(
            lambda txn: catalog.set_mutability(txn, found.id, MutabilitySettings(TagMutability.IMMUTABLE))
        )

    asyncio.run_coroutine_threadsafe(switch(), pair.cache.loop).result(10)


def test_a_tag_that_moves_here_moves_there_to_where_it_is_at_last(pair: Pair, there: There, name: str) -> None:
    configure(pair, goes_to((ELSEWHERE, ACCOUNT), prefix=name))
    last = None
    for turn in range(6):
        last = image(b"%d" % turn)
        push(pair.pull, name, "latest", last)
    assert last is not None
    assert status(pair, name, imageDigest=last.digest) == {ELSEWHERE: ("COMPLETE", None)}
    eventually(lambda: b"holdfast_replications_waiting 0" in pair.cache.anonymous()("GET", "/metrics").body)
    assert there.tag(name, "latest") == last.digest


def test_deletions_follow_only_where_a_rule_says_so(pair: Pair, there: There, name: str) -> None:
    first, second = image(b"first"), image(b"second")
    for deletes in (False, True):
        configure(pair, goes_to((ELSEWHERE, ACCOUNT), prefix=name, deletes=deletes))
        for tag, pushed in (("a", first), ("b", first), ("c", second)):
            push(pair.pull, name, tag, pushed)
        eventually(lambda: all(there.tag(name, tag) for tag in "abc"))
        pair.ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "a"}, {"imageDigest": second.digest}])
        if not deletes:
            eventually(lambda: b"holdfast_replications_waiting 0" in pair.cache.anonymous()("GET", "/metrics").body)
            assert there.tag(name, "a") == first.digest
            assert there.has(name, second)
    eventually(lambda: there.tag(name, "a") is None and not there.has(name, second))
    assert there.tag(name, "b") == first.digest


def test_a_destination_that_nobody_knows_fails_with_its_reason(pair: Pair, name: str) -> None:
    configure(pair, goes_to((FAR, ACCOUNT), (ELSEWHERE, "999999999999"), prefix=name))
    push(pair.pull, name, "v", image(b"x"))
    assert set(status(pair, name, imageTag="v").values()) == {("FAILED", "DestinationNotFound")}
    (row, _) = pair.holdfast.list_replications(repositoryName=name)["replications"]
    assert "holdfast replication peer set" in row["failureReason"]


def test_another_account_lets_nothing_in_but_by_its_registrys_policy(pair: Pair, name: str) -> None:
    other = "888888888888"
    pair.holdfast.create_registry(registryId=other, region=REGION)
    pair.holdfast.create_principal(registryId=other, name="owner", policies=[policy(allow("*"))])
    key = pair.holdfast.create_access_key(registryId=other, name="owner")
    theirs = pair.cache.aws("ecr", key["accessKeyId"], key["secretAccessKey"])
    configure(pair, goes_to((REGION, other), prefix=name))
    pushed = image(b"across")
    push(pair.pull, name, "v1", pushed)
    assert status(pair, name, imageTag="v1") == {REGION: ("FAILED", "AccessDenied")}
    (row,) = pair.holdfast.list_replications(repositoryName=name)["replications"]
    assert "ecr:ReplicateImage" in row["failureReason"]
    statement = {
        "Sid": "replicate",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
        "Action": ["ecr:ReplicateImage", "ecr:CreateRepository"],
        "Resource": f"arn:aws:ecr:{REGION}:{other}:repository/app/*",
    }
    theirs.put_registry_policy(policyText=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    pair.ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])
    push(pair.pull, name, "v1", pushed)
    assert status(pair, name, imageTag="v1") == {REGION: ("COMPLETE", None)}
    (found,) = theirs.describe_images(repositoryName=name)["imageDetails"]
    assert (found["imageDigest"], found["imageTags"]) == (pushed.digest, ["v1"])
    theirs.close()


# --- to another server -----------------------------------------------------------------------------------------------


def test_another_server_is_reached_by_its_url_with_sealed_credentials(pair: Pair, name: str) -> None:
    peer(pair)
    configure(pair, goes_to((FAR, ACCOUNT), prefix=name, deletes=True))
    pushed = index(image(b"1" * 300_000), image(b"2"))
    push(pair.pull, name, "v1", pushed)
    push(pair.pull, name, "v2", pushed)
    assert status(pair, name, imageTag="v1") == {FAR: ("COMPLETE", None)}
    eventually(lambda: digest_of(pair.push, name, "v2") == pushed.digest)
    assert pair.push("GET", f"/v2/{name}/manifests/v1").body == pushed.manifest
    for child in pushed.children:
        for blob in child.blobs:
            assert pair.push("GET", f"/v2/{name}/blobs/{_blob(blob).digest}").body == blob
    (entry,) = [one for one in pair.entries(name, "image-replicated") if one.get("imageTag") == "v1"]
    assert json.loads(entry["body"])["url"] == pair.upstream.url
    pair.ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])
    eventually(lambda: digest_of(pair.push, name, "v1") is None)
    assert digest_of(pair.push, name, "v2") == pushed.digest


def peer(pair: Pair) -> None:
    pair.holdfast.put_upstream_credential(name="peer", username=UPSTREAM_KEY, password=UPSTREAM_SECRET)
    pair.holdfast.put_replication_peer(
        destination={"region": FAR, "registryId": ACCOUNT}, url=pair.upstream.url, credentialName="peer"
    )


def test_a_tag_that_holds_at_another_server_is_told_in_its_words(pair: Pair, name: str) -> None:
    peer(pair)
    configure(pair, goes_to((FAR, ACCOUNT), prefix=name))
    upstream = pair.upstream.aws("ecr", UPSTREAM_KEY, UPSTREAM_SECRET)
    upstream.create_repository(repositoryName=name, imageTagMutability="IMMUTABLE")
    upstream.close()
    theirs, ours = image(b"theirs"), image(b"ours")
    push(pair.push, name, "v1", theirs)
    push(pair.pull, name, "v1", ours)
    assert status(pair, name, imageTag="v1") == {FAR: ("FAILED", "ImageTagAlreadyExists")}
    assert digest_of(pair.push, name, "v1") == theirs.digest
    (row,) = pair.holdfast.list_replications(repositoryName=name)["replications"]
    assert "cannot be overwritten because the tag is immutable" in row["failureReason"]


def test_a_server_that_does_not_answer_is_tried_again(pair: Pair, name: str) -> None:
    pair.holdfast.put_replication_peer(destination={"region": FAR, "registryId": ACCOUNT}, url="http://127.0.0.1:1")
    configure(pair, goes_to((FAR, ACCOUNT), prefix=name))
    pushed = image(b"late")
    push(pair.pull, name, "v", pushed)

    def waits() -> Any:
        (row,) = pair.holdfast.list_replications(repositoryName=name)["replications"]
        return row if row["attempts"] else None

    row = eventually(waits)
    assert (row["status"], row["failureCode"]) == ("IN_PROGRESS", "DestinationUnavailable")
    assert row["nextAttemptAt"] > row["changedAt"]
    peer(pair)
    pair.clock.ahead_seconds = 60
    eventually(lambda: digest_of(pair.push, name, "v") == pushed.digest)


def test_peers_are_listed_and_forgotten(pair: Pair) -> None:
    destination = {"region": "eu-west-9", "registryId": ACCOUNT}
    pair.holdfast.put_replication_peer(destination=destination, url="https://registry.example.com/")
    listed = pair.holdfast.list_replication_peers()["replicationPeers"]
    assert [one["url"] for one in listed if one["destination"] == destination] == ["https://registry.example.com"]
    pair.holdfast.delete_replication_peer(destination=destination)
    assert refusal(pair.holdfast.delete_replication_peer, destination=destination).code == "PeerNotFoundException"
    told = refusal(
        pair.holdfast.put_replication_peer, destination={"region": REGION, "registryId": ACCOUNT}, url="https://x"
    )
    assert told.code == INVALID
    assert refusal(pair.holdfast.put_replication_peer, destination=destination, url="ftp://x").code == (
        "UnsupportedUpstreamRegistryException"
    )


# --- the configuration -----------------------------------------------------------------------------------------------


def test_a_configuration_is_told_as_it_was_put(pair: Pair) -> None:
    assert pair.ecr.describe_registry()["replicationConfiguration"] == {"rules": []}
    rules = [goes_to((ELSEWHERE, ACCOUNT), prefix="prod"), goes_to((FAR, ACCOUNT), deletes=True)]
    put_ = pair.ecr.put_replication_configuration(replicationConfiguration={"rules": rules})
    assert put_["replicationConfiguration"] == {"rules": rules}
    told = pair.ecr.describe_registry()
    assert (told["registryId"], told["replicationConfiguration"]) == (ACCOUNT, {"rules": rules})
    pair.ecr.put_replication_configuration(replicationConfiguration={"rules": []})


def test_a_registry_does_not_replicate_to_itself(pair: Pair) -> None:
    told = refusal(
        pair.ecr.put_replication_configuration,
        replicationConfiguration={"rules": [goes_to((ELSEWHERE, ACCOUNT), (REGION, ACCOUNT))]},
    )
    why = "Replication destination cannot be the same as the source registry"
    assert told == (INVALID, constraint("replicationConfiguration", why))


def test_limits_of_a_configuration(pair: Pair) -> None:
    many = [(f"xx-yy-{number}", ACCOUNT) for number in range(26)]
    for rules in ([goes_to(*many)], [goes_to((ELSEWHERE, ACCOUNT))] * 26):
        told = refusal(pair.ecr.put_replication_configuration, replicationConfiguration={"rules": rules})
        assert told.code == INVALID


def test_the_status_of_what_is_not_there(pair: Pair, name: str) -> None:
    ask = pair.ecr.describe_image_replication_status
    assert refusal(ask, repositoryName="not/there", imageId={"imageTag": "a"}).code == "RepositoryNotFoundException"
    assert refusal(ask, repositoryName=name, imageId={"imageTag": "a"}).code == "ImageNotFoundException"
    push(pair.pull, name, "a", image(b"a"))
    assert ask(repositoryName=name, imageId={"imageTag": "a"})["replicationStatuses"] == []


# --- the rules -------------------------------------------------------------------------------------------------------

PLACES = st.builds(Destination, st.sampled_from(["r1", "r2", "r3"]), st.sampled_from(["1" * 12, "2" * 12]))
RULES = st.builds(
    Rule,
    st.lists(PLACES, unique=True, max_size=4).map(tuple),
    st.lists(st.sampled_from(["ab", "abc", "x/y"]), unique=True, max_size=2).map(tuple),
    st.booleans(),
)


@given(st.lists(RULES, max_size=5), st.sampled_from(["ab", "abcd", "x/y/z", "q"]))
def test_a_configuration_is_kept_and_sends_each_place_once(rules: list[Rule], repository: str) -> None:
    configuration = Configuration(tuple(rules))
    assert kept_configuration(configuration.text()) == configuration
    assert parse_configuration(configuration.document(), Destination("r9", "9" * 12)) == configuration
    places = configuration.destinations(repository)
    assert len(places) == len(set(places))
    for place in places:
        assert any(place in rule.destinations and rule.fits(repository) for rule in rules)
    assert set(configuration.destinations(repository, deletes=True)) <= set(places)


@given(st.integers(0, 10_000))
def test_pauses_grow_and_are_bounded(attempts: int) -> None:
    assert pause_seconds(attempts) <= pause_seconds(attempts + 1) <= 3_600


def test_a_backfill_gives_up_at_half_of_a_hundred() -> None:
    assert not gives_up(49, 50)
    assert gives_up(50, 50)
    assert not gives_up(51, 49)
    assert not gives_up(0, 99)
