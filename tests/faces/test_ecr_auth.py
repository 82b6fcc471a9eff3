"""Who may use the JSON API, and what with: log-in tokens, policies; every refusal leaves nothing done."""

from __future__ import annotations

import base64
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.core import iam
from holdfast.faces.ecr_operations import ECR
from holdfast.faces.holdfast_operations import HOLDFAST
from images import digest_of, image, push, push_parts, put
from json_api import (
    HOLDFAST_TARGET,
    INVALID,
    OTHER_ACCOUNT,
    Api,
    Clock,
    Person,
    Refusal,
    allow,
    client_of,
    constraint,
    deny,
    person,
    policy,
    refusal,
    repository_arn,
)
from running import ACCOUNT, KEY_ID, REGION, SECRET, Client, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running import Answer, RunningServer

ABSENT = "sha256:" + "0" * 64

UNKNOWN_CLIENT = Refusal("UnrecognizedClientException", "The security token included in the request is invalid.")


# --- log-in tokens ---------------------------------------------------------------------------------------------------


def password(ecr: Any) -> str:
    """Return the password of a new log-in token."""
    [data] = ecr.get_authorization_token()["authorizationData"]
    name, colon, made = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    assert (name, colon) == ("AWS", ":")
    return made


def base(client: Client) -> Answer:
    with closing(client):
        return client("GET", "/v2/")


def test_a_token_logs_in_for_twelve_hours(server: RunningServer, ecr: Any, repository: str) -> None:
    [data] = ecr.get_authorization_token()["authorizationData"]
    assert set(data) == {"authorizationToken", "expiresAt", "proxyEndpoint"}
    assert data["proxyEndpoint"] == server.url
    assert abs(data["expiresAt"].timestamp() - time.time() - 12 * 3600) < 60
    with closing(server.client("AWS", password(ecr))) as client:
        pushed = image()
        assert push(client, repository, "v1", pushed).status == 201
        assert digest_of(client, repository, "v1") == pushed.digest
    assert base(Client(server.host, server.port, f"Bearer {password(ecr)}")).status == 200


def test_the_registries_of_a_token(ecr: Any) -> None:
    told = ecr.get_authorization_token(registryIds=[ACCOUNT, ACCOUNT])["authorizationData"]
    assert len(told) == 2
    assert refusal(ecr.get_authorization_token, registryIds=[ACCOUNT, OTHER_ACCOUNT]).code == INVALID
    why = "Member must satisfy constraint: [Member must satisfy regular expression pattern: [0-9]{12}]"
    assert refusal(ecr.get_authorization_token, registryIds=["1"]) == Refusal(INVALID, constraint("registryIds", why))


def test_a_token_goes_with_its_user_name_and_cannot_be_edited(
    guarded: tuple[RunningServer, Clock], guarded_api: Api
) -> None:
    server, _ = guarded
    token = base64.b64decode(
        guarded_api("GetAuthorizationToken").json()["authorizationData"][0]["authorizationToken"]
    ).decode()[4:]
    assert base(server.client("AWS", token)).status == 200
    middle = len(token) // 2
    flipped = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for user, secret in (
        (KEY_ID, token),
        ("aws", token),
        ("", token),
        ("AWS", flipped),
        ("AWS", token[:-4]),
        ("AWS", token + "AAAA"),
        ("AWS", ""),
        ("AWS", SECRET),
    ):
        answer = base(server.client(user, secret))
        assert (answer.status, answer.code) == (401, "UNAUTHORIZED"), (user, secret)


def test_a_token_of_another_server_is_nothing_here(server: RunningServer, strict: RunningServer) -> None:
    with closing(strict.aws("ecr")) as elsewhere:
        token = password(elsewhere)
    assert base(strict.client("AWS", token)).status == 200
    assert base(server.client("AWS", token)).status == 401


