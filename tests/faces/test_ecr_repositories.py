"""Repositories through Amazon ECR's API: made, described, switched, labelled, deleted; boto3 is the judge."""

from __future__ import annotations

import base64
import binascii
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from holdfast.faces.ecr_operations import ECR
from images import image, push
from json_api import (
    INVALID,
    OTHER_ACCOUNT,
    Api,
    Refusal,
    allow,
    client_of,
    constraint,
    held,
    no_repository,
    person,
    policy,
    refusal,
    repository_arn,
)
from running import ACCOUNT, KEY_ID, REGION, SECRET

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running import Client, RunningServer

FILTERS = "imageTagMutabilityExclusionFilters"
PLAIN = ("MUTABLE", "IMMUTABLE")
WITH_EXCLUSION = ("MUTABLE_WITH_EXCLUSION", "IMMUTABLE_WITH_EXCLUSION")


def wildcards(*patterns: str) -> list[dict[str, str]]:
    return [{"filterType": "WILDCARD", "filter": pattern} for pattern in patterns]


def kinds(holdfast: Any, repository: str) -> list[str]:
    """Return what the record says happened in a repository, oldest first."""
    pages = holdfast.get_paginator("list_entries").paginate(repositoryName=repository)
    return [entry["kind"] for page in pages for entry in page["entries"]][::-1]


# --- CreateRepository ------------------------------------------------------------------------------------------------


def test_a_new_repository_is_described_as_ecr_describes_it(server: RunningServer, ecr: Any, repository: str) -> None:
    made = ecr.create_repository(repositoryName=repository)["repository"]
    created_at = made.pop("createdAt").timestamp()
    assert abs(created_at - time.time()) < 60
    assert made == {
        "repositoryArn": f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{repository}",
        "registryId": ACCOUNT,
        "repositoryName": repository,
        "repositoryUri": f"{server.host}:{server.port}/{repository}",
        "imageTagMutability": "MUTABLE",
        "imageScanningConfiguration": {"scanOnPush": False},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }
    [described] = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    assert described.pop("createdAt").timestamp() == created_at
    assert described == made


def test_every_setting_of_a_new_repository_is_kept(ecr: Any, repository: str) -> None:
    wanted = {
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        FILTERS: wildcards("latest", "dev-*", "*.tmp", "a*b*", "_"),
        "imageScanningConfiguration": {"scanOnPush": True},
        "encryptionConfiguration": {"encryptionType": "AES256"},
    }
    tags = [{"Key": "team", "Value": "blue"}, {"Key": "empty", "Value": ""}]
    made = ecr.create_repository(repositoryName=repository, registryId=ACCOUNT, tags=tags, **wanted)["repository"]
    assert {key: made[key] for key in wanted} == wanted
    [described] = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    assert described == made
    listed = ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"]
    assert sorted(listed, key=lambda tag: tag["Key"]) == sorted(tags, key=lambda tag: tag["Key"])


