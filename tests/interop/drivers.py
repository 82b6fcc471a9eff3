"""The words of each image client: how it logs in, pushes and pulls.

This file alone knows the clients' command lines. What must come of them is not decided here but in `test_images.py`:
a driver reports what the client said, and never judges it. A driver is given a workbench, which has the client's
programs and the registry.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, Protocol

from .clients import (
    BUILDAH,
    CONTAINERD,
    CONTAINERD_2,
    CRANE,
    DOCKER,
    DOCKER_29,
    ORAS,
    PODMAN,
    SKOPEO,
    Client,
)
from .engines import CLASSIC_STORE, CONTAINERD_STORE, containerd, dockerd
from .images import TAG_IN_LAYOUT, sha256

if TYPE_CHECKING:
    from pathlib import Path

    from .images import Image
    from .programs import Outcome
    from .workbench import Workbench

_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


class DriverFailed(AssertionError):
    """A step before the one that is tested went wrong: the client could not read its input, or list what it has."""


class Driver(Protocol):
    """What a client of container images can do. `reference` is host/repository:tag."""

    def __init__(self, bench: Workbench) -> None:
        """Start what the client needs, such as a daemon, on the workbench."""

    def log_in(self) -> Outcome:
        """Log in to the registry with its access key pair."""

    def push(self, image: Image, reference: str) -> Outcome:
        """Push an image, or an index with all its images, from disk to the tag."""

    def pull(self, reference: str) -> list[str]:
        """Pull the tag afresh; the digests under which the client then holds it."""


def needed(outcome: Outcome) -> Outcome:
    """The outcome of a step that must succeed for the test to mean anything."""
    if not outcome.succeeded:
        raise DriverFailed(outcome.told)
    return outcome


class Skopeo:
    """Copies between a layout on disk and the registry; has no store of its own."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def log_in(self) -> Outcome:
        registry = self._bench.registry
        words = ("login", "--tls-verify=false", "--username", registry.user, "--password-stdin", registry.host)
        return self._bench.run("skopeo", *words, given=registry.password)

    def push(self, image: Image, reference: str) -> Outcome:
        source, target = f"oci:{image.layout}:{TAG_IN_LAYOUT}", f"docker://{reference}"
        return self._bench.run("skopeo", "copy", "--all", "--dest-tls-verify=false", source, target)

    def pull(self, reference: str) -> list[str]:
        target = self._bench.folder / "pulled"
        words = ("copy", "--all", "--src-tls-verify=false", f"docker://{reference}", f"dir:{target}")
        needed(self._bench.run("skopeo", *words))
        return [sha256((target / "manifest.json").read_bytes())]


class Podman:
    """Podman, and buildah, which has the same words: a local store, from which it pushes."""

    program = "podman"

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def log_in(self) -> Outcome:
        registry = self._bench.registry
        words = ("login", "--tls-verify=false", "--username", registry.user, "--password-stdin", registry.host)
        return self._bench.run(self.program, *words, given=registry.password)

    def push(self, image: Image, reference: str) -> Outcome:
        source = f"oci:{image.layout}:{TAG_IN_LAYOUT}"
        if not image.children:
            pulled = needed(self._run("pull", source)).stdout.split()[-1]
            return self._run("push", "--tls-verify=false", pulled, f"docker://{reference}")
        name = f"localhost/index-{image.digest[-12:]}"
        self._run("manifest", "rm", name)
        needed(self._run("manifest", "create", name))
        needed(self._run("manifest", "add", "--all", name, source))
        return self._run("manifest", "push", "--all", "--tls-verify=false", name, f"docker://{reference}")

    def pull(self, reference: str) -> list[str]:
        fresh = "pulling"
        needed(self._run("pull", "--tls-verify=false", reference, store=fresh))
        return _DIGEST.findall(needed(self._inspect(reference, store=fresh)).stdout)

    def _inspect(self, reference: str, store: str) -> Outcome:
        return self._run("image", "inspect", "--format", "{{.RepoDigests}}", reference, store=store)

    def _run(self, *words: str, store: str = "pushing") -> Outcome:
        root, state = self._bench.folder / store, self._bench.folder / f"{store}-run"
        return self._bench.run(self.program, "--root", root, "--runroot", state, "--storage-driver", "vfs", *words)


class Buildah(Podman):
    """Buildah differs in one word: how it shows an image."""

    program = "buildah"

    def _inspect(self, reference: str, store: str) -> Outcome:
        return self._run("images", "--no-trunc", "--digests", "--json", reference, store=store)


