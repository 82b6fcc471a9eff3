"""Ledgers for tests of auditors: made of entries that a test chooses, signed by a key that it knows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from holdfast.core import entry
from holdfast.core.checkpoint import Checkpoint
from holdfast.core.ledger_audit import FileMissing
from holdfast.core.merkle import HASH_BYTES, Frontier, leaf_hash
from holdfast.core.signed_note import KeyKind, Signer, write_note
from holdfast.core.tiles import TILE_HEIGHT, bundles_of, join_bundle, tiles_of
from holdfast.core.tlog_policy import Policy

ORIGIN = "ledger.example/forged"
SIGNER = Signer.from_seed(ORIGIN, KeyKind.ED25519, b"k" * 32)
POLICY = Policy.trusting(SIGNER.verifier)
REGISTRY = "123456789012/eu-central-1"
REPOSITORY = "demo/app"
SOMEBODY = "arn:aws:iam::123456789012:user/somebody"


def digest(letter: str) -> str:
    """Return a digest that a test can tell from others."""
    return "sha256:" + letter * 64


@dataclass
class Writer:
    """Writes entries as the server does: numbered and chained by repository."""

    contents: list[bytes] = field(default_factory=list)
    _chains: dict[str | None, tuple[int, str]] = field(default_factory=dict)

    def add(self, kind: str, repository: str | None = REPOSITORY, tag: str | None = None, **facts: Any) -> None:
        """Write an entry."""
        number, previous = self._chains.get(repository, (0, None))
        told = {
            "at": 1_700_000_000_000_000 + len(self.contents),
            "principal": SOMEBODY,
            "access_key": "AKIA",
            "source": "192.0.2.1",
            "through": "oci",
            **facts,
        }
        leaf = entry.write(entry.Entry(kind, REGISTRY, repository, tag, number + 1, previous, told))
        self._chains[repository] = number + 1, leaf.hash.hex()
        self.contents.append(leaf.content)

    def created(self, mode: str = "IMMUTABLE", filters: tuple[str, ...] = ()) -> None:
        """Make the repository."""
        self.add("repository-created", mode=mode, filters=list(filters))

    def switched(self, before: str, after: str) -> None:
        """Switch it."""
        self.add("mutability-changed", before={"mode": before, "filters": []}, after={"mode": after, "filters": []})

    def named(
        self,
        letter: str,
        before: str | None,
        *,
        tag: str = "v1",
        kind: str = "tag-bound",
        held: bool = True,
        **more: Any,
    ) -> None:
        """Bind, move or restore a tag."""
        facts = {"digest": digest(letter), "before": digest(before) if before else None, "held": held}
        self.add(kind, tag=tag, **{**facts, "rule": "free-name", "reason": "", "media_type": "", "bytes": 1, **more})

    def deleted(self, letter: str, *, tag: str = "v1", held: bool = True) -> None:
        """Delete a tag."""
        self.add("tag-deleted", tag=tag, digest=digest(letter), held=held, why="by request")


@dataclass
class Forged:
    """A ledger as its files."""

    files: dict[str, bytes]
    note: bytes
    checkpoint: Checkpoint

    def fetch(self, path: str) -> bytes:
        """Read a file."""
        try:
            return self.files[path]
        except KeyError:
            raise FileMissing(f"{path} is missing") from None


def publish(contents: list[bytes]) -> Forged:
    """Make the files of a ledger that has these entries, and sign it."""
    frontier, made = Frontier().extend(map(leaf_hash, contents), TILE_HEIGHT)
    levels: dict[int, list[bytes]] = {}
    for height, node in made:
        levels.setdefault(height // TILE_HEIGHT, []).append(node)
    files = {}
    for tile in tiles_of(len(contents)):
        start = tile.number * 256
        files[tile.path] = b"".join(levels[tile.level or 0][start : start + tile.width])
        assert len(files[tile.path]) == tile.width * HASH_BYTES
    for bundle in bundles_of(len(contents)):
        files[bundle.path] = join_bundle(contents[bundle.first_leaf : bundle.first_leaf + bundle.width])
    checkpoint = Checkpoint(ORIGIN, frontier.size, frontier.root())
    note = write_note(checkpoint.text(), [SIGNER.sign(checkpoint.text())])
    files["checkpoint"] = note
    return Forged(files, note, checkpoint)


def many(count: int) -> list[bytes]:
    """Return the entries of a repository with many tags: `count` entries in all."""
    writer = Writer()
    writer.created()
    for number in range(count - 1):
        writer.named("a", None, tag=f"v{number}")
    return writer.contents
