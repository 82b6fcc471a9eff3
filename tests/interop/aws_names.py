"""AWS's own host names, leading to a server on this machine.

The ECR credential helper serves only names of the form `ACCOUNT.dkr.ecr.REGION.amazonaws.com`, over TLS. So that it
can be driven without a change to this machine's hosts or trusted certificates, a client is given a proxy that leads
every name to one port, and a certificate for those names that only this client trusts. This file alone knows how.
"""

from __future__ import annotations

import datetime as dt
import selectors
import socket
import socketserver
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .service import ACCOUNT_ID, REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

REGISTRY_NAME: Final = f"{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com"
CHUNK_BYTES: Final = 64 * 1024
CONNECT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate that signs itself, and its key, both in files."""

    certificate: Path
    key: Path


def certificate_for(names: list[str], folder: Path) -> Certificate:
    """Make a certificate for the names, good for a day."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "holdfast interop")])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = Certificate(folder / "server.crt", folder / "server.key")
    files.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    files.key.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return files


@contextmanager
def proxy_to(port: int) -> Iterator[str]:
    """A proxy whose every CONNECT, whatever the name, leads to one port of this machine; gives its URL."""

    class Handler(socketserver.StreamRequestHandler):
        """One connection: a CONNECT, then bytes both ways."""

        def handle(self) -> None:
            asked = self.rfile.readline().split()
            while self.rfile.readline().strip():
                pass
            if asked[:1] != [b"CONNECT"]:
                self.wfile.write(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection(("127.0.0.1", port), CONNECT_SECONDS) as server:
                self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                relay(self.connection, server)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def relay(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side is done."""
    with selectors.DefaultSelector() as selector:
        selector.register(one, selectors.EVENT_READ, other)
        selector.register(other, selectors.EVENT_READ, one)
        while True:
            for ready, _ in selector.select():
                source, target = ready.fileobj, ready.data
                assert isinstance(source, socket.socket)
                received = source.recv(CHUNK_BYTES)
                if not received:
                    return
                target.sendall(received)