class Docker:
    """The engine and its command line; the engine is started for the test."""

    store = CLASSIC_STORE

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        folder, host = bench.folder / "engine", bench.registry.host
        engine = dockerd(bench.found.programs, folder, bench.environment, host, self.store)
        bench.environment["DOCKER_HOST"] = f"unix://{bench.keep(engine)}"

    def log_in(self) -> Outcome:
        registry = self._bench.registry
        words = ("login", "--username", registry.user, "--password-stdin", registry.host)
        return self._bench.run("docker", *words, given=registry.password)

    def push(self, image: Image, reference: str) -> Outcome:
        if image.children:
            return self._push_index(image, reference)
        if image.docker_archive is None:
            message = "docker loads no image without a Docker archive"
            raise DriverFailed(message)
        loaded = needed(self._bench.run("docker", "load", "--quiet", "--input", image.docker_archive)).stdout
        needed(self._bench.run("docker", "tag", loaded.split()[-1], reference))
        return self._bench.run("docker", "push", reference)

    def _push_index(self, image: Image, reference: str) -> Outcome:
        """As people do with this engine: push each platform under a tag of its own, then a list of them."""
        repository = reference.rpartition(":")[0]
        members = []
        for child in image.children:
            tagged = f"{repository}:platform-{child.digest[-12:]}"
            pushed = needed(self.push(child, tagged))
            members.append(f"{repository}@{_DIGEST.findall(pushed.stdout)[-1]}")
        self._bench.run("docker", "manifest", "rm", reference)
        needed(self._bench.run("docker", "manifest", "create", "--insecure", reference, *members))
        return self._bench.run("docker", "manifest", "push", "--insecure", reference)

    def pull(self, reference: str) -> list[str]:
        needed(self._bench.run("docker", "image", "prune", "--all", "--force"))
        pulled = needed(self._bench.run("docker", "pull", reference))
        return _DIGEST.findall(pulled.stdout)


class DockerWithContainerdStore(Docker):
    """The engine with containerd's image store, which keeps an index whole and pushes it whole."""

    store = CONTAINERD_STORE

    def push(self, image: Image, reference: str) -> Outcome:
        needed(self._bench.run("docker", "load", "--quiet", "--input", image.oci_archive))
        needed(self._bench.run("docker", "tag", image.digest, reference))
        return self._bench.run("docker", "push", reference)


class Crane:
    """Copies between a layout on disk and the registry."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def log_in(self) -> Outcome:
        registry = self._bench.registry
        words = ("auth", "login", "--username", registry.user, "--password-stdin", registry.host)
        return self._bench.run("crane", *words, given=registry.password)

    def push(self, image: Image, reference: str) -> Outcome:
        return self._bench.run("crane", "push", "--insecure", image.layout, reference)

    def pull(self, reference: str) -> list[str]:
        target = self._bench.folder / "pulled"
        needed(self._bench.run("crane", "pull", "--insecure", "--format", "oci", reference, target))
        return digests_in(target)


class Oras:
    """Copies between a layout on disk and the registry."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench

    def log_in(self) -> Outcome:
        registry = self._bench.registry
        words = ("login", "--plain-http", "--username", registry.user, "--password-stdin", registry.host)
        return self._bench.run("oras", *words, given=registry.password)

    def push(self, image: Image, reference: str) -> Outcome:
        source = f"{image.layout}:{TAG_IN_LAYOUT}"
        return self._bench.run("oras", "copy", "--from-oci-layout", source, "--to-plain-http", reference)

    def pull(self, reference: str) -> list[str]:
        target = self._bench.folder / "pulled"
        needed(self._bench.run("oras", "copy", "--from-plain-http", reference, "--to-oci-layout", f"{target}:pulled"))
        return digests_in(target)


class Containerd:
    """containerd by its own command line, which logs in with each command; the daemon is started for the test."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        folder, host = bench.folder / "engine", bench.registry.host
        engine = containerd(bench.found.programs, folder, bench.environment, host)
        self._socket = bench.keep(engine)

    def log_in(self) -> Outcome:
        return self._ctr("version")

    def push(self, image: Image, reference: str) -> Outcome:
        words = ("--all-platforms", "--no-unpack", "--base-name", f"local/{image.digest[-12:]}")
        needed(self._ctr("images", "import", *words, image.oci_archive))
        local = f"local/{image.digest[-12:]}:{TAG_IN_LAYOUT}"
        return self._ctr("images", "push", *self._logged_in(), reference, local)

    def pull(self, reference: str) -> list[str]:
        held = needed(self._ctr("images", "list", "--quiet")).stdout.split()
        needed(self._ctr("images", "remove", "--sync", *held))
        needed(self._ctr("images", "pull", "--snapshotter", "native", *self._logged_in(), reference))
        return _DIGEST.findall(needed(self._ctr("images", "list", f"name=={reference}")).stdout)

    def _logged_in(self) -> tuple[str, ...]:
        registry = self._bench.registry
        return ("--plain-http", "--user", f"{registry.user}:{registry.password}")

    def _ctr(self, *words: str | Path) -> Outcome:
        return self._bench.run("ctr", "--address", self._socket, *words)


def digests_in(layout: Path) -> list[str]:
    """The digests that an OCI layout's index names."""
    return [entry["digest"] for entry in json.loads((layout / "index.json").read_bytes())["manifests"]]


DRIVERS: Final[dict[Client, type[Driver]]] = {
    SKOPEO: Skopeo,
    PODMAN: Podman,
    BUILDAH: Buildah,
    DOCKER: Docker,
    DOCKER_29: DockerWithContainerdStore,
    CRANE: Crane,
    ORAS: Oras,
    CONTAINERD: Containerd,
    CONTAINERD_2: Containerd,
}
REASON_UNSEEN: Final = frozenset({CONTAINERD})
"""Clients that show a refusal's status and not its text."""
