"""Over TLS: clients that check the certificate work unchanged, and every address that is told says https."""

from __future__ import annotations

import datetime as dt
import http.client
import json
import ssl
from contextlib import closing
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import SSLError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from images import OCI_CONFIG, OCI_IMAGE, descriptor, sha256
from json_api import INVALID, no_repository, refusal
from running import KEY_ID, REGION, SECRET, RunningServer, running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "holdfast under test")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return cert_file, key_file


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, str]]:
    """A server behind TLS, and the file of its certificate."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = write_certificate(folder)
    wanted = settings(folder / "data", tls_cert=str(certificate), tls_key=str(key))
    with running(wanted) as up:
        yield up, str(certificate)


def connected(server: RunningServer, **more: Any) -> Any:
    return boto3.client(
        "ecr",
        region_name=REGION,
        endpoint_url=server.holdfast.url,
        aws_access_key_id=KEY_ID,
        aws_secret_access_key=SECRET,
        config=Config(proxies={}, retries={"total_max_attempts": 1}),
        **more,
    )


@pytest.fixture(scope="module")
def ecr(secure: tuple[RunningServer, str]) -> Iterator[Any]:
    server, certificate = secure
    with closing(connected(server, verify=certificate)) as made:
        yield made


def test_boto3_works_over_tls_and_every_address_says_https(secure: tuple[RunningServer, str], ecr: Any) -> None:
    server, certificate = secure
    assert server.holdfast.url == f"https://127.0.0.1:{server.port}"
    made = ecr.create_repository(repositoryName="tls/a")["repository"]
    assert made["repositoryUri"] == f"127.0.0.1:{server.port}/tls/a"
    [data] = ecr.get_authorization_token()["authorizationData"]
    assert data["proxyEndpoint"] == server.holdfast.url
    upload = ecr.initiate_layer_upload(repositoryName="tls/a")["uploadId"]
    content = b"layer" * 50_000
    part = {"uploadId": upload, "partFirstByte": 0, "partLastByte": len(content) - 1, "layerPartBlob": content}
    ecr.upload_layer_part(repositoryName="tls/a", **part)
    ecr.complete_layer_upload(repositoryName="tls/a", uploadId=upload, layerDigests=[sha256(content)])
    config = descriptor(content, OCI_CONFIG)
    manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI_IMAGE, "config": config, "layers": []})
    ecr.put_image(repositoryName="tls/a", imageManifest=manifest, imageTag="v1")
    url = ecr.get_download_url_for_layer(repositoryName="tls/a", layerDigest=sha256(content))["downloadUrl"]
    assert url.startswith(f"{server.holdfast.url}/download/")
    context = ssl.create_default_context(cafile=certificate)
    connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=60)
    connection.request("GET", urlsplit(url).path)
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, content)
    connection.request("GET", "/v2/", headers={"Authorization": f"Basic {data['authorizationToken']}"})
    response = connection.getresponse()
    assert (response.status, response.read()) == (200, b"{}")
    connection.close()


def test_refusals_over_tls_are_those_without(ecr: Any) -> None:
    assert refusal(ecr.list_images, repositoryName="tls/absent") == no_repository("tls/absent")
    assert refusal(ecr.describe_repositories, nextToken="x").code == INVALID


def test_a_client_that_does_not_know_the_certificate_does_not_talk(secure: tuple[RunningServer, str]) -> None:
    with closing(connected(secure[0])) as stranger, pytest.raises(SSLError):
        stranger.describe_repositories()


def test_plain_http_gets_no_answer_from_a_tls_port(secure: tuple[RunningServer, str]) -> None:
    server, _ = secure
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    with pytest.raises((http.client.HTTPException, OSError)):  # noqa: PT012 - either step may fail
        connection.request("GET", "/livez")
        connection.getresponse()
    connection.close()
    assert server.holdfast.failed.is_set() is False
