"""`holdfast gc` tells what is removed, and what would be."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from commands import Commands


def test_a_dry_run_says_so_and_a_run_says_what_it_did(holdfast: Commands) -> None:
    assert holdfast("gc", "--dry-run").out.startswith("Would remove ")
    assert holdfast("gc").out.startswith("Removed ")


def test_json_has_every_count(holdfast: Commands) -> None:
    told = holdfast("gc", "--dry-run", "--json").json()
    assert told["dry_run"] is True
    assert set(told) == {"dry_run", "links", "blobs", "blob_bytes", "manifests", "uploads"}