def test_a_token_survives_a_restart(tmp_path_factory: pytest.TempPathFactory) -> None:
    wanted = settings(tmp_path_factory.mktemp("restart"))
    pushed = image()
    with running(wanted) as up, closing(up.aws("ecr")) as ecr, closing(up.client()) as client:
        ecr.create_repository(repositoryName="kept/a", imageTagMutability="IMMUTABLE")
        push(client, "kept/a", "v1", pushed)
        token = password(ecr)
        page = ecr.list_images(repositoryName="kept/a", maxResults=1)
        assert "nextToken" not in page
    with running(wanted) as up, closing(up.client("AWS", token)) as client:
        assert digest_of(client, "kept/a", "v1") == pushed.digest
        assert push(client, "kept/a", "v1", image()).status == 409


def test_a_token_expires_with_ecrs_sentence(strict: RunningServer, clock: Clock) -> None:
    with closing(strict.aws("ecr")) as ecr:
        token = password(ecr)
    try:
        clock.ahead_seconds = 12 * 3600 - 30
        assert base(strict.client("AWS", token)).status == 200
        clock.ahead_seconds = 12 * 3600 + 1
        answer = base(strict.client("AWS", token))
        assert (answer.status, answer.code) == (403, "DENIED")
        assert answer.message == "Your authorization token has expired. Reauthenticate and try again."
        bearer = base(Client(strict.host, strict.port, f"Bearer {token}"))
        assert bearer.status == 401
    finally:
        clock.ahead_seconds = 0


def test_a_token_that_is_exchanged_lives_no_longer(strict: RunningServer, clock: Clock) -> None:
    """A token may not be renewed by itself, or its twelve hours would be for ever."""
    with closing(strict.aws("ecr")) as ecr:
        token = password(ecr)
    try:
        clock.ahead_seconds = 12 * 3600 - 60
        with closing(strict.client("AWS", token)) as client:
            answer = client("GET", "/token?service=holdfast")
        assert answer.status == 200
        clock.ahead_seconds = 12 * 3600 + 60
        assert base(Client(strict.host, strict.port, f"Bearer {answer.json()['token']}")).status in {401, 403}
    finally:
        clock.ahead_seconds = 0


@pytest.mark.parametrize("kill", ["key", "principal"])
def test_a_token_dies_with_its_access_key_and_with_its_principal(
    server: RunningServer, holdfast: Any, repository: str, kill: str
) -> None:
    who = person(holdfast, policy(allow("ecr:*")))
    other = holdfast.create_access_key(name=who.name)
    clients = [
        client_of(server, who),
        client_of(server, Person(who.name, other["accessKeyId"], other["secretAccessKey"])),
    ]
    tokens = [password(client) for client in clients]
    for token in tokens:
        assert base(server.client("AWS", token)).status == 200
    if kill == "key":
        holdfast.delete_access_key(accessKeyId=who.key_id)
    else:
        holdfast.delete_principal(name=who.name)
    alive = [base(server.client("AWS", token)).status for token in tokens]
    assert alive == [401, 200 if kill == "key" else 401]
    assert base(server.client(who.key_id, who.secret)).status == 401
    assert refusal(clients[0].create_repository, repositoryName=repository) == UNKNOWN_CLIENT
    for client in clients:
        client.close()


# --- policies --------------------------------------------------------------------------------------------------------


def not_authorized(who: Person, action: str, resource: str, reason: str | None = None) -> Refusal:
    reason = reason or f"because no identity-based policy allows the {action} action"
    return Refusal(
        "AccessDeniedException",
        f"User: {who.arn} is not authorized to perform: {action} on resource: {resource} {reason}",
    )


