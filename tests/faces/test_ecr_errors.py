"""What is wrong is told as AWS tells it: the right exception, HTTP 400, never a 5xx, and nothing done."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from holdfast.core import errors
from holdfast.faces.ecr import ERRORS, MAX_BODY_BYTES
from holdfast.faces.ecr_operations import ECR
from holdfast.faces.holdfast_operations import HOLDFAST
from holdfast.faces.service_model import COMMON_ERRORS
from images import digest_of, image, push
from json_api import HOLDFAST_TARGET, INVALID, JSON_TYPE, OTHER_ACCOUNT, Api, Refusal, constraint, no_repository
from running import running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from running import Client, RunningServer

Model = dict[str, Any]

_OURS = Path(__file__).parents[2] / "src/holdfast/service/holdfast/2026-11-01/service-2.json"
_AWS = Path(botocore.__file__).parent / "data/ecr/2015-09-21/service-2.json.gz"
AWS_MODEL: Model = json.loads(gzip.decompress(_AWS.read_bytes()))
OUR_MODEL: Model = json.loads(_OURS.read_text("utf-8"))
UPLOAD_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"

OFFERED = [("ecr", AWS_MODEL, name) for name in sorted(ECR)] + [
    ("holdfast", OUR_MODEL, name) for name in sorted(HOLDFAST)
]
IDS = [f"{service}.{name}" for service, _, name in OFFERED]


def target(model: Model, operation: str) -> str:
    return f"{model['metadata']['targetPrefix']}.{operation}"


@pytest.fixture(scope="module")
def api(server: RunningServer) -> Iterator[Api]:
    made = Api(server)
    yield made
    made.close()


@pytest.fixture(scope="module")
def own_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A server that may be set to anything: others would be surprised by what made-up requests leave behind."""
    with running(settings(tmp_path_factory.mktemp("anything"))) as up:
        made = Api(up)
        yield made
        made.close()


@pytest.fixture(scope="module")
def strict_api(strict: RunningServer) -> Iterator[Api]:
    made = Api(strict)
    yield made
    made.close()


# --- what is offered -------------------------------------------------------------------------------------------------


def test_every_operation_of_our_own_model_is_offered_and_no_other() -> None:
    assert set(HOLDFAST) == set(OUR_MODEL["operations"])


@pytest.mark.parametrize(
    "name",
    [
        "x",
        "PutImage",
        ".PutImage",
        "AmazonEC2ContainerRegistry_V20150921",
        "AmazonEC2ContainerRegistry_V20150921.",
        "AmazonEC2ContainerRegistry_V20150921.putImage",
        "AmazonEC2ContainerRegistry_V20150921.PutImage.PutImage",
        "AmazonEC2ContainerRegistry_V20150921.ListPrincipals",
        "AmazonEC2ContainerRegistry_V20150921.__class__",
        "Holdfast_V20261101.PutImage",
        "Holdfast_V20261101.",
        "amazonec2containerregistry_v20150921.PutImage",
        "AmazonEC2ContainerRegistry_V20201030.PutImage",
        "AmazonEC2ContainerRegistry_V20150921." + "x" * 4_000,
    ],
)
def test_a_target_that_names_no_operation(api: Api, name: str) -> None:
    prepared = api.prepare("DescribeRepositories")
    headers = api.prepare(name if "." in name else f"{name}.", b"{}").headers | {"X-Amz-Target": name}
    prepared.headers.clear()
    prepared.headers.update(headers)
    refused = api.send(prepared).refusal
    assert refused == Refusal("UnknownOperationException", "X-Amz-Target names no operation of this service.")