def test_a_plain_boto3_client_works_unchanged(
    server: RunningServer, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    client = boto3.client(
        "ecr",
        region_name=REGION,
        endpoint_url=server.url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
    )
    client.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    [found] = client.describe_repositories(repositoryNames=[repository])["repositories"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    with pytest.raises(client.exceptions.RepositoryAlreadyExistsException):
        client.create_repository(repositoryName=repository)
    client.delete_repository(repositoryName=repository)
    with pytest.raises(client.exceptions.RepositoryNotFoundException):
        client.delete_repository(repositoryName=repository)
    client.close()


def test_a_name_is_given_once(ecr: Any, repository: str) -> None:
    ecr.create_repository(repositoryName=repository)
    assert refusal(ecr.create_repository, repositoryName=repository, imageTagMutability="IMMUTABLE") == Refusal(
        "RepositoryAlreadyExistsException",
        f"The repository with name '{repository}' already exists in the registry with id '{ACCOUNT}'",
    )
    [found] = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    assert found["imageTagMutability"] == "MUTABLE"


def test_names_that_share_a_beginning_are_not_mixed_up(ecr: Any, repository: str) -> None:
    names = [repository, f"{repository}-b", f"{repository}/b", f"{repository}b"]
    for name in names:
        ecr.create_repository(repositoryName=name)
    ecr.delete_repository(repositoryName=repository, force=True)
    for name in names[1:]:
        assert ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryName"] == name
    assert refusal(ecr.describe_repositories, repositoryNames=[repository]) == no_repository(repository)


@pytest.mark.parametrize("switch", [False, True], ids=["CreateRepository", "PutImageTagMutability"])
@pytest.mark.parametrize("mode", PLAIN)
def test_a_plain_mode_takes_no_filters(ecr: Any, repository: str, mode: str, switch: bool) -> None:  # noqa: FBT001
    call = ecr.create_repository
    if switch:
        ecr.create_repository(repositoryName=repository)
        call = ecr.put_image_tag_mutability
    given = {"repositoryName": repository, "imageTagMutability": mode, FILTERS: wildcards("latest")}
    why = f"ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set as {mode}"
    assert refusal(call, **given) == Refusal(INVALID, constraint(FILTERS, why))


@pytest.mark.parametrize("switch", [False, True], ids=["CreateRepository", "PutImageTagMutability"])
@pytest.mark.parametrize("mode", WITH_EXCLUSION)
def test_a_mode_with_exclusion_needs_filters(ecr: Any, repository: str, mode: str, switch: bool) -> None:  # noqa: FBT001
    call = ecr.create_repository
    if switch:
        ecr.create_repository(repositoryName=repository)
        call = ecr.put_image_tag_mutability
    why = f"ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as {mode}"
    refused = refusal(call, repositoryName=repository, imageTagMutability=mode)
    assert refused == Refusal(INVALID, constraint(FILTERS, why))


def test_filters_without_a_mode_belong_to_the_default_mode_and_are_refused(ecr: Any, repository: str) -> None:
    why = "ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set as MUTABLE"
    refused = refusal(ecr.create_repository, repositoryName=repository, **{FILTERS: wildcards("latest")})
    assert refused == Refusal(INVALID, constraint(FILTERS, why))


@pytest.mark.parametrize(
    ("filters", "least"),
    [
        (wildcards("a*b*c*d"), "maximum of 2 wildcards"),
        (wildcards("***"), "maximum of 2 wildcards"),
        (wildcards("a", "b", "c", "d", "e", "f"), "Member must have length less than or equal to 5"),
        (wildcards("a" * 129), "Member must have length less than or equal to 128"),
        (wildcards("a?"), "Member must satisfy regular expression pattern: ^[0-9a-zA-Z._*-]{1,128}$"),
        (wildcards("[a]"), "Member must satisfy regular expression pattern: ^[0-9a-zA-Z._*-]{1,128}$"),
        (wildcards("a\n"), "Member must satisfy regular expression pattern: ^[0-9a-zA-Z._*-]{1,128}$"),
        ([{"filterType": "REGEX", "filter": "a"}], "Member must satisfy enum value set: [WILDCARD]"),
    ],
)
def test_filters_outside_the_limits_are_refused_and_nothing_is_made(
    ecr: Any, repository: str, filters: list[dict[str, str]], least: str
) -> None:
    given = {"repositoryName": repository, "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", FILTERS: filters}
    code, message = refusal(ecr.create_repository, **given)
    assert code == INVALID
    assert message.startswith(f"Invalid parameter at '{FILTERS}")
    assert least in message
    assert refusal(ecr.describe_repositories, repositoryNames=[repository]) == no_repository(repository)


# --- DescribeRepositories --------------------------------------------------------------------------------------------


def test_the_first_name_that_is_not_there_fails_the_whole_description(ecr: Any, repository: str) -> None:
    ecr.create_repository(repositoryName=repository)
    missing = f"{repository}-missing"
    refused = refusal(ecr.describe_repositories, repositoryNames=[repository, missing, f"{missing}-too"])
    assert refused == no_repository(missing)


@pytest.mark.parametrize("paging", [{"maxResults": 5}, {"nextToken": "x"}, {"nextToken": ""}])
def test_names_and_pages_are_not_combined(server: RunningServer, repository: str, paging: dict[str, Any]) -> None:
    api = Api(server)
    reply = api("DescribeRepositories", {"repositoryNames": [repository], **paging})
    why = "maxResults and nextToken cannot be combined with repositoryNames"
    assert reply.refusal == Refusal(INVALID, constraint("repositoryNames", why))
    api.close()


@pytest.fixture(scope="module")
def many(ecr: Any) -> list[str]:
    """Names of seven repositories beside whatever others there are."""
    names = [f"paged/{letter}" for letter in "abcdefg"]
    for name in names:
        ecr.create_repository(repositoryName=name)
    return names


def test_pages_together_hold_each_repository_once_in_the_order_of_names(ecr: Any, many: list[str]) -> None:
    found: list[str] = []
    for page in ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 3}):
        assert 0 < len(page["repositories"]) <= 3
        found += [one["repositoryName"] for one in page["repositories"]]
    assert [name for name in found if name.startswith("paged/")] == many
    assert found == sorted(set(found))


