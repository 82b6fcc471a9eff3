"""Drives a server of its own by the OpenAPI description: `make openapi ARGS="--max-examples 200"`.

schemathesis makes requests from the description, right and wrong ones, single and in sequences, and judges the answers.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from held_ground import plant
from images import image, push, push_blob
from json_api import Clock
from running import KEY_ID, SECRET, RunningServer, running, settings

ROOT = Path(__file__).parents[2]
DESCRIPTION = ROOT / "docs" / "reference" / "openapi.json"
NOT_JUDGED = "positive_data_acceptance,ensure_resource_availability"
"""What fits the schema may be refused all the same, as no schema can say that bytes hash to the digest beside them; and
a PUT whose digest is wrong ends its upload session, so that what was made may be gone without a DELETE."""


class HastyClock(Clock):
    """Once in a hurry, half a minute goes by with each look: who fails to log in often need not wait, and nor do we."""

    hurries = False

    def __call__(self) -> int:
        """Return microseconds since the epoch."""
        self.ahead_seconds += 30 * self.hurries
        return super().__call__()


def drive(server: RunningServer, description: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run schemathesis over the whole description and return how it ended."""
    client = server.client()
    push(client, "demo", "v1", image())
    push_blob(client, "demo", b"")
    return subprocess.run(
        [
            str(Path(sys.executable).with_name("schemathesis")),
            "run", str(description), "--url", server.url,
            "--auth", f"{KEY_ID}:{SECRET}",
            "--phases", "examples,coverage,fuzzing,stateful",
            "--exclude-checks", NOT_JUDGED,
            "--max-response-time", "10",
            "--suppress-health-check", "all",
            "--warnings", "off",
            "--no-color",
            *options,
        ],
        capture_output=True,
        text=True,
        timeout=3_600,
        check=False,
        cwd=tempfile.gettempdir(),
    )  # fmt: skip


def main() -> int:
    """Drive a server of its own and tell what was found."""
    with tempfile.TemporaryDirectory() as data:
        return _main(Path(data))


def _main(data: Path) -> int:
    wanted = settings(data, create_on_push="MUTABLE")
    with running(wanted, clock=(clock := HastyClock())) as server:
        ground = plant(server)
        clock.hurries = True
        done = drive(server, DESCRIPTION, *sys.argv[1:])
        sys.stdout.write(done.stdout + done.stderr)
        ground.assert_holds(server.client())
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
