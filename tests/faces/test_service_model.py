"""The service model: botocore's own serializer and parser are the oracle for every operation.

Every constraint in the model is broken once, at every place where it stands, and must be reported there. The
expected sentences are worked out here from the raw model, apart from the code that is tested.
"""

from __future__ import annotations

import base64
import contextlib
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.model import ServiceModel as BotocoreModel
from botocore.parsers import create_parser
from botocore.serialize import create_serializer
from botocore.validate import ParamValidator
from hypothesis import given
from hypothesis import strategies as st

from holdfast.faces.service_model import (
    COMMON_ERRORS,
    InvalidParameter,
    ModelInvalid,
    SerializationError,
    ServiceModel,
    UnknownOperation,
)
from service_inputs import OPERATIONS, RAW, UPLOAD_ID, broken_inside, valid, wire

if TYPE_CHECKING:
    from pathlib import Path

ORACLE = BotocoreModel(RAW, "ecr")
MODEL = ServiceModel.from_botocore("ecr")


def body_of(operation: str, parameters: dict[str, Any]) -> bytes:
    """Serialize with botocore, which also checks what it can."""
    model = ORACLE.operation_model(operation)
    report = ParamValidator().validate(parameters, model.input_shape)
    assert not report.has_errors(), report.generate_report()
    body = create_serializer("json").serialize_to_request(parameters, model)["body"]
    assert isinstance(body, bytes)
    return body


def parse(operation: str, value: object) -> dict[str, Any]:
    return MODEL.parse(operation, json.dumps(value).encode())


# --- the model as a whole -------------------------------------------------------------------------------------------


def test_the_model_is_botocores() -> None:
    assert list(MODEL.operations) == OPERATIONS
    assert MODEL.target_prefix == "AmazonEC2ContainerRegistry_V20150921"
    assert MODEL.signing_name == "ecr"


def test_targets() -> None:
    assert MODEL.operation_of("AmazonEC2ContainerRegistry_V20150921.PutImage") == "PutImage"
    for target in ("", "PutImage", ".PutImage", "AmazonEC2ContainerRegistry_V20150921.", "x.PutImage"):
        with pytest.raises(UnknownOperation):
            MODEL.operation_of(target)
    for name in ("putImage", "PutImage ", "PutImage\n", "__init__"):
        with pytest.raises(UnknownOperation):
            MODEL.operation_of(f"AmazonEC2ContainerRegistry_V20150921.{name}")


@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_inputs_that_botocore_serializes_come_back(operation: str, full: bool) -> None:  # noqa: FBT001
    parameters = valid(RAW["operations"][operation]["input"]["shape"], full=full)
    assert MODEL.parse(operation, body_of(operation, parameters)) == parameters