def test_the_page_size_may_change_from_page_to_page(ecr: Any, many: list[str]) -> None:
    first = ecr.describe_repositories(maxResults=1)
    rest = ecr.describe_repositories(maxResults=1000, nextToken=first["nextToken"])
    names = [one["repositoryName"] for one in first["repositories"] + rest["repositories"]]
    assert set(many) <= set(names)
    assert len(names) == len(set(names))
    assert "nextToken" not in rest


def test_a_repository_made_or_deleted_between_pages_neither_repeats_nor_drops_another(ecr: Any) -> None:
    names = [f"between/{letter}" for letter in "bcde"]
    for name in names:
        ecr.create_repository(repositoryName=name)
    found: list[str] = []
    token: dict[str, str] = {}
    while True:
        page = ecr.describe_repositories(maxResults=2, **token)
        found += [one["repositoryName"] for one in page["repositories"]]
        if "between/c" in found and "between/a" not in names:
            ecr.create_repository(repositoryName="between/a")
            ecr.delete_repository(repositoryName="between/b")
            names.append("between/a")
        if "nextToken" not in page:
            break
        token = {"nextToken": page["nextToken"]}
    assert [name for name in found if name.startswith("between/")] == [f"between/{letter}" for letter in "bcde"]


TOKEN_REFUSED = Refusal(INVALID, constraint("nextToken", "The nextToken is invalid for this caller and operation"))


def test_a_page_token_says_nothing_and_cannot_be_edited(ecr: Any, many: list[str]) -> None:
    token = ecr.describe_repositories(maxResults=1)["nextToken"]
    try:
        content = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except binascii.Error:
        content = token.encode()
    assert b"paged" not in content
    assert many[0].encode() not in content
    middle = len(token) // 2
    flipped = token[:middle] + ("A" if token[middle] != "A" else "B") + token[middle + 1 :]
    for edited in (flipped, token[:-4], token + "AAAA", token[::-1], "x", "paged/a", "\u00e9", "a" * 7_000):
        assert refusal(ecr.describe_repositories, maxResults=1, nextToken=edited) == TOKEN_REFUSED


def test_an_empty_page_token_is_refused(server: RunningServer) -> None:
    api = Api(server)
    assert api("DescribeRepositories", {"nextToken": ""}).refusal == TOKEN_REFUSED
    api.close()


