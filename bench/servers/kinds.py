"""The table of server kinds. To add a registry: one function that writes its configuration, one row in :data:`KINDS`.

Every peer runs as its makers ship it, with logging at "error", deletes allowed and no authentication: each of these
helps the peer. Holdfast runs with authentication, durable writes and its ledger on.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.servers.programs import DISTRIBUTION3, ZOT, find_program, go_program, holdfast_version, printed_version

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KEY_ID = "AKIABENCHBENCHBENCH0"
SECRET = "bench-secret-of-a-throw-away-server-0123"  # noqa: S105  exists only while the harness runs


@dataclass(frozen=True)
class TlsPair:
    """A certificate and its key, PEM files."""

    certificate: Path
    key: Path


@dataclass(frozen=True)
class Launch:
    """What a server is told when it starts."""

    program: str
    port: int
    data: Path
    scratch: Path
    """A folder for configuration files, outside the data."""
    tls: TlsPair | None


@dataclass(frozen=True)
class Command:
    """How to start a server."""

    argv: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class Kind:
    """A row of the table. ``locate`` returns the program or raises ``UnavailableError`` with the reason."""

    title: str
    locate: Callable[[], str]
    version: Callable[[str], str]
    command: Callable[[Launch], Command]
    ready_target: str
    credentials: tuple[str, str] | None = None
    static: bool = False
    """Serves files only: takes part in read cases, and the harness lays the files out itself."""


def _distribution(launch: Launch, extra: dict[str, object], argv: list[str]) -> Command:
    config: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {
            "cache": {"blobdescriptor": "inmemory"},
            "filesystem": {"rootdirectory": str(launch.data)},
            "delete": {"enabled": True},
        },
        "http": {"addr": f"127.0.0.1:{launch.port}", "secret": "bench", **extra},
    }
    if launch.tls:
        pair = {"certificate": str(launch.tls.certificate), "key": str(launch.tls.key), "minimumtls": "tls1.2"}
        config["http"] = {**config["http"], "tls": pair}  # type: ignore[dict-item]
    path = launch.scratch / "registry.yml"
    path.write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML
    quiet = {"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none"}
    return Command([launch.program, *argv, str(path)], {**os.environ, **quiet})


def _distribution2(launch: Launch) -> Command:
    return _distribution(launch, {}, ["serve"])


def _distribution3(launch: Launch) -> Command:
    return _distribution(launch, {}, ["serve"])


def _zot(launch: Launch) -> Command:
    http: dict[str, object] = {"address": "127.0.0.1", "port": str(launch.port)}
    if launch.tls:
        http["tls"] = {"cert": str(launch.tls.certificate), "key": str(launch.tls.key)}
    config = {
        "distSpecVersion": "1.1.0",
        "storage": {"rootDirectory": str(launch.data), "gc": False},
        "http": http,
        "log": {"level": "error"},
    }
    path = launch.scratch / "zot.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return Command([launch.program, "serve", str(path)], dict(os.environ))


# tcp_nopush stays off: with it, a 64 KiB range waits 40 ms for a delayed acknowledgement on loopback.
NGINX_CONFIG = """
daemon off; pid {scratch}/nginx.pid; error_log {scratch}/nginx.log crit; worker_processes auto; {user}
events {{ worker_connections 8192; }}
http {{
  access_log off; sendfile on; tcp_nopush off; keepalive_requests 1000000000; server_tokens off; etag on;
  client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy; fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi; scgi_temp_path {scratch}/scgi;
  default_type application/vnd.oci.image.manifest.v1+json;
  server {{ listen 127.0.0.1:{port}{tls}; root {data}; location = /v2/ {{ return 200 "{{}}"; }} }}
}}
"""


def _nginx(launch: Launch) -> Command:
    tls = ""
    if launch.tls:
        pair = f"ssl_certificate {launch.tls.certificate}; ssl_certificate_key {launch.tls.key}"
        tls = f" ssl; ssl_protocols TLSv1.3; {pair}"
    user = "user root;" if os.geteuid() == 0 else ""
    text = NGINX_CONFIG.format(scratch=launch.scratch, port=launch.port, data=launch.data, tls=tls, user=user)
    path = launch.scratch / "nginx.conf"
    path.write_text(text, encoding="utf-8")
    return Command([launch.program, "-p", str(launch.scratch), "-c", str(path)], dict(os.environ))


def _holdfast(launch: Launch) -> Command:
    argv = [launch.program, "-m", "holdfast", "serve", "--host", "127.0.0.1", "--port", str(launch.port)]
    argv += ["--data", str(launch.data)]
    if launch.tls:
        argv += ["--tls-cert", str(launch.tls.certificate), "--tls-key", str(launch.tls.key)]
    environment = {
        **os.environ,
        "HOLDFAST_BOOTSTRAP_ACCESS_KEY_ID": KEY_ID,
        "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY": SECRET,
        "HOLDFAST_CREATE_ON_PUSH": "MUTABLE",
        "HOLDFAST_LOG_LEVEL": "error",  # as the peers
        # As installed, with bytecode, whatever this environment says; in a folder beside, not in the source.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(launch.scratch.parent / "bytecode"),
    }
    return Command(argv, environment)


KINDS: dict[str, Kind] = {
    "holdfast": Kind(
        title="Holdfast",
        locate=lambda: sys.executable,
        version=holdfast_version,
        command=_holdfast,
        ready_target="/readyz",
        credentials=(KEY_ID, SECRET),
    ),
    "d2": Kind(
        title="CNCF distribution 2 (Debian's docker-registry)",
        locate=lambda: find_program("docker-registry", "HOLDFAST_BENCH_D2", "apt-get install docker-registry"),
        version=lambda program: printed_version([program, "--version"]),
        command=_distribution2,
        ready_target="/v2/",
    ),
    "d3": Kind(
        title="CNCF distribution 3",
        locate=lambda: go_program(DISTRIBUTION3),
        version=lambda program: printed_version([program, "--version"]),
        command=_distribution3,
        ready_target="/v2/",
    ),
    "zot": Kind(
        title="zot (minimal build)",
        locate=lambda: go_program(ZOT),
        version=lambda program: printed_version([program, "--version"]),
        command=_zot,
        ready_target="/v2/",
    ),
    "nginx": Kind(
        title="nginx serving the same files (the limit)",
        locate=lambda: find_program("nginx", "HOLDFAST_BENCH_NGINX", "apt-get install nginx-light"),
        version=lambda program: printed_version([program, "-v"]),
        command=_nginx,
        ready_target="/v2/",
        static=True,
    ),
}
"""Every server the harness can start, by the short name used in ``--peers`` and in the tables."""
