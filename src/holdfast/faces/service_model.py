"""Requests and replies of AWS JSON 1.1, parsed, checked and rendered from a service model (`service-2.json`).

This file alone decides what an operation's body may be: the shapes come from botocore's own data (read as
data: its loader and its classes are not imported, which spares 0.3 s and 20 MB at the start) or from a model
of ours, and are never typed again by hand. It knows nothing of HTTP but a status number, and nothing of what
operations do.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec
import re2

from holdfast.core import strict_json
from holdfast.faces.service_shapes import (
    BlobShape,
    BooleanShape,
    ListShape,
    MapShape,
    NumberShape,
    SerializationError,
    Shape,
    StringShape,
    StructureShape,
    TimestampShape,
    Violation,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["InvalidParameter", "ModelInvalid", "SerializationError", "ServiceModel", "UnknownOperation"]

COMMON_ERRORS: Final[Mapping[str, int]] = {
    "AccessDeniedException": 400,
    "ExpiredTokenException": 400,
    "IncompleteSignatureException": 400,
    "InternalFailure": 500,
    "InvalidSignatureException": 400,
    "MissingAuthenticationTokenException": 400,
    "RequestEntityTooLargeException": 413,
    "SerializationException": 400,
    "ServiceUnavailableException": 503,
    "ThrottlingException": 400,
    "UnknownOperationException": 400,
    "UnrecognizedClientException": 400,
    "ValidationException": 400,
}
"""Errors that any operation may answer though no model lists them, with their HTTP status.

AWS, "Common errors" of each API reference; the statuses are the AWS JSON protocols' (REST ones use 403 and
404).
"""

_PATTERN_OPTIONS: Final = re2.Options()
_PATTERN_OPTIONS.log_errors = False

_INVALID_PARAMETER: Final = "InvalidParameterException"
_VALIDATION: Final = "ValidationException"
_CLIENT_STATUS: Final = 400
_SERVER_STATUS: Final = 500
_NUMBERS: Final = frozenset({"integer", "long", "float", "double"})
_ENCODER: Final = msgspec.json.Encoder()
_SMALL_BODY_BYTES: Final = 65_536
"""Under this a body with a blob is parsed like any other: one copy more costs nothing."""


class ModelInvalid(Exception):
    """A service model that is absent or that we cannot run: ours or the installation's fault."""


class InvalidParameter(Exception):
    """A member that breaks a constraint of the model; the sentence is ECR's."""

    status: Final = _CLIENT_STATUS

    def __init__(self, violation: Violation, code: str = _INVALID_PARAMETER) -> None:
        self.code = code
        self.path = violation.path
        self.message = f"Invalid parameter at '{violation.path}' failed to satisfy constraint: '{violation.why}'"
        super().__init__(self.message)


class UnknownOperation(Exception):
    """A target that names no operation of this model."""

    code: Final = "UnknownOperationException"
    status: Final = _CLIENT_STATUS
    message: Final = "X-Amz-Target names no operation of this service."


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """One error: its HTTP status, and its members; None for a common one, which has only a message."""

    code: str
    status: int
    structure: StructureShape | None


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation's input, output and modelled errors. `blob` is the input's one top-level blob."""

    name: str
    input: StructureShape
    output: StructureShape
    errors: frozenset[str]
    blob: str | None

    @property
    def invalid_parameter_code(self) -> str:
        """The error for a broken constraint: one of ECR's operations models only ValidationException."""
        return _INVALID_PARAMETER if _INVALID_PARAMETER in self.errors or not self.errors else _VALIDATION


