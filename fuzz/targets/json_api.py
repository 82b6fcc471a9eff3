"""A body is read into the operation's own members, or refused with SerializationError or InvalidParameter."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from holdfast.faces.service_model import InvalidParameter, SerializationError, ServiceModel

_ECR = ServiceModel.from_botocore("ecr")
_OURS = ServiceModel.from_file(
    Path(str(resources.files("holdfast") / "service" / "holdfast" / "2026-11-01" / "service-2.json"))
)
SEEDS = (
    b'PutImage\n{"repositoryName":"demo/app","imageManifest":"{}","imageTag":"v1"}',
    b'UploadLayerPart\n{"partLastByte":2,"layerPartBlob":"AAAA","repositoryName":"a/b","uploadId":"0f8f","partFirstByte":0}',
    b'CreateRepository\n{"repositoryName":"a/b","tags":[{"Key":"a","Value":"b"}],"imageTagMutability":"IMMUTABLE"}',
    b'CreatePrincipal\n{"name":"n","policies":["{}"]}',
    b'PutQuotas\n{"repositoryName":"a/b","images":-1}',
    b'BatchGetImage\n{"repositoryName":"a/b","imageIds":[{"imageTag":"x"},{"imageDigest":"sha256:aa"}]}',
)
WORDS = (
    b'"layerPartBlob":"', b'"layerPartBlob"', b'\\"', b'"repositoryName":', b"null", b'"maxResults":1001',
    b"\\u0061", b"=", b"/",
    b"DescribeImages\n", b"UploadLayerPart\n", b"AAAA" * 8, b'{"', b'"imageIds":[', b"9" * 30,
)  # fmt: skip
COVERS = ("faces/service_model.py", "faces/service_shapes.py")
PARSERS = ("faces.service_model.ServiceModel.parse",)


def check(data: bytes) -> None:
    """Read the name of an operation, then its body; once more as large as bodies with a blob are."""
    name, _, body = data.partition(b"\n")
    for model in (_ECR, _OURS):
        operation = name.decode("latin-1") if name.decode("latin-1") in model.operations else model.operations[0]
        read = _parsed(model, operation, body)
        padded = body.rstrip().removesuffix(b"}") + b" " * 70_000 + b"}" if body.rstrip().endswith(b"}") else None
        if padded is not None:
            assert _parsed(model, operation, padded) == read


def _parsed(model: ServiceModel, operation: str, body: bytes) -> object:
    try:
        return model.parse(operation, body)
    except (InvalidParameter, SerializationError) as error:
        assert error.message.isprintable() or "\\" in error.message
        return error.code
