"""Runs the command line in this process, as a person or a script would: arguments in, code and two streams out."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from holdfast.cli.main import main
from running import KEY_ID, REGION, SECRET

if TYPE_CHECKING:
    import pytest

SOURCE = Path(__file__).parent.parent / "src"
PROGRAM = (sys.executable, "-m", "holdfast")


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Return the document on standard output."""
        return json.loads(self.out)

    def failure(self) -> Any:
        """Return the document of a failure on standard error."""
        return json.loads(self.err.strip().splitlines()[-1])["error"]


@dataclass
class Commands:
    """Runs commands against one server as one user."""

    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, **environment: str | None) -> Ran:
        """Run a command; variables given here are set, or unset by None, for this one."""
        with self.monkeypatch.context() as patched:
            for name, value in {**self.environment, **environment}.items():
                if value is None:
                    patched.delenv(name, raising=False)
                else:
                    patched.setenv(name, value)
            self.capsys.readouterr()
            code: int | str | None = None
            try:
                main(arguments)
            except SystemExit as exit_:
                code = exit_.code
            said = self.capsys.readouterr()
        assert isinstance(code, int), "a command ends the process with a number"
        return Ran(int(code), said.out, said.err)


def environment(url: str, key_id: str = KEY_ID, secret: str = SECRET, region: str = REGION) -> dict[str, str]:
    """Return the variables that a user of a server sets, and those that keep this machine's AWS settings out."""
    return {
        "HOLDFAST_ENDPOINT": url,
        "AWS_DEFAULT_REGION": region,
        "AWS_ACCESS_KEY_ID": key_id,
        "AWS_SECRET_ACCESS_KEY": secret,
        **ISOLATED,
    }


ISOLATED = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}


def process_environment(url: str | None = None) -> dict[str, str]:
    """Return the environment of a process that runs the program for real."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HOLDFAST_", "AWS_"))}
    return {**kept, "PYTHONPATH": str(SOURCE), **ISOLATED, **(environment(url) if url else {})}
