"""Holdfast's own operations, called with botocore over the model that we ship."""

from __future__ import annotations

import json
import time
import uuid
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from images import digest_of, image, push, push_blob, push_parts, put, sha256
from json_api import (
    HOLDFAST_TARGET,
    INVALID,
    Api,
    Clock,
    Person,
    Refusal,
    allow,
    client_of,
    constraint,
    deny,
    held,
    person,
    policy,
    refusal,
)
from running import ACCOUNT, KEY_ID, SECRET, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running import Client, RunningServer

ADMINISTRATOR = f"arn:aws:iam::{ACCOUNT}:user/administrator"


@pytest.fixture
def name() -> str:
    """A name that no other principal has."""
    return f"u-{uuid.uuid4().hex[:12]}"


# --- principals and keys ---------------------------------------------------------------------------------------------


def test_a_principal_is_made_with_its_policies_and_has_no_key_yet(holdfast: Any, name: str) -> None:
    wanted = [policy(allow("ecr:*")), policy(allow("holdfast:ListTagHistory"))]
    made = holdfast.create_principal(name=name, policies=wanted)["principal"]
    assert (made["arn"], made["name"]) == (f"arn:aws:iam::{ACCOUNT}:user/{name}", name)
    assert [json.loads(one) for one in made["policies"]] == [json.loads(one) for one in wanted]
    found = next(one for one in listed(holdfast) if one["name"] == name)
    assert [json.loads(one) for one in found["policies"]] == [json.loads(one) for one in wanted]
    assert found["accessKeyIds"] == []


def listed(holdfast: Any, **more: Any) -> list[dict[str, Any]]:
    pages = holdfast.get_paginator("list_principals").paginate(**more)
    return [one for page in pages for one in page["principals"]]


def test_a_name_is_given_to_one_principal(holdfast: Any, name: str) -> None:
    holdfast.create_principal(name=name, policies=[policy(allow("ecr:*"))])
    for taken in (name, "administrator"):
        assert refusal(holdfast.create_principal, name=taken, policies=[policy(allow("*"))]) == Refusal(
            "PrincipalAlreadyExistsException", f"The principal '{taken}' already exists."
        )


def test_a_key_works_from_the_moment_it_is_made_until_it_is_deleted(
    server: RunningServer, holdfast: Any, name: str, repository: str
) -> None:
    holdfast.create_principal(name=name, policies=[policy(allow("ecr:*"))])
    keys = [holdfast.create_access_key(name=name) for _ in range(2)]
    ids = sorted(key["accessKeyId"] for key in keys)
    assert all(len(one) == 20 and one.startswith("AKIA") for one in ids)
    assert all(len(key["secretAccessKey"]) == 40 for key in keys)
    assert next(one for one in listed(holdfast) if one["name"] == name)["accessKeyIds"] == ids
    clients = [client_of(server, Person(name, key["accessKeyId"], key["secretAccessKey"])) for key in keys]
    clients[0].create_repository(repositoryName=repository)
    holdfast.delete_access_key(accessKeyId=keys[0]["accessKeyId"])
    assert refusal(clients[0].describe_repositories).code == "UnrecognizedClientException"
    clients[1].describe_repositories()
    holdfast.delete_principal(name=name)
    assert refusal(clients[1].describe_repositories).code == "UnrecognizedClientException"
    assert name not in {one["name"] for one in listed(holdfast)}
    for client in clients:
        client.close()


def test_a_secret_is_told_once(holdfast: Any, name: str) -> None:
    holdfast.create_principal(name=name, policies=[policy(allow("ecr:*"))])
    secret = holdfast.create_access_key(name=name)["secretAccessKey"]
    assert secret not in json.dumps(listed(holdfast))
    assert SECRET not in json.dumps(listed(holdfast))


def test_principals_and_keys_that_are_not_there(holdfast: Any, name: str) -> None:
    missing = Refusal("PrincipalNotFoundException", f"The principal '{name}' does not exist.")
    assert refusal(holdfast.delete_principal, name=name) == missing
    assert refusal(holdfast.create_access_key, name=name) == missing
    assert refusal(holdfast.delete_access_key, accessKeyId="AKIANOBODYHASTHISKEY") == Refusal(
        "PrincipalNotFoundException", "The access key 'AKIANOBODYHASTHISKEY' does not exist."
    )


