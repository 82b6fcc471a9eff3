"""The table of clients: what each is called, how it is found, where it comes from.

This file alone decides which clients in which versions the suite asks for. It knows nothing of what they do. Standard
library only: `install.py` reads it before anything else is there.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ASK_SECONDS: Final = 60.0
_VERSION: Final = re.compile(r"v?\d+\.\d+[0-9A-Za-z.+~-]*")


@dataclass(frozen=True, slots=True)
class DebianPackage:
    """Installed with apt-get, by root only."""

    package: str


@dataclass(frozen=True, slots=True)
class GoProgram:
    """Built from source by the Go toolchain in a pinned version, checked against Go's checksum database."""

    packages: tuple[str, ...]
    version: str
    excludes: bool = False
    """Whether the module has `exclude` or `replace` lines, for which `go install` refuses it from outside."""
    only_this: bool = False
    """Set where another version, found on PATH, would prove nothing."""

    @property
    def folder(self) -> Path:
        """Where the suite installs it: a new pin is a new folder, so an old build is never taken for the new one."""
        return home() / "go" / f"{self.packages[0].rpartition('/')[2]}@{self.version}"


@dataclass(frozen=True, slots=True)
class PythonPackage:
    """Installed with pip into a virtual environment of the clients' own."""

    requirement: str


@dataclass(frozen=True, slots=True)
class BroughtAlong:
    """Not to be had from a source that the suite uses; the sentence says how to bring it."""

    how: str


Source = DebianPackage | GoProgram | PythonPackage | BroughtAlong


