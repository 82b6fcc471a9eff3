"""The trust file: which logs are believed, and which witnesses must have cosigned.

This file alone decides whether a checkpoint is good enough. Source: C2SP tlog-policy.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.core.checkpoint import Checkpoint
from holdfast.core.signed_note import KeyKind, Note, NoteInvalid, Verified, VerifierKey

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_POLICY_BYTES: Final = 1_000_000
NONE: Final = "none"
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,5}", re.ASCII)


class PolicyInvalid(Exception):
    """A text that is no policy; it says which line is wrong, and why."""


class PolicyUnmet(Exception):
    """A checkpoint that the policy does not accept; it says what is missing."""


@dataclass(frozen=True, slots=True)
class Party:
    """A log or a witness: its key, and where it is reached, when the policy says so."""

    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True)
class Group:
    """Members of whom at least `threshold` must have witnessed."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    """A checkpoint that a policy accepts: by which of the log's keys, and by which witnesses."""

    checkpoint: Checkpoint
    log: VerifierKey
    cosignatures: tuple[Verified, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """Whom to believe."""

    logs: tuple[Party, ...]
    witnesses: Mapping[str, Party]
    groups: Mapping[str, Group]
    quorum: str

    @classmethod
    def parse(cls, content: bytes) -> Policy:
        """Read a policy; raises PolicyInvalid."""
        reading = _Reading()
        if len(content) > MAX_POLICY_BYTES:
            msg = f"a policy has at most {MAX_POLICY_BYTES} bytes"
            raise PolicyInvalid(msg)
        # Names are octets; this keeps those that are no UTF-8 apart from each other and from all that are.
        for number, line in enumerate(content.decode("utf-8", "surrogateescape").split("\n"), start=1):
            try:
                reading.line(line)
            except (NoteInvalid, PolicyInvalid) as error:
                msg = f"line {number}: {error}"
                raise PolicyInvalid(msg) from None
        if reading.quorum is None:
            msg = "the policy has no quorum line; 'quorum none' asks for no witness"
            raise PolicyInvalid(msg)
        return cls(tuple(reading.logs), reading.witnesses, reading.groups, reading.quorum)

    @classmethod
    def trusting(cls, *keys: VerifierKey) -> Policy:
        """Make the policy that believes logs by their keys alone, without witnesses."""
        return cls(tuple(Party(key, None) for key in keys), {}, {}, NONE)

    def judge(self, content: bytes) -> Accepted:
        """Check a signed checkpoint; raises NoteInvalid or PolicyUnmet."""
        note = Note.parse(content)
        checkpoint = Checkpoint.of(note)
        mine = [log.key for log in self.logs if log.key.name == checkpoint.origin]
        if not mine:
            msg = f"the policy does not know the log {checkpoint.origin!r}"
            raise PolicyUnmet(msg)
        signed = note.verify(mine)
        if not signed:
            msg = f"no key of the policy has signed as the log {checkpoint.origin!r}"
            raise PolicyUnmet(msg)
        cosigned = self.cosignatures(note)
        if not self.has_quorum(cosigned):
            names = sorted(self._names(cosigned))
            msg = f"the quorum {self.quorum!r} is not met: cosigned by {', '.join(names) or 'no witness'}"
            raise PolicyUnmet(msg)
        return Accepted(checkpoint, signed[0].key, cosigned)

    def cosignatures(self, note: Note) -> tuple[Verified, ...]:
        """Return the cosignatures of the policy's witnesses; raises NoteInvalid when one does not hold."""
        return tuple(note.verify(witness.key for witness in self.witnesses.values()))

    def has_quorum(self, cosigned: tuple[Verified, ...]) -> bool:
        """Whether these witnesses are enough."""
        return self.quorum == NONE or self._witnessed(self.quorum, self._names(cosigned))

    def _names(self, cosigned: tuple[Verified, ...]) -> set[str]:
        keys = {one.key for one in cosigned}
        return {name for name, witness in self.witnesses.items() if witness.key in keys}

    def _witnessed(self, name: str, names: set[str]) -> bool:
        group = self.groups.get(name)
        if group is None:
            return name in names
        return sum(self._witnessed(member, names) for member in group.members) >= group.threshold


class _Reading:
    """A policy while its lines are read."""

    def __init__(self) -> None:
        self.logs: list[Party] = []
        self.witnesses: dict[str, Party] = {}
        self.groups: dict[str, Group] = {}
        self.quorum: str | None = None
        self._members: set[str] = set()

    def line(self, line: str) -> None:
        if any((ord(one) < ord(" ") and one != "\t") or one == "\x7f" for one in line):
            msg = "control characters but tab and newline are not allowed"
            raise PolicyInvalid(msg)
        words = re.split("[ \t]+", line.strip(" \t"))
        if words == [""] or words[0].startswith("#"):
            return
        keyword, values = words[0], words[1:]
        lengths, read = {
            "log": ((1, 2), self._log),
            "witness": ((2, 3), self._witness),
            "group": ((3, len(values)), self._group),
            "quorum": ((1, 1), self._quorum),
        }.get(keyword, ((0, 0), None))
        if read is None:
            msg = f"a line begins with log, witness, group or quorum, not with {keyword[:40]!r}"
            raise PolicyInvalid(msg)
        if not lengths[0] <= len(values) <= lengths[1]:
            msg = f"a {keyword} line does not have {len(values)} words behind the first"
            raise PolicyInvalid(msg)
        read(values)

    def _log(self, values: list[str]) -> None:
        party = self._party(values, KeyKind.ED25519, "log")
        if any(party.key.public == known.key.public for known in self.logs):
            msg = "two logs have the same key"
            raise PolicyInvalid(msg)
        self.logs.append(party)

    def _witness(self, values: list[str]) -> None:
        name = self._new_name(values[0])
        party = self._party(values[1:], KeyKind.COSIGNATURE, "witness")
        if any(party.key.public == known.key.public for known in self.witnesses.values()):
            msg = "two witnesses have the same key"
            raise PolicyInvalid(msg)
        self.witnesses[name] = party

    def _group(self, values: list[str]) -> None:
        name, threshold, *members = values
        self._new_name(name)
        for member in members:
            self._known(member)
            if member in self._members:
                msg = f"{member!r} is a member of a group already"
                raise PolicyInvalid(msg)
            self._members.add(member)
        least = {"any": 1, "all": len(members)}.get(threshold)
        if least is None and _NUMBER.fullmatch(threshold):
            least = int(threshold)
        if least is None or not 1 <= least <= len(members):
            msg = f"the threshold of a group is any, all, or a number from 1 to {len(members)}"
            raise PolicyInvalid(msg)
        self.groups[name] = Group(least, tuple(members))

    def _quorum(self, values: list[str]) -> None:
        if self.quorum is not None:
            msg = "there is one quorum line"
            raise PolicyInvalid(msg)
        if values[0] != NONE:
            self._known(values[0])
        self.quorum = values[0]

    def _party(self, values: list[str], kind: KeyKind, role: str) -> Party:
        key = VerifierKey.parse(values[0])
        if key.kind is not kind:
            msg = f"the key of {key.name!r} is not that of a {role}"
            raise PolicyInvalid(msg)
        return Party(key, values[1] if len(values) > 1 else None)

    def _new_name(self, name: str) -> str:
        if name == NONE or name in self.witnesses or name in self.groups:
            msg = f"the name {name!r} is taken"
            raise PolicyInvalid(msg)
        return name

    def _known(self, name: str) -> None:
        if name not in self.witnesses and name not in self.groups:
            msg = f"no line before this one defines {name!r}"
            raise PolicyInvalid(msg)
