"""`holdfast apply`, type by type: planned, made, then as it is; a changed value is shown as an update, and made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from commands import Commands, environment
from running import ACCOUNT, REGION, RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from commands import Ran

READER = f"arn:aws:iam::{ACCOUNT}:root"
ELSEWHERE = "eu-west-1"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of its own: these templates change the settings of the whole registry."""
    with running(settings(tmp_path_factory.mktemp("applied"))) as up:
        yield up


@pytest.fixture
def holdfast(own: RunningServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Commands:
    """The program, run by the administrator of that server."""
    for name in ("HOLDFAST_ACCESS_KEY_ID", "HOLDFAST_SECRET_ACCESS_KEY", "HOLDFAST_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return Commands(monkeypatch, capsys, environment(own.url))


@pytest.fixture
def ecr(own: RunningServer) -> Iterator[Any]:
    made = own.aws()
    yield made
    made.close()


def lifecycle(days: int) -> dict[str, Any]:
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days}
    return {"rules": [{"rulePriority": 1, "selection": selection, "action": {"type": "expire"}}]}


def statement(action: str, sid: str = "One", resource: str | None = None) -> dict[str, Any]:
    one = {"Sid": sid, "Effect": "Allow", "Principal": {"AWS": READER}, "Action": [action]}
    return {"Version": "2012-10-17", "Statement": [{**one, "Resource": resource} if resource else one]}


def replicated(prefix: str, *, deletes: bool = False) -> dict[str, Any]:
    rule: dict[str, Any] = {
        "Destinations": [{"Region": ELSEWHERE, "RegistryId": ACCOUNT}],
        "RepositoryFilters": [{"Filter": prefix, "FilterType": "PREFIX_MATCH"}],
    }
    if deletes:
        rule["DeleteReplication"] = {"Enabled": "true"}
    return {"ReplicationConfiguration": {"Rules": [rule]}}


def signed(profile: str, *filters: str) -> dict[str, Any]:
    arn = f"arn:aws:signer:{REGION}:{ACCOUNT}:/signing-profiles/{profile}"
    rule: dict[str, Any] = {"SigningProfileArn": arn}
    if filters:
        rule["RepositoryFilters"] = [{"Filter": one, "FilterType": "WILDCARD_MATCH"} for one in filters]
    return {"Rules": [rule]}


def repository(**properties: Any) -> dict[str, Any]:
    return {"RepositoryName": "kinds/app", "ImageTagMutability": "IMMUTABLE", **properties}


def creation(**properties: Any) -> dict[str, Any]:
    return {
        "Prefix": "kinds/made",
        "AppliedFor": ["REPLICATION", "PULL_THROUGH_CACHE"],
        "EncryptionConfiguration": {"EncryptionType": "AES256"},
        "ResourceTags": [{"Key": "team", "Value": "blue"}],
        "CustomRoleArn": f"arn:aws:iam::{ACCOUNT}:role/maker",
        **properties,
    }


RULE = {"EcrRepositoryPrefix": "kinds-cache", "UpstreamRegistryUrl": "https://quay.io/"}
ANY = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/*"


def _lifecycle_days(ecr: Any) -> Any:
    told = json.loads(ecr.get_lifecycle_policy(repositoryName="kinds/app")["lifecyclePolicyText"])
    return told["rules"][0]["selection"]["countNumber"]


def _template(ecr: Any) -> Any:
    return ecr.describe_repository_creation_templates(prefixes=["kinds/made"])["repositoryCreationTemplates"][0]


CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any], str, Callable[[Any], Any], Any]] = {
    "lifecycle-policy-as-text": (
        "Repository",
        repository(LifecyclePolicy={"LifecyclePolicyText": json.dumps(lifecycle(14))}),
        repository(LifecyclePolicy={"LifecyclePolicyText": lifecycle(30)}),
        "LifecyclePolicy",
        _lifecycle_days,
        30,
    ),
    "repository-policy": (
        "Repository",
        repository(RepositoryPolicyText=statement("ecr:BatchGetImage")),
        repository(RepositoryPolicyText=json.dumps(statement("ecr:ListImages"))),
        "RepositoryPolicyText",
        lambda ecr: json.loads(ecr.get_repository_policy(repositoryName="kinds/app")["policyText"]),
        statement("ecr:ListImages"),
    ),
    "tags-of-a-repository": (
        "Repository",
        repository(Tags=[{"Key": "team", "Value": "blue"}]),
        repository(Tags=[{"Key": "team", "Value": "red"}]),
        "Tags",
        lambda ecr: ecr.list_tags_for_resource(resourceArn=f"{ANY[:-1]}kinds/app")["tags"],
        [{"Key": "team", "Value": "red"}],
    ),
    "registry-policy": (
        "RegistryPolicy",
        {"PolicyText": statement("ecr:ReplicateImage", resource=ANY)},
        {"PolicyText": statement("ecr:CreateRepository", resource=ANY)},
        "PolicyText",
        lambda ecr: json.loads(ecr.get_registry_policy()["policyText"]),
        statement("ecr:CreateRepository", resource=ANY),
    ),
    "replication": (
        "ReplicationConfiguration",
        replicated("kinds"),
        replicated("kinds", deletes=True),
        "ReplicationConfiguration",
        lambda ecr: ecr.describe_registry()["replicationConfiguration"]["rules"][0]["deleteReplication"],
        {"enabled": True},
    ),
    "creation-template": (
        "RepositoryCreationTemplate",
        creation(LifecyclePolicy=lifecycle(3), RepositoryPolicy=json.dumps(statement("ecr:ListImages"))),
        creation(LifecyclePolicy=lifecycle(4), RepositoryPolicy=statement("ecr:ListImages")),
        "LifecyclePolicy",
        lambda ecr: json.loads(_template(ecr)["lifecyclePolicy"]),
        lifecycle(4),
    ),
    "creation-template-order-of-uses": (
        "RepositoryCreationTemplate",
        {**creation(), "AppliedFor": ["PULL_THROUGH_CACHE", "REPLICATION"], "Description": "one"},
        {**creation(), "Description": "two"},
        "Description",
        lambda ecr: _template(ecr)["description"],
        "two",
    ),
    "signing": (
        "SigningConfiguration",
        signed("one", "kinds/*"),
        signed("two", "kinds/*"),
        "Rules",
        lambda ecr: ecr.get_signing_configuration()["signingConfiguration"]["rules"][0]["signingProfileArn"].rpartition(
            "/"
        )[2],
        "two",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_planned_made_the_same_and_updated(holdfast: Commands, ecr: Any, tmp_path: Path, case: str) -> None:
    kind, first, second, property_, look, expected = CASES[case]

    def ran(properties: dict[str, Any], *options: str) -> Ran:
        path = tmp_path / "t.json"
        path.write_text(json.dumps({"Resources": {"R": {"Type": f"AWS::ECR::{kind}", "Properties": properties}}}))
        return holdfast("apply", str(path), "--json", *options)

    planned = ran(first, "--check")
    assert planned.code == 1, planned.err
    assert planned.json()["plan"][0]["action"] in {"create", "update"}
    made = ran(first)
    assert (made.code, made.err) == (0, "")
    again = ran(first, "--check")
    assert (again.code, again.json()["plan"][0]["action"]) == (0, "no change")
    changed = ran(second, "--check").json()["plan"][0]
    assert (changed["action"], [one["property"] for one in changed["changes"]]) == ("update", [property_])
    assert ran(second).code == 0
    assert look(ecr) == expected
    assert ran(second, "--check").code == 0


def test_a_pull_through_rule_is_made_and_its_address_would_replace_it(
    own: RunningServer, holdfast: Commands, ecr: Any, tmp_path: Path
) -> None:
    path = tmp_path / "t.json"

    def ran(**properties: Any) -> Ran:
        resource = {"Type": "AWS::ECR::PullThroughCacheRule", "Properties": {**RULE, **properties}}
        path.write_text(json.dumps({"Resources": {"R": resource}}))
        return holdfast("apply", str(path), "--json")

    assert ran().json()["plan"][0]["action"] == "create"
    assert ran().json()["plan"][0]["action"] == "no change"
    (told,) = ecr.describe_pull_through_cache_rules(ecrRepositoryPrefixes=["kinds-cache"])["pullThroughCacheRules"]
    assert told["upstreamRegistryUrl"] == "quay.io"
    replaced = ran(UpstreamRegistryUrl="registry.k8s.io")
    assert replaced.code == 4
    api = own.aws("holdfast")
    made = api.put_upstream_credential(name="kinds", username="u", password="p")
    updated = ran(CredentialArn=made["upstreamCredential"]["credentialArn"]).json()["plan"][0]
    assert (updated["action"], [one["property"] for one in updated["changes"]]) == ("update", ["CredentialArn"])
    assert ran(CredentialArn=made["upstreamCredential"]["credentialArn"]).json()["plan"][0]["action"] == "no change"
    api.close()


def test_what_the_registry_refuses_is_told_with_the_resource(holdfast: Commands, tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    resource = {"Type": "AWS::ECR::RegistryPolicy", "Properties": {"PolicyText": {"Statement": "none"}}}
    path.write_text(json.dumps({"Resources": {"Policy": resource}}))
    refused = holdfast("apply", str(path), "--json")
    assert refused.code == 3
    assert "Policy (the registry) was refused: InvalidParameterException" in refused.failure()["message"]