@pytest.mark.parametrize("full", [False, True], ids=["minimal", "full"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_outputs_that_we_render_botocore_parses(operation: str, full: bool) -> None:  # noqa: FBT001
    result = valid(RAW["operations"][operation]["output"]["shape"], full=full)
    response = {"status_code": 200, "headers": {}, "body": MODEL.render(operation, result)}
    parsed = create_parser("json").parse(response, ORACLE.operation_model(operation).output_shape)
    parsed.pop("ResponseMetadata")
    assert parsed == result


# --- every constraint of the model, broken once ---------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_broken_constraint_is_reported_at_its_place(operation: str) -> None:
    errors = {error["shape"] for error in RAW["operations"][operation]["errors"]}
    code = "InvalidParameterException" if "InvalidParameterException" in errors else "ValidationException"
    for which, value, path, why in broken_inside(RAW["operations"][operation]["input"]["shape"], ""):
        with pytest.raises(InvalidParameter) as caught:
            parse(operation, wire(value))
        expected = f"Invalid parameter at '{path}' failed to satisfy constraint: '{why}'"
        assert (which, caught.value.message) == (which, expected)
        assert (caught.value.code, caught.value.status, caught.value.path) == (code, 400, path)


def test_the_sentences_that_were_recorded() -> None:
    recorded = {
        ("BatchDeleteImage", "repositoryName", "team/app", "imageIds", "[]"): (
            "Invalid parameter at 'imageIds' failed to satisfy constraint: "
            "'Member must have length greater than or equal to 1'"
        ),
        ("DescribeImages", "repositoryName", "team/app", "maxResults", "1001"): (
            "Invalid parameter at 'maxResults' failed to satisfy constraint: "
            "'Member must have value less than or equal to 1000'"
        ),
        ("GetAuthorizationToken", "x", "y", "registryIds", '["12345"]'): (
            "Invalid parameter at 'registryIds' failed to satisfy constraint: "
            "'Member must satisfy constraint: [Member must satisfy regular expression pattern: [0-9]{12}]'"
        ),
        ("CreateRepository", "x", "y", "repositoryName", '"a"'): (
            "Invalid parameter at 'repositoryName' failed to satisfy constraint: "
            "'must have length greater than or equal to 2'"
        ),
    }
    for (operation, key, value, name, given_text), sentence in recorded.items():
        with pytest.raises(InvalidParameter) as caught:
            parse(operation, {key: value, name: json.loads(given_text)})
        assert caught.value.message == sentence


def test_the_first_broken_member_in_the_models_order_is_reported() -> None:
    with pytest.raises(InvalidParameter) as caught:
        parse("ListImages", {"maxResults": 0, "repositoryName": "A"})
    assert caught.value.path == "repositoryName"


# --- JSON -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b'"x"',
        b"1",
        b"{",
        b"{}{}",
        b"{'a':1}",
        b"\xef\xbb\xbf{}",
        "{}".encode("utf-16"),
        b'{"a":"\xff"}',
        b'{"a":"\\ud800"}',
        b'{"\\ud800":1}',
        b'{"a":1,"a":1}',
        b'{"a":1,"\\u0061":1}',
        b'{"a":{"b":1,"b":2}}',
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":-Infinity}',
        b'{"a":1e999}',
        b'{"a":' + b"9" * 5_000 + b"}",
        b'{"a":' * 65 + b"1" + b"}" * 65,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":"\n"}',
        b'{"a":01}',
        b'{"repositoryName":"team/app"}\x00',
    ],
)
def test_only_strict_json_objects_are_read(body: bytes) -> None:
    with pytest.raises(SerializationError) as caught:
        MODEL.parse("DescribeRepositories", body)
    assert (caught.value.code, caught.value.status) == ("SerializationException", 400)
    assert len(caught.value.message) < 300


WRONG_TYPES: list[tuple[str, object, str]] = [
    ("repositoryNames", 1, "Expected list or null"),
    ("repositoryNames", "a", "Expected list or null"),
    ("repositoryNames", {}, "Expected list or null"),
    ("repositoryNames", [1], "NUMBER_VALUE can not be converted to a String"),
    ("repositoryNames", [True], "TRUE_VALUE can not be converted to a String"),
    ("repositoryNames", [False], "FALSE_VALUE can not be converted to a String"),
    ("repositoryNames", [{}], "Start of structure or map found where not expected."),
    ("repositoryNames", [[]], "Start of list found where not expected"),
    ("maxResults", "5", "STRING_VALUE can not be converted to an Integer"),
    ("maxResults", True, "TRUE_VALUE can not be converted to an Integer"),
    ("maxResults", 1.0, "NUMBER_VALUE can not be converted to an Integer"),
    ("maxResults", 2**31, "NUMBER_VALUE can not be converted to an Integer"),
]


@pytest.mark.parametrize(("member", "value", "message"), WRONG_TYPES)
def test_wrong_types(member: str, value: object, message: str) -> None:
    with pytest.raises(SerializationError) as caught:
        parse("DescribeRepositories", {member: value})
    assert caught.value.message == message


def test_wrong_types_of_structures_and_booleans() -> None:
    for value, message in (
        (1, "Expected null"),
        ("x", "Expected null"),
        ([], "Start of list found where not expected"),
    ):
        with pytest.raises(SerializationError) as caught:
            parse("CreateRepository", {"repositoryName": "team/app", "imageScanningConfiguration": value})
        assert caught.value.message == message
    for flag in (1, 0, "true"):
        with pytest.raises(SerializationError):
            parse("DeleteRepository", {"repositoryName": "team/app", "force": flag})


def test_a_wrong_type_is_reported_before_a_broken_constraint() -> None:
    with pytest.raises(SerializationError):
        parse("ListImages", {"repositoryName": "A", "maxResults": "x"})


