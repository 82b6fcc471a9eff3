"""A server under test: one that the harness started from :mod:`bench.servers.kinds`, or one that runs elsewhere."""

from __future__ import annotations

import base64
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from bench.errors import BenchError, ServerFailedError, UnavailableError
from bench.load.wire import Origin, Wire
from bench.servers import process
from bench.servers.kinds import KINDS, Kind, Launch, TlsPair

if TYPE_CHECKING:
    from pathlib import Path

READY_SECONDS = 60.0
POLL_SECONDS = 0.005


def basic(user: str, password: str) -> str:
    """The value of an Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def free_port() -> int:
    """A loopback port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def make_certificate(folder: Path) -> TlsPair:
    """A self-signed EC certificate for 127.0.0.1, by the ``openssl`` program."""
    pair = TlsPair(folder / "certificate.pem", folder / "key.pem")
    if shutil.which("openssl") is None:
        message = "openssl is not installed, so no certificate for the TLS cases"
        raise UnavailableError(message)
    argv = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=127.0.0.1"
    argv += " -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(
        [*argv.split(), "-keyout", str(pair.key), "-out", str(pair.certificate)], check=True, capture_output=True
    )
    return pair


@dataclass
class Server:
    """A registry with an address. Only one that the harness started (``owned``) can be restarted or wiped."""

    name: str
    title: str
    version: str
    origin: Origin
    static: bool = False
    credentials: tuple[str, str] | None = None
    pid: int | None = None
    """The first process, when it is on this machine: CPU and memory are then measured."""

    @property
    def owned(self) -> OwnedServer | None:
        """This server when the harness may restart it."""
        return self if isinstance(self, OwnedServer) else None

    @property
    def pids(self) -> list[int]:
        """All processes of the server that live now; empty when they are not known."""
        return process.family(self.pid) if self.pid else []

    def close(self) -> None:
        """Nothing to stop."""


class OwnedServer(Server):
    """A server this harness starts, restarts, wipes and stops."""

    def __init__(self, name: str, kind: Kind, work: Path, certificate: TlsPair | None) -> None:
        """Locate the program and make its folders; :meth:`start` runs it."""
        self._kind = kind
        self._program = kind.locate()
        self._certificate = certificate
        self.data = work / name / "data"
        self._scratch = work / name / "scratch"
        for folder in (self.data, self._scratch):
            folder.mkdir(parents=True, exist_ok=True)
        authorization = basic(*kind.credentials) if kind.credentials else ""
        super().__init__(
            name=name,
            title=kind.title,
            version=kind.version(self._program),
            origin=Origin("127.0.0.1", free_port(), authorization),
            static=kind.static,
            credentials=kind.credentials,
        )
        self._process: process.Process | None = None

    def start(self, *, tls: bool = False) -> float:
        """Start and wait; seconds from the start of the process to its first good answer."""
        self.origin = replace(self.origin, tls=tls)
        pair = self._certificate if tls else None
        if tls and pair is None:
            message = "no certificate for TLS"
            raise UnavailableError(message)
        command = self._kind.command(Launch(self._program, self.origin.port, self.data, self._scratch, pair))
        self._process = process.Process(command.argv, command.environment, self._scratch / "server.log")
        self.pid = self._process.pid
        deadline = self._process.started_at + READY_SECONDS
        while time.perf_counter() < deadline:
            self._process.require_alive()
            if self._ready():
                return time.perf_counter() - self._process.started_at
            time.sleep(POLL_SECONDS)
        message = f"{self.name} was not ready within {READY_SECONDS:.0f} s"
        raise ServerFailedError(message)

    def _ready(self) -> bool:
        try:
            with Wire(self.origin) as wire:
                return wire.call("GET", self._kind.ready_target).status == 200
        except (OSError, BenchError):
            return False

    def restart(self, *, tls: bool = False) -> float:
        """Stop and start on the same data; seconds from start to ready."""
        self.close()
        return self.start(tls=tls)

    def wipe(self) -> None:
        """Stop, forget all data, start empty."""
        self.close()
        shutil.rmtree(self.data)
        self.data.mkdir()
        self.start()

    def require_alive(self) -> None:
        """An error when the process has died."""
        if self._process is not None:
            self._process.require_alive()

    def revive(self) -> None:
        """Start again on the same data if the process has died, so that one crash costs one case."""
        try:
            self.require_alive()
        except ServerFailedError:
            self.restart()

    def close(self) -> None:
        """Stop the process, if it runs."""
        if self._process is not None:
            self._process.stop()
            self._process = None
            self.pid = None


def start_server(name: str, work: Path, certificate: TlsPair | None) -> OwnedServer:
    """Start a server of the table by its name."""
    server = OwnedServer(name, KINDS[name], work, certificate)
    try:
        server.start()
    except BaseException:
        server.close()
        raise
    return server


def running_server(text: str, pid: int | None) -> Server:
    """A server that runs already, from ``name=http://user:password@host:port``."""
    name, separator, url = text.partition("=")
    parts = urlsplit(url)
    if not separator or parts.scheme not in {"http", "https"} or not parts.hostname:
        message = f"--url wants name=http://[user:password@]host:port, not {text!r}"
        raise UnavailableError(message)
    tls = parts.scheme == "https"
    credentials = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    origin = Origin(parts.hostname, parts.port or (443 if tls else 80), basic(*credentials) if credentials else "", tls)
    return Server(name, parts.hostname, "not asked", origin, credentials=credentials, pid=pid)