@dataclass(frozen=True, slots=True)
class Client:
    """One row: a client, and its programs (the first is asked for its version) or its Python module."""

    name: str
    source: Source
    programs: tuple[str, ...] = ()
    module: str = ""
    ask_version: tuple[str, ...] = ()
    """What makes it tell its version; by default the word that is usual for programs of its source."""
    root: bool = False
    """Whether it works for root only: it starts a daemon, or unpacks layers with their owners."""
    needs: tuple[Client, ...] = ()
    """Clients whose programs it works with; its own come first."""

    @property
    def slug(self) -> str:
        """The name as a part of a repository's name."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


SKOPEO: Final = Client("skopeo", DebianPackage("skopeo"), ("skopeo",))
PODMAN: Final = Client("podman", DebianPackage("podman"), ("podman",), root=True)
BUILDAH: Final = Client("buildah", DebianPackage("buildah"), ("buildah",), root=True)
DOCKER: Final = Client("docker", DebianPackage("docker.io"), ("dockerd", "docker", "containerd"), root=True)
CONTAINERD: Final = Client("containerd", DebianPackage("containerd"), ("containerd", "ctr"), root=True)
CONTAINERD_2: Final = Client(
    "containerd 2",
    GoProgram(
        ("github.com/containerd/containerd/v2/cmd/containerd", "github.com/containerd/containerd/v2/cmd/ctr"),
        "v2.4.2",
        only_this=True,
    ),
    ("containerd", "ctr"),
    root=True,
)
DOCKER_29: Final = Client(
    "docker 29",
    GoProgram(("github.com/moby/moby/v2/cmd/dockerd",), "v2.0.0-beta.24", excludes=True, only_this=True),
    ("dockerd",),
    root=True,
    needs=(CONTAINERD_2, DOCKER),
)
CRI: Final = Client("CRI by grpc", PythonPackage("grpcio==1.85.1"), module="grpc", root=True)
"""What asks containerd's CRI service, in the kubelet's place."""
CRANE: Final = Client("crane", GoProgram(("github.com/google/go-containerregistry/cmd/crane",), "v0.22.1"), ("crane",))
ORAS: Final = Client("oras", GoProgram(("oras.land/oras/cmd/oras",), "v1.3.6"), ("oras",))
HELM: Final = Client("helm", GoProgram(("helm.sh/helm/v4/cmd/helm",), "v4.3.1"), ("helm",))
COSIGN: Final = Client("cosign", GoProgram(("github.com/sigstore/cosign/v3/cmd/cosign",), "v3.1.3"), ("cosign",))
ECR_LOGIN: Final = Client(
    "amazon-ecr-credential-helper",
    GoProgram(
        ("github.com/awslabs/amazon-ecr-credential-helper/ecr-login/cli/docker-credential-ecr-login",), "v0.12.0"
    ),
    ("docker-credential-ecr-login",),
    needs=(CRANE,),
)
OLD_BUILDX: Final = Client(
    "buildx 0.15",
    GoProgram(("github.com/docker/buildx/cmd/buildx",), "v0.15.1", excludes=True, only_this=True),
    ("buildx",),
)
AWS: Final = Client("aws", PythonPackage("awscli==1.46.3"), ("aws",), ask_version=("--version",))
BOTO3: Final = Client("boto3", PythonPackage("boto3==1.44.5"), module="boto3")
TERRAFORM: Final = Client(
    "terraform",
    BroughtAlong("put terraform on PATH, and name a folder of providers in HOLDFAST_TEST_TERRAFORM_PLUGINS"),
    ("terraform",),
)

CLIENTS: Final = (
    SKOPEO,
    PODMAN,
    BUILDAH,
    DOCKER,
    DOCKER_29,
    CONTAINERD,
    CONTAINERD_2,
    CRI,
    CRANE,
    ORAS,
    HELM,
    COSIGN,
    ECR_LOGIN,
    OLD_BUILDX,
    AWS,
    BOTO3,
    TERRAFORM,
)


@dataclass(frozen=True, slots=True)
class Found:
    """A client that is there: the path of each of its programs, and its version."""

    client: Client
    programs: dict[str, Path]
    version: str


@dataclass(frozen=True, slots=True)
class Missing:
    """A client that is not there, and why."""

    client: Client
    reason: str


def home() -> Path:
    """The folder in which clients are installed."""
    named = os.environ.get("HOLDFAST_INTEROP_CLIENTS")
    return Path(named) if named else Path.home() / ".cache" / "holdfast" / "clients"


def search_path(source: Source) -> str:
    """Where a client is looked for: what the suite installed first, for its version is pinned."""
    system = [os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"]
    match source:
        case GoProgram(only_this=True):
            folders = [str(source.folder)]
        case GoProgram():
            folders = [str(source.folder), *system]
        case PythonPackage():
            folders = [str(home() / "python" / "bin"), str(Path(sys.executable).parent)]
        case _:
            folders = system
    return os.pathsep.join(folders)


def find(client: Client) -> Found | Missing:
    """Look for a client and ask its version; never installs."""
    if client.root and os.geteuid() != 0:
        return Missing(client, "works for root only, and this is not root")
    found = _find_module(client) if client.module else _find_programs(client)
    for other in client.needs:
        if isinstance(found, Missing):
            return found
        needed = find(other)
        if isinstance(needed, Missing):
            return Missing(client, f"needs {other.name}: {needed.reason}")
        found = Found(client, {**needed.programs, **found.programs}, found.version)
    return found


def _find_programs(client: Client) -> Found | Missing:
    """Look for each of a client's programs."""
    programs: dict[str, Path] = {}
    for name in client.programs:
        path = shutil.which(name, path=search_path(client.source))
        if path is None:
            return Missing(client, f"no program '{name}' on PATH or in {home()}: {how_to_get(client)}")
        programs[name] = Path(path)
    first = programs[client.programs[0]]
    if isinstance(client.source, GoProgram) and first.parent == client.source.folder:
        return Found(client, programs, client.source.version.lstrip("v"))
    usual = ("--version",) if isinstance(client.source, DebianPackage) else ("version",)
    return Found(client, programs, _version_in(_ask([str(first), *(client.ask_version or usual)])))


def how_to_get(client: Client) -> str:
    """The sentence that tells a person how to get a client."""
    match client.source:
        case DebianPackage(package):
            return f"apt-get install {package}"
        case GoProgram(packages=packages, version=version):
            return " ".join(["go install", *(f"{package}@{version}" for package in packages)])
        case PythonPackage(requirement):
            return f"pip install {requirement}"
        case BroughtAlong(how):
            return how


def _find_module(client: Client) -> Found | Missing:
    """Look for a Python module in this environment, then in the clients' own."""
    ask = f"import importlib.metadata as m, {client.module}; print(m.version(m.packages_distributions()"
    ask += f"['{client.module}'][0]))"
    for python in (sys.executable, str(home() / "python" / "bin" / "python")):
        printed = _ask([python, "-c", ask])
        if printed is not None:
            return Found(client, {"python": Path(python)}, printed.strip())
    return Missing(client, f"no Python module '{client.module}': {how_to_get(client)}")


def _ask(command: list[str]) -> str | None:
    """What a command prints, or nothing if it cannot be run or fails."""
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=ASK_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return ended.stdout + ended.stderr if ended.returncode == 0 else None


def _version_in(printed: str | None) -> str:
    """The first version number printed."""
    found = _VERSION.search(printed or "")
    return found.group().lstrip("v") if found else "version not told"
