"""Policies through HTTP: of repositories, of registries in both scopes, conditions on tags, and what narrows a session.

What a policy says in itself is tests/core/test_iam*; here it is asked whether a server keeps to it, on both protocols,
from the moment that it was told.
"""

from __future__ import annotations

import base64
import contextlib
import json
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from holdfast.client.api import session_of
from images import image, push
from json_api import Api, Person, Refusal, allow, client_of, person, policy, refusal, repository_arn
from running import ACCOUNT, KEY_ID, REGION, SECRET, Client, RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

OTHER = "444455556666"
PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
EVERYBODY: dict[str, Any] = {"Principal": "*"}
DENIED = "AccessDeniedException"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of this module alone: what is put here holds for a whole registry."""
    with running(settings(tmp_path_factory.mktemp("policies"), registries=f"{OTHER}/{REGION}")) as up:
        yield up


@pytest.fixture(scope="module")
def ecr(server: RunningServer) -> Iterator[Any]:
    made = server.aws("ecr")
    yield made
    made.close()


@pytest.fixture(scope="module")
def holdfast(server: RunningServer) -> Iterator[Any]:
    made = server.aws("holdfast")
    yield made
    made.close()


@pytest.fixture(scope="module")
def stranger(server: RunningServer, holdfast: Any) -> Iterator[Any]:
    """The client of somebody of another account, whose own policies allow all of Amazon ECR."""
    holdfast.create_principal(name="boss", policies=[policy(allow("ecr:*"))], registryId=OTHER)
    key = holdfast.create_access_key(name="boss", registryId=OTHER)
    made = client_of(server, Person("boss", key["accessKeyId"], key["secretAccessKey"]))
    yield made
    made.close()


@pytest.fixture
def pushed(server: RunningServer, ecr: Any, repository: str) -> str:
    """Make a repository with one image, v1; gives the repository's name."""
    ecr.create_repository(repositoryName=repository)
    client = server.client()
    assert push(client, repository, "v1", image(repository.encode())).status == 201
    return repository


def to(who: str | dict[str, Any], effect: str, *actions: str, **more: Any) -> dict[str, Any]:
    """Return a statement of a resource's policy."""
    principal = who if isinstance(who, dict) else {"Principal": {"AWS": who}}
    return {"Effect": effect, **principal, "Action": list(actions), **more}


def pulls(client: Client, repository: str) -> int:
    """Pull v1 by the registry protocol; gives the status."""
    return client("GET", f"/v2/{repository}/manifests/v1").status


def gets(ecr: Any, repository: str, **more: Any) -> str:
    """Get v1 by the JSON API; gives "" or the name of the exception."""
    try:
        found = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}], **more)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    assert len(found["images"]) == 1
    return ""


# --- of a repository -------------------------------------------------------------------------------------------------


