"""Repository creation templates, and create-on-push by them."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.prefixes import ROOT, closest, covers, upstream_name
from images import image, push, push_blob
from json_api import allow, client_of, constraint, deny, held, person, policy, refusal
from running import ACCOUNT, running, settings

if TYPE_CHECKING:
    from pathlib import Path

    from flows.conftest import Pair

ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecr"


@pytest.fixture
def prefix() -> str:
    """A prefix that no other test uses."""
    return f"p{uuid.uuid4().hex[:10]}"


def test_a_template_is_made_described_changed_and_deleted(pair: Pair, prefix: str) -> None:
    made = pair.ecr.create_repository_creation_template(
        prefix=prefix,
        description="for teams",
        appliedFor=["REPLICATION", "CREATE_ON_PUSH"],
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "dev-*"}],
        resourceTags=[{"Key": "team", "Value": "a"}],
        customRoleArn=ROLE,
    )
    template = made["repositoryCreationTemplate"]
    assert made["registryId"] == ACCOUNT
    assert template["prefix"] == prefix
    assert template["encryptionConfiguration"] == {"encryptionType": "AES256"}
    assert template["createdAt"] == template["updatedAt"]
    again = refusal(pair.ecr.create_repository_creation_template, prefix=f"{prefix}/", appliedFor=["REPLICATION"])
    assert again.code == "TemplateAlreadyExistsException"
    changed = pair.ecr.update_repository_creation_template(prefix=prefix, imageTagMutability="MUTABLE")
    told = changed["repositoryCreationTemplate"]
    assert (told["imageTagMutability"], told["description"]) == ("MUTABLE", "for teams")
    assert "imageTagMutabilityExclusionFilters" not in told
    (found,) = pair.ecr.describe_repository_creation_templates(prefixes=[prefix])["repositoryCreationTemplates"]
    assert found == told
    pages = pair.ecr.get_paginator("describe_repository_creation_templates").paginate(PaginationConfig={"PageSize": 1})
    assert prefix in [one["prefix"] for page in pages for one in page["repositoryCreationTemplates"]]
    gone = pair.ecr.delete_repository_creation_template(prefix=prefix)
    assert gone["repositoryCreationTemplate"] == told
    for call in (pair.ecr.update_repository_creation_template, pair.ecr.delete_repository_creation_template):
        assert refusal(call, prefix=prefix).code == "TemplateNotFoundException"
    assert pair.ecr.describe_repository_creation_templates(prefixes=[prefix])["repositoryCreationTemplates"] == []


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (
            {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION"},
            constraint(
                "imageTagMutabilityExclusionFilters",
                "ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as "
                "IMMUTABLE_WITH_EXCLUSION",
            ),
        ),
        ({"appliedFor": []}, constraint("appliedFor", "Member must have length greater than or equal to 1")),
        (
            {"resourceTags": [{"Key": "a", "Value": "b"}]},
            constraint("customRoleArn", "A custom role is required for a template that sets resource tags"),
        ),
        ({"appliedFor": ["NEVER"]}, None),
        ({"prefix": "UPPER"}, None),
        ({"encryptionConfiguration": {"encryptionType": "KMS"}}, None),
    ],
)
def test_a_template_that_could_make_no_repository_is_refused(
    pair: Pair, prefix: str, wrong: dict[str, Any], told: str | None
) -> None:
    given_ = {"prefix": prefix, "appliedFor": ["REPLICATION"], **wrong}
    error = refusal(pair.ecr.create_repository_creation_template, **given_)
    assert error.code == "InvalidParameterException"
    assert told is None or error.message == told


def test_a_push_makes_its_repository_by_the_longest_prefix(pair: Pair, prefix: str) -> None:
    create = pair.ecr.create_repository_creation_template
    create(prefix=prefix, appliedFor=["CREATE_ON_PUSH"])
    create(prefix=f"{prefix}/held", appliedFor=["CREATE_ON_PUSH"], imageTagMutability="IMMUTABLE")
    create(prefix=f"{prefix}/held/replicas", appliedFor=["REPLICATION"])
    for name, mode in ((f"{prefix}/a", "MUTABLE"), (f"{prefix}/held/replicas/b", "IMMUTABLE")):
        assert push(pair.pull, name, "v1", image(name.encode())).status == 201
        (made,) = pair.ecr.describe_repositories(repositoryNames=[name])["repositories"]
        assert made["imageTagMutability"] == mode
    refused = push(pair.pull, f"{prefix}/held/replicas/b", "v1", image(b"other"))
    assert refused.message.startswith(held("v1", f"{prefix}/held/replicas/b"))
    for other in (prefix, f"{prefix}x/a"):
        assert pair.pull("POST", f"/v2/{other}/blobs/uploads/").code == "NAME_UNKNOWN"


def test_a_template_gives_its_policy_to_what_it_makes(pair: Pair, prefix: str) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    create = pair.ecr.create_repository_creation_template
    create(prefix=prefix, appliedFor=["CREATE_ON_PUSH"], repositoryPolicy=text)
    assert push(pair.pull, f"{prefix}/a", "v1", image(b"p")).status == 201
    kept = pair.ecr.get_repository_policy(repositoryName=f"{prefix}/a")["policyText"]
    assert json.loads(kept) == json.loads(text)
    wrong = refusal(create, prefix=f"{prefix}/x", appliedFor=["CREATE_ON_PUSH"], repositoryPolicy='{"a": 1}')
    assert wrong.code == "InvalidParameterException"


def test_create_on_push_needs_the_right_to_create(pair: Pair, prefix: str) -> None:
    pair.ecr.create_repository_creation_template(prefix=prefix, appliedFor=["CREATE_ON_PUSH"])
    who = person(pair.holdfast, policy(allow("ecr:*"), deny("ecr:CreateRepository")))
    answer = pair.cache.client(who.key_id, who.secret)("POST", f"/v2/{prefix}/a/blobs/uploads/")
    assert (answer.status, answer.code) == (403, "DENIED")
    assert "ecr:CreateRepository" in answer.message


def test_the_servers_setting_is_for_what_no_template_is_for(tmp_path: Path) -> None:
    with running(settings(tmp_path, create_on_push="IMMUTABLE")) as server:
        ecr, client = server.aws(), server.client()
        ecr.create_repository_creation_template(prefix="free", appliedFor=["CREATE_ON_PUSH"])
        ecr.create_repository_creation_template(
            prefix="ROOT",
            appliedFor=["REPLICATION"],
            resourceTags=[{"Key": "a", "Value": "b"}],
            customRoleArn=ROLE,
        )
        push_blob(client, "free/a", b"x")
        push_blob(client, "other/a", b"x")
        modes = {
            one["repositoryName"]: one["imageTagMutability"] for one in ecr.describe_repositories()["repositories"]
        }
        assert modes == {"free/a": "MUTABLE", "other/a": "IMMUTABLE"}
        ecr.close()


def test_a_template_gives_no_right_that_its_maker_lacks(pair: Pair, prefix: str) -> None:
    who = person(pair.holdfast, policy(allow("ecr:CreateRepositoryCreationTemplate", "ecr:CreateRepository")))
    ecr = client_of(pair.cache, who)
    ecr.create_repository_creation_template(prefix=prefix, appliedFor=["REPLICATION"])
    told = refusal(
        ecr.create_repository_creation_template,
        prefix=f"{prefix}/tags",
        appliedFor=["REPLICATION"],
        resourceTags=[{"Key": "a", "Value": "b"}],
        customRoleArn=ROLE,
    )
    assert (told.code, "ecr:TagResource" in told.message) == ("AccessDeniedException", True)
    ecr.close()


COMPONENTS = st.lists(st.sampled_from(["a", "ab", "b", "a-b"]), min_size=1, max_size=4).map("/".join)


@given(st.lists(COMPONENTS, max_size=6), COMPONENTS, st.booleans())
def test_the_closest_prefix_is_the_longest_that_covers(found: list[str], name: str, root: bool) -> None:  # noqa: FBT001
    best = closest([*found, *([ROOT] if root else [])], name)
    fitting = [one for one in found if name.startswith(f"{one}/")]
    assert best == (max(fitting, key=len) if fitting else ROOT if root else None)


@given(COMPONENTS, COMPONENTS, COMPONENTS)
def test_names_upstream_differ_in_the_prefix_alone(prefix: str, upstream: str, rest: str) -> None:
    name = f"{prefix}/{rest}"
    assert covers(prefix, name)
    assert not covers(prefix, prefix)
    assert upstream_name(prefix, ROOT, name) == rest
    assert upstream_name(f"{prefix}/", upstream, name) == f"{upstream}/{rest}"
    assert upstream_name(ROOT, ROOT, name) == name
