"""What must come of a client's steps, said once for every client.

This file alone judges. Each function fills its cell of the matrix, then fails the test if the outcome is wrong, so
that the matrix shows what happened also where it should not have.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .programs import Outcome
from .report import shortened

if TYPE_CHECKING:
    from .report import Row
    from .service import Registry, Reply


def sentence(repository: str, tag: str) -> str:
    """ECR's sentence of refusal, which tools match to the letter."""
    return (
        f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because the "
        "tag is immutable."
    )


def logged_in(row: Row, outcome: Outcome) -> None:
    """A log-in with the access key pair succeeds."""
    row.log_in = _short(outcome)
    assert outcome.succeeded, outcome.told


def pushed(row: Row, outcome: Outcome, registry: Registry, repository: str, tag: str) -> Reply:
    """A first push succeeds, and the tag then names content that hashes to its digest; gives that content."""
    row.first_push = _short(outcome)
    assert outcome.succeeded, outcome.told
    stored = registry.manifest(repository, tag)
    assert stored.headers["Docker-Content-Digest"] == stored.digest
    row.first_push = stored.digest[:19]
    return stored


def refused(row: Row, outcome: Outcome, repository: str, tag: str, *, reason_seen: bool = True) -> None:
    """Another image under the tag is refused, in ECR's words wherever the client shows words."""
    expected = sentence(repository, tag)
    row.refused_exit = str(outcome.exit_code)
    row.refused_reason = shortened(outcome.printed, expected)
    assert outcome.exit_code != 0, f"the tag was overwritten: {outcome.told}"
    flat = " ".join(outcome.printed.replace('\\"', '"').split())
    assert (expected if reason_seen else "409 Conflict") in flat, outcome.told


def unmoved(registry: Registry, repository: str, tag: str, first: Reply) -> None:
    """The tag still names the first push, byte for byte."""
    now = registry.manifest(repository, tag)
    assert now.digest == first.digest
    assert now.body == first.body
    assert now.headers["Content-Type"] == first.headers["Content-Type"]


def pushed_again(row: Row, outcome: Outcome) -> None:
    """The same image under the same tag succeeds: a retry after a lost answer must."""
    row.same_again = "ok" if outcome.succeeded else f"exit {outcome.exit_code}"
    assert outcome.succeeded, outcome.told


def pulled(row: Row, digests: list[str], first: Reply) -> None:
    """What the client pulled is what was pushed first."""
    row.pulled = "equal" if first.digest in digests else f"{digests} is not {first.digest}"
    assert first.digest in digests


def as_outcome(reply: Reply) -> Outcome:
    """The answer to a plain request, in the form in which clients' steps are judged; a status under 300 is exit 0."""
    return Outcome("a plain request", 0 if reply.status < 300 else reply.status, reply.body.decode(), "")


def _short(outcome: Outcome) -> str:
    return "ok" if outcome.succeeded else f"exit {outcome.exit_code}"