def test_a_repositorys_policy_gives_a_person_what_their_own_policies_do_not(
    server: RunningServer, ecr: Any, holdfast: Any, pushed: str
) -> None:
    who = person(holdfast, policy(allow("ecr:GetAuthorizationToken")))
    theirs, client = client_of(server, who), server.client(who.key_id, who.secret)
    for statements, answers in (
        ([], (403, DENIED)),
        ([to(f"arn:aws:iam::{ACCOUNT}:root", "Allow", *PULL)], (403, DENIED)),  # their account's word is still wanted
        ([to(who.arn, "Allow", *PULL)], (200, "")),
        ([to(who.arn, "Allow", *PULL), to(EVERYBODY, "Deny", "ecr:BatchGetImage")], (403, DENIED)),
        ([to(who.arn, "Allow", *PULL, Condition={"IpAddress": {"aws:SourceIp": "127.0.0.1"}})], (200, "")),
        ([to(who.arn, "Allow", *PULL, Condition={"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})], (403, DENIED)),
    ):
        if statements:
            ecr.set_repository_policy(repositoryName=pushed, policyText=policy(*statements))
        for _ in range(2):  # what was decided and what was answered is remembered
            assert (pulls(client, pushed), gets(theirs, pushed)) == answers
        assert refusal(theirs.list_images, repositoryName=pushed).code == DENIED
    ecr.delete_repository_policy(repositoryName=pushed)
    assert gets(theirs, pushed) == DENIED
    theirs.close()


def test_a_deny_in_a_repositorys_policy_holds_for_its_administrator(ecr: Any, pushed: str) -> None:
    text = policy(to(EVERYBODY, "Deny", "ecr:BatchDeleteImage", "ecr:DeleteRepository"))
    ecr.set_repository_policy(repositoryName=pushed, policyText=text)
    code, message = refusal(ecr.delete_repository, repositoryName=pushed, force=True)
    assert code == DENIED
    assert message.endswith(f"{repository_arn(pushed)} with an explicit deny in a resource-based policy")
    named = {"repositoryName": pushed, "imageIds": [{"imageTag": "v1"}]}
    assert refusal(ecr.batch_delete_image, **named).code == DENIED
    assert gets(ecr, pushed) == ""
    ecr.delete_repository_policy(repositoryName=pushed)
    assert len(ecr.batch_delete_image(**named)["imageIds"]) == 1


def test_a_policy_that_locks_its_maker_out_wants_force(ecr: Any, repository: str) -> None:
    ecr.create_repository(repositoryName=repository)
    kept = policy(to(EVERYBODY, "Deny", "ecr:DeleteRepository"))
    ecr.set_repository_policy(repositoryName=repository, policyText=kept)
    shut = policy(to(EVERYBODY, "Deny", "ecr:SetRepositoryPolicy"))
    code, message = refusal(ecr.set_repository_policy, repositoryName=repository, policyText=shut)
    assert code == "InvalidParameterException"
    assert message.startswith("Invalid parameter at 'PolicyText' failed to satisfy constraint: ")
    told = ecr.get_repository_policy(repositoryName=repository)["policyText"]
    assert json.loads(told) == json.loads(kept)
    ecr.set_repository_policy(repositoryName=repository, policyText=shut, force=True)
    for force in (False, True):  # force sets what was allowed; it allows nothing
        named = {"repositoryName": repository, "policyText": kept, "force": force}
        assert refusal(ecr.set_repository_policy, **named).code == DENIED
    assert json.loads(ecr.delete_repository_policy(repositoryName=repository)["policyText"]) == json.loads(shut)
    for allowed in (
        policy(to(EVERYBODY, "Deny", "ecr:SetRepositoryPolicy", Condition={"Bool": {"aws:SecureTransport": "true"}})),
        policy(to(f"arn:aws:iam::{OTHER}:root", "Deny", "ecr:*")),
    ):
        ecr.set_repository_policy(repositoryName=repository, policyText=allowed)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "no",
        '{"Version":"2012-10-17","Version":"2012-10-17","Statement":[]}',
        policy(allow("ecr:*")),  # who is missing, and there is no Resource in a repository's policy
        policy(to(EVERYBODY, "Permit", "ecr:*")),
        policy(to("arn:aws:iam::1:root", "Allow", "ecr:*")),
        policy(to(EVERYBODY, "Allow", "ecr:*", Condition={"StringLooksLike": {"aws:SourceIp": "1"}})),
    ],
)
def test_what_is_no_policy_is_refused_in_ecrs_sentence_and_not_kept(ecr: Any, repository: str, text: str) -> None:
    ecr.create_repository(repositoryName=repository)
    code, message = refusal(ecr.set_repository_policy, repositoryName=repository, policyText=text)
    assert code == "InvalidParameterException"
    sentence = "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'"
    assert message.startswith(sentence)
    absent = refusal(ecr.get_repository_policy, repositoryName=repository)
    assert absent.code == "RepositoryPolicyNotFoundException"
    assert refusal(ecr.put_registry_policy, policyText=text).code == "InvalidParameterException"
    assert refusal(ecr.get_registry_policy) == Refusal(
        "RegistryPolicyNotFoundException", f"Registry policy does not exist in the registry with id '{ACCOUNT}'"
    )


# --- of a registry ---------------------------------------------------------------------------------------------------


def test_a_registrys_policy_lets_another_account_in_where_its_scope_reaches(
    ecr: Any, stranger: Any, pushed: str
) -> None:
    new = f"{pushed}-new"
    root = f"arn:aws:iam::{OTHER}:root"
    arn = repository_arn("*")
    text = policy(to(root, "Allow", *PULL, Resource=arn), to(root, "Allow", "ecr:CreateRepository", Resource=arn))
    assert gets(stranger, pushed, registryId=ACCOUNT) == DENIED
    kept = ecr.put_registry_policy(policyText=text)
    assert kept["registryId"] == ACCOUNT
    assert json.loads(kept["policyText"]) == json.loads(text)
    try:
        for scope, answer in (("V2", ""), ("V1", DENIED), ("V2", "")):
            ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value=scope)
            for _ in range(2):
                assert (scope, gets(stranger, pushed, registryId=ACCOUNT)) == (scope, answer)
            made = stranger.create_repository(repositoryName=f"{new}-{scope.lower()}", registryId=ACCOUNT)
            assert made["repository"]["repositoryArn"] == repository_arn(f"{new}-{scope.lower()}")
            assert refusal(stranger.list_images, repositoryName=pushed, registryId=ACCOUNT).code == DENIED
            ecr.delete_repository(repositoryName=f"{new}-{scope.lower()}")
    finally:
        ecr.delete_registry_policy()
    assert gets(stranger, pushed, registryId=ACCOUNT) == DENIED
    assert refusal(stranger.create_repository, repositoryName=f"{new}-no", registryId=ACCOUNT).code == DENIED


def test_a_deny_in_a_registrys_policy_holds_for_everybody_where_its_scope_reaches(
    server: RunningServer, ecr: Any, pushed: str
) -> None:
    new = f"{pushed}-new"
    statement = to(EVERYBODY, "Deny", *PULL, "ecr:CreateRepository", Resource=[repository_arn(pushed), "*"])
    client = server.client()
    ecr.put_registry_policy(policyText=policy(statement))
    try:
        for scope, status in (("V1", 200), ("V2", 403), ("V1", 200)):
            ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value=scope)
            for _ in range(2):
                assert (scope, pulls(client, pushed)) == (scope, status)
            code, message = refusal(ecr.create_repository, repositoryName=new)
            assert (code, "explicit deny in a resource-based policy" in message) == (DENIED, True)
    finally:
        ecr.put_account_setting(name="REGISTRY_POLICY_SCOPE", value="V2")
        ecr.delete_registry_policy()
    assert pulls(client, pushed) == 200