def test_a_principal_made_anew_has_none_of_the_keys_of_the_one_before(server: RunningServer, holdfast: Any) -> None:
    who = person(holdfast, policy(allow("ecr:*")))
    holdfast.delete_principal(name=who.name)
    holdfast.create_principal(name=who.name, policies=[policy(allow("*"))])
    with closing(client_of(server, who)) as before:
        assert refusal(before.describe_repositories).code == "UnrecognizedClientException"


BAD_POLICIES = {
    "not JSON": "x",
    "an array": "[]",
    "nothing in it": "{}",
    "no statements": '{"Version":"2012-10-17","Statement":[]}',
    "another version": '{"Version":"2020-01-01","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
    "no effect": '{"Statement":[{"Action":"*","Resource":"*"}]}',
    "no action": '{"Statement":[{"Effect":"Allow","Resource":"*"}]}',
    "a condition": '{"Statement":[{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"Bool":{"a":"b"}}}]}',
    "a principal": '{"Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}',
    "a variable": '{"Version":"2012-10-17",'
    '"Statement":[{"Effect":"Allow","Action":"*","Resource":"arn:aws:ecr:a:b:${x}"}]}',
    "a duplicate key": '{"Statement":[{"Effect":"Deny","Effect":"Allow","Action":"*","Resource":"*"}]}',
    "not a number": '{"Version":NaN,"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}',
    "a depth bomb": "[" * 10_000,
    "a deep statement": '{"Statement":' + "[" * 5_000 + "]" * 5_000 + "}",
    "half a surrogate": '{"Statement":[{"Sid":"\\ud800","Effect":"Allow","Action":"*","Resource":"*"}]}',
}


@pytest.mark.parametrize("text", BAD_POLICIES.values(), ids=BAD_POLICIES)
def test_what_is_no_policy_is_refused_and_nobody_is_made(holdfast: Any, name: str, text: str) -> None:
    for policies in ([text], [policy(allow("ecr:*")), text]):
        code, message = refusal(holdfast.create_principal, name=name, policies=policies)
        assert code == INVALID
        assert message.startswith("Invalid parameter at 'policies' failed to satisfy constraint: '")
        assert len(message) < 400
    assert name not in {one["name"] for one in listed(holdfast)}


def test_principals_are_listed_by_pages(holdfast: Any) -> None:
    made = {person(holdfast, policy(allow("ecr:*"))).name for _ in range(4)}
    for size in (1, 3, 1000):
        arns = [one["arn"] for one in listed(holdfast, PaginationConfig={"PageSize": size})]
        assert arns == sorted(set(arns))
        assert {f"arn:aws:iam::{ACCOUNT}:user/{one}" for one in made} | {ADMINISTRATOR} <= set(arns)


# --- the past --------------------------------------------------------------------------------------------------------


def history(holdfast: Any, repository: str, size: int = 1000, **more: Any) -> list[dict[str, Any]]:
    """Return the bindings of a repository, oldest first."""
    paginator = holdfast.get_paginator("list_tag_history")
    pages = paginator.paginate(repositoryName=repository, PaginationConfig={"PageSize": size}, **more)
    return [one for page in pages for one in page["bindings"]][::-1]


def entries(holdfast: Any, repository: str, size: int = 1000, **more: Any) -> list[dict[str, Any]]:
    """Return the record of a repository, oldest first."""
    paginator = holdfast.get_paginator("list_entries")
    pages = paginator.paginate(repositoryName=repository, PaginationConfig={"PageSize": size}, **more)
    return [one for page in pages for one in page["entries"]][::-1]


def test_the_history_of_a_tag_says_what_it_named_when_and_by_whom(
    server: RunningServer, holdfast: Any, client: Client, repository: str
) -> None:
    first, second = image(), image()
    push(client, repository, "v1", first)
    who = person(holdfast, policy(allow("ecr:*")))
    with closing(server.client(who.key_id, who.secret)) as mine:
        push(mine, repository, "v1", second)
        put(mine, repository, "v1", second)
        mine("DELETE", f"/v2/{repository}/manifests/v1")
    push(client, repository, "other", first)
    one, two = history(holdfast, repository, imageTag="v1")
    assert (one["imageTag"], one["imageDigest"], one["boundBy"]) == ("v1", first.digest, ADMINISTRATOR)
    assert (one["endedBy"], one["endCause"]) == (who.arn, "moved")
    assert (two["imageDigest"], two["boundBy"], two["endedBy"]) == (second.digest, who.arn, who.arn)
    assert two["endCause"] == "deleted"
    assert one["boundAt"] <= one["endedAt"] <= two["boundAt"] <= two["endedAt"]
    assert abs(two["endedAt"].timestamp() - time.time()) < 60
    three = history(holdfast, repository)[-1]
    assert (three["imageTag"], three["imageDigest"]) == ("other", first.digest)
    assert not {"endedAt", "endedBy", "endCause"} & set(three)