def test_a_page_token_is_good_for_its_own_call_and_caller_alone(
    server: RunningServer, ecr: Any, holdfast: Any, client: Client, many: list[str]
) -> None:
    for tag in "abc":
        push(client, many[0], tag, image())
    push(client, many[1], "a", image())
    repositories = ecr.describe_repositories(maxResults=1)["nextToken"]
    images = ecr.list_images(repositoryName=many[0], maxResults=1)["nextToken"]
    principals_token = None
    person(holdfast, policy(allow("ecr:*")))
    principals_token = holdfast.list_principals(maxResults=1)["nextToken"]
    other = client_of(server, person(holdfast, policy(allow("ecr:*"))))
    for call, parameters in (
        (ecr.describe_repositories, {"nextToken": images}),
        (ecr.describe_repositories, {"nextToken": principals_token}),
        (ecr.describe_images, {"repositoryName": many[0], "nextToken": images}),
        (ecr.list_images, {"repositoryName": many[1], "nextToken": images}),
        (ecr.list_images, {"repositoryName": many[0], "nextToken": images, "filter": {"tagStatus": "TAGGED"}}),
        (ecr.list_images, {"repositoryName": many[0], "nextToken": repositories}),
        (other.list_images, {"repositoryName": many[0], "nextToken": images}),
        (other.describe_repositories, {"nextToken": repositories}),
    ):
        assert refusal(call, **parameters) == TOKEN_REFUSED
    assert len(ecr.list_images(repositoryName=many[0], nextToken=images)["imageIds"]) == 2
    other.close()


# --- DeleteRepository ------------------------------------------------------------------------------------------------


def test_an_empty_repository_is_deleted_and_described_a_last_time(ecr: Any, repository: str) -> None:
    made = ecr.create_repository(repositoryName=repository)["repository"]
    assert ecr.delete_repository(repositoryName=repository)["repository"] == made
    assert refusal(ecr.describe_repositories, repositoryNames=[repository]) == no_repository(repository)


def test_a_repository_with_images_is_deleted_only_by_force(ecr: Any, client: Client, repository: str) -> None:
    push(client, repository, "v1", image())
    sentence = (
        f"The repository with name '{repository}' in registry with id '{ACCOUNT}' cannot be deleted because it still "
        "contains images"
    )
    for force in ({}, {"force": False}):
        assert refusal(ecr.delete_repository, repositoryName=repository, **force) == Refusal(
            "RepositoryNotEmptyException", sentence
        )
    assert len(ecr.list_images(repositoryName=repository)["imageIds"]) == 1
    ecr.delete_repository(repositoryName=repository, force=True)
    assert refusal(ecr.list_images, repositoryName=repository) == no_repository(repository)
    assert client("GET", f"/v2/{repository}/manifests/v1").status == 404
    again = ecr.create_repository(repositoryName=repository)
    assert again["repository"]["imageTagMutability"] == "MUTABLE"
    assert ecr.list_images(repositoryName=repository)["imageIds"] == []


def test_a_held_tag_outlives_its_repository(ecr: Any, client: Client, repository: str) -> None:
    """Deleting and making the repository anew, as MUTABLE even, is no way to move a held tag."""
    ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    first, second = image(), image()
    push(client, repository, "v1", first)
    ecr.delete_repository(repositoryName=repository, force=True)
    ecr.create_repository(repositoryName=repository, imageTagMutability="MUTABLE")
    answer = push(client, repository, "v1", second)
    assert (answer.status, answer.message.startswith(held("v1", repository))) == (409, True)
    assert push(client, repository, "v1", first).status == 201
    assert ecr.list_images(repositoryName=repository, filter={"tagStatus": "TAGGED"})["imageIds"] == [
        {"imageDigest": first.digest, "imageTag": "v1"}
    ]


# --- PutImageTagMutability -------------------------------------------------------------------------------------------


def test_a_switch_answers_with_the_new_settings_and_replaces_mode_and_filters(ecr: Any, repository: str) -> None:
    ecr.create_repository(repositoryName=repository)
    where = {"registryId": ACCOUNT, "repositoryName": repository}
    for wanted in (
        {"imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", FILTERS: wildcards("latest", "dev-*")},
        {"imageTagMutability": "MUTABLE_WITH_EXCLUSION", FILTERS: wildcards("v*")},
        {"imageTagMutability": "IMMUTABLE"},
        {"imageTagMutability": "MUTABLE"},
    ):
        changed = ecr.put_image_tag_mutability(repositoryName=repository, **wanted)
        changed.pop("ResponseMetadata")
        assert changed == {**where, **wanted}
        [found] = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
        assert {key: found.get(key) for key in wanted} == wanted
        assert (FILTERS in found) == (FILTERS in wanted)