def test_no_target_is_an_unknown_operation_and_other_methods_are_told_where_they_are(
    server: RunningServer, client: Client
) -> None:
    anonymous = server.anonymous()
    for headers in ({}, {"X-Amz-Target": ""}):
        answer = anonymous("POST", "/", b"{}", headers)
        assert (answer.status, answer.json()["__type"]) == (400, "UnknownOperationException")
        assert answer.headers["Content-Type"] == JSON_TYPE
    for method, status in (("GET", 200), ("HEAD", 200), ("PUT", 405), ("DELETE", 405), ("PATCH", 405)):
        assert client(method, "/").status == status
    anonymous.close()


# --- the tables ------------------------------------------------------------------------------------------------------


def every_error(base: type[errors.HoldfastError] = errors.HoldfastError) -> Iterator[type[errors.HoldfastError]]:
    for one in base.__subclasses__():
        yield one
        yield from every_error(one)


def test_every_error_has_its_exceptions_and_the_last_fits_any_operation() -> None:
    assert set(ERRORS) == set(every_error())
    known = {
        name for model in (AWS_MODEL, OUR_MODEL) for name, shape in model["shapes"].items() if shape.get("exception")
    } | set(COMMON_ERRORS)
    for error, codes in ERRORS.items():
        assert codes, error
        assert set(codes) <= known, error
        for model in (AWS_MODEL, OUR_MODEL):
            shape = model["shapes"].get(codes[-1], {})
            assert shape.get("exception") or codes[-1] in COMMON_ERRORS, (error, codes[-1])


def test_only_our_own_trouble_is_told_as_a_5xx() -> None:
    for error, codes in ERRORS.items():
        for code in codes:
            shape = AWS_MODEL["shapes"].get(code, OUR_MODEL["shapes"].get(code, {}))
            is_ours = COMMON_ERRORS.get(code, 500 if shape.get("fault") else 400) >= 500
            # A failure upstream is an exception of ECR's own where it has one: 400, as all that it models.
            assert is_ours == (error.fault != "caller") or error.fault == "upstream", (error, code)


# --- parameters that break the model ---------------------------------------------------------------------------------

EXAMPLES = {
    "AccountId": "123456789012",
    "CustomRoleArn": "arn:aws:iam::123456789012:role/r",
    "CredentialArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecr-pullthroughcache/name-AbCdEf",
    "ImageTagMutabilityExclusionFilterValue": "latest*",
    "KmsKeyForRepositoryCreationTemplate": "arn:aws:kms:eu-west-1:123456789012:key/abc",
    "LayerDigest": "sha256:" + "a" * 64,
    "PrincipalArn": "arn:aws:iam::123456789012:role/scanner",
    "Region": "eu-west-1",
    "RegistryId": "123456789012",
    "ReplicationBackfillId": UPLOAD_ID,
    "SigningProfileArn": "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/name",
    "UploadId": UPLOAD_ID,
}


def valid(model: Model, name: str) -> Any:
    """Make the least JSON value that a shape allows."""
    shape = model["shapes"][name]
    kind = shape["type"]
    if kind == "structure":
        return {key: valid(model, shape["members"][key]["shape"]) for key in shape.get("required", ())}
    if kind == "list":
        return [valid(model, shape["member"]["shape"])] * max(1, shape.get("min", 1))
    if kind == "map":
        return {}
    if "enum" in shape:
        return shape["enum"][0]
    values: dict[str, Any] = {
        "string": EXAMPLES.get(name, "a" * max(3, shape.get("min", 0))),
        "integer": max(1, shape.get("min", 1)),
        "long": max(1, shape.get("min", 1)),
        "boolean": True,
        "blob": "AAAA",
    }
    return values[kind]