def test_unknown_members_and_nulls_are_left_out() -> None:
    value = {"repositoryName": "team/app", "Repositoryname": 1, "other": {"x": [1]}, "force": None}
    assert parse("DeleteRepository", value) == {"repositoryName": "team/app"}


# --- blobs ----------------------------------------------------------------------------------------------------------


def part(blob: str, **more: object) -> dict[str, object]:
    start = {"repositoryName": "team/app", "uploadId": UPLOAD_ID, "partFirstByte": 0, "partLastByte": 9}
    return {**start, "layerPartBlob": blob, **more}


BAD_BASE64 = [
    "A",
    "AA",
    "AAA",
    "A===",
    "AA=A",
    "AAAA=",
    "====",
    "AA==AAAA",
    "AA!A",
    "AA A",
    "AAA\n",
    "-_-_",
    "AB==",
    "AAB=",
]


@pytest.mark.parametrize("padding", ["", "A" * 80_000], ids=["small", "big"])
@pytest.mark.parametrize("blob", [*BAD_BASE64, "\u00e9AAA"])
def test_blobs_are_strict_base64(blob: str, padding: str) -> None:
    with pytest.raises(SerializationError):
        parse("UploadLayerPart", part(padding + blob))


@given(st.binary(max_size=50), st.sampled_from([0, 60_001, 60_002]))
def test_blobs_come_back(content: bytes, zeros: int) -> None:
    blob = content + bytes(zeros)
    body = body_of("UploadLayerPart", part("") | {"layerPartBlob": blob})
    assert MODEL.parse("UploadLayerPart", body)["layerPartBlob"] == blob


def test_the_limit_of_a_part() -> None:
    limit = 20_971_520
    body = body_of("UploadLayerPart", part("") | {"layerPartBlob": bytes(limit)})
    assert len(MODEL.parse("UploadLayerPart", body)["layerPartBlob"]) == limit
    with pytest.raises(InvalidParameter) as caught:
        parse("UploadLayerPart", part(base64.b64encode(bytes(limit + 1)).decode()))
    assert caught.value.message.endswith("'Member must have length less than or equal to 20971520'")


BIG = "QUJD" * 30_000


@pytest.mark.parametrize(
    "body",
    [
        json.dumps(part(BIG)),
        json.dumps(part(BIG), indent=2),
        json.dumps(part(BIG)).replace('"layerPartBlob"', '"\\u006cayerPartBlob"'),
        json.dumps(part(BIG)).replace(BIG, BIG[:-4] + "\\u0051UJD"),
        json.dumps(part(BIG, other='"layerPartBlob":')),
        json.dumps(part(BIG, other={"layerPartBlob": "QQ=="})),
        json.dumps(part(BIG, other="layerPartBlob")),
        json.dumps(part(BIG, other="\\")),
    ],
)
def test_big_bodies_mean_the_same_however_they_are_spelled(body: str) -> None:
    assert MODEL.parse("UploadLayerPart", body.encode())["layerPartBlob"] == b"ABC" * 30_000


@pytest.mark.parametrize("blob", ["QQ==", ""])
@pytest.mark.parametrize("key", ['"layerPartBlob"', '"\\u006cayerPartBlob"'])
@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    "decoy",
    [
        f'"other": {{"layerPartBlob": "{BIG}"}}',
        f'"\\"layerPartBlob": "{BIG}"',
        f'"other": ["layerPartBlob", "{BIG}"]',
        f'"other": "layerPartBlob", "more": "{BIG}"',
    ],
)
def test_look_alikes_of_the_blob_are_not_the_blob(decoy: str, first: bool, key: str, blob: str) -> None:  # noqa: FBT001
    rest = json.dumps(part(blob)).replace('"layerPartBlob"', key)[1:-1]
    body = f"{{{decoy}, {rest}}}" if first else f"{{{rest}, {decoy}}}"
    assert MODEL.parse("UploadLayerPart", body.encode())["layerPartBlob"] == base64.b64decode(blob)


def test_a_blob_that_stands_elsewhere_is_missing_and_one_that_stands_twice_is_refused() -> None:
    rest = {key: value for key, value in part("").items() if key != "layerPartBlob"}
    with pytest.raises(InvalidParameter) as caught:
        parse("UploadLayerPart", {**rest, "other": {"layerPartBlob": BIG}})
    assert caught.value.path == "layerPartBlob"
    for second in ('"layerPartBlob": ""', f'"layerPartBlob": "{BIG}"', '"\\u006cayerPartBlob": ""'):
        with pytest.raises(SerializationError):
            MODEL.parse("UploadLayerPart", f"{json.dumps(part(BIG))[:-1]}, {second}}}".encode())