def test_the_same_settings_again_change_nothing_and_leave_no_second_entry(
    ecr: Any, holdfast: Any, repository: str
) -> None:
    ecr.create_repository(repositoryName=repository)
    given = {"repositoryName": repository, "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION", FILTERS: wildcards("a")}
    answers = [ecr.put_image_tag_mutability(**given) for _ in range(3)]
    for answer in answers:
        answer.pop("ResponseMetadata")
    assert answers[0] == answers[1] == answers[2]
    assert kinds(holdfast, repository) == ["repository-created", "mutability-changed"]
    ecr.put_image_tag_mutability(**given | {FILTERS: wildcards("b")})
    assert kinds(holdfast, repository).count("mutability-changed") == 2


def test_a_switch_binds_the_next_push(ecr: Any, client: Client, repository: str) -> None:
    ecr.create_repository(repositoryName=repository)
    assert push(client, repository, "latest", image()).status == 201
    kept = image()
    assert push(client, repository, "latest", kept).status == 201
    ecr.put_image_tag_mutability(repositoryName=repository, imageTagMutability="IMMUTABLE")
    assert push(client, repository, "latest", image()).status == 409
    ecr.put_image_tag_mutability(
        repositoryName=repository, imageTagMutability="IMMUTABLE_WITH_EXCLUSION", **{FILTERS: wildcards("late*")}
    )
    assert push(client, repository, "latest", image()).status == 201
    ecr.put_image_tag_mutability(
        repositoryName=repository, imageTagMutability="MUTABLE_WITH_EXCLUSION", **{FILTERS: wildcards("*est")}
    )
    assert push(client, repository, "latest", image()).status == 409


def test_a_refused_switch_changes_nothing(ecr: Any, holdfast: Any, repository: str) -> None:
    ecr.create_repository(repositoryName=repository, imageTagMutability="IMMUTABLE")
    given = {"repositoryName": repository, "imageTagMutability": "MUTABLE_WITH_EXCLUSION", FILTERS: wildcards("***")}
    assert refusal(ecr.put_image_tag_mutability, **given).code == INVALID
    assert refusal(ecr.put_image_tag_mutability, repositoryName=repository, imageTagMutability="immutable") == Refusal(
        INVALID,
        constraint(
            "imageTagMutability",
            "Member must satisfy enum value set: "
            "[MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION]",
        ),
    )
    [found] = ecr.describe_repositories(repositoryNames=[repository])["repositories"]
    assert found["imageTagMutability"] == "IMMUTABLE"
    assert kinds(holdfast, repository) == ["repository-created"]


# --- tags of resources -----------------------------------------------------------------------------------------------


@pytest.fixture
def arn(ecr: Any, repository: str) -> str:
    made = ecr.create_repository(repositoryName=repository)["repository"]
    return str(made["repositoryArn"])


def labels(ecr: Any, arn: str) -> dict[str, str]:
    return {tag["Key"]: tag["Value"] for tag in ecr.list_tags_for_resource(resourceArn=arn)["tags"]}


def test_labels_are_set_replaced_listed_and_deleted(ecr: Any, arn: str) -> None:
    assert labels(ecr, arn) == {}
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "\u00e9 \u2603"}])
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "2"}, {"Key": "A", "Value": ""}])
    assert labels(ecr, arn) == {"a": "2", "A": "", "b": "\u00e9 \u2603"}
    ecr.untag_resource(resourceArn=arn, tagKeys=["a", "not-there"])
    assert labels(ecr, arn) == {"A": "", "b": "\u00e9 \u2603"}


def test_labels_go_with_their_repository(ecr: Any, arn: str, repository: str) -> None:
    ecr.tag_resource(resourceArn=arn, tags=[{"Key": "a", "Value": "1"}])
    ecr.delete_repository(repositoryName=repository)
    assert refusal(ecr.list_tags_for_resource, resourceArn=arn) == no_repository(repository)
    ecr.create_repository(repositoryName=repository)
    assert labels(ecr, arn) == {}


