"""Inputs of operations made from a service model: valid ones, and each constraint broken once.

The expected sentences are worked out here from the raw model, apart from the code that is tested.
"""

from __future__ import annotations

import base64
import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import botocore

if TYPE_CHECKING:
    from collections.abc import Iterator

_FILE = Path(botocore.__file__).parent / "data/ecr/2015-09-21/service-2.json.gz"
RAW: dict[str, Any] = json.loads(gzip.decompress(_FILE.read_bytes()))
OPERATIONS = list(RAW["operations"])
UPLOAD_ID = "0f8fad5b-d9cb-469f-a165-70867728950e"

# One text that matches each pattern of the model, long enough for the least length.
EXAMPLES = {
    "CredentialArn": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:ecr-pullthroughcache/name-AbCdEf",
    "CustomRoleArn": "arn:aws:iam::123456789012:role/r",
    "ImageTagMutabilityExclusionFilterValue": "latest*",
    "KmsKeyForRepositoryCreationTemplate": "arn:aws:kms:eu-west-1:123456789012:key/abc",
    "LayerDigest": "sha256:" + "a" * 64,
    "PrincipalArn": "arn:aws:iam::123456789012:role/scan/ner",
    "RegistryId": "123456789012",
    "Region": "eu-west-1",
    "ReplicationBackfillId": UPLOAD_ID,
    "SigningProfileArn": "arn:aws:signer:eu-west-1:123456789012:/signing-profiles/name",
    "UploadId": UPLOAD_ID,
}


def valid(name: str, *, full: bool, seen: tuple[str, ...] = ()) -> Any:
    """Make a value that the shape allows: with every member, or with those that must be."""
    shape = RAW["shapes"][name]
    kind = shape["type"]
    if kind == "structure":
        wanted = [key for key in shape["members"] if full or key in shape.get("required", ())]
        return {
            key: valid(shape["members"][key]["shape"], full=full, seen=(*seen, name))
            for key in wanted
            if shape["members"][key]["shape"] not in seen
        }
    if kind == "list":
        return [valid(shape["member"]["shape"], full=full, seen=seen)] * max(1, shape.get("min", 1))
    if kind == "map":
        return {valid(shape["key"]["shape"], full=full): valid(shape["value"]["shape"], full=full, seen=seen)}
    if "enum" in shape:
        return shape["enum"][0]
    scalars = {
        "string": EXAMPLES.get(name, "a" * max(3, shape.get("min", 0))),
        "integer": max(1, shape.get("min", 1)),
        "long": 2**40,
        "double": 7.5,
        "boolean": True,
        "timestamp": datetime(2026, 11, 23, 7, 15, 0, 250_000, tzinfo=UTC),
        "blob": b"\x00\xff layer",
    }
    return scalars[kind]


def wire(value: object) -> object:
    """Give the JSON form of a generated value."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, dict):
        return {key: wire(item) for key, item in value.items()}
    return [wire(item) for item in value] if isinstance(value, list) else value


def all_constraints(shape: dict[str, Any]) -> list[str]:
    kind = "value" if shape["type"] in ("integer", "long") else "length"
    texts = []
    if "max" in shape:
        texts.append(f"Member must have {kind} less than or equal to {shape['max']}")
    if "min" in shape:
        texts.append(f"Member must have {kind} greater than or equal to {shape['min']}")
    if "pattern" in shape:
        texts.append(f"Member must satisfy regular expression pattern: {shape['pattern']}")
    if "enum" in shape:
        texts.append(f"Member must satisfy enum value set: [{', '.join(shape['enum'])}]")
    return texts


def broken(name: str) -> Iterator[tuple[str, Any, str]]:  # noqa: C901 - a list of cases
    """Yield (which, a value that breaks one constraint of the shape itself, why)."""
    shape = RAW["shapes"][name]
    kind = shape["type"]
    bare = name in ("RepositoryName", "RegistryId")
    must = "must" if bare else "Member must"
    if kind in ("integer", "long"):
        if "min" in shape:
            yield "min", shape["min"] - 1, f"Member must have value greater than or equal to {shape['min']}"
        if "max" in shape:
            yield "max", shape["max"] + 1, f"Member must have value less than or equal to {shape['max']}"
        return

    def size(length: int) -> object:
        if kind == "list":
            return [valid(shape["member"]["shape"], full=False)] * length
        return bytes(length) if kind == "blob" else "a" * length

    if shape.get("min"):
        yield (
            "min",
            size(shape["min"] - 1),
            f"{must} have length greater than or equal to {shape['min']}",
        )
    if "max" in shape:
        yield "max", size(shape["max"] + 1), f"{must} have length less than or equal to {shape['max']}"
    if "pattern" in shape:
        why = f"Member must satisfy regular expression pattern: {shape['pattern']}"
        if bare:
            why = f"must satisfy regular expression '{shape['pattern']}'"
        good = valid(name, full=False)
        yield "pattern", good[:-1] + "\u00e9", why
        yield "line break", good[:-1] + "\n", why
    if "enum" in shape:
        yield "enum", "NOT_ONE", f"Member must satisfy enum value set: [{', '.join(shape['enum'])}]"


Case = tuple[str, Any, str, str]


def broken_inside(name: str, path: str, seen: tuple[str, ...] = ()) -> Iterator[Case]:  # noqa: C901 - a tree of cases
    """Yield (which, a value of the shape with one thing broken somewhere inside, path, why)."""
    shape = RAW["shapes"][name]
    for which, value, why in broken(name):
        yield f"{path} {which}", value, path, why
    if shape["type"] == "list":
        inner = shape["member"]["shape"]
        size = max(1, shape.get("min", 1))
        if RAW["shapes"][inner]["type"] == "structure":
            for which, value, where, why in broken_inside(inner, f"{path}.1.member", seen):
                yield which, [value] * size, where, why
        else:
            texts = all_constraints(RAW["shapes"][inner])
            for which, value, _, _ in broken_inside(inner, path, seen):
                yield (
                    f"{which} inside",
                    [value] * size,
                    path,
                    f"Member must satisfy constraint: [{', '.join(texts)}]",
                )
        yield f"{path} null", [None] * size, path, "Member must satisfy constraint: [Member must not be null]"
    if shape["type"] == "structure" and name not in seen:
        good = valid(name, full=False)
        prefix = f"{path}." if path else ""
        for key in shape.get("required", ()):
            for nothing in ({}, {key: None}):
                less = {other: value for other, value in good.items() if other != key} | nothing
                yield f"{prefix}{key} missing", less, prefix + key, "Member must not be null"
        for key, ref in shape["members"].items():
            for which, value, where, why in broken_inside(ref["shape"], prefix + key, (*seen, name)):
                yield which, good | {key: value}, where, why
