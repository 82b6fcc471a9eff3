"""The sizes of a run: every number a reader needs to repeat it.

A profile decides how long and how big, never what is measured. All knobs are printed with the result. Names
end in their unit: ``_mib`` is 2**20 bytes, ``_seconds`` is wall time; the rest are counts.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

MIB = 1024 * 1024
KIB = 1024


@dataclass(frozen=True)
class Profile:
    """One size of run; change a copy with :func:`dataclasses.replace`, never in place."""

    name: str
    rounds: int
    seconds: float
    """Measured time of one time-bound run on one server, seconds."""
    small_blobs: int
    """How many different 1 MiB blobs the HEAD and GET cases walk through."""
    medium_blob_mib: int
    medium_blobs: int
    large_blob_mib: int
    upload_mib: int
    parallel_uploads: int
    parallel_upload_mib: int
    rotating_tags: int
    """How many tags the "many tags" manifest case walks through."""
    tags: int
    """Tags in the one repository whose first page is listed."""
    repositories: int
    """Repositories in the catalog whose first page is listed."""
    bind_repositories: int
    bind_connections: int
    image_mib: int
    """Compressed size of the image that the real client pushes."""
    image_layers: int
    parallel_pushes: int

    def scaled(self, scale: float) -> Profile:
        """The same profile with the seeded counts (tags, repositories) multiplied by ``scale``."""
        return dataclasses.replace(
            self,
            tags=max(1, round(self.tags * scale)),
            repositories=max(1, round(self.repositories * scale)),
        )


FULL = Profile(
    name="full",
    rounds=3,
    seconds=5.0,
    small_blobs=64,
    medium_blob_mib=100,
    medium_blobs=4,
    large_blob_mib=1024,
    upload_mib=1024,
    parallel_uploads=16,
    parallel_upload_mib=64,
    rotating_tags=1000,
    tags=100_000,
    repositories=10_000,
    bind_repositories=100,
    bind_connections=32,
    image_mib=400,
    image_layers=8,
    parallel_pushes=20,
)

QUICK = Profile(
    name="quick",
    rounds=2,
    seconds=1.0,
    small_blobs=32,
    medium_blob_mib=100,
    medium_blobs=2,
    large_blob_mib=256,
    upload_mib=256,
    parallel_uploads=16,
    parallel_upload_mib=16,
    rotating_tags=200,
    tags=3_000,
    repositories=300,
    bind_repositories=20,
    bind_connections=32,
    image_mib=80,
    image_layers=4,
    parallel_pushes=6,
)

PROFILES: dict[str, Profile] = {profile.name: profile for profile in (FULL, QUICK)}