UPLOAD = {"uploadId": "0f8fad5b-d9cb-469f-a165-70867728950e"}
AN_IMAGE = {"imageId": {"imageTag": "v1"}}
ELSEWHERE = {"region": "eu-north-1", "registryId": OTHER_ACCOUNT}
IN_A_REPOSITORY: dict[str, dict[str, Any]] = {
    "DescribeImageReplicationStatus": AN_IMAGE,
    "DescribeImageScanFindings": AN_IMAGE,
    "DescribeImageSigningStatus": AN_IMAGE,
    "ListImageReferrers": {"subjectId": {"imageDigest": ABSENT}},
    "PutImageScanningConfiguration": {"imageScanningConfiguration": {"scanOnPush": True}},
    "StartImageScan": AN_IMAGE,
    "DeleteLifecyclePolicy": {},
    "GetLifecyclePolicy": {},
    "GetLifecyclePolicyPreview": {},
    "PutLifecyclePolicy": {"lifecyclePolicyText": "{}" + " " * 100},
    "StartLifecyclePolicyPreview": {},
    "UpdateImageStorageClass": {"imageId": {"imageTag": "v1"}, "targetStorageClass": "ARCHIVE"},
    "BatchCheckLayerAvailability": {"layerDigests": [ABSENT]},
    "BatchDeleteImage": {"imageIds": [{"imageTag": "v1"}]},
    "BatchGetImage": {"imageIds": [{"imageTag": "v1"}]},
    "CompleteLayerUpload": {**UPLOAD, "layerDigests": [ABSENT]},
    "CreateRepository": {},
    "DeleteRepository": {"force": True},
    "DeleteRepositoryPolicy": {},
    "DescribeImages": {},
    "GetDownloadUrlForLayer": {"layerDigest": ABSENT},
    "GetRepositoryPolicy": {},
    "InitiateLayerUpload": {},
    "ListImages": {},
    "PutImage": {"imageManifest": "{}", "imageTag": "v1"},
    "PutImageTagMutability": {"imageTagMutability": "MUTABLE"},
    "SetRepositoryPolicy": {"policyText": "{}"},
    "UploadLayerPart": {**UPLOAD, "partFirstByte": 0, "partLastByte": 2, "layerPartBlob": "AAAA"},
}
ON_A_RESOURCE: dict[str, dict[str, Any]] = {
    "ListTagsForResource": {},
    "TagResource": {"tags": [{"Key": "a", "Value": "b"}]},
    "UntagResource": {"tagKeys": ["a"]},
}
IN_A_REPOSITORY_OURS: dict[str, dict[str, Any]] = {
    "GetTagReceipt": {"imageTag": "v1"},
    "LoadScanReport": {**AN_IMAGE, "report": "AAAA"},
    "GetLifecycleRun": {},
    "GetOrphanReport": {},
    "ListLifecycleDecisions": {},
    "RunLifecyclePolicy": {},
    "ForgetTag": {"imageTag": "v1"},
    "ListEntries": {},
    "ListTagHistory": {},
}
IN_A_REGISTRY: dict[str, dict[str, Any]] = {
    "CreatePullThroughCacheRule": {"ecrRepositoryPrefix": "quay", "upstreamRegistryUrl": "quay.io"},
    "CreateRepositoryCreationTemplate": {"prefix": "team", "appliedFor": ["REPLICATION"]},
    "DeletePullThroughCacheRule": {"ecrRepositoryPrefix": "quay"},
    "DeleteRepositoryCreationTemplate": {"prefix": "team"},
    "DeleteSigningConfiguration": {},
    "DescribePullThroughCacheRules": {},
    "DescribeRegistry": {},
    "DescribeReplicationBackfillResults": {"replicationBackfillId": UPLOAD["uploadId"]},
    "DescribeRepositoryCreationTemplates": {},
    "GetAccountSetting": {"name": "BLOB_MOUNTING"},
    "GetRegistryScanningConfiguration": {},
    "GetSigningConfiguration": {},
    "ListReplicationBackfills": {},
    "PutAccountSetting": {"name": "BLOB_MOUNTING", "value": "DISABLED"},
    "PutRegistryScanningConfiguration": {},
    "PutReplicationConfiguration": {"replicationConfiguration": {"rules": []}},
    "PutSigningConfiguration": {"signingConfiguration": {"rules": []}},
    "StartReplicationBackfill": {"destination": ELSEWHERE},
    "StopReplicationBackfill": {"replicationBackfillId": UPLOAD["uploadId"]},
    "UpdatePullThroughCacheRule": {"ecrRepositoryPrefix": "quay"},
    "UpdateRepositoryCreationTemplate": {"prefix": "team"},
    "ValidatePullThroughCacheRule": {"ecrRepositoryPrefix": "quay"},
    "DeregisterPullTimeUpdateExclusion": {"principalArn": f"arn:aws:iam::{ACCOUNT}:user/mallory"},
    "ListPullTimeUpdateExclusions": {},
    "RegisterPullTimeUpdateExclusion": {"principalArn": f"arn:aws:iam::{ACCOUNT}:user/mallory"},
    "DeleteRegistryPolicy": {},
    "GetAuthorizationToken": {},
    "GetRegistryPolicy": {},
    "PutRegistryPolicy": {"policyText": "{}"},
}
ON_AN_IDENTITY: dict[str, tuple[str, dict[str, Any]]] = {
    "AddUserToGroup": ("group/g", {"groupName": "g", "userName": "mallory"}),
    "AttachPolicy": ("user/mallory", {"identity": "user/mallory", "policyArn": "arn:aws:iam::aws:policy/X"}),
    "CreateGroup": ("group/g", {"name": "g"}),
    "CreateRole": ("role/r", {"name": "r", "trustPolicy": "{}"}),
    "DeleteGroup": ("group/g", {"name": "g"}),
    "DeleteIdentityProvider": ("oidc-provider/i.example", {"issuer": "https://i.example"}),
    "DeletePolicy": ("policy/p", {"policyArn": f"arn:aws:iam::{ACCOUNT}:policy/p"}),
    "DeleteRole": ("role/r", {"name": "r"}),
    "DetachPolicy": ("user/mallory", {"identity": "user/mallory", "policyArn": "arn:aws:iam::aws:policy/X"}),
    "ExplainAccess": ("user/mallory", {"principal": "user/mallory", "action": "ecr:PutImage"}),
    "ListGroups": ("group/*", {}),
    "ListIdentityProviders": ("oidc-provider/*", {}),
    "ListPolicies": ("policy/*", {}),
    "ListRoles": ("role/*", {}),
    "PutIdentity": ("role/r", {"identity": "role/r", "policies": []}),
    "PutIdentityProvider": ("oidc-provider/i.example", {"issuer": "https://i.example", "audiences": ["a"]}),
    "PutPolicy": ("policy/p", {"name": "p", "document": "{}"}),
    "PutRoleTrust": ("role/r", {"name": "r", "trustPolicy": "{}"}),
    "RemoveUserFromGroup": ("group/g", {"groupName": "g", "userName": "mallory"}),
}
IN_A_REGISTRY_OURS: dict[str, dict[str, Any]] = {
    "AddLedgerKey": {},
    "DeleteReplicationPeer": {"destination": ELSEWHERE},
    "DeleteUpstreamCredential": {"name": "hub"},
    "GetLedgerStatus": {},
    "ListReplicationPeers": {},
    "ListReplications": {},
    "ListUpstreamCredentials": {},
    "ListUpstreamDrift": {},
    "PutReplicationPeer": {"destination": ELSEWHERE, "url": "https://registry.example"},
    "PutUpstreamCredential": {"name": "hub", "username": "u", "password": "p"},
    "RetireLedgerKey": {"vkey": "name+00000000+AAAA"},
    "AttachGuardrail": {"name": "g", "targetId": "ou-x"},
    "CollectGarbage": {},
    "CreateAccessKey": {"name": "administrator"},
    "CreatePrincipal": {"name": "mallory", "policies": [policy(allow("*"))]},
    "CreateRegistry": {"registryId": ACCOUNT, "region": REGION},
    "CreateUnit": {"name": "u", "parentId": "ou-x"},
    "DeleteAccessKey": {"accessKeyId": KEY_ID},
    "DeleteGuardrail": {"name": "g"},
    "DeletePrincipal": {"name": "administrator"},
    "GetQuotas": {},
    "DescribeScrub": {},
    "GetReadOnly": {},
    "DeleteUnit": {"unitId": "ou-x"},
    "DescribeOrganization": {},
    "DetachGuardrail": {"name": "g", "targetId": "ou-x"},
    "GetRegistrySettings": {},
    "ListGuardrails": {},
    "ListPrincipals": {},
    "ListUsage": {},
    "PutQuotas": {"images": 7},
    "ListRegistries": {},
    "MoveAccount": {"accountId": ACCOUNT, "unitId": "ou-x"},
    "PutGuardrail": {"name": "g", "document": "{}"},
    "PutRegistrySettings": {"deletedTags": "free"},
    "RotateSealKey": {},
    "SetReadOnly": {"readOnly": False},
    "StartScrub": {},
}


