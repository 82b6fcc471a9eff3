"""A certificate that is renewed while the server runs: served when it is whole, and never half."""

from __future__ import annotations

import http.client
import logging
import socket
import ssl
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from faces.test_ecr_tls import write_certificate
from holdfast.core.errors import ConfigurationInvalid
from holdfast.faces import certificate
from holdfast.faces.certificate import ServerCertificate
from running import RunningServer, running, settings
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunningServer]:
    """A server that serves what lies in `tmp_path`, and looks there often."""
    monkeypatch.setattr(certificate, "LOOK_SECONDS", 0.02)
    chain, key = write_certificate(tmp_path)
    with running(settings(tmp_path / "data", tls_cert=str(chain), tls_key=str(key))) as server:
        yield server


def served(server: RunningServer, name: str | None = None) -> str:
    """Return the certificate that a new connection is shown, to a client that names a server or none."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((server.host, server.port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=name) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
        assert shown is not None
        return ssl.DER_cert_to_PEM_cert(shown).replace("\n", "")


def written(folder: Path) -> str:
    """Return the certificate that lies in a folder."""
    return (folder / "cert.pem").read_text("ascii").replace("\n", "")


def renew(folder: Path, *names: str) -> str:
    """Make another certificate, let the files of it that are named take the others' places; return it."""
    beside = folder / "new"
    beside.mkdir(exist_ok=True)
    write_certificate(beside)
    made = written(beside)
    for name in names:
        (beside / name).replace(folder / name)
    return made


@pytest.mark.parametrize("name", [None, "registry.example"])
def test_a_renewed_certificate_is_served_without_a_restart(up: RunningServer, tmp_path: Path, name: str | None) -> None:
    first = written(tmp_path)
    assert served(up, name) == first
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with closing(http.client.HTTPSConnection(up.host, up.port, context=context, timeout=60)) as before:
        before.request("GET", "/livez")
        before.getresponse().read()
        second = renew(tmp_path, "cert.pem", "key.pem")
        eventually(lambda: served(up, name) == second)
        before.request("GET", "/livez")
        assert before.getresponse().read() == b"ok\n", "who is connected stays so"
    third = renew(tmp_path, "key.pem", "cert.pem")
    eventually(lambda: served(up, name) == third)


def test_what_cannot_be_served_leaves_the_certificate_from_before(
    up: RunningServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = written(tmp_path)

    def refused() -> list[str]:
        return [
            one.message for one in caplog.records if one.levelno == logging.WARNING and "from before" in one.message
        ]

    renew(tmp_path, "cert.pem")
    eventually(lambda: len(refused()) == 1)
    assert served(up) == first, "the key is another's"
    (tmp_path / "cert.pem").write_text("not a certificate", "ascii")
    eventually(lambda: len(refused()) == 2)
    assert served(up) == first
    (tmp_path / "cert.pem").unlink()
    assert served(up) == first
    second = renew(tmp_path, "cert.pem", "key.pem")
    eventually(lambda: served(up) == second)
    assert len(refused()) <= 3, "told once each, not at every look"


def test_when_it_ends_is_told(up: RunningServer, tmp_path: Path) -> None:
    context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
    with closing(http.client.HTTPSConnection(up.host, up.port, context=context, timeout=60)) as client:
        client.request("GET", "/metrics")
        text = client.getresponse().read().decode()
    [line] = [
        one for one in text.splitlines() if one.startswith("holdfast_tls_certificate_not_after_timestamp_seconds ")
    ]
    shown = ServerCertificate(tmp_path / "cert.pem", tmp_path / "key.pem").ends_at
    assert float(line.split()[1]) == shown > 0


def test_files_that_do_not_go_together_do_not_start(tmp_path: Path) -> None:
    chain, _ = write_certificate(tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    _, key = write_certificate(other)
    with pytest.raises(ConfigurationInvalid, match="cannot be used"):
        ServerCertificate(chain, key)
    with pytest.raises(ConfigurationInvalid, match="cannot be used"):
        ServerCertificate(tmp_path / "absent.pem", key)


def test_a_key_with_a_password_is_refused_and_not_asked_for(tmp_path: Path) -> None:
    chain, key = write_certificate(tmp_path)
    opened = serialization.load_pem_private_key(key.read_bytes(), None)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    key.write_bytes(opened.private_bytes(*form, serialization.BestAvailableEncryption(b"secret")))
    with pytest.raises(ConfigurationInvalid, match="cannot be used"):
        ServerCertificate(chain, key)
