"""The use case of a witness: see that logs only grow, and sign that one saw it.

A witness holds a key of its own and, for each log, the last checkpoint that it cosigned: no entry, no name of anything.
It is run by somebody else than the registry, or it witnesses nothing. Source: C2SP tlog-witness v1.0.0.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from holdfast.core.checkpoint import Checkpoint
from holdfast.core.signed_note import Note, NoteInvalid, write_note
from holdfast.core.witnessing import AddCheckpoint, Refusal, Seen, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from holdfast.core.signed_note import Signer, VerifierKey
    from holdfast.store.witness_files import WitnessFiles


class Witness:
    """Cosigns checkpoints of the logs that it knows."""

    def __init__(
        self, signer: Signer, logs: Sequence[VerifierKey], files: WitnessFiles, clock: Callable[[], int]
    ) -> None:
        """`clock` gives microseconds since the epoch."""
        self._signer = signer
        self._logs = logs
        self._files = files
        self._clock = clock
        self._one_at_a_time = asyncio.Lock()

    async def add_checkpoint(self, body: bytes) -> bytes:
        """Cosign a checkpoint; return the signature line. Raises Refusal, OSError when it cannot be remembered.

        Looking at what was seen last and remembering the new are one step, and it is remembered before it is signed.
        """
        try:
            request = AddCheckpoint.parse(body)
        except NoteInvalid as error:
            raise Refusal(400, str(error)) from None
        async with self._one_at_a_time:
            origin = _origin_of(request)
            note, checkpoint = decide(request, self._logs, self._seen(origin))
            line = self._signer.sign(note.text, self._clock() // 1_000_000)
            signed = write_note(note.text, [*(one.line() for one in note.signatures), line])
            await asyncio.to_thread(self._files.remember, checkpoint.origin, signed)
        return line.encode()

    def _seen(self, origin: str) -> Seen | None:
        content = self._files.last(origin)
        if content is None:
            return None
        checkpoint = Checkpoint.of(Note.parse(content))
        return Seen(checkpoint.size, checkpoint.root)

    def last(self) -> list[bytes]:
        """List the last checkpoints cosigned, signed notes: for whoever compares views."""
        found = (self._files.last(origin) for origin in sorted({key.name for key in self._logs}))
        return [one for one in found if one is not None]


def _origin_of(request: AddCheckpoint) -> str:
    try:
        return Checkpoint.of(Note.parse(request.note)).origin
    except NoteInvalid as error:
        raise Refusal(400, str(error)) from None
