"""Two speakers of the ECR API, asked in the same words: boto3, and the aws command line.

This file alone knows how an operation is said in each. What must come of it is decided in `test_ecr_api.py`.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from botocore import xform_name
from botocore.exceptions import ClientError

from .clients import AWS, BOTO3, Client

if TYPE_CHECKING:
    from .workbench import Workbench

_ERROR: Final = re.compile(r"An error occurred \((\w+)\) when calling the \w+ operation: (.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Refused(Exception):
    """An error of the ECR API, as the speaker shows it."""

    exit_code: int
    code: str
    message: str


class Speaker(Protocol):
    """Something that calls operations of the ECR API."""

    def __init__(self, bench: Workbench) -> None:
        """Log in: each call is signed with the registry's access key pair."""

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """Call an operation; raises Refused."""


class Boto3:
    """The SDK, in this process."""

    def __init__(self, bench: Workbench) -> None:
        self._ecr = bench.registry.ecr()

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        try:
            return dict(getattr(self._ecr, xform_name(operation))(**parameters))
        except ClientError as error:
            told = error.response["Error"]
            raise Refused(1, told["Code"], told["Message"]) from error


class AwsCommand:
    """The command line: parameters become options, bytes and long text become files."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        bench.environment["AWS_ACCESS_KEY_ID"] = bench.registry.user
        bench.environment["AWS_SECRET_ACCESS_KEY"] = bench.registry.password

    def call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        words = ["ecr", xform_name(operation, "-"), "--endpoint-url", self._bench.registry.url, "--output", "json"]
        for name, value in parameters.items():
            words += [f"--{xform_name(name, '-')}", self._said(name, value)]
        ended = self._bench.run("aws", *words)
        if ended.succeeded:
            return dict(json.loads(ended.stdout or "{}"))
        told = _ERROR.search(ended.printed)
        assert told is not None, ended.told
        raise Refused(ended.exit_code, told.group(1), told.group(2).strip())

    def _said(self, name: str, value: Any) -> str:
        if isinstance(value, bytes) or name == "imageManifest":
            file = self._bench.folder / f"{name}-{uuid.uuid4().hex}.parameter"
            file.write_bytes(value if isinstance(value, bytes) else str(value).encode())
            return f"{'fileb' if isinstance(value, bytes) else 'file'}://{file}"
        return value if isinstance(value, str) else json.dumps(value)


SPEAKERS: Final[dict[Client, type[Speaker]]] = {BOTO3: Boto3, AWS: AwsCommand}
