"""A place for one client to work: its programs, a folder and an environment of its own, the registry.

This file alone decides what a client sees of the machine: no settings of the person who runs the suite, no proxies,
and a home that is thrown away. It knows no client.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from .programs import TIMEOUT_SECONDS, Outcome, run
from .service import REGION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from .clients import Found
    from .service import Registry

T = TypeVar("T")

TRUST_POLICY: Final = '{"default": [{"type": "insecureAcceptAnything"}]}'


@dataclass(frozen=True, slots=True)
class Workbench:
    """What a client's words are run with."""

    found: Found
    registry: Registry
    folder: Path
    environment: dict[str, str]
    _open: ExitStack

    def run(
        self, program: str, *arguments: str | Path, given: str = "", timeout_seconds: float = TIMEOUT_SECONDS
    ) -> Outcome:
        """Run one of the client's programs; `given` is its standard input."""
        command = [self.found.programs[program], *arguments]
        return run(command, self.environment, folder=self.folder, given=given, timeout_seconds=timeout_seconds)

    def keep(self, context: AbstractContextManager[T]) -> T:
        """Enter a context that lasts until the client is done, such as a daemon."""
        return self._open.enter_context(context)


@contextmanager
def workbench(found: Found, registry: Registry) -> Iterator[Workbench]:
    """Set a place up, and clear it away.

    Directly below the folder for temporary files, because the path of a Unix socket may have 107 characters at most.
    """
    folder = Path(tempfile.mkdtemp(prefix="hf-"))
    try:
        with ExitStack() as stack:
            yield Workbench(found, registry, folder, environment_in(folder), stack)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def environment_in(folder: Path) -> dict[str, str]:
    """The environment of a client: a home in the folder, nothing of the caller's but PATH."""
    home, runtime, docker = folder / "home", folder / "run", folder / "docker"
    policy = home / ".config" / "containers" / "policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text(TRUST_POLICY)
    runtime.mkdir(mode=0o700)
    docker.mkdir()
    return {
        "PATH": os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "TMPDIR": str(runtime),
        "XDG_RUNTIME_DIR": str(runtime),
        "DOCKER_CONFIG": str(docker),
        "REGISTRY_AUTH_FILE": str(docker / "auth.json"),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
    }
