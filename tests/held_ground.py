"""A held tag that must survive whatever a test does, and a client that checks the form of every answer."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from images import Image, digest_of, image, push
from running import Answer, Client

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from running import RunningServer

# Source: OCI distribution specification, "Error Codes", a closed list; and TAG_INVALID, which ECR and Docker add.
CODES = frozenset(
    {
        "BLOB_UNKNOWN", "BLOB_UPLOAD_INVALID", "BLOB_UPLOAD_UNKNOWN", "DIGEST_INVALID", "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID", "MANIFEST_UNKNOWN", "NAME_INVALID", "NAME_UNKNOWN", "SIZE_INVALID", "UNAUTHORIZED",
        "DENIED", "UNSUPPORTED", "TOOMANYREQUESTS", "TAG_INVALID",
    }
)  # fmt: skip


def check_form(answer: Answer, method: str = "GET") -> None:
    """Check what every answer of the OCI face has in common: it is no failure of ours, and an error has its shape."""
    assert answer.status < 500, (answer.status, answer.body)
    assert len(answer.headers["X-Request-Id"]) == 32
    assert answer.headers["Docker-Distribution-Api-Version"] == "registry/2.0"
    if answer.status == 401:
        assert answer.headers["WWW-Authenticate"]
    if answer.status == 429:
        assert int(answer.headers["Retry-After"]) >= 1
    if answer.status >= 400 and method != "HEAD":
        check_error(answer)


def check_error(answer: Answer) -> None:
    """Check the shape of an error: the specification's JSON, with one of its codes and a sentence for a person."""
    if answer.status == 416 and "Content-Range" in answer.headers:
        assert answer.body == b""  # of a read: RFC 9110 says all there is to say in the header
        return
    assert answer.headers["Content-Type"] == "application/json", answer.body
    document = answer.json()
    assert set(document) == {"errors"}
    assert len(document["errors"]) >= 1
    for error in document["errors"]:
        assert set(error) <= {"code", "message", "detail"}
        assert error["code"] in CODES
        assert error["message"]
        assert error["message"].isprintable()
        assert "Traceback" not in error["message"]
        assert "holdfast.db" not in str(error)


@dataclass
class WatchedClient(Client):
    """A client that checks the form of every answer it gets."""

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request, read the answer, check its form."""
        answer = super().__call__(method, path, body, headers)
        check_form(answer, method)
        return answer


def refused(answer: Answer, status: int, code: str) -> Answer:
    """Assert that a request was refused with this status and code."""
    assert answer.status == status, (answer.status, answer.body[:1_000])
    check_form(answer)
    assert answer.code == code, answer.body[:1_000]
    return answer


@dataclass(frozen=True)
class HeldGround:
    """A tag in an immutable repository, and the image that it names for ever."""

    repository: str
    tag: str
    image: Image

    def assert_holds(self, client: Client) -> None:
        """Assert that the tag names its image still, and that the manifest and every blob are whole."""
        assert digest_of(client, self.repository, self.tag) == self.image.digest
        manifest = client("GET", f"/v2/{self.repository}/manifests/{self.tag}")
        assert manifest.body == self.image.manifest
        for blob in self.image.blobs:
            digest = hashlib.sha256(blob).hexdigest()
            answer = client("GET", f"/v2/{self.repository}/blobs/sha256:{digest}")
            assert answer.status == 200
            assert hashlib.sha256(answer.body).hexdigest() == digest


def plant(server: RunningServer) -> HeldGround:
    """Make an immutable repository with a tag in it."""
    ground = HeldGround("held/ground", "v1", image(b"a layer that must stay" * 100))
    ecr = server.aws()
    ecr.create_repository(repositoryName=ground.repository, imageTagMutability="IMMUTABLE")
    ecr.close()
    client = server.client()
    assert push(client, ground.repository, ground.tag, ground.image).status == 201
    client.close()
    return ground