def breaking(model: Model, name: str) -> Iterator[Any]:
    """Yield JSON values of the right type, each breaking one constraint of the shape itself or of one inside."""
    shape = model["shapes"][name]
    kind = shape["type"]
    if kind in ("integer", "long"):
        yield from (shape[bound] + step for bound, step in (("min", -1), ("max", 1)) if bound in shape)
    elif kind == "list":
        inner = shape["member"]["shape"]
        yield from ([valid(model, inner)] * count for count in sizes(shape))
        yield [None]
        yield from ([bad] for bad in breaking(model, inner))
    elif kind == "structure":
        good = valid(model, name)
        for key in shape.get("required", ()):
            yield {other: value for other, value in good.items() if other != key}
            yield good | {key: None}
        for key, ref in shape["members"].items():
            yield from (good | {key: bad} for bad in breaking(model, ref["shape"]))
    elif kind == "blob":
        yield from (base64.b64encode(bytes(count)).decode() for count in sizes(shape))
    elif kind == "string":
        yield from ("a" * count for count in sizes(shape))
        if "pattern" in shape:
            yield from (valid(model, name)[:-1] + bad for bad in ("\u00e9", "\n", "\x00", "\u0660"))
        if "enum" in shape:
            yield from ("", "NOT_ONE", shape["enum"][0].swapcase())


def sizes(shape: dict[str, Any]) -> Iterator[int]:
    if shape.get("min"):
        yield shape["min"] - 1
    if "max" in shape and shape["max"] < 1_000_000:  # the large ones have tests of their own
        yield shape["max"] + 1


def broken_calls(model: Model, operation: str) -> list[tuple[str, Any]]:
    """List (member, parameters) that break one constraint of the operation's input."""
    name = model["operations"][operation]["input"]["shape"]
    shape, good = model["shapes"][name], valid(model, name)
    found: list[tuple[str, Any]] = []
    for key in shape.get("required", ()):
        found.append((key, {other: value for other, value in good.items() if other != key}))
        found.append((key, good | {key: None}))
    for key, ref in shape["members"].items():
        found += [(key, good | {key: bad}) for bad in breaking(model, ref["shape"])]
    return found


@pytest.mark.parametrize(("service", "model", "operation"), OFFERED, ids=IDS)
def test_every_member_that_breaks_the_model_is_refused_by_its_name(
    api: Api, service: str, model: Model, operation: str
) -> None:
    cases = broken_calls(model, operation)
    assert cases or not constrained(model, operation), f"{service} {operation} has constraints and no case"
    for member, parameters in cases:
        code, message = api(target(model, operation), parameters).refusal
        assert code == INVALID, (parameters, message)
        assert message.startswith(f"Invalid parameter at '{member}"), (parameters, message)
        assert "' failed to satisfy constraint: '" in message
        assert message.endswith("'")


def constrained(model: Model, operation: str) -> bool:
    shape = model["shapes"][model["operations"][operation]["input"]["shape"]]
    bounds = {"min", "max", "pattern", "enum"}
    return bool(shape.get("required")) or any(
        bounds & set(model["shapes"][ref["shape"]]) for ref in shape["members"].values()
    )


WRONG: dict[str, list[Any]] = {
    "string": [1, 1.5, True, [], {}, ["a"]],
    "integer": ["1", 1.5, True, [], {}, 2**31, -(2**31) - 1],
    "long": ["1", 1.5, False, [], {}, 2**63],
    "boolean": ["true", 1, 0, [], {}],
    "list": [1, "a", True, {}, [[[]]]],
    "structure": [1, "a", True, []],
    "map": [1, "a", True, []],
    "blob": [1, True, [], {}, "A", "AA=A", "\u00e9AAA", "AAA\n", "-_-_", "AB=="],
}


@pytest.mark.parametrize(("service", "model", "operation"), OFFERED, ids=IDS)
def test_every_member_of_a_wrong_type_is_a_serialization_error(
    api: Api, service: str, model: Model, operation: str
) -> None:
    name = model["operations"][operation]["input"]["shape"]
    good = valid(model, name)
    for member, ref in model["shapes"][name]["members"].items():
        for wrong in WRONG[model["shapes"][ref["shape"]]["type"]]:
            code, message = api(target(model, operation), good | {member: wrong}).refusal
            assert code == "SerializationException", (service, member, wrong, message)