def test_a_repository_that_was_deleted_keeps_its_past(ecr: Any, holdfast: Any, client: Client, repository: str) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    ecr.delete_repository(repositoryName=repository, force=True)
    [before] = history(holdfast, repository)
    assert (before["imageDigest"], before["endCause"]) == (pushed.digest, "deleted")
    ecr.create_repository(repositoryName=repository)
    assert history(holdfast, repository) == [before]
    kinds = [one["kind"] for one in entries(holdfast, repository)]
    assert kinds == ["repository-created", "tag-bound", "tag-deleted", "repository-deleted", "repository-created"]


def test_the_past_comes_by_pages_newest_first(holdfast: Any, client: Client, repository: str) -> None:
    pushed = [image() for _ in range(5)]
    for one in pushed:
        push(client, repository, "v1", one)
    for size in (1, 2, 5, 6):
        found = history(holdfast, repository, size)
        assert [one["imageDigest"] for one in found] == [one.digest for one in pushed]
        record = entries(holdfast, repository, size)
        assert [one["sequence"] for one in record] == sorted({one["sequence"] for one in record})
        assert len(record) == 6
    page = holdfast.list_tag_history(repositoryName=repository, maxResults=2)
    token = page["nextToken"]
    why = "The nextToken is invalid for this caller and operation"
    for call, more in ((holdfast.list_entries, {}), (holdfast.list_tag_history, {"imageTag": "v1"})):
        told = refusal(call, repositoryName=repository, nextToken=token, **more)
        assert told == Refusal(INVALID, constraint("nextToken", why))


def test_the_record_of_what_never_was_is_empty(holdfast: Any, repository: str) -> None:
    assert history(holdfast, repository) == []
    assert entries(holdfast, repository, imageTag="v1") == []


def test_every_act_on_a_tag_is_an_entry_refusals_included(
    ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    first, second = image(), image()
    push(client, repository, "v1", first)
    push(client, repository, "v1", second)
    put(client, repository, "v1", first)
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    push(client, repository, "v1", second)
    push(client, repository, "v1", first)
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    holdfast.forget_tag(repositoryName=repository, imageTag="v1")
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="MUTABLE")
    push(client, repository, "v1", second)
    push(client, repository, "v1", first)
    record = entries(holdfast, repository)
    assert [(one["kind"], one.get("imageTag"), one.get("imageDigest")) for one in record] == [
        ("repository-created", None, None),
        ("tag-bound", "v1", first.digest),
        ("tag-refused", "v1", second.digest),
        ("tag-deleted", "v1", first.digest),
        ("tag-refused", "v1", second.digest),
        ("tag-restored", "v1", first.digest),
        ("tag-deleted", "v1", first.digest),
        ("tag-forgotten", "v1", first.digest),
        ("mutability-changed", None, None),
        ("tag-bound", "v1", second.digest),
        ("tag-moved", "v1", first.digest),
    ]
    bodies = [json.loads(one["body"]) for one in record]
    assert {one["principal"] for one in record} == {ADMINISTRATOR}
    assert {body["through"] for body in bodies} == {"ecr", "oci"}
    assert bodies[2]["digest"] == first.digest
    assert bodies[8]["before"]["mode"] == "IMMUTABLE"
    assert bodies[8]["after"]["mode"] == "MUTABLE"
    assert SECRET not in json.dumps(bodies)
    of_tag = entries(holdfast, repository, imageTag="v1")
    assert of_tag == [one for one in record if one.get("imageTag") == "v1"]


# --- names of deleted tags -------------------------------------------------------------------------------------------


