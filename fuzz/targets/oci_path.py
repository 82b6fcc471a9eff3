"""A path names one thing of the API and is never decoded into a longer path, or it is refused with NameInvalid."""

from __future__ import annotations

from holdfast.core import errors
from holdfast.core.reference import parse_repository_name
from holdfast.faces.http import Request
from holdfast.faces.oci_call import OCICall, parse_path, target_of

SEEDS = (
    b"/v2/", b"/v2/_catalog\nn=10&last=a", b"/v2/demo/app/manifests/v1\ntag=a&tag=b", b"/v2/a/manifests/manifests/v1",
    b"/v2/demo/app/blobs/sha256:" + b"a" * 64, b"/v2/demo/app/blobs/uploads/",
    b"/v2/a/blobs/uploads/0f8f\ndigest=x&digest=y",
    b"/v2/a%2fb/tags/list", b"/v2/a/referrers/sha256%3a00\nartifactType=a%20b", b"/v2/../../etc/passwd",
)  # fmt: skip
WORDS = (
    b"/manifests/", b"/blobs/", b"uploads/", b"/tags/list", b"/referrers/", b"%2f", b"%00", b"%ff", b"%c0%ae",
    b"//", b"/../",
    b"n=", b"&", b"=", b";", b"mount=", b"from=", b"%zz", b"+", b"\n",
)  # fmt: skip
COVERS = ("faces/oci_call.py",)
PARSERS = ("faces.oci_call.OCICall.page", "faces.oci_call.OCICall.query", "faces.oci_call.parse_path")


def check(data: bytes) -> None:
    """Read a path and a query."""
    path, _, query = data.decode("latin-1").partition("\n")
    path = "/v2/" + path.removeprefix("/v2/")
    try:
        target = target_of(path)
    except errors.NameInvalid:
        return
    if target.name:
        assert path.startswith(f"/v2/{target.name}/")
        try:
            parse_repository_name(target.name)
            assert "%" not in target.name
            assert ".." not in target.name
        except errors.NameInvalid:
            pass
    assert parse_path(path) == target
    call = OCICall(Request("GET", path, query, {}), target, None, None)  # type: ignore[arg-type] # not asked here
    for ask in (call.query, call.page):
        try:
            ask()
        except (errors.ParameterInvalid, errors.DigestInvalid) as error:
            assert error.message.isprintable()
