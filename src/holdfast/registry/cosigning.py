"""Cosignatures for what the ledger publishes: which witnesses are asked, and what their answers mean.

A witness that has seen more of this ledger than there is, or something else, has caught a state that was rolled back or
forked: nothing is published then, whatever the other witnesses say.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final, Protocol

from holdfast.core.checkpoint import parse_size
from holdfast.core.errors import ConfigurationInvalid
from holdfast.core.signed_note import Note, NoteInvalid, parse_signatures
from holdfast.core.tlog_policy import Policy, PolicyInvalid
from holdfast.core.witnessing import SIZE_TYPE, AddCheckpoint
from holdfast.registry.ledger import LedgerDiverged, QuorumMissing

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from pathlib import Path

    from holdfast.core.checkpoint import Checkpoint
    from holdfast.core.tlog_policy import Party

_LOGGER: Final = logging.getLogger("holdfast.ledger")
_OK: Final = 200
_CONFLICT: Final = 409
_INCONSISTENT: Final = 422
_TRIES: Final = 3
"""The first may begin at the wrong size, the second race with another server; a third is for good measure."""


class Answer(Protocol):
    """What a witness answered."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def content_type(self) -> str:
        """The media type."""
        ...

    @property
    def body(self) -> bytes:
        """The body."""
        ...


def read_policy(path: Path) -> Policy:
    """Read the policy of the setting ledger_policy. Raises ConfigurationInvalid."""
    try:
        policy = Policy.parse(path.read_bytes())
    except (OSError, PolicyInvalid) as error:
        msg = f"The policy {path} cannot be used: {error}"
        raise ConfigurationInvalid(msg) from None
    missing = [name for name, witness in policy.witnesses.items() if witness.url is None]
    if missing:
        msg = f"The policy {path} does not say where the witness {missing[0]} is: its line ends with an address."
        raise ConfigurationInvalid(msg)
    return policy


class PolicyCosigner:
    """Asks the witnesses of a policy: `holdfast.registry.ledger.Cosigner`."""

    def __init__(self, policy: Policy, submit: Callable[[str, bytes], Awaitable[Answer | None]]) -> None:
        """`submit` sends a request to a witness's address; None when nothing answered."""
        self._policy = policy
        self._submit = submit
        self._seen: dict[str, int] = {}

    async def cosign(self, note: bytes, checkpoint: Checkpoint, prove: Callable[[int], Sequence[bytes]]) -> bytes:
        """Return the note with cosignatures that meet the quorum; see `Cosigner` for what is raised."""
        witnesses = self._policy.witnesses.items()
        lines = await asyncio.gather(*(self._ask(name, one, note, checkpoint, prove) for name, one in witnesses))
        signed = note + "".join(line for line in lines if line is not None).encode()
        if not self._policy.has_quorum(self._policy.cosignatures(Note.parse(signed))):
            missing = [name for (name, _), line in zip(witnesses, lines, strict=True) if line is None]
            msg = f"the quorum {self._policy.quorum!r} is not met; without an answer: {', '.join(missing)}"
            raise QuorumMissing(msg)
        return signed

    async def _ask(
        self, name: str, witness: Party, note: bytes, checkpoint: Checkpoint, prove: Callable[[int], Sequence[bytes]]
    ) -> str | None:
        """Return a witness's line; None when it gave none."""
        for _ in range(_TRIES):
            old = min(self._seen.get(name, 0), checkpoint.size)
            request = AddCheckpoint(old, tuple(prove(old)), note).encode()
            answer = await self._submit(str(witness.url), request)
            if answer is None:
                return None
            if answer.status == _OK:
                line = _line_of(witness, answer.body, checkpoint)
                if line is not None:
                    self._seen[name] = checkpoint.size
                return line
            if answer.status == _INCONSISTENT:
                msg = f"the witness {name} has seen another ledger of this name: this one was forked"
                raise LedgerDiverged(msg)
            if answer.status != _CONFLICT or not answer.content_type.startswith(SIZE_TYPE):
                _LOGGER.warning("the witness %s answered %d", name, answer.status)
                return None
            self._note_conflict(name, old, answer.body, checkpoint)
        return None

    def _note_conflict(self, name: str, old: int, body: bytes, checkpoint: Checkpoint) -> None:
        try:
            seen = parse_size(body.decode("ascii").removesuffix("\n"))
        except (UnicodeDecodeError, NoteInvalid):
            return
        if seen > checkpoint.size:
            msg = (
                f"the witness {name} has seen {seen} entries, and this state has {checkpoint.size}: it is an older "
                "state, as after a restore from a backup. Replay what is missing with: holdfast ledger recover"
            )
            raise LedgerDiverged(msg)
        if seen == old == checkpoint.size:
            msg = f"the witness {name} has seen another tree of {seen} entries: this ledger was forked"
            raise LedgerDiverged(msg)
        self._seen[name] = seen


def _line_of(witness: Party, body: bytes, checkpoint: Checkpoint) -> str | None:
    """Find the witness's own signature in its answer, and check it."""
    try:
        for one in parse_signatures(body.decode("utf-8")):
            if (one.name, one.key_id) == (witness.key.name, witness.key.key_id):
                witness.key.verify(one.signature, checkpoint.text())
                return one.line()
    except (UnicodeDecodeError, NoteInvalid) as error:
        _LOGGER.warning("the cosignature of %s is not to be believed: %s", witness.key.name, error)
    return None