def test_a_token_of_a_page_is_checked_before_anything_is_read(api: Api) -> None:
    for model, operation in ((AWS_MODEL, "DescribeRepositories"), (OUR_MODEL, "ListPrincipals")):
        for token in ("", "x", "0", "a" * 5_000, "\u0000", "' OR 1=1 --"):
            code, message = api(target(model, operation), {"nextToken": token}).refusal
            why = "The nextToken is invalid for this caller and operation"
            assert (code, message) == (INVALID, constraint("nextToken", why))


# --- repositories and registries that are not there ------------------------------------------------------------------

A_POLICY = json.dumps(
    {
        "rules": [
            {
                "rulePriority": 1,
                "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
                "action": {"type": "expire"},
            }
        ]
    }
)
AN_INDEX = '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'


A_RULE = {
    "rulePriority": 1,
    "selection": {"tagStatus": "untagged", "countType": "imageCountMoreThan", "countNumber": 1},
    "action": {"type": "expire"},
}
NEED_NO_REPOSITORY = {"CreateRepository", "BatchGetRepositoryScanningConfiguration"}
"""Operations that make the repository, or list those that are not there."""


def in_a_repository(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every operation of ECR's that names a repository, with parameters that are well."""
    for operation in sorted(ECR):
        shape = AWS_MODEL["operations"][operation]["input"]["shape"]
        parameters = valid(AWS_MODEL, shape)
        members = AWS_MODEL["shapes"][shape]["members"]
        if operation == "PutImage":
            parameters |= {"imageManifest": AN_INDEX, "imageTag": "v1"}
        if operation == "ListImageReferrers":
            parameters |= {"subjectId": {"imageDigest": "sha256:" + "0" * 64}}
        if operation == "SetRepositoryPolicy":
            allowed = {"Effect": "Allow", "Principal": "*", "Action": "ecr:BatchGetImage"}
            parameters |= {"policyText": json.dumps({"Statement": allowed})}
        if "lifecyclePolicyText" in members:
            parameters |= {"lifecyclePolicyText": A_POLICY}
        if operation == "UploadLayerPart":
            parameters |= {"partFirstByte": 0, "partLastByte": 2}
        if operation == "PutLifecyclePolicy":
            parameters |= {"lifecyclePolicyText": json.dumps({"rules": [A_RULE]})}
        if "repositoryName" in members:
            yield operation, parameters | {"repositoryName": name}
        elif "repositoryNames" in members:
            yield operation, parameters | {"repositoryNames": [name]}


def test_every_operation_on_a_repository_that_is_not_there_says_so_and_makes_none(
    strict_api: Api, repository: str
) -> None:
    for operation, parameters in in_a_repository(repository):
        if operation not in NEED_NO_REPOSITORY:
            assert strict_api(operation, parameters).refusal == no_repository(repository), operation
    names = [one["repositoryName"] for one in strict_api("DescribeRepositories").json()["repositories"]]
    assert repository not in names


def test_the_registry_of_another_account_is_as_one_where_nothing_is(api: Api, client: Client, repository: str) -> None:
    pushed = image()
    push(client, repository, "v1", pushed)
    for operation, parameters in in_a_repository(repository):
        if "registryId" not in AWS_MODEL["shapes"][AWS_MODEL["operations"][operation]["input"]["shape"]]["members"]:
            continue
        told = api(operation, parameters | {"registryId": OTHER_ACCOUNT}).refusal
        if operation == "CreateRepository":
            assert told.code == INVALID
        elif operation == "DescribeRepositories":
            assert told.code == "RepositoryNotFoundException"
        else:
            assert told == no_repository(repository, OTHER_ACCOUNT), operation
    for operation in ("ForgetTag", "ListEntries", "ListTagHistory"):
        given_ = {"repositoryName": repository, "imageTag": "v1", "registryId": OTHER_ACCOUNT}
        assert api(f"{HOLDFAST_TARGET}.{operation}", given_).refusal.code == INVALID
    assert digest_of(client, repository, "v1") == pushed.digest


def test_the_registry_of_this_account_may_be_named(api: Api, client: Client, repository: str) -> None:
    push(client, repository, "v1", image())
    given_ = {"repositoryName": repository, "registryId": "123456789012"}
    assert len(api("ListImages", given_).json()["imageIds"]) == 1


# --- bodies ----------------------------------------------------------------------------------------------------------

BODIES = {
    "nothing": b"",
    "space": b" \n",
    "null": b"null",
    "array": b"[]",
    "array of objects": b'[{"repositoryName":"a/b"}]',
    "string": b'"repositoryName"',
    "number": b"1",
    "text": b"repositoryName=a/b",
    "truncated": b'{"repositoryName":"a/b"',
    "two": b'{"repositoryName":"a/b"}{}',
    "trailing NUL": b'{"repositoryName":"a/b"}\x00',
    "single quotes": b"{'repositoryName':'a/b'}",
    "comment": b'{"repositoryName":"a/b"/**/}',
    "byte-order mark": b'\xef\xbb\xbf{"repositoryName":"a/b"}',
    "UTF-16": '{"repositoryName":"a/b"}'.encode("utf-16"),
    "not UTF-8": b'{"repositoryName":"a/b\xff"}',
    "overlong UTF-8": b'{"repositoryName":"a\xc0\xafb"}',
    "half a surrogate": b'{"repositoryName":"\\ud800"}',
    "half a surrogate as key": b'{"\\ud800":1}',
    "duplicate key": b'{"repositoryName":"a/b","repositoryName":"a/b"}',
    "duplicate key by escape": b'{"repositoryName":"a/b","repositor\\u0079Name":"a/c"}',
    "duplicate key below": b'{"repositoryName":"a/b","tags":[{"Key":"a","Key":"b","Value":""}]}',
    "not a number": b'{"repositoryName":"a/b","maxResults":NaN}',
    "infinity": b'{"repositoryName":"a/b","maxResults":-Infinity}',
    "too large a number": b'{"repositoryName":"a/b","maxResults":1e999}',
    "5,000 digits": b'{"repositoryName":"a/b","maxResults":' + b"9" * 5_000 + b"}",
    "deep arrays": b'{"repositoryName":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep unknown member": b'{"repositoryName":"a/b","x":' + b"[" * 65 + b"]" * 65 + b"}",
    "open brackets": b"[" * 1_000_000,
}


@pytest.mark.parametrize("operation", ["CreateRepository", "UploadLayerPart", f"{HOLDFAST_TARGET}.CreatePrincipal"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_body_that_is_not_one_strict_object_is_a_serialization_error(api: Api, operation: str, body: bytes) -> None:
    code, message = api(operation, body).refusal
    assert code == "SerializationException"
    assert len(message) < 300
    assert message.isprintable()


def test_members_that_the_model_lacks_and_nulls_are_ignored_as_aws_does(api: Api, repository: str) -> None:
    body = {"repositoryName": repository, "RepositoryName": "x", "other": [1, {}], "tags": None, "__type": "x"}
    made = api("CreateRepository", body).json()["repository"]
    assert made["repositoryName"] == repository
    twin = api("DeleteRepository", {"RepositoryName": repository}).refusal
    assert twin == Refusal(INVALID, constraint("repositoryName", "Member must not be null"))


@pytest.mark.parametrize("content_type", ["", "application/json", "text/plain", "multipart/form-data; boundary=x"])
def test_the_content_type_does_not_matter_to_what_is_read(api: Api, repository: str, content_type: str) -> None:
    prepared = api.prepare("CreateRepository", {"repositoryName": repository}, more={"Content-Type": content_type})
    assert api.send(prepared).status == 200


def test_a_compressed_body_is_not_inflated(api: Api, repository: str) -> None:
    body = gzip.compress(json.dumps({"repositoryName": repository}).encode())
    refused = api.send(api.prepare("CreateRepository", body, more={"Content-Encoding": "gzip"})).refusal
    assert refused.code == "SerializationException"


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_forty_megabytes_is_refused_as_too_large(
    server: RunningServer,
    api: Api,
    chunked: bool,  # noqa: FBT001
) -> None:
    size = 40_000_000
    headers = api.prepare("PutImage", b"").headers
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    piece = bytes(1_000_000)
    body: Any = (piece for _ in range(size // len(piece))) if chunked else bytes(size)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the answer comes first, as it may
        connection.request("POST", "/", body, headers, encode_chunked=chunked)
    response = connection.getresponse()
    told = json.loads(response.read())
    assert (response.status, told["__type"]) == (413, "RequestEntityTooLargeException")
    assert told["message"] == f"The request is larger than {MAX_BODY_BYTES} bytes."
    connection.close()
    assert api("DescribeRepositories", {"maxResults": 1}).status == 200


def test_a_body_that_breaks_off_does_nothing_and_is_no_fault_of_the_server(
    server: RunningServer, api: Api, repository: str
) -> None:
    prepared = api.prepare("CreateRepository", {"repositoryName": repository})
    connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
    connection.putrequest("POST", "/", skip_host=True)
    for name, value in prepared.headers.items():
        connection.putheader(name, value)
    connection.putheader("Transfer-Encoding", "chunked")
    connection.endheaders()
    connection.send(b"%x\r\n%s\r\nNOT HEX\r\n\r\n" % (len(prepared.body), prepared.body))
    response = connection.getresponse()
    assert response.status == 400
    response.read()
    connection.close()
    for cut in (0, len(prepared.body) - 1):
        connection = http.client.HTTPConnection(server.host, server.port, timeout=60)
        connection.request("POST", "/", iter([prepared.body[:cut]]), prepared.headers | {"Content-Length": "99"})
        connection.close()
    assert api("DescribeRepositories", {"repositoryNames": [repository]}).refusal == no_repository(repository)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(ECR)), st.data())
def test_any_json_in_the_place_of_any_member_is_answered_and_never_a_5xx(
    own_api: Api, operation: str, data: st.DataObject
) -> None:
    name = AWS_MODEL["operations"][operation]["input"]["shape"]
    value = valid(AWS_MODEL, name)
    members = sorted(AWS_MODEL["shapes"][name]["members"])
    for key in data.draw(st.lists(st.sampled_from([*members, "other"]), min_size=1, max_size=3)):
        value[key] = data.draw(JSON_VALUES)
    reply = own_api(operation, json.dumps(value).encode())
    assert reply.status in {200, 400}, reply.body
    assert isinstance(reply.json(), dict)
    if reply.status == 400:
        assert reply.code
        assert reply.message


@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.sampled_from([*sorted(ECR), *(f"{HOLDFAST_TARGET}.{name}" for name in sorted(HOLDFAST))]), st.binary(max_size=60)
)
def test_any_bytes_are_answered_and_never_a_5xx(own_api: Api, operation: str, body: bytes) -> None:
    assert own_api(operation, body).status in {200, 400}


def test_requests_that_are_refused_disturb_no_other(server: RunningServer, client: Client, repository: str) -> None:
    """Bad and good requests at the same time, on the same connections."""
    pushed = image()
    push(client, repository, "v1", pushed)
    local = threading.local()

    def ask(number: int) -> bool:
        if not hasattr(local, "api"):
            local.api = Api(server)
        mine: Api = local.api
        if number % 3 == 0:
            return mine("ListImages", b"[").refusal.code == "SerializationException"
        if number % 3 == 1:
            return mine("ListImages", {"repositoryName": "A"}).refusal.code == INVALID
        found = mine("ListImages", {"repositoryName": repository}).json()["imageIds"]
        return bool(found == [{"imageDigest": pushed.digest, "imageTag": "v1"}])

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(150)))