class ServiceModel:
    """One service's operations. Immutable once made; may be used from several threads at once."""

    __slots__ = ("_errors", "_operations", "signing_name", "target_prefix")

    def __init__(self, document: Mapping[str, Any]) -> None:
        """Compile a parsed `service-2.json`; ModelInvalid is the only error."""
        try:
            metadata = document["metadata"]
            if metadata["protocol"] != "json":
                raise ModelInvalid(f"the protocol is {metadata['protocol']}, not json")
            self.target_prefix: Final[str] = metadata["targetPrefix"]
            self.signing_name: Final[str] = metadata.get("signingName", metadata["endpointPrefix"])
            compiler = _Compiler(document["shapes"])
            self._operations: Final = {
                name: compiler.operation(name, described) for name, described in document["operations"].items()
            }
            self._errors: Final = {
                code: compiler.error(code)
                for code, described in document["shapes"].items()
                if described.get("exception")
            }
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            raise ModelInvalid(f"the service model cannot be used: {type(error).__name__}: {error}") from error

    @classmethod
    def from_botocore(cls, service: str) -> ServiceModel:
        """Load the newest version of a service's model from the installed botocore."""
        spec = importlib.util.find_spec("botocore")
        for place in (spec.submodule_search_locations or ()) if spec else ():
            for folder in sorted(Path(place, "data", service).glob("????-??-??"), reverse=True):
                for name in ("service-2.json.gz", "service-2.json"):
                    if (folder / name).is_file():
                        return cls.from_file(folder / name)
        raise ModelInvalid(f"no model of the service {service!r}: the package botocore is missing or incomplete")

    @classmethod
    def from_file(cls, path: Path) -> ServiceModel:
        """Load a `service-2.json`, or the same compressed with gzip."""
        try:
            content = path.read_bytes()
            document = json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
        except (OSError, EOFError, ValueError) as error:
            raise ModelInvalid(f"cannot read the service model {path}: {error}") from error
        return cls(document)

    @property
    def operations(self) -> tuple[str, ...]:
        """The names of all operations, in the model's order."""
        return tuple(self._operations)

    def operation_of(self, target: str) -> str:
        """Return the operation that a whole X-Amz-Target value names; UnknownOperation is the only error."""
        prefix, _, name = target.rpartition(".")
        if prefix != self.target_prefix or name not in self._operations:
            raise UnknownOperation
        return name

    def parse(self, operation: str, body: bytes) -> dict[str, Any]:
        """Return the operation's input: members by their model names, blobs as bytes, timestamps as numbers.

        Members that are null or absent are left out. Raises SerializationError for a body that is not strict
        JSON of the model's types, InvalidParameter for the first constraint broken in the model's order;
        KeyError for an operation that the model lacks (ask `operation_of` first).
        """
        described = self._operations[operation]
        found: list[Violation] = []
        result = _read_around_blob(described, body, found)
        if result is None:
            found.clear()
            try:
                value = strict_json.parse(body)
            except strict_json.StrictJSONError as error:
                raise SerializationError(f"The request body is not acceptable JSON: {error}") from None
            if not isinstance(value, dict):
                raise SerializationError("The request body must be a JSON object.")
            result = described.input.read(value, "", found)
        if found:
            raise InvalidParameter(found[0], described.invalid_parameter_code)
        return result

    def render(self, operation: str, result: Mapping[str, Any]) -> bytes:
        """Return the reply's body. None members are left out; bytes and times are encoded.

        Raises TypeError, naming the member, for what the model does not have: that is a bug of the caller.
        """
        return _encode(self._operations[operation].output.render(result))

    def error_shape(self, code: str, operation: str | None = None) -> ErrorShape:
        """Return an error by its code; LookupError unless it is common or modelled (for `operation`)."""
        if code in COMMON_ERRORS and code not in self._errors:
            return ErrorShape(code, COMMON_ERRORS[code], None)
        shape = self._errors.get(code)
        if shape is None:
            raise LookupError(f"the model has no error {code}")
        common = code in COMMON_ERRORS
        if operation is not None and not common and code not in self._operations[operation].errors:
            raise LookupError(f"the model has no error {code} for {operation}")
        return shape

    def render_error(
        self,
        code: str,
        message: str | None,
        members: Mapping[str, Any] | None = None,
        *,
        operation: str | None = None,
    ) -> tuple[int, bytes]:
        """Return the HTTP status and the body of an error, `members` being those beside the message.

        Raises LookupError as `error_shape` does, TypeError for members that the error does not have.
        """
        shape = self.error_shape(code, operation)
        body: dict[str, Any] = {"__type": code}
        if members and shape.structure is None:
            raise TypeError(f"{code} has no members but a message")
        if members and shape.structure is not None:
            body.update(shape.structure.render(members))
        if message is not None:
            body["message"] = message
        return shape.status, _encode(body)


def _encode(document: Mapping[str, Any]) -> bytes:
    return _ENCODER.encode(document)


def _read_around_blob(operation: Operation, body: bytes, found: list[Violation]) -> dict[str, Any] | None:
    """Read a body whose bulk is one top-level blob without making text of the blob; None if it is not such.

    The blob's characters are cut out, the rest is parsed as strictly as ever, and the cut-out is decoded
    where it lies. None leads to the ordinary way, which also finds the right error.
    """
    span = _blob_span(operation, body)
    if operation.blob is None or span is None:
        return None
    start, end = span
    shape = operation.input.members[operation.blob]
    assert isinstance(shape, BlobShape)  # noqa: S101 - `Operation.blob` names one
    too_long: list[Violation] = []
    try:
        rest = strict_json.parse(body[:start] + body[end:])
        if not isinstance(rest, dict) or rest.get(operation.blob) != "":
            return None
        blob = shape.decode(memoryview(body)[start:end], operation.blob, too_long)
    except ValueError:
        return None
    result = operation.input.read(rest, "", found)
    result[operation.blob] = blob
    found.extend(too_long)
    return result