def test_a_big_body_is_refused_for_the_same_reasons_as_a_small_one() -> None:
    for change in ({"partFirstByte": -1}, {"uploadId": "x"}, {"repositoryName": None}):
        messages = []
        for blob in ("QUJD", BIG):
            with pytest.raises(InvalidParameter) as caught:
                parse("UploadLayerPart", part(blob, **change))
            messages.append(caught.value.message)
        assert messages[0] == messages[1]


# --- garbage --------------------------------------------------------------------------------------------------------

_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def read_or_refuse(operation: str, body: bytes) -> None:
    with contextlib.suppress(SerializationError, InvalidParameter):
        assert isinstance(MODEL.parse(operation, body), dict)


@given(st.sampled_from(OPERATIONS), st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(operation: str, body: bytes) -> None:
    read_or_refuse(operation, body)


@given(st.sampled_from(OPERATIONS), st.data())
def test_any_json_in_the_place_of_any_member_is_read_or_refused(operation: str, data: st.DataObject) -> None:
    name = RAW["operations"][operation]["input"]["shape"]
    value = wire(valid(name, full=True))
    assert isinstance(value, dict)
    for key in data.draw(st.lists(st.sampled_from([*value, "other"]), max_size=3)):
        value[key] = data.draw(_JSON)
    read_or_refuse(operation, json.dumps(value, ensure_ascii=data.draw(st.booleans())).encode("utf-8", "surrogatepass"))


# --- rendering ------------------------------------------------------------------------------------------------------


def test_nones_are_left_out_and_text_is_utf8() -> None:
    body = MODEL.render("DescribeImages", {"imageDetails": [{"imageDigest": "caf\u00e9", "imageTags": None}]})
    assert body == '{"imageDetails":[{"imageDigest":"caf\u00e9"}]}'.encode()


def test_times_are_epoch_seconds_with_milliseconds() -> None:
    moment = datetime(2026, 11, 23, 7, 15, 0, 123_456, tzinfo=UTC)
    for value, shown in (
        (moment, "1795418100.123"),
        (1795418100, "1795418100"),
        (1795418100.5, "1795418100.5"),
    ):
        body = MODEL.render("DescribeImages", {"imageDetails": [{"imagePushedAt": value}]})
        assert body.decode() == f'{{"imageDetails":[{{"imagePushedAt":{shown}}}]}}'


@pytest.mark.parametrize(
    ("result", "place"),
    [
        ({"other": 1}, "other"),
        ({"imageDetails": [{"imageSize": 1}]}, "imageDetails[0].imageSize"),
        ({"imageDetails": "x"}, "imageDetails"),
        ({"imageDetails": [1]}, "imageDetails[0]"),
        ({"imageDetails": [{"imageDigest": b"x"}]}, "imageDetails[0].imageDigest"),
        ({"imageDetails": [{"imageSizeInBytes": "1"}]}, "imageDetails[0].imageSizeInBytes"),
        ({"imageDetails": [{"imageSizeInBytes": True}]}, "imageDetails[0].imageSizeInBytes"),
        ({"imageDetails": [{"imageStatus": "GONE"}]}, "imageDetails[0].imageStatus"),
        ({"imageDetails": [{"imagePushedAt": datetime(2026, 1, 1)}]}, "imageDetails[0].imagePushedAt"),  # noqa: DTZ001
        ({"imageDetails": [{"imagePushedAt": "2026"}]}, "imageDetails[0].imagePushedAt"),
        ([], "the result"),
    ],
)
def test_what_the_model_lacks_is_a_bug_named_by_its_place(result: Any, place: str) -> None:
    with pytest.raises(TypeError) as caught:
        MODEL.render("DescribeImages", result)
    assert place in str(caught.value)


# --- errors ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [name for name, shape in RAW["shapes"].items() if shape.get("exception")])
def test_every_modelled_error_renders_as_botocore_parses_it(code: str) -> None:
    members = {key: value for key, value in valid(code, full=True).items() if key != "message"}
    status, body = MODEL.render_error(code, "why", members)
    assert status == (500 if code == "ServerException" else 400)
    response = {"status_code": status, "headers": {}, "body": body}
    assert create_parser("json").parse(response, None)["Error"] == {"Code": code, "Message": "why"}
    parsed = create_parser("json").parse(response, ORACLE.shape_for(code))
    assert {key: parsed[key] for key in members} == members


def test_an_error_must_be_modelled_for_the_operation() -> None:
    MODEL.render_error("RepositoryNotFoundException", "m", operation="PutImage")
    for code, operation in (
        ("LayersNotFoundException", "CreateRepository"),
        ("NoSuchException", "PutImage"),
        ("NoSuchException", None),
        ("Image", None),
    ):
        with pytest.raises(LookupError):
            MODEL.render_error(code, "m", operation=operation)
    with pytest.raises(TypeError):
        MODEL.render_error("RepositoryNotFoundException", "m", {"other": 1})
    with pytest.raises(TypeError):
        MODEL.render_error("AccessDeniedException", "m", {"other": 1})


def test_common_errors_are_allowed_everywhere() -> None:
    for code, status in COMMON_ERRORS.items():
        for operation in OPERATIONS:
            assert MODEL.error_shape(code, operation).status == status
    assert MODEL.render_error("UnknownOperationException", None) == (
        400,
        b'{"__type":"UnknownOperationException"}',
    )


# --- a model of our own ---------------------------------------------------------------------------------------------


def own(**shapes: object) -> dict[str, Any]:
    return {
        "metadata": {"protocol": "json", "targetPrefix": "Own_V1", "endpointPrefix": "own"},
        "operations": {"Do": {"name": "Do", "input": {"shape": "In"}, "errors": [{"shape": "Gone"}]}},
        "shapes": {
            "In": {"type": "structure", "members": {"tree": {"shape": "Tree"}, "names": {"shape": "Names"}}},
            "Tree": {"type": "structure", "members": {"below": {"shape": "Trees"}, "at": {"shape": "At"}}},
            "Trees": {"type": "list", "member": {"shape": "Tree"}},
            "At": {"type": "timestamp"},
            "Names": {"type": "map", "key": {"shape": "Key"}, "value": {"shape": "Key"}},
            "Key": {"type": "string", "max": 3},
            "Gone": {"type": "structure", "members": {}, "exception": True, "error": {"httpStatusCode": 404}},
            **shapes,
        },
    }


def test_a_model_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "service-2.json"
    path.write_text(json.dumps(own()))
    model = ServiceModel.from_file(path)
    value = {"tree": {"below": [{"below": []}, {"at": 5.5}]}, "names": {"a": "b"}}
    assert model.parse("Do", json.dumps(value).encode()) == value
    assert model.render("Do", {}) == b"{}"
    assert model.render_error("Gone", "m", operation="Do")[0] == 404
    for bad, path_text in (
        ({"names": {"long": "b"}}, "'names'"),
        ({"names": {"a": "long"}}, "'names.a.member'"),
    ):
        with pytest.raises(InvalidParameter) as caught:
            model.parse("Do", json.dumps(bad).encode())
        assert path_text in caught.value.message


def test_models_that_cannot_be_used(tmp_path: Path) -> None:
    bad: list[Any] = [
        {},
        [],
        {**own(), "metadata": {"protocol": "rest-json", "targetPrefix": "x", "endpointPrefix": "x"}},
        own(Key={"type": "string", "pattern": r"(a)\1"}),
        own(Key={"type": "document"}),
        own(At={"type": "timestamp", "timestampFormat": "iso8601"}),
        own(In={"type": "string"}),
        own(In={"type": "structure", "members": {"x": {"shape": "Nowhere"}}}),
    ]
    for document in bad:
        with pytest.raises(ModelInvalid):
            ServiceModel(document)
    for name, content in (("a.json", b"{"), ("b.json.gz", b"{}"), ("c.json", b"\xff")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ModelInvalid):
            ServiceModel.from_file(tmp_path / name)
    with pytest.raises(ModelInvalid):
        ServiceModel.from_file(tmp_path / "absent.json")
    with pytest.raises(ModelInvalid):
        ServiceModel.from_botocore("no-such-service")
