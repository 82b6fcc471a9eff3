"""No made-up request makes SigV4 raise anything but SigV4Error, show a signature in a log, or verify."""

from __future__ import annotations

from datetime import UTC, datetime

from holdfast.core import sigv4

_GOOD = (
    b"POST\n/\n\nHost: localhost\nX-Amz-Date: 20260102T030405Z\nX-Amz-Target: A.B\n"
    b"Authorization: AWS4-HMAC-SHA256 Credential=AKIAHOLDFASTTESTS234/20260102/eu-central-1/ecr/aws4_request, "
    b"SignedHeaders=host;x-amz-date;x-amz-target, Signature=" + b"0a" * 32
)
SEEDS = (
    _GOOD,
    _GOOD.replace(b"/\n\n", b"/a%20b\nx=1&y=%zz\n"),
    _GOOD + b"\nX-Amz-Content-Sha256: UNSIGNED-PAYLOAD\nX-Amz-Security-Token: t",
    _GOOD.replace(b"\n\n", b"\nX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=x\n"),
)
WORDS = (
    b"Credential=", b"SignedHeaders=", b"Signature=", b"aws4_request", b";", b", ", b"AWS4-HMAC-SHA256 ", b"\nHost: x",
    b"\nX-Amz-Date: ", b"X-Amz-Signature=", b"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", b"20260102", b"\nDate: ",
    b"%2F", b"+",
)  # fmt: skip
COVERS = ("core/sigv4.py",)
PARSERS = ("core.sigv4.parse_authorization",)
_NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
_EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def check(data: bytes) -> None:
    """Read lines: method, path, query, then fields."""
    method, path, query, *lines = [*data.split(b"\n"), b"", b""][: max(3, data.count(b"\n") + 1)]
    fields = [(name.strip(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    try:
        signed = sigv4.parse_authorization(
            method.decode("latin-1"), path.decode("latin-1"), query.decode("latin-1"), fields
        )
    except sigv4.SigV4Error as error:
        assert error.code
        return
    assert signed.signature not in repr(signed) or not signed.signature
    try:
        sigv4.verify(signed, "a-secret", body_sha256=_EMPTY, region="eu-central-1", now=_NOW)
    except sigv4.SigV4Error:
        return
    message = "a made-up signature verified"
    raise AssertionError(message)