# --- tags in conditions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["aws:ResourceTag/team", "ecr:ResourceTag/team"])
def test_what_was_decided_by_a_tag_ends_with_the_tag(
    server: RunningServer, ecr: Any, holdfast: Any, pushed: str, key: str
) -> None:
    blue = {**allow(*PULL), "Condition": {"StringEquals": {key: "blue"}}}
    who = person(holdfast, policy(blue))
    theirs, client, arn = client_of(server, who), server.client(who.key_id, who.secret), repository_arn(pushed)
    for value, answers in (
        (None, (403, DENIED)),
        ("blue", (200, "")),
        ("red", (403, DENIED)),
        ("blue", (200, "")),
        (None, (403, DENIED)),
    ):
        if value is None:
            ecr.untag_resource(resourceArn=arn, tagKeys=["team"])
        else:
            ecr.tag_resource(resourceArn=arn, tags=[{"Key": "team", "Value": value}])
        for _ in range(3):
            assert (value, pulls(client, pushed), gets(theirs, pushed)) == (value, *answers)
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "team", "Value": "blue"}])
    assert pulls(client, pushed) == 200
    ecr.delete_repository(repositoryName=pushed, force=True)
    ecr.create_repository(repositoryName=pushed)
    assert pulls(client, pushed) == 403, "a repository made anew has none of the tags of the one before"
    theirs.close()


def test_whoever_makes_or_tags_a_repository_may_be_bound_to_tags(
    server: RunningServer, ecr: Any, holdfast: Any, repository: str
) -> None:
    tagged = {
        **allow("ecr:CreateRepository", "ecr:TagResource"),
        "Condition": {
            "StringEquals": {"aws:RequestTag/team": "blue"},
            "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost"]},
        },
    }
    who = person(holdfast, policy(tagged))
    theirs = client_of(server, who)

    def tags(**told: str) -> list[dict[str, str]]:
        return [{"Key": name, "Value": value} for name, value in told.items()]

    for wrong in ([], tags(team="red"), tags(cost="1"), tags(team="blue", other="1")):
        assert refusal(theirs.create_repository, repositoryName=repository, tags=wrong).code == DENIED
    assert refusal(ecr.list_images, repositoryName=repository).code == "RepositoryNotFoundException"
    theirs.create_repository(repositoryName=repository, tags=tags(team="blue", cost="1"))
    arn = repository_arn(repository)
    for wrong in (tags(team="red"), tags(team="blue", other="1")):
        assert refusal(theirs.tag_resource, resourceArn=arn, tags=wrong).code == DENIED
    theirs.tag_resource(resourceArn=arn, tags=tags(team="blue", cost="2"))
    assert refusal(theirs.untag_resource, resourceArn=arn, tagKeys=["cost"]).code == DENIED
    found = ecr.list_tags_for_resource(resourceArn=arn)["tags"]
    assert {one["Key"]: one["Value"] for one in found} == {"team": "blue", "cost": "2"}
    maker = person(holdfast, policy(allow("ecr:CreateRepository")))
    only = client_of(server, maker)
    with_tags = refusal(only.create_repository, repositoryName=f"{repository}-2", tags=tags(team="blue"))
    assert (with_tags.code, "ecr:TagResource" in with_tags.message) == (DENIED, True)
    only.create_repository(repositoryName=f"{repository}-2")
    only.close()
    theirs.close()