def _blob_span(operation: Operation, body: bytes) -> tuple[int, int] | None:
    """Find where the characters of a big body's blob start and end, if that is certain.

    Certain: the quoted name stands once in the body and no backslash stands outside the blob. Then no other
    spelling of the name exists, so that a member of this name at the top, once the rest is parsed, is the one
    found here.
    """
    if operation.blob is None or len(body) < _SMALL_BODY_BYTES:
        return None
    key = f'"{operation.blob}"'.encode()
    at = body.find(key)
    quote = body.find(b'"', at + len(key))
    if at < 0 or quote < 0 or body.find(key, quote) >= 0 or body[at + len(key) : quote].strip(b" \t\r\n") != b":":
        return None
    start = quote + 1
    end = body.find(b'"', start)
    if end < 0 or body.find(b"\\", 0, start) >= 0 or body.find(b"\\", end) >= 0:
        return None
    return start, end


class _Compiler:
    """Turns the model's shapes into ours, once each; a shape may hold itself."""

    def __init__(self, shapes: Mapping[str, Any]) -> None:
        self._described: Final = shapes
        self._made: Final[dict[str, Shape]] = {}

    def operation(self, name: str, described: Mapping[str, Any]) -> Operation:
        inputs = self._structure(described.get("input"))
        blobs = [member for member, shape in inputs.members.items() if isinstance(shape, BlobShape)]
        return Operation(
            name=name,
            input=inputs,
            output=self._structure(described.get("output")),
            errors=frozenset(error["shape"] for error in described.get("errors", ())),
            blob=blobs[0] if len(blobs) == 1 else None,
        )

    def error(self, code: str) -> ErrorShape:
        described = self._described[code]
        structure = self._shape(code)
        assert isinstance(structure, StructureShape)  # noqa: S101 - only structures are exceptions
        default = _SERVER_STATUS if described.get("fault") else _CLIENT_STATUS
        status = described.get("error", {}).get("httpStatusCode", default)
        return ErrorShape(code, status, structure)

    def _structure(self, reference: Mapping[str, Any] | None) -> StructureShape:
        if reference is None:
            return StructureShape("")
        shape = self._shape(reference["shape"])
        if not isinstance(shape, StructureShape):
            raise TypeError(f"{shape.name} is not a structure")
        return shape

    def _shape(self, name: str) -> Shape:
        made = self._made.get(name)
        if made is None:
            made = self._make(name, self._described[name])
        return made

    def _make(self, name: str, described: Mapping[str, Any]) -> Shape:
        kind = described["type"]
        bounds = (described.get("min"), described.get("max"))
        if kind == "structure":
            structure = StructureShape(name, *bounds, required=tuple(described.get("required", ())))
            self._made[name] = structure
            structure.members.update({key: self._shape(ref["shape"]) for key, ref in described["members"].items()})
            return structure
        if kind == "list":
            listed = ListShape(name, *bounds)
            self._made[name] = listed
            listed.member = self._shape(described["member"]["shape"])
            return listed
        if kind == "map":
            mapped = MapShape(name, *bounds)
            self._made[name] = mapped
            mapped.key, mapped.value = (self._shape(described[part]["shape"]) for part in ("key", "value"))
            return mapped
        self._made[name] = _scalar(name, kind, bounds, described)
        return self._made[name]


def _scalar(name: str, kind: str, bounds: tuple[float | None, float | None], described: Mapping[str, Any]) -> Shape:
    if kind == "string":
        pattern = described.get("pattern")
        try:
            # RE2: a backtracking engine can be made to chew for ever on ECR's own patterns (registry scanning filters).
            compiled = None if pattern is None else re2.compile(pattern, _PATTERN_OPTIONS)
        except re2.error as error:
            raise ModelInvalid(f"the pattern of the shape {name}: {error}") from error
        return StringShape(name, *bounds, pattern=compiled, enum=tuple(described.get("enum", ())))
    if kind in _NUMBERS:
        return NumberShape(name, *bounds, kind=kind)
    simple = {"boolean": BooleanShape, "timestamp": TimestampShape, "blob": BlobShape}
    if kind not in simple or described.get("timestampFormat", "unixTimestamp") != "unixTimestamp":
        raise ModelInvalid(f"the shape {name} has the type {kind}, which is not supported")
    return simple[kind](name, *bounds)
