"""The client of a witness: one request, one answer. Source: C2SP tlog-witness v1.0.0."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import urllib3

MAX_ANSWER_BYTES: Final = 1_000_000
SECONDS: Final = 3.0
"""For the whole request: a checkpoint waits for its witnesses, and pushes wait for the checkpoint."""


@dataclass(frozen=True, slots=True)
class WitnessAnswer:
    """What a witness answered."""

    status: int
    content_type: str
    body: bytes


class WitnessUnreachable(Exception):
    """Nothing answered, or not in time."""


class WitnessClient:
    """Asks witnesses; may be used by several threads at once, and keeps connections."""

    def __init__(self, *, ca_bundle: str | None = None) -> None:
        """`ca_bundle`: certificates (PEM) to trust instead of the system's."""
        timeout = urllib3.Timeout(total=SECONDS)
        self._pool = urllib3.PoolManager(retries=False, timeout=timeout, ca_certs=ca_bundle)

    def add_checkpoint(self, prefix: str, request: bytes) -> WitnessAnswer:
        """Ask for a cosignature at a submission prefix. Raises WitnessUnreachable."""
        try:
            answer = self._pool.request(
                "POST",
                f"{prefix.rstrip('/')}/add-checkpoint",
                body=request,
                headers={"Content-Type": "text/plain; charset=utf-8", "User-Agent": "holdfast"},
                redirect=False,
                preload_content=False,
            )
            try:
                body = answer.read(MAX_ANSWER_BYTES, decode_content=False)
            finally:
                answer.release_conn()
        except (urllib3.exceptions.HTTPError, OSError, ValueError) as error:
            raise WitnessUnreachable(str(error)) from None
        return WitnessAnswer(answer.status, answer.headers.get("Content-Type", ""), body)

    def close(self) -> None:
        """Close what is open."""
        self._pool.clear()