# --- what narrows a session ------------------------------------------------------------------------------------------


@pytest.fixture
def sts(server: RunningServer) -> Iterator[Any]:
    made = session_of().create_client(
        "sts",
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(retries={"max_attempts": 1}, proxies={}),
    )
    yield made
    made.close()


@contextlib.contextmanager
def session(server: RunningServer, sts: Any, role: str, **more: Any) -> Iterator[tuple[Any, Client]]:
    """Take a role on; gives clients of both protocols, the second with a password made by the first."""
    given = sts.assume_role(RoleArn=role, RoleSessionName="test", **more)["Credentials"]
    ecr = session_of().create_client(
        "ecr",
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
        config=Config(retries={"max_attempts": 1}, proxies={}),
    )
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    yield ecr, server.client(user, password)
    ecr.close()


def role(holdfast: Any, actions: list[str], *policies: str) -> str:
    trust = {"Version": "2012-10-17", "Statement": to(f"arn:aws:iam::{ACCOUNT}:root", "Allow", *actions)}
    made = holdfast.create_role(
        name=f"r-{uuid.uuid4().hex[:12]}", trustPolicy=json.dumps(trust), policies=list(policies)
    )
    return str(made["role"]["arn"])


def test_a_sessions_policy_takes_rights_away_and_gives_none(
    server: RunningServer, ecr: Any, holdfast: Any, sts: Any, pushed: str
) -> None:
    puller = role(holdfast, ["sts:AssumeRole"], policy(allow("ecr:GetAuthorizationToken", *PULL, "ecr:ListImages")))
    login = allow("ecr:GetAuthorizationToken")
    other = allow(*PULL, on=repository_arn("other"))
    for narrowed, answers in (
        (None, (200, "", "")),
        (policy(login, allow("ecr:*", on=repository_arn(pushed))), (200, "", "")),
        (policy(login, allow(*PULL)), (200, "", DENIED)),
        (policy(login, other), (403, DENIED, DENIED)),
        (policy(allow("*"), {**allow("ecr:BatchGetImage"), "Effect": "Deny"}), (403, DENIED, "")),
    ):
        more = {"Policy": narrowed} if narrowed else {}
        with session(server, sts, puller, **more) as (theirs, client):
            assert (pulls(client, pushed), gets(theirs, pushed), lists(theirs, pushed)) == answers
            assert refusal(theirs.delete_repository, repositoryName=pushed).code == DENIED
            assert client("POST", f"/v2/{pushed}/blobs/uploads/").status == 403
    made = holdfast.put_policy(name=f"p-{uuid.uuid4().hex[:12]}", document=policy(login, allow(*PULL)))["policy"]
    with session(server, sts, puller, PolicyArns=[{"arn": made["arn"]}]) as (theirs, client):
        assert (pulls(client, pushed), lists(theirs, pushed)) == (200, DENIED)
    for wrong in ({"Policy": "{}"}, {"PolicyArns": [{"arn": f"arn:aws:iam::{ACCOUNT}:policy/no-such"}]}):
        with pytest.raises(ClientError) as caught:
            sts.assume_role(RoleArn=puller, RoleSessionName="test", **wrong)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    ecr.set_repository_policy(repositoryName=pushed, policyText=policy(to(puller, "Allow", "ecr:DescribeImages")))
    with session(server, sts, puller, Policy=policy(login, allow(*PULL))) as (theirs, _):
        assert refusal(theirs.describe_images, repositoryName=pushed).code == DENIED, "what narrows holds there too"