def numbered(start: int, count: int) -> list[dict[str, str]]:
    return [{"Key": f"key-{number}", "Value": ""} for number in range(start, start + count)]


def test_a_repository_has_at_most_fifty_labels_and_a_refused_set_leaves_those_before(ecr: Any, arn: str) -> None:
    ecr.tag_resource(resourceArn=arn, tags=numbered(0, 49))
    assert refusal(ecr.tag_resource, resourceArn=arn, tags=numbered(49, 2)).code == "TooManyTagsException"
    assert len(labels(ecr, arn)) == 49
    ecr.tag_resource(resourceArn=arn, tags=numbered(40, 10))
    assert len(labels(ecr, arn)) == 50


def test_a_repository_is_not_made_with_more_than_fifty_labels(ecr: Any, repository: str) -> None:
    refused = refusal(ecr.create_repository, repositoryName=repository, tags=numbered(0, 51))
    assert refused.code == "TooManyTagsException"
    assert refusal(ecr.describe_repositories, repositoryNames=[repository]) == no_repository(repository)


@pytest.mark.parametrize(
    "label",
    [{"Key": "", "Value": ""}, {"Key": "k" * 129, "Value": ""}, {"Key": "k", "Value": "v" * 257}],
    ids=["no key", "long key", "long value"],
)
def test_a_label_outside_the_limits_is_refused(ecr: Any, arn: str, repository: str, label: dict[str, str]) -> None:
    """Limits: a key has 1 to 128 characters, a value 0 to 256."""
    assert refusal(ecr.tag_resource, resourceArn=arn, tags=[label]).code == "InvalidTagParameterException"
    assert labels(ecr, arn) == {}
    refused = refusal(ecr.create_repository, repositoryName=f"{repository}-b", tags=[label])
    assert refused.code == "InvalidTagParameterException"


def test_a_repository_made_with_labels_needs_the_right_to_label(
    server: RunningServer, ecr: Any, holdfast: Any, repository: str
) -> None:
    """Service reference: CreateRepository with tags also needs ecr:TagResource."""
    maker = client_of(server, person(holdfast, policy(allow("ecr:CreateRepository"))))
    refused = refusal(maker.create_repository, repositoryName=repository, tags=numbered(0, 1))
    assert refused.code == "AccessDeniedException"
    assert "ecr:TagResource" in refused.message
    assert refusal(ecr.describe_repositories, repositoryNames=[repository]) == no_repository(repository)
    maker.create_repository(repositoryName=repository)
    maker.close()


def resource_calls(ecr: Any, arn: str) -> Iterator[tuple[Any, dict[str, Any]]]:
    yield ecr.list_tags_for_resource, {"resourceArn": arn}
    yield ecr.tag_resource, {"resourceArn": arn, "tags": [{"Key": "a", "Value": "b"}]}
    yield ecr.untag_resource, {"resourceArn": arn, "tagKeys": ["a"]}


def test_labels_of_a_repository_that_is_not_there(ecr: Any, repository: str) -> None:
    for call, parameters in resource_calls(ecr, repository_arn(repository)):
        assert refusal(call, **parameters) == no_repository(repository)


@pytest.mark.parametrize(
    "arn",
    [
        "",
        "x",
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/",
        f"arn:aws:ecr:{REGION}:{OTHER_ACCOUNT}:repository/t/x",
        f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/t/x",
        f"arn:aws:s3:{REGION}:{ACCOUNT}:repository/t/x",
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repositor/t/x",
    ],
)
def test_an_arn_that_names_no_repository_of_this_registry(ecr: Any, arn: str) -> None:
    for call, parameters in resource_calls(ecr, arn):
        code, message = refusal(call, **parameters)
        assert code == INVALID
        assert message.startswith("Invalid parameter at 'resourceArn' failed to satisfy constraint: '")


def test_every_operation_on_a_resource_is_tried_above() -> None:
    assert {name for name in ECR if name.endswith("Resource")} == {
        "ListTagsForResource",
        "TagResource",
        "UntagResource",
    }