NEED_MORE = {"CreateRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate"}
"""Who makes a template needs the rights to what it makes. Source: Amazon ECR user guide, "IAM permissions"."""

DELETE_THE_ASKER = {"DeleteAccessKey", "DeletePrincipal"}


def calls(name: str) -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """Yield (target, parameters, action, resource) of every operation, on a repository of this name."""
    arn = repository_arn(name)
    for operation, more in IN_A_REPOSITORY.items():
        yield operation, {"repositoryName": name, **more}, f"ecr:{operation}", arn
    for operation, more in ON_A_RESOURCE.items():
        yield operation, {"resourceArn": arn, **more}, f"ecr:{operation}", arn
    for operation in ("DescribeRepositories", "BatchGetRepositoryScanningConfiguration"):
        yield operation, {"repositoryNames": [name]}, f"ecr:{operation}", arn
    for operation, more in IN_A_REGISTRY.items():
        yield operation, more, f"ecr:{operation}", "*"
    for operation, (identity, more) in ON_AN_IDENTITY.items():
        target = f"{HOLDFAST_TARGET}.{operation}"
        yield target, more, f"holdfast:{operation}", f"arn:aws:iam::{ACCOUNT}:{identity}"
    for operation, more in IN_A_REPOSITORY_OURS.items():
        target = f"{HOLDFAST_TARGET}.{operation}"
        yield target, {"repositoryName": name, **more}, f"holdfast:{operation}", arn
    for operation, more in IN_A_REGISTRY_OURS.items():
        yield f"{HOLDFAST_TARGET}.{operation}", more, f"holdfast:{operation}", "*"


