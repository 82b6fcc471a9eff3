"""Blob uploads, large and small. Every blob is new to the server; its digest was computed beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench.load.generator import run_job
from bench.load.job import Load, UploadJob, UploadMode
from bench.profiles import MIB
from bench.seed import PATCH_BYTES

if TYPE_CHECKING:
    from bench.cases.context import Bench
    from bench.servers.server import Server


def upload_large(bench: Bench, server: Server, *, mode: UploadMode) -> Load:
    """One large blob over one connection."""
    blob = bench.payload.blob(f"{bench.content.base}/upload", bench.profile.upload_mib * MIB)
    return run_job(UploadJob(server.origin, str(bench.payload.path), mode, [blob], PATCH_BYTES))


def upload_parallel(bench: Bench, server: Server) -> Load:
    """Many middle-sized blobs at once, streamed."""
    size = bench.profile.parallel_upload_mib * MIB
    repository = f"{bench.content.base}/parallel"
    blobs = [bench.payload.blob(repository, size) for _ in range(bench.profile.parallel_uploads)]
    return run_job(UploadJob(server.origin, str(bench.payload.path), "stream", blobs, PATCH_BYTES))
