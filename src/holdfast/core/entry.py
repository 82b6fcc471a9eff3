"""Entries of the ledger: what is written about an act, byte for byte.

This file alone decides the form of an entry: one JSON object in canonical form (RFC 8785), of a version, at most 65,535
bytes. Whoever has the bytes has all that is signed; nothing beside them counts.

Members that every entry has:

    v           version of this form, 1
    kind        what happened, such as tag-bound
    registry    account and region, such as 123456789012/eu-central-1
    repository  (only for acts in one)
    tag         (only for acts on one)
    number      1, 2, 3, ... for each entry of the same repository, or of the registry itself
    previous    the Merkle leaf hash (hexadecimal) of the entry with the number before; null for the first

All others are facts of the kind: `at` (microseconds since the epoch), `principal`, `access_key`, `source`, `through`,
`digest`, `before`, `after`, and so on. What is too large stands in the entry as its SHA-256 and its length.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import rfc8785

from holdfast.core import strict_json
from holdfast.core.merkle import leaf_hash
from holdfast.core.tiles import MAX_ENTRY_BYTES

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSION: Final = 1
OWN_MEMBERS: Final = frozenset({"v", "kind", "registry", "repository", "tag", "number", "previous"})
_MAX_EXACT: Final = 2**53
_PLAIN: Final = frozenset({str, bool, type(None)})
_REFERRED_BYTES: Final = 1_024
"""A value shorter than this is never put aside: the reference would not be much shorter."""


class EntryInvalid(Exception):
    """Bytes that are not an entry in canonical form."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry, read."""

    kind: str
    registry: str
    repository: str | None
    tag: str | None
    number: int
    previous: str | None
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One entry, written: its bytes, and what was too large for it, by SHA-256 (hexadecimal)."""

    content: bytes
    documents: dict[str, bytes]

    @property
    def hash(self) -> bytes:
        """Its hash in the Merkle tree."""
        return leaf_hash(self.content)


def write(entry: Entry) -> Leaf:
    """Write an entry; raises EntryInvalid when it cannot be one, whatever is put aside."""
    taken = OWN_MEMBERS & entry.facts.keys()
    if taken:
        msg = f"facts of an entry cannot be named {', '.join(sorted(taken))}"
        raise EntryInvalid(msg)
    members: dict[str, Any] = {
        "v": VERSION,
        "kind": entry.kind,
        "registry": entry.registry,
        "number": entry.number,
        "previous": entry.previous,
        **entry.facts,
    }
    if entry.repository is not None:
        members["repository"] = entry.repository
    if entry.tag is not None:
        members["tag"] = entry.tag
    content = canonical(members)
    documents: dict[str, bytes] = {}
    while len(content) > MAX_ENTRY_BYTES:
        _put_aside(members, entry.facts, documents)
        content = canonical(members)
    return Leaf(content, documents)


def read(content: bytes) -> Entry:
    """Read an entry; raises EntryInvalid for anything but the canonical form of one."""
    members = _read_plainly(content)
    if members is None:
        members = _read_strictly(content)
    if members.get("v") != VERSION:
        msg = f"an entry of version {members.get('v')!r}; this program knows {VERSION}"
        raise EntryInvalid(msg)
    given = OWN_MEMBERS & members.keys()
    own = {name: members.pop(name, None) for name in OWN_MEMBERS}
    for name, kind, needed in _FORM:
        if (needed or name in given) and (not isinstance(own[name], kind) or name not in given):
            msg = f"the member {name} of an entry is missing or of the wrong type"
            raise EntryInvalid(msg)
    return Entry(own["kind"], own["registry"], own["repository"], own["tag"], own["number"], own["previous"], members)


def _read_strictly(content: bytes) -> dict[str, Any]:
    try:
        members = strict_json.parse(content)
    except strict_json.StrictJSONError as error:
        msg = f"not an entry: {error}"
        raise EntryInvalid(msg) from None
    if not isinstance(members, dict) or canonical(members) != content:
        msg = "an entry is one JSON object in canonical form"
        raise EntryInvalid(msg)
    return members


def _read_plainly(content: bytes) -> dict[str, Any] | None:
    """Read what the standard library reads and writes again as the very same bytes; None for what it cannot judge.

    An auditor reads a million entries, and this takes three fifths of the time. Of ASCII without escapes by number, of
    whole numbers that are exact, and of few brackets, the bytes that the encoder writes are the canonical form: no name
    can stand twice, since it would be written once. A test compares this with the strict way.
    """
    if not content.isascii() or b"\\u" in content or content.count(b"{") + content.count(b"[") > strict_json.MAX_DEPTH:
        return None
    text = content.decode("ascii")
    try:
        members = _PLAIN_DECODER.decode(text)
        if type(members) is not dict or _PLAIN_ENCODER.encode(members) != text:
            return None
    except (ValueError, RecursionError):
        return None
    return members


def _exact(text: str) -> int:
    number = int(text)
    if not -_MAX_EXACT < number < _MAX_EXACT:
        raise ValueError
    return number


def _not_plain(_: str) -> None:
    raise ValueError


_PLAIN_DECODER: Final = json.JSONDecoder(parse_int=_exact, parse_float=_not_plain, parse_constant=_not_plain)
_PLAIN_ENCODER: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"), check_circular=False
)


def canonical(value: object) -> bytes:
    """Write JSON in canonical form; raises EntryInvalid for what has none.

    RFC 8785 is the library's. For objects of plain values with ASCII names, which nearly all entries are, the standard
    encoder gives the same bytes in a sixth of the time; a test compares the two.
    """
    try:
        if _is_plain(value):
            text = json.dumps(value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
            return text.encode("utf-8")
        return rfc8785.dumps(value)  # type: ignore[arg-type] # it checks what it is given
    except (rfc8785.CanonicalizationError, ValueError, TypeError, RecursionError) as error:
        msg = f"no canonical form: {error}"
        raise EntryInvalid(msg) from None


def _is_plain(value: object) -> bool:
    kind = type(value)
    if kind in _PLAIN:
        return True
    if kind is int:
        return -_MAX_EXACT < value < _MAX_EXACT  # type: ignore[operator] # it is a number
    if kind is dict:
        for name, one in value.items():  # type: ignore[attr-defined] # it is a dictionary
            if (type(one) not in _PLAIN and not _is_plain(one)) or not (type(name) is str and name.isascii()):
                return False
        return True
    return (kind is list and all(map(_is_plain, value))) or isinstance(value, str)  # type: ignore[call-overload]


def _put_aside(members: dict[str, Any], facts: Mapping[str, Any], documents: dict[str, bytes]) -> None:
    """Replace the largest fact by its SHA-256 and length."""
    sizes = {name: len(canonical(members[name])) for name in facts}
    name = max(sizes, key=sizes.__getitem__, default=None)
    if name is None or sizes[name] < _REFERRED_BYTES:
        msg = f"an entry has at most {MAX_ENTRY_BYTES} bytes"
        raise EntryInvalid(msg)
    document = canonical(members[name])
    digest = hashlib.sha256(document).hexdigest()
    documents[digest] = document
    members[name] = {"sha256": digest, "bytes": len(document)}


_FORM: Final[tuple[tuple[str, type | tuple[type, ...], bool], ...]] = (
    ("kind", str, True),
    ("registry", str, True),
    ("repository", str, False),
    ("tag", str, False),
    ("number", int, True),
    ("previous", (str, type(None)), True),
)
"""Member -> its type, and whether it must be there."""
