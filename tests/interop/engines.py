"""The daemons that some clients need, each with folders of its own and ended with the test.

This file alone starts dockerd and containerd. Neither touches the machine's own: own data, own socket, no firewall
rules, no bridge, no service manager.
"""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from .images import ARCHITECTURE
from .programs import daemon

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

CONTAINERD_CONFIGURATION = """\
version = 2
root = "{folder}/root"
state = "{folder}/state"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
[plugins."io.containerd.grpc.v1.cri".registry]
  config_path = "{folder}/hosts"
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
[plugins."io.containerd.cri.v1.images"]
  snapshotter = "native"
[[plugins."io.containerd.transfer.v1.local".unpack_config]]
  platform = "linux/{architecture}"
  snapshotter = "native"
"""
"""One file for containerd 1 and 2; each ignores what only the other has."""

PLAIN_HTTP_HOST = """\
server = "http://{host}"
[host."http://{host}"]
  capabilities = ["pull", "resolve"]
"""


CLASSIC_STORE: Final[Mapping[str, object]] = {"storage-driver": "vfs"}
CONTAINERD_STORE: Final[Mapping[str, object]] = {
    "storage-driver": "native",
    "features": {"containerd-snapshotter": True},
}


@contextmanager
def dockerd(
    programs: Mapping[str, Path],
    folder: Path,
    environment: Mapping[str, str],
    registry_host: str,
    store: Mapping[str, object],
) -> Iterator[Path]:
    """Start a Docker engine that may talk plain HTTP to the registry; gives its socket.

    It starts the containerd that it finds on PATH, so that has to be the one that belongs to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    socket = folder / "docker.sock"
    settings = {
        "data-root": str(folder / "data"),
        "exec-root": str(folder / "exec"),
        "pidfile": str(folder / "dockerd.pid"),
        "hosts": [f"unix://{socket}"],
        "iptables": False,
        "ip6tables": False,
        "bridge": "none",
        "insecure-registries": [registry_host],
        **store,
    }
    configuration = folder / "daemon.json"
    configuration.write_text(json.dumps(settings))
    ask: list[str | Path] = [programs["docker"], "--host", f"unix://{socket}", "version"]
    own_first = f"{programs['containerd'].parent}:{environment['PATH']}"
    with daemon(
        [programs["dockerd"], "--config-file", configuration],
        {**environment, "PATH": own_first},
        folder=folder,
        is_ready=lambda: answers(ask, environment),
    ):
        yield socket


@contextmanager
def containerd(
    programs: Mapping[str, Path], folder: Path, environment: Mapping[str, str], registry_host: str
) -> Iterator[Path]:
    """Start a containerd that may talk plain HTTP to the registry, its CRI service included; gives its socket."""
    hosts = folder / "hosts" / registry_host
    hosts.mkdir(parents=True, exist_ok=True)
    (hosts / "hosts.toml").write_text(PLAIN_HTTP_HOST.format(host=registry_host))
    socket = folder / "containerd.sock"
    configuration = folder / "config.toml"
    configuration.write_text(CONTAINERD_CONFIGURATION.format(folder=folder, socket=socket, architecture=ARCHITECTURE))
    ask: list[str | Path] = [programs["ctr"], "--address", socket, "version"]
    with daemon(
        [programs["containerd"], "--config", configuration],
        environment,
        folder=folder,
        is_ready=lambda: answers(ask, environment),
    ):
        yield socket


def answers(command: Sequence[str | Path], environment: Mapping[str, str]) -> bool:
    """Whether a daemon's own client can talk to it."""
    words = [str(word) for word in command]
    ended = subprocess.run(words, env=dict(environment), capture_output=True, timeout=30, check=False)
    return ended.returncode == 0
