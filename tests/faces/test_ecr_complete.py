"""Amazon ECR's model against what is offered: every operation, every constraint through real HTTP, every page token."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.faces.ecr_operations import ECR
from holdfast.faces.ecr_operations.differences import DIFFERENCES, EVERYWHERE
from json_api import INVALID, Api
from service_inputs import OPERATIONS, RAW, broken_inside, wire

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running import RunningServer


KEEP_ONE = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1},
                "action": {"type": "expire"},
            }
        ]
    }
)


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Api]:
    made = Api(server)
    yield made
    made.close()


def test_every_operation_of_the_model_is_offered() -> None:
    assert set(ECR) == set(OPERATIONS)


def test_differences_are_told_of_operations_and_in_sentences() -> None:
    assert set(DIFFERENCES) <= set(OPERATIONS)
    for one in (*EVERYWHERE, *(each for told in DIFFERENCES.values() for each in told)):
        assert one.what.endswith(".")
        assert one.why.endswith(".")


@pytest.mark.parametrize("operation", sorted(ECR))
def test_each_is_one_short_function(operation: str) -> None:
    source = inspect.getsource(ECR[operation])
    assert source.count("\n") <= 40
    assert (ECR[operation].__doc__ or "").strip().endswith(".")


@pytest.mark.parametrize("operation", sorted(ECR))
def test_every_broken_constraint_is_refused_at_its_place(api: Api, operation: str) -> None:
    """Each constraint of each member, broken once, through HTTP and a signature: the exception, the sentence."""
    errors = {error["shape"] for error in RAW["operations"][operation]["errors"]}
    code = INVALID if INVALID in errors else "ValidationException"
    for which, value, path, why in broken_inside(RAW["operations"][operation]["input"]["shape"], ""):
        body = json.dumps(wire(value)).encode()
        if len(body) > 1_000_000:
            continue  # the size of requests is test_http_edge_limits' matter; the rule itself test_service_model's
        told = api(operation, body).refusal
        expected = f"Invalid parameter at '{path}' failed to satisfy constraint: '{why}'"
        assert (which, told.message, told.code) == (which, expected, code)


@pytest.mark.parametrize("operation", sorted(ECR))
def test_what_is_no_request_is_refused(api: Api, operation: str) -> None:
    for body in (b"", b"[]", b"null", b'{"repositoryName":', b'{"repositoryName":"a","repositoryName":"b"}'):
        assert api(operation, body).refusal.code == "SerializationException"


@pytest.mark.parametrize(
    "operation",
    sorted(name for name in ECR if "nextToken" in RAW["shapes"][RAW["operations"][name]["input"]["shape"]]["members"]),
)
def test_a_made_up_page_token_is_refused(api: Api, ecr: Any, client: Any, repository: str, operation: str) -> None:
    from images import image, push  # noqa: PLC0415 - of this test alone

    pushed = image()
    push(client, repository, "v1", pushed)
    ecr.start_image_scan(repositoryName=repository, imageId={"imageTag": "v1"})
    ecr.start_lifecycle_policy_preview(repositoryName=repository, lifecyclePolicyText=KEEP_ONE)
    known = {
        "repositoryName": repository,
        "imageId": {"imageTag": "v1"},
        "subjectId": {"imageDigest": pushed.digest},
        "replicationBackfillId": "00000000-0000-4000-8000-000000000000",
    }
    members = RAW["shapes"][RAW["operations"][operation]["input"]["shape"]]["members"]
    given: dict[str, Any] = {key: value for key, value in known.items() if key in members}
    for token in ("x", "AAAA", ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]):
        told = api(operation, given | {"nextToken": token}).refusal
        sentence = (
            "Invalid parameter at 'nextToken' failed to satisfy constraint: "
            "'The nextToken is invalid for this caller and operation'"
        )
        assert (told.code, told.message) == (INVALID, sentence)