def lists(ecr: Any, repository: str) -> str:
    """List images; gives "" or the name of the exception."""
    try:
        ecr.list_images(repositoryName=repository)
    except ClientError as error:
        return str(error.response["Error"]["Code"])
    return ""


def test_a_sessions_tags_are_the_principals_in_conditions(
    server: RunningServer, ecr: Any, holdfast: Any, sts: Any, pushed: str
) -> None:
    own_team = {
        **allow(*PULL),
        "Condition": {"StringEquals": {"aws:ResourceTag/team": "${aws:PrincipalTag/team}"}},
    }
    document = policy(allow("ecr:GetAuthorizationToken"), own_team)
    of_team = role(holdfast, ["sts:AssumeRole", "sts:TagSession"], document)
    ecr.tag_resource(resourceArn=repository_arn(pushed), tags=[{"Key": "team", "Value": "blue"}])
    for tags, answers in (
        ({"team": "blue"}, (200, "")),
        ({"team": "red"}, (403, DENIED)),
        ({"other": "blue"}, (403, DENIED)),
        ({}, (403, DENIED)),
    ):
        given = [{"Key": key, "Value": value} for key, value in tags.items()]
        with session(server, sts, of_team, Tags=given) as (theirs, client):
            assert (tags, pulls(client, pushed), gets(theirs, pushed)) == (tags, *answers)
            ecr.tag_resource(resourceArn=repository_arn(pushed), tags=[{"Key": "team", "Value": "red"}])
            swapped = (200, "") if tags.get("team") == "red" else (403, DENIED)
            assert (tags, pulls(client, pushed), gets(theirs, pushed)) == (tags, *swapped)
            ecr.tag_resource(resourceArn=repository_arn(pushed), tags=[{"Key": "team", "Value": "blue"}])
    untagged = role(holdfast, ["sts:AssumeRole"], document)
    with pytest.raises(ClientError) as caught:
        sts.assume_role(RoleArn=untagged, RoleSessionName="test", Tags=[{"Key": "team", "Value": "blue"}])
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
    assert "sts:TagSession" in caught.value.response["Error"]["Message"]


def test_the_region_of_sts_is_the_callers_choice_and_its_hosts_where_that_says_one(
    server: RunningServer, holdfast: Any, sts: Any, pushed: str
) -> None:
    """A guardrail that keeps to one region must not shut a role that is taken on there."""
    here = {"Condition": {"StringEquals": {"aws:RequestedRegion": REGION}}}
    trust = {
        "Version": "2012-10-17",
        "Statement": to(f"arn:aws:iam::{ACCOUNT}:root", "Allow", "sts:AssumeRole", **here),
    }
    name = f"r-{uuid.uuid4().hex[:12]}"
    made = holdfast.create_role(name=name, trustPolicy=json.dumps(trust), policies=[policy({**allow("ecr:*"), **here})])
    with session(server, sts, made["role"]["arn"]) as (theirs, client):
        assert (pulls(client, pushed), gets(theirs, pushed)) == (200, "")
    api = Api(server)

    def asked(host: str, region: str, action: str = "GetCallerIdentity") -> tuple[int, bytes]:
        form = {"Action": action, "Version": "2011-06-15", "RoleArn": made["role"]["arn"], "RoleSessionName": "test"}
        headers = {"Host": host, "Content-Type": "application/x-www-form-urlencoded"}
        answer = api.send(api.prepare("sts.", urlencode(form).encode(), region=region, service="sts", more=headers))
        return answer.status, answer.body

    for host, region, status in (
        ("127.0.0.1", "ap-south-1", 200),
        ("sts.example.test", "ap-south-1", 200),
        ("sts.eu-central-1.example.test", REGION, 200),
        ("sts-fips.us-east-1.example.test", "us-east-1", 200),
        ("sts.eu-central-1.example.test", "us-east-1", 403),
        ("sts.us-east-1.amazonaws.com", REGION, 403),
        (f"{ACCOUNT}.dkr.ecr.{REGION}.example.test", "us-east-1", 403),
    ):
        answer = asked(host, region)
        assert (host, region, answer[0]) == (host, region, status)
        assert (b"SignatureDoesNotMatch" in answer[1]) is (status == 403)
    assert asked("127.0.0.1", REGION, "AssumeRole")[0] == 200
    refused = asked("127.0.0.1", "us-east-1", "AssumeRole")
    assert (refused[0], b"AccessDenied" in refused[1]) == (403, True)
    api.close()
