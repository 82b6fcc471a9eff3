"""Two accounts in two regions on one server: none sees another's, by either protocol, but where a policy says so."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from holdfast.client.api import session_of
from images import digest_of, image, push, sha256
from json_api import Api, refusal
from running import ACCOUNT, KEY_ID, REGION, SECRET, Client, RunningServer, basic, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from running import Answer

OTHER = "444455556666"
FAR = "us-west-2"
PLACES = [(account, region) for account in (ACCOUNT, OTHER) for region in (REGION, FAR)]
READ = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["ecr:*", "sts:*"], "Resource": "*"}]}


def host(account: str, region: str) -> str:
    return f"{account}.dkr.ecr.{region}.example.test"


class At(Client):
    """A client that asks at the host of one registry."""

    def __init__(self, server: RunningServer, authorization: str, account: str, region: str) -> None:
        super().__init__(server.host, server.port, authorization)
        server.clients.append(self)
        self._registry = host(account, region)

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        return super().__call__(method, path, body, {**(headers or {}), "Host": self._registry})


def aws(server: RunningServer, service: str, region: str, key: tuple[str, ...]) -> Any:
    return session_of().create_client(
        service,
        region_name=region,
        endpoint_url=server.url,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        aws_session_token=key[2] if len(key) > 2 else None,
        config=Config(retries={"max_attempts": 1}, proxies={}),
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    places = ",".join(f"{account}/{region}" for account, region in PLACES)
    with running(settings(tmp_path_factory.mktemp("many"), registries=places)) as up:
        yield up


@pytest.fixture(scope="module")
def keys(server: RunningServer) -> dict[str, tuple[str, str]]:
    """An administrator's key of each account."""
    with contextlib.closing(server.aws("holdfast")) as ours:
        ours.create_principal(name="boss", policies=[json.dumps(READ)], registryId=OTHER)
        made = ours.create_access_key(name="boss", registryId=OTHER)
    return {ACCOUNT: (KEY_ID, SECRET), OTHER: (made["accessKeyId"], made["secretAccessKey"])}


@pytest.fixture(scope="module")
def pushed(server: RunningServer, keys: dict[str, tuple[str, str]]) -> dict[tuple[str, str], str]:
    """One image under the same name in each of the four registries: place -> digest."""
    digests = {}
    for account, region in PLACES:
        with contextlib.closing(aws(server, "ecr", region, keys[account])) as ecr:
            made = ecr.create_repository(repositoryName="same/name", imageTagMutability="IMMUTABLE")["repository"]
        assert made["repositoryArn"] == f"arn:aws:ecr:{region}:{account}:repository/same/name"
        assert made["registryId"] == account
        client = At(server, basic(*keys[account]), account, region)
        one = image(f"{account} {region}".encode(), config=b"{}")
        assert push(client, "same/name", "v1", one).status == 201
        digests[account, region] = one.digest
    return digests


def test_each_place_has_its_own_image_under_the_same_name(
    server: RunningServer, keys: dict[str, tuple[str, str]], pushed: dict[tuple[str, str], str]
) -> None:
    assert len(set(pushed.values())) == 4
    for account, region in PLACES:
        client = At(server, basic(*keys[account]), account, region)
        for _ in range(2):  # the second answer is a kept one
            assert digest_of(client, "same/name", "v1") == pushed[account, region]
        with contextlib.closing(aws(server, "ecr", region, keys[account])) as ecr:
            listed = ecr.list_images(repositoryName="same/name")["imageIds"]
            assert [one["imageDigest"] for one in listed] == [pushed[account, region]]
            data = ecr.get_authorization_token()["authorizationData"]
            assert len(data) == 1
        for other_account, other_region in PLACES:
            if other_account == account and other_region != region:
                away = At(server, basic(*keys[account]), other_account, other_region)
                assert away("GET", f"/v2/same/name/manifests/{pushed[account, region]}").status == 404