def test_a_name_that_is_given_up_is_free_for_any_digest(
    ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    first, second = image(), image()
    push(client, repository, "v1", first)
    nothing_waits = Refusal(
        "ImageNotFoundException",
        f"No deleted tag 'v1' of the '{repository}' repository waits for its digest.",
    )
    assert refusal(holdfast.forget_tag, repositoryName=repository, imageTag="v1") == nothing_waits
    assert digest_of(client, repository, "v1") == first.digest
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
    assert push(client, repository, "v1", second).status == 409
    holdfast.forget_tag(repositoryName=repository, imageTag="v1")
    assert refusal(holdfast.forget_tag, repositoryName=repository, imageTag="v1") == nothing_waits
    assert push(client, repository, "v1", second).status == 201
    assert push(client, repository, "v1", first).status == 409


def test_a_name_of_a_repository_that_is_gone_can_be_given_up(
    ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    push(client, repository, "v1", image())
    ecr.delete_repository(repositoryName=repository, force=True)
    holdfast.forget_tag(repositoryName=repository, imageTag="v1")
    ecr.create_repository(repositoryName=repository)
    assert push(client, repository, "v1", image()).status == 201


# --- settings of the registry, collection: on a server of their own --------------------------------------------------


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Clock]]:
    clock = Clock()
    with running(settings(tmp_path_factory.mktemp("own"), create_on_push="IMMUTABLE"), clock=clock) as up:
        yield up, clock


@pytest.fixture(scope="module")
def ours(own: tuple[RunningServer, Clock]) -> Iterator[tuple[Any, Any, Client]]:
    """The administrator's clients of `own`: ECR's operations, our own, the registry protocol."""
    server, _ = own
    ecr, holdfast, client = server.aws("ecr"), server.aws("holdfast"), server.client()
    yield ecr, holdfast, client
    for one in (ecr, holdfast, client):
        one.close()


def registry(holdfast: Any) -> dict[str, str]:
    found: dict[str, str] = holdfast.get_registry_settings()
    found.pop("ResponseMetadata", None)
    return found


DEFAULTS = {"registryId": ACCOUNT, "refusalStyle": "denied", "deletedTags": "held", "lifecycleHeldTags": "keep"}


def test_settings_are_changed_one_by_one_and_told(ours: tuple[Any, Any, Client]) -> None:
    _, holdfast, _ = ours
    assert registry(holdfast) == DEFAULTS
    try:
        changed = holdfast.put_registry_settings(refusalStyle="ecr")
        changed.pop("ResponseMetadata")
        assert changed == registry(holdfast) == DEFAULTS | {"refusalStyle": "ecr"}
        holdfast.put_registry_settings(deletedTags="free", registryId=ACCOUNT)
        assert registry(holdfast) == DEFAULTS | {"refusalStyle": "ecr", "deletedTags": "free"}
        holdfast.put_registry_settings()
        assert registry(holdfast) == DEFAULTS | {"refusalStyle": "ecr", "deletedTags": "free"}
        why = "Member must satisfy enum value set: [denied, ecr]"
        refused = refusal(holdfast.put_registry_settings, refusalStyle="x", deletedTags="held")
        assert refused == Refusal(INVALID, constraint("refusalStyle", why))
        assert registry(holdfast)["deletedTags"] == "free"
    finally:
        holdfast.put_registry_settings(refusalStyle="denied", deletedTags="held")
    assert registry(holdfast) == DEFAULTS


def test_settings_survive_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    wanted = settings(tmp_path_factory.mktemp("settings"))
    with running(wanted) as up, closing(up.aws("holdfast")) as holdfast:
        holdfast.put_registry_settings(refusalStyle="ecr", deletedTags="free")
    with running(wanted) as up, closing(up.aws("holdfast")) as holdfast:
        assert registry(holdfast) == DEFAULTS | {"refusalStyle": "ecr", "deletedTags": "free"}


def test_in_ecrs_style_a_refusal_is_ecrs_to_the_letter_on_both_faces(
    ours: tuple[Any, Any, Client], repository: str
) -> None:
    ecr, holdfast, client = ours
    first, second = image(), image()
    push(client, repository, "v1", first)
    push_parts(client, repository, second)
    given = {"repositoryName": repository, "imageManifest": second.manifest.decode(), "imageTag": "v1"}
    try:
        holdfast.put_registry_settings(refusalStyle="ecr")
        told = refusal(ecr.put_image, **given)
        assert told == Refusal("ImageTagAlreadyExistsException", held("v1", repository))
        answer = put(client, repository, "v1", second)
        assert (answer.status, answer.code, answer.message) == (400, "TAG_INVALID", held("v1", repository))
    finally:
        holdfast.put_registry_settings(refusalStyle="denied")
    answer = put(client, repository, "v1", second)
    assert (answer.status, answer.code) == (409, "DENIED")
    assert digest_of(client, repository, "v1") == first.digest


