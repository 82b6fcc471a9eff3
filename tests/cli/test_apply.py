"""`holdfast apply`: the plan, what it does, what it refuses, and that applying twice changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from images import image, push

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands, Ran
    from running import Client, RunningServer

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Description: Repositories of one team
Parameters:
  Team: {Type: String}
  Mode: {Type: String, Default: IMMUTABLE}
Conditions:
  HasCache: !Equals [!Ref Team, "never"]
Resources:
  App:
    Type: AWS::ECR::Repository
    DeletionPolicy: Retain
    Properties:
      RepositoryName: !Sub "${Team}/app"
      ImageTagMutability: !Ref Mode
      ImageScanningConfiguration: {ScanOnPush: "true"}
      Tags:
        - {Key: team, Value: !Ref Team}
        - {Key: source, Value: !GetAtt Tools.Arn}
  Tools:
    Type: AWS::ECR::Repository
    Properties:
      RepositoryName: !Join ["/", [!Ref Team, tools]]
      ImageTagMutability: IMMUTABLE_WITH_EXCLUSION
      ImageTagMutabilityExclusionFilters:
        - {ImageTagMutabilityExclusionFilterType: WILDCARD, ImageTagMutabilityExclusionFilterValue: "dev-*"}
      EncryptionConfiguration: {EncryptionType: AES256}
  Cache:
    Type: AWS::ECR::PullThroughCacheRule
    Condition: HasCache
    Properties: {EcrRepositoryPrefix: x, UpstreamRegistryUrl: public.ecr.aws}
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "registry.yaml"
    path.write_text(TEMPLATE)
    return path


@pytest.fixture
def team(repository: str) -> str:
    return repository


def actions(ran: Ran) -> dict[str, str]:
    return {one["resource"]: one["action"] for one in ran.json()["plan"]}


def test_a_template_is_planned_made_and_then_as_it_is(
    holdfast: Commands, server: RunningServer, template: Path, team: str
) -> None:
    given = ("apply", str(template), "--parameter", f"Team={team}")
    checked = holdfast(*given, "--check", "--json")
    assert (checked.code, actions(checked)) == (1, {"Tools": "create", "App": "create"})
    ecr = server.aws()
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.describe_repositories(repositoryNames=[f"{team}/app"])
    done = holdfast(*given)
    assert (done.code, done.err) == (0, "")
    assert "2 of 2 resources changed" in done.out
    app, tools = ecr.describe_repositories(repositoryNames=[f"{team}/app", f"{team}/tools"])["repositories"]
    assert (app["imageTagMutability"], app["imageScanningConfiguration"]) == ("IMMUTABLE", {"scanOnPush": True})
    assert tools["imageTagMutabilityExclusionFilters"] == [{"filterType": "WILDCARD", "filter": "dev-*"}]
    tags = {one["Key"]: one["Value"] for one in ecr.list_tags_for_resource(resourceArn=app["repositoryArn"])["tags"]}
    assert tags == {"team": team, "source": tools["repositoryArn"]}
    again = holdfast(*given, "--json")
    assert (again.code, set(actions(again).values())) == (0, {"no change"})
    assert holdfast(*given, "--check").code == 0
    ecr.close()


def test_a_change_is_shown_and_made(holdfast: Commands, server: RunningServer, template: Path, team: str) -> None:
    given = ("apply", str(template), "--parameter", f"Team={team}")
    assert holdfast(*given).code == 0
    changed = holdfast(*given, "--parameter", "Mode=MUTABLE", "--json")
    assert (changed.code, actions(changed)) == (0, {"Tools": "no change", "App": "update"})
    (app,) = [one for one in changed.json()["plan"] if one["resource"] == "App"]
    assert [one["property"] for one in app["changes"]] == ["ImageTagMutability"]
    assert [one["operation"] for one in app["calls"]] == ["put_image_tag_mutability"]
    ecr = server.aws()
    (now,) = ecr.describe_repositories(repositoryNames=[f"{team}/app"])["repositories"]
    assert now["imageTagMutability"] == "MUTABLE"
    ecr.close()


def test_what_would_be_replaced_is_refused_before_anything_changes(
    holdfast: Commands, server: RunningServer, client: Client, tmp_path: Path, team: str
) -> None:
    push(client, f"{team}/app", "v1", image())
    path = tmp_path / "t.json"
    new = {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": f"{team}/new"}}
    encryption = {"EncryptionType": "KMS", "KmsKey": "k"}
    old = {
        "Type": "AWS::ECR::Repository",
        "Properties": {"RepositoryName": f"{team}/app", "EncryptionConfiguration": encryption},
    }
    path.write_text(json.dumps({"Resources": {"New": new, "Old": old}}))
    refused = holdfast("apply", str(path))
    assert refused.code == 4
    assert "replace" in refused.out
    assert f"Old ({team}/app)" in refused.err
    ecr = server.aws()
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.describe_repositories(repositoryNames=[f"{team}/new"])
    ecr.close()


def test_the_registrys_own_settings(holdfast: Commands, server: RunningServer, tmp_path: Path, team: str) -> None:
    ecr = server.aws()
    path = tmp_path / "registry.json"
    prefix = team.partition("/")[2]
    wildcard = [{"Filter": prefix, "FilterType": "WILDCARD"}]
    resources: dict[str, Any] = {
        "Scanning": {
            "Type": "AWS::ECR::RegistryScanningConfiguration",
            "Properties": {
                "ScanType": "BASIC",
                "Rules": [{"ScanFrequency": "SCAN_ON_PUSH", "RepositoryFilters": wildcard}],
            },
        },
        "Cache": {
            "Type": "AWS::ECR::PullThroughCacheRule",
            "Properties": {"EcrRepositoryPrefix": prefix, "UpstreamRegistryUrl": "https://public.ecr.aws"},
        },
        "Made": {
            "Type": "AWS::ECR::RepositoryCreationTemplate",
            "Properties": {
                "Prefix": prefix,
                "AppliedFor": ["PULL_THROUGH_CACHE", "REPLICATION"],
                "ImageTagMutability": "IMMUTABLE",
                "ResourceTags": [{"Key": "by", "Value": "apply"}],
                "CustomRoleArn": "arn:aws:iam::123456789012:role/maker",
            },
        },
    }
    path.write_text(json.dumps({"Resources": resources}))
    made = holdfast("apply", str(path), "--json")
    assert (made.code, made.err) == (0, "")
    assert actions(made) == {"Scanning": "update", "Cache": "create", "Made": "create"}
    assert set(actions(holdfast("apply", str(path), "--json")).values()) == {"no change"}
    resources["Made"]["Properties"]["ImageTagMutability"] = "MUTABLE"
    path.write_text(json.dumps({"Resources": resources}))
    assert actions(holdfast("apply", str(path), "--json"))["Made"] == "update"
    resources["Cache"]["Properties"]["UpstreamRegistryUrl"] = "quay.io"
    path.write_text(json.dumps({"Resources": resources}))
    assert holdfast("apply", str(path)).code == 4
    ecr.put_registry_scanning_configuration(scanType="BASIC", rules=[])
    ecr.delete_pull_through_cache_rule(ecrRepositoryPrefix=prefix)
    ecr.delete_repository_creation_template(prefix=prefix)
    ecr.close()


@pytest.mark.parametrize(
    ("resource", "named"),
    [
        ({"Type": "AWS::S3::Bucket"}, "AWS::S3::Bucket"),
        ({"Type": "AWS::ECR::PublicRepository"}, "AWS::ECR::PublicRepository"),
        ({"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "a/b", "Colour": "red"}}, "Colour"),
        ({"Type": "AWS::ECR::Repository"}, "RepositoryName must be there"),
        (
            {"Type": "AWS::ECR::Repository", "Properties": {"RepositoryName": "a/b", "ImageTagMutability": ["x"]}},
            "imageTagMutability",
        ),
    ],
)
def test_what_is_not_known_is_refused(holdfast: Commands, tmp_path: Path, resource: dict[str, Any], named: str) -> None:
    path = tmp_path / "t.json"
    path.write_text(json.dumps({"Resources": {"R": resource}}))
    refused = holdfast("apply", str(path))
    assert refused.code == 2
    assert named in refused.err


def test_a_refusal_half_way_tells_how_far_it_came(holdfast: Commands, tmp_path: Path, team: str) -> None:
    path = tmp_path / "t.yaml"
    path.write_text(
        f"Resources:\n"
        f"  A: {{Type: 'AWS::ECR::Repository', Properties: {{RepositoryName: {team}/a}}}}\n"
        f"  B: {{Type: 'AWS::ECR::Repository', Properties: {{RepositoryName: {team}/b, "
        f"ImageTagMutability: IMMUTABLE_WITH_EXCLUSION}}}}\n"
    )
    refused = holdfast("apply", str(path), "--json")
    assert refused.code == 3
    assert "1 of 2 resources were changed; B" in refused.failure()["message"]