def test_every_operation_that_is_offered_is_asked_for_its_right_below() -> None:
    named = {target.rpartition(".")[2] for target, *_ in calls("a/b")}
    assert named == set(ECR) | set(HOLDFAST)


def with_image(ecr: Any, client: Client, repository: str) -> str:
    """Make an IMMUTABLE repository with the tag v1; return its digest."""
    ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    pushed = image()
    assert push(client, repository, "v1", pushed).status == 201
    return pushed.digest


def test_without_a_right_nothing_may_be_done_and_nothing_is_told(
    server: RunningServer, ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    """The answer is the same whether the repository is there or not, and for what is asked of it."""
    digest = with_image(ecr, client, repository)
    before = holdfast.list_entries(repositoryName=repository)["entries"]
    who = person(holdfast, policy(allow("s3:*")))
    with closing(Api(server, who.key_id, who.secret)) as api:
        for name in (repository, f"{repository}-absent"):
            for target, parameters, action, resource in calls(name):
                assert api(target, parameters).refusal == not_authorized(who, action, resource)
    assert holdfast.list_entries(repositoryName=repository)["entries"] == before
    assert digest_of(client, repository, "v1") == digest
    assert holdfast.get_registry_settings()["deletedTags"] == "held"
    assert base(server.client()).status == 200


def test_lists_that_match_nothing_need_the_right_too(server: RunningServer, holdfast: Any, repository: str) -> None:
    who = person(holdfast, policy(allow("s3:*")))
    with closing(Api(server, who.key_id, who.secret)) as api:
        for operation in ("ListImages", "DescribeImages"):
            given = {"repositoryName": repository, "filter": {"imageStatus": "ARCHIVED"}}
            action, resource = f"ecr:{operation}", repository_arn(repository)
            assert api(operation, given).refusal == not_authorized(who, action, resource)


@pytest.fixture(scope="module")
def strict_holdfast(strict: RunningServer) -> Iterator[Any]:
    with closing(strict.aws("holdfast")) as made:
        yield made


@pytest.mark.parametrize(
    ("target", "parameters", "action", "resource"),
    [one for one in calls("rights/a") if one[0].rpartition(".")[2] not in NEED_MORE | DELETE_THE_ASKER],
    ids=lambda value: value.rpartition(".")[2] if isinstance(value, str) and "." in value else None,
)
def test_the_right_to_an_operation_is_enough_for_it_and_for_nothing_else(
    strict: RunningServer, strict_holdfast: Any, target: str, parameters: dict[str, Any], action: str, resource: str
) -> None:
    who = person(strict_holdfast, policy(allow(action, on=resource)))
    with closing(Api(strict, who.key_id, who.secret)) as api:
        reply = api(target, parameters)
        assert reply.status < 500
        assert reply.status == 200 or reply.refusal.code != "AccessDeniedException"
        everything = list(calls("rights/a"))
        here = [one[0] for one in everything].index(target)
        # Not all pairs: at distances of 1, 2, 4, ... each operation is tried with the rights of some others.
        for distance in (2**power for power in range(len(everything).bit_length())):
            other, given, wanted, where = everything[(here + distance) % len(everything)]
            if wanted != action:
                assert api(other, given).refusal == not_authorized(who, wanted, where)


def test_all_repositories_are_listed_by_who_may_describe_all_of_them(server: RunningServer, holdfast: Any) -> None:
    """AWS checks a list of all repositories against `repository/*`."""
    everything = repository_arn("*")
    may = person(holdfast, policy(allow("ecr:DescribeRepositories", on=everything)))
    may_not = person(holdfast, policy(allow("ecr:DescribeRepositories", on=repository_arn("team-a/*"))))
    with closing(Api(server, may_not.key_id, may_not.secret)) as api:
        refused = not_authorized(may_not, "ecr:DescribeRepositories", everything)
        assert api("DescribeRepositories").refusal == refused
    with closing(Api(server, may.key_id, may.secret)) as api:
        assert api("DescribeRepositories").status == 200


def test_who_may_read_pulls_and_does_not_push(
    server: RunningServer, ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    digest = with_image(ecr, client, repository)
    who = person(holdfast, policy(*iam.READ_ONLY["Statement"]))
    with closing(client_of(server, who)) as reader:
        found = reader.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
        assert found["images"][0]["imageId"]["imageDigest"] == digest
        token = password(reader)
        for call, parameters in (
            (reader.put_image, {"imageManifest": found["images"][0]["imageManifest"], "imageTag": "v2"}),
            (reader.initiate_layer_upload, {}),
            (reader.batch_delete_image, {"imageIds": [{"imageTag": "v1"}]}),
            (reader.put_image_tag_mutability, {"imageTagMutability": "MUTABLE"}),
            (reader.delete_repository, {"force": True}),
        ):
            assert refusal(call, repositoryName=repository, **parameters).code == "AccessDeniedException"
    for name, secret in (("AWS", token), (who.key_id, who.secret)):
        with closing(server.client(name, secret)) as pull:
            assert digest_of(pull, repository, "v1") == digest
            answer = pull("POST", f"/v2/{repository}/blobs/uploads/")
            told = not_authorized(who, "ecr:InitiateLayerUpload", repository_arn(repository))
            assert (answer.status, answer.code, answer.message) == (403, "DENIED", told.message)
            assert put(pull, repository, "v2", image()).status == 403
            assert pull("DELETE", f"/v2/{repository}/manifests/v1").status == 403
    assert digest_of(client, repository, "v1") == digest


def test_who_may_push_does_not_delete_or_switch(
    server: RunningServer, ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    with_image(ecr, client, repository)
    who = person(holdfast, policy(*iam.POWER_USER["Statement"]))
    pushed = image()
    with closing(server.client(who.key_id, who.secret)) as mine:
        assert push(mine, repository, "v2", pushed).status == 201
    with closing(client_of(server, who)) as power:
        for call, parameters in (
            (power.batch_delete_image, {"imageIds": [{"imageTag": "v2"}]}),
            (power.put_image_tag_mutability, {"imageTagMutability": "MUTABLE"}),
            (power.delete_repository, {"force": True}),
        ):
            assert refusal(call, repositoryName=repository, **parameters).code == "AccessDeniedException"
    assert digest_of(client, repository, "v2") == pushed.digest


def test_a_right_to_some_repositories_is_a_right_to_no_other(
    server: RunningServer, ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    inside, beside, beyond = f"{repository}/app", f"{repository}-app", repository
    for name in (inside, beside, beyond):
        with_image(ecr, client, name)
    who = person(holdfast, policy(allow("ecr:*", on=repository_arn(f"{repository}/*"))))
    with closing(client_of(server, who)) as mine, closing(server.client(who.key_id, who.secret)) as pull:
        assert len(mine.list_images(repositoryName=inside)["imageIds"]) == 1
        assert digest_of(pull, inside, "v1") is not None
        assert push(pull, inside, "v2", image()).status == 201
        for name in (beside, beyond, f"{beyond}-absent"):
            told = not_authorized(who, "ecr:ListImages", repository_arn(name))
            assert refusal(mine.list_images, repositoryName=name) == told
            assert pull("GET", f"/v2/{name}/manifests/v1").status == 403
            assert push_denied(pull, name)
        assert mine.create_repository(repositoryName=f"{repository}/new")
        assert refusal(mine.create_repository, repositoryName=f"{repository}-new").code == "AccessDeniedException"


def push_denied(client: Client, name: str) -> bool:
    pushed = image()
    return (
        client("POST", f"/v2/{name}/blobs/uploads/").status == 403 and put(client, name, "evil", pushed).status == 403
    )


@pytest.mark.parametrize("same_policy", [True, False])
def test_an_explicit_deny_wins_over_any_allow(
    server: RunningServer,
    ecr: Any,
    holdfast: Any,
    client: Client,
    repository: str,
    same_policy: bool,  # noqa: FBT001
) -> None:
    digest = with_image(ecr, client, repository)
    lock = deny("ecr:PutImageTagMutability", "ecr:BatchDeleteImage", "ecr:DeleteRepository")
    everything = allow("*")
    policies = [policy(everything, lock)] if same_policy else [policy(lock), policy(everything)]
    who = person(holdfast, *policies)
    reason = "with an explicit deny in an identity-based policy"
    with closing(client_of(server, who)) as mine:
        for call, action, parameters in (
            (mine.put_image_tag_mutability, "ecr:PutImageTagMutability", {"imageTagMutability": "MUTABLE"}),
            (mine.batch_delete_image, "ecr:BatchDeleteImage", {"imageIds": [{"imageTag": "v1"}]}),
            (mine.delete_repository, "ecr:DeleteRepository", {"force": True}),
        ):
            told = refusal(call, repositoryName=repository, **parameters)
            assert told == not_authorized(who, action, repository_arn(repository), reason)
        assert len(mine.list_images(repositoryName=repository)["imageIds"]) == 1
    with closing(server.client(who.key_id, who.secret)) as mine:
        assert mine("DELETE", f"/v2/{repository}/manifests/v1").status == 403
    assert digest_of(client, repository, "v1") == digest


def test_an_administrator_may_make_administrators(server: RunningServer, holdfast: Any, repository: str) -> None:
    who = person(holdfast, policy(*iam.ADMINISTRATOR["Statement"]))
    with closing(client_of(server, who, "holdfast")) as second:
        third = person(second, policy(*iam.ADMINISTRATOR["Statement"]))
    with closing(client_of(server, third)) as mine:
        mine.create_repository(repositoryName=repository)
        mine.delete_repository(repositoryName=repository)


def test_a_page_of_a_list_needs_the_right_as_the_first_did(
    server: RunningServer, ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    with_image(ecr, client, repository)
    push_parts(client, repository, image())
    push(client, repository, "v2", image())
    who = person(holdfast, policy(allow("ecr:ListImages")))
    with closing(client_of(server, who)) as mine:
        token = mine.list_images(repositoryName=repository, maxResults=1)["nextToken"]
        holdfast.delete_access_key(accessKeyId=who.key_id)
        told = refusal(mine.list_images, repositoryName=repository, maxResults=1, nextToken=token)
        assert told == UNKNOWN_CLIENT
