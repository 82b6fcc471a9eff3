"""What a load generator is told and what it tells back, as plain values that travel as JSON."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from bench.load.wire import Origin

UploadMode = Literal["stream", "framed", "patches", "monolithic"]
WriteKind = Literal["blob", "manifest", "bind", "contend", "repository"]


@dataclass(frozen=True)
class Request:
    """One GET or HEAD with the answer it must get. ``length`` is the body's bytes (of HEAD: not checked)."""

    method: str
    target: str
    status: int
    length: int
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class SwarmJob:
    """Repeat the requests over ``connections`` kept-alive connections for ``seconds``."""

    origin: Origin
    requests: list[Request]
    connections: int
    processes: int
    seconds: float
    job: str = "swarm"


@dataclass(frozen=True)
class BlobPlan:
    """A blob to upload: the first ``size - len(suffix)`` bytes of the source file, then the suffix."""

    repository: str
    size: int
    suffix_hex: str
    digest: str


@dataclass(frozen=True)
class UploadJob:
    """Upload every blob once, each over its own connection, all at the same time."""

    origin: Origin
    source: str
    mode: UploadMode
    blobs: list[BlobPlan]
    patch_bytes: int
    job: str = "upload"


@dataclass(frozen=True)
class WriteJob:
    """Many small writes: for ``seconds``, or until ``count`` are done when ``count`` is not 0.

    ``kind`` is ``blob`` (a fresh random blob of ``blob_bytes``, POST + PUT), ``manifest`` (a fresh manifest under
    a fresh tag), ``bind`` (the one ``manifest`` under a fresh tag), ``contend`` (a fresh manifest under the one tag
    ``contended``) or ``repository`` (mount ``mount_digest`` and put ``manifest`` in a fresh repository).
    Names of fresh things begin with ``token``. Repositories are walked in turn.
    """

    origin: Origin
    kind: WriteKind
    repositories: list[str]
    token: str
    connections: int
    processes: int
    seconds: float = 0.0
    count: int = 0
    manifest: str = ""
    media_type: str = ""
    mount_digest: str = ""
    mount_from: str = ""
    blob_bytes: int = 4096
    job: str = "write"


Job = SwarmJob | UploadJob | WriteJob


@dataclass(frozen=True)
class Load:
    """What one run put on a server and what it felt like.

    ``operations`` is what the case counts (requests, blobs, tags); ``body_bytes`` the payload in either direction.
    Latencies are per operation, milliseconds; ``generator_cpu_seconds`` is what producing the load itself cost.
    """

    operations: int
    body_bytes: int
    seconds: float
    p50_ms: float = math.nan
    p99_ms: float = math.nan
    generator_cpu_seconds: float = math.nan


def percentile_ms(sorted_seconds: list[float], share: float) -> float:
    """The nearest-rank percentile of latencies in seconds, as milliseconds; ``share`` is 0 to 1."""
    if not sorted_seconds:
        return math.nan
    rank = max(0, math.ceil(share * len(sorted_seconds)) - 1)
    return sorted_seconds[rank] * 1000


def summarize(latencies: list[float], body_bytes: int, seconds: float, operations: int | None = None) -> Load:
    """A load from the latencies (seconds) of its operations; ``operations`` if some were cut off by the end."""
    latencies.sort()
    return Load(
        operations=len(latencies) if operations is None else operations,
        body_bytes=body_bytes,
        seconds=seconds,
        p50_ms=percentile_ms(latencies, 0.50),
        p99_ms=percentile_ms(latencies, 0.99),
    )