def test_where_deleted_tags_are_free_they_may_be_taken_as_in_ecr(
    ours: tuple[Any, Any, Client], repository: str
) -> None:
    ecr, holdfast, client = ours
    first, second = image(), image()
    push(client, repository, "before", first)
    ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "before"}])
    try:
        holdfast.put_registry_settings(deletedTags="free")
        push(client, repository, "v1", first)
        assert push(client, repository, "v1", second).status == 409
        ecr.batch_delete_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
        assert push(client, repository, "v1", second).status == 201
    finally:
        holdfast.put_registry_settings(deletedTags="held")
    assert push(client, repository, "before", second).status == 409
    assert push(client, repository, "before", first).status == 201


def collected(holdfast: Any, **more: bool) -> dict[str, Any]:
    found: dict[str, Any] = holdfast.collect_garbage(**more)
    found.pop("ResponseMetadata")
    return found


def test_a_collection_removes_what_nobody_needs_and_only_that(
    own: tuple[RunningServer, Clock], ours: tuple[Any, Any, Client], repository: str
) -> None:
    server, clock = own
    ecr, holdfast, client = ours
    kept = image()
    push(client, repository, "v1", kept)
    push_blob(client, repository, b"nobody names this")
    later = Api(server, now=clock.now)
    target = f"{HOLDFAST_TARGET}.CollectGarbage"
    nothing = {"links": 0, "blobs": 0, "blobBytes": 0, "manifests": 0, "uploads": 0, "dryRun": False}
    try:
        clock.ahead_seconds = 23 * 3600
        assert later(target).json() == nothing
        clock.ahead_seconds = 25 * 3600
        told = later(target, {"dryRun": True}).json()
        assert (told["links"], told["blobs"], told["dryRun"]) == (1, 1, True)
        assert told["blobBytes"] == len(b"nobody names this")
        lost = f"/v2/{repository}/blobs/{sha256(b'nobody names this')}"
        assert later(target).json() == told | {"dryRun": False}
        assert later(target).json() == nothing
        assert client("GET", lost).status == 404
    finally:
        clock.ahead_seconds = 0
        later.close()
    assert client("GET", f"/v2/{repository}/manifests/v1").body == kept.manifest
    for blob in kept.blobs:
        assert client("GET", f"/v2/{repository}/blobs/{sha256(blob)}").body == blob
    [found] = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])["images"]
    assert found["imageManifest"].encode() == kept.manifest
    assert collected(holdfast, dryRun=True) == nothing | {"dryRun": True}


# --- the last administrator ------------------------------------------------------------------------------------------


def test_the_last_administrator_and_its_last_key_stay_until_there_is_another(tmp_path: Any) -> None:
    with running(settings(tmp_path)) as up, closing(up.aws("holdfast")) as mine:
        for call, given in ((mine.delete_principal, {"name": "administrator"}), (mine.delete_access_key, None)):
            told = refusal(call, **(given or {"accessKeyId": KEY_ID}))
            assert told.code == "LastAdministratorException"
            assert "holdfast user create NAME --administrator" in told.message
        second_key = mine.create_access_key(name="administrator")["accessKeyId"]
        mine.delete_access_key(accessKeyId=second_key)
        mine.create_principal(name="idle", policies=[policy(allow("*"))])
        assert refusal(mine.delete_principal, name="administrator").code == "LastAdministratorException", "no key"
        weak = person(mine, policy(allow("holdfast:*"), deny("holdfast:CreateAccessKey")))
        assert refusal(mine.delete_principal, name="administrator").code == "LastAdministratorException", "no right"
        mine.delete_principal(name=weak.name)
        key = mine.create_access_key(name="idle")
        mine.delete_principal(name="administrator")
        with closing(client_of(up, Person("idle", key["accessKeyId"], key["secretAccessKey"]), "holdfast")) as idle:
            assert [one["name"] for one in idle.list_principals()["principals"]] == ["idle"]
            assert refusal(idle.delete_principal, name="idle").code == "LastAdministratorException"