def test_another_account_is_shut_over_both_protocols(
    server: RunningServer, keys: dict[str, tuple[str, str]], pushed: dict[tuple[str, str], str]
) -> None:
    for account, region in PLACES:
        stranger = next(one for one in (ACCOUNT, OTHER) if one != account)
        client = At(server, basic(*keys[stranger]), account, region)
        for path in ("manifests/v1", f"manifests/{pushed[account, region]}", "tags/list"):
            denied = client("GET", f"/v2/same/name/{path}")
            assert (denied.status, denied.code) == (403, "DENIED")
            assert "because no resource-based policy allows" in denied.message
        absent = client("GET", "/v2/no/such/manifests/v1")
        assert (absent.status, absent.code) == (403, "DENIED")
        assert client("POST", "/v2/same/name/blobs/uploads/").status == 403
        with contextlib.closing(aws(server, "ecr", region, keys[stranger])) as ecr:
            code, message = refusal(ecr.list_images, repositoryName="same/name", registryId=account)
            assert code == "AccessDeniedException"
            assert f"arn:aws:ecr:{region}:{account}:repository/same/name" in message
            own = ecr.describe_repositories()["repositories"]
            assert {one["registryId"] for one in own} == {stranger}


def test_a_repository_policy_lets_another_account_pull_that_repository_and_no_more(
    server: RunningServer, keys: dict[str, tuple[str, str]], pushed: dict[tuple[str, str], str]
) -> None:
    statement = {
        "Sid": "pull",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    client = At(server, basic(*keys[OTHER]), ACCOUNT, FAR)
    with contextlib.closing(aws(server, "ecr", FAR, keys[ACCOUNT])) as ecr:
        told = ecr.set_repository_policy(repositoryName="same/name", policyText=text)
        assert json.loads(told["policyText"]) == json.loads(text)
        assert digest_of(client, "same/name", "v1") == pushed[ACCOUNT, FAR]
        assert client("GET", "/v2/same/name/tags/list").status == 403
        assert At(server, basic(*keys[OTHER]), ACCOUNT, REGION)("GET", "/v2/same/name/manifests/v1").status == 403
        ecr.delete_repository_policy(repositoryName="same/name")
        assert client("GET", "/v2/same/name/manifests/v1").status == 403
        code, message = refusal(ecr.get_repository_policy, repositoryName="same/name")
        assert code == "RepositoryPolicyNotFoundException"
        assert message == (
            f"Repository policy does not exist for the repository with name 'same/name' in the registry with id "
            f"'{ACCOUNT}'"
        )


def test_blobs_are_not_mounted_across_registries(
    server: RunningServer, keys: dict[str, tuple[str, str]], pushed: dict[tuple[str, str], str]
) -> None:
    layer = f"{ACCOUNT} {REGION}".encode()
    assert image(layer, config=b"{}").digest == pushed[ACCOUNT, REGION]
    client = At(server, basic(*keys[ACCOUNT]), ACCOUNT, FAR)
    answer = client("POST", f"/v2/same/name/blobs/uploads/?mount={sha256(layer)}&from=same/name")
    assert answer.status == 202


def test_the_signature_says_the_region_and_the_host_must_agree(server: RunningServer) -> None:
    api = Api(server)
    listed = api("DescribeRepositories", {}, region=FAR)
    assert listed.status == 200
    code, message = api("DescribeRepositories", {}, region="eu-north-1").refusal
    assert (code, "valid region" in message) == ("InvalidSignatureException", True)
    api.close()


def test_a_registry_is_made_by_operation_and_joins_the_organisation(
    server: RunningServer, keys: dict[str, tuple[str, str]]
) -> None:
    with contextlib.closing(server.aws("holdfast")) as ours:
        made = ours.create_registry(registryId="777788889999", region="ap-south-1")["registry"]
        assert made["host"].startswith("777788889999.dkr.ecr.ap-south-1.localhost:")
        places = [(one["registryId"], one["region"]) for one in ours.list_registries()["registries"]]
        assert set(PLACES) | {("777788889999", "ap-south-1")} == set(places)
        accounts = {one["accountId"] for one in ours.describe_organization()["accounts"]}
        assert {ACCOUNT, OTHER, "777788889999"} <= accounts
    with contextlib.closing(aws(server, "holdfast", REGION, keys[OTHER])) as theirs:
        for call in (theirs.describe_organization, theirs.list_registries):
            assert refusal(call).code == "AccessDeniedException"
        code, _ = refusal(theirs.create_registry, registryId=OTHER, region="eu-west-3")
        assert code == "AccessDeniedException"
        assert refusal(theirs.list_principals, registryId=ACCOUNT).code == "AccessDeniedException"


def test_what_concerns_all_accounts_is_not_for_the_administrator_of_one(server: RunningServer) -> None:
    """They share one mode, one ledger, one scrub and one key: else one tenant could stop the others."""
    everything = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
    with contextlib.closing(server.aws("holdfast")) as ours:
        vkey = ours.get_ledger_status()["keys"][0]["vkey"]
        ours.create_principal(name="chief", policies=[json.dumps(everything)], registryId=OTHER)
        made = ours.create_access_key(name="chief", registryId=OTHER)
    chief = (made["accessKeyId"], made["secretAccessKey"])
    with contextlib.closing(aws(server, "holdfast", REGION, chief)) as theirs:
        calls: tuple[tuple[Any, dict[str, Any]], ...] = (
            (theirs.set_read_only, {"readOnly": True}),
            (theirs.start_scrub, {}),
            (theirs.describe_scrub, {}),
            (theirs.add_ledger_key, {}),
            (theirs.retire_ledger_key, {"vkey": vkey}),
            (theirs.rotate_seal_key, {"endTokens": True}),
            (theirs.collect_garbage, {}),
        )
        for call, parameters in calls:
            code, message = refusal(call, **parameters)
            assert (code, "for the account that manages" in message) == ("AccessDeniedException", True), call
        assert theirs.get_read_only()["readOnly"] is False


def test_a_guardrail_on_a_unit_denies_what_is_not_immutable(
    server: RunningServer, keys: dict[str, tuple[str, str]]
) -> None:
    guardrail = {
        "Version": "2012-10-17",
        "Statement": {
            "Sid": "OnlyImmutable",
            "Effect": "Deny",
            "Action": ["ecr:CreateRepository", "ecr:PutImageTagMutability"],
            "Resource": "*",
            "Condition": {"StringNotEquals": {"ecr:imageTagMutability": "IMMUTABLE"}},
        },
    }
    with (
        contextlib.closing(server.aws("holdfast")) as ours,
        contextlib.closing(aws(server, "ecr", REGION, keys[OTHER])) as ecr,
    ):
        unit = ours.create_unit(name="workloads")["unit"]["unitId"]
        ours.move_account(accountId=OTHER, unitId=unit)
        ours.put_guardrail(name="immutable", document=json.dumps(guardrail))
        ours.attach_guardrail(name="immutable", targetId=unit)
        code, message = refusal(ecr.create_repository, repositoryName="g/one")
        assert code == "AccessDeniedException"
        assert message.endswith("with an explicit deny in a service control policy")
        for mode in ("MUTABLE", "IMMUTABLE_WITH_EXCLUSION"):
            filters = [{"filterType": "WILDCARD", "filter": "latest"}] if "EXCL" in mode else []
            more = {"imageTagMutabilityExclusionFilters": filters} if filters else {}
            assert refusal(ecr.create_repository, repositoryName="g/one", imageTagMutability=mode, **more).code == code
        ecr.create_repository(repositoryName="g/one", imageTagMutability="IMMUTABLE")
        flip = {"repositoryName": "g/one", "imageTagMutability": "MUTABLE"}
        assert refusal(ecr.put_image_tag_mutability, **flip).code == code
        told = ours.explain_access(
            principal="user/boss",
            registryId=OTHER,
            action="ecr:CreateRepository",
            repositoryName="g/two",
            contextKeys={"ecr:imageTagMutability": ["MUTABLE"]},
        )
        assert told["allowed"] is False
        assert [(one["policy"], one["sid"], one["effect"]) for one in told["statements"]] == [
            (f"guardrail immutable of {unit}", "OnlyImmutable", "Deny")
        ]
        ours.detach_guardrail(name="immutable", targetId=unit)
        ecr.put_image_tag_mutability(**flip)
        assert refusal(ours.detach_guardrail, name="FullAWSAccess", targetId=unit).code == "StillInUseException"


def test_sessions_of_a_role_across_accounts(
    server: RunningServer, keys: dict[str, tuple[str, str]], pushed: dict[tuple[str, str], str]
) -> None:
    trust = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": OTHER},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": "agreed"}},
        },
    }
    with contextlib.closing(server.aws("holdfast")) as ours:
        role = ours.create_role(name="puller", trustPolicy=json.dumps(trust), policies=[json.dumps(READ)])["role"]
    sts = boto3.client(
        "sts",
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id=keys[OTHER][0],
        aws_secret_access_key=keys[OTHER][1],
        config=Config(retries={"max_attempts": 1}, proxies={}),
    )
    assert sts.get_caller_identity()["Arn"] == f"arn:aws:iam::{OTHER}:user/boss"
    for wrong in ({}, {"ExternalId": "wrong"}):
        with pytest.raises(sts.exceptions.ClientError) as caught:
            sts.assume_role(RoleArn=role["arn"], RoleSessionName="ci-1", **wrong)
        assert caught.value.response["Error"]["Code"] == "AccessDenied"
    made = sts.assume_role(RoleArn=role["arn"], RoleSessionName="ci-1", ExternalId="agreed", DurationSeconds=900)
    given = made["Credentials"]
    session = (given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])
    assert session[0].startswith("ASIA")
    assert made["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/puller/ci-1"
    with contextlib.closing(aws(server, "ecr", FAR, session)) as ecr:
        assert ecr.list_images(repositoryName="same/name")["imageIds"][0]["imageDigest"] == pushed[ACCOUNT, FAR]
        assert refusal(ecr.list_images, repositoryName="same/name", registryId=OTHER).code == "AccessDeniedException"
        token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    client = At(server, f"Basic {token}", ACCOUNT, FAR)
    assert digest_of(client, "same/name", "v1") == pushed[ACCOUNT, FAR]
    with contextlib.closing(aws(server, "ecr", FAR, (*session[:2], session[2][:-4] + "AAA="))) as forged:
        assert refusal(forged.describe_repositories).code == "UnrecognizedClientException"
    with contextlib.closing(aws(server, "ecr", FAR, session[:2])) as bare:
        assert refusal(bare.describe_repositories).code == "UnrecognizedClientException"
    with contextlib.closing(server.aws("holdfast")) as ours:
        ours.delete_role(name="puller")
        ours.create_role(name="puller", trustPolicy=json.dumps(trust), policies=[json.dumps(READ)])
    assert client("GET", "/v2/").status == 401
    sts.close()


def test_settings_name_registries_or_are_refused(tmp_path: Path) -> None:
    from holdfast.core.errors import ConfigurationInvalid  # noqa: PLC0415 - of this test alone

    assert settings(tmp_path, registries="111122223333/eu-west-1").registries == (("111122223333", "eu-west-1"),)
    for wrong in ("1/eu-west-1", "111122223333", "111122223333/nowhere", "x"):
        with pytest.raises(ConfigurationInvalid, match="registries"):
            settings(tmp_path, registries=wrong)
