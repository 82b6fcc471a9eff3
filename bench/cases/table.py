"""The table of cases, in the order they run. To add one: a function in this folder, a row here.

Goals are those of the project's performance facts. Reads come first and share one seeded store; then lists, starts
and TLS on that store; then writes, each on an empty store, so that the disk does not fill.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bench.cases import clients, lifecycle, listings, reads, uploads, writes
from bench.cases.context import Case, Unit
from bench.goals import at_least, at_most

if TYPE_CHECKING:
    from bench.load.job import UploadMode

SMALL_READ = (at_least(8, of="d3"), at_least(0.35, of="nginx"), at_most(3, metric="p99_ms"))
LARGE_READ = (at_least(1.0, of="d3"), at_most(0.8, of="d3", metric="cpu_s_per_gb"))
LARGE_WRITE = (at_least(1.5, of="d3"), at_most(120, metric="anonymous_mib"))
CLIENT = (at_most(1.0, of="d3"), at_most(0.6, of="d3", metric="cpu_seconds"))
REFERENCES: tuple[tuple[reads.Reference, str], ...] = (
    ("tag", "tag"),
    ("digest", "digest"),
    ("tags", "{rotating_tags} tags in turn"),
)
UPLOAD_MODES: tuple[tuple[UploadMode, str], ...] = (
    ("stream", "one PATCH"),
    ("framed", "one PATCH sent chunked (TE)"),
    ("patches", "16 MiB PATCHes"),
    ("monolithic", "monolithic PUT"),
)
RATE, SPEED = Unit.PER_SECOND, Unit.GIGABYTES_PER_SECOND

MANIFEST_READS = tuple(
    Case(
        f"manifest-{method}-{reference}-c{connections}",
        "manifest reads",
        f"{method.upper()} manifest by {label}, c={connections}",
        RATE,
        partial(function, reference=reference, connections=connections),
        goals=SMALL_READ if connections > 1 and reference != "tags" else (),
        static=True,
    )
    for method, function in (("get", reads.get_manifest), ("head", reads.head_manifest))
    for reference, label in REFERENCES
    for connections in (1, 64)
    if reference != "tags" or (method == "get" and connections > 1)
)

BLOB_READS = (
    Case("blob-head-c64", "blob reads", "HEAD blob, c=64", RATE, partial(reads.head_blob, connections=64),
         goals=(at_least(8, of="d3"),), static=True),
    Case("blob-get-1mib-c16", "blob reads", "GET blob 1 MiB, c=16", SPEED,
         partial(reads.get_blob, size="small", connections=16),
         goals=(at_least(3, of="d3"), at_most(0.8, of="d3", metric="cpu_s_per_gb")), static=True),
    Case("blob-get-medium-c1", "blob reads", "GET blob {medium_blob_mib} MiB, c=1", SPEED,
         partial(reads.get_blob, size="medium", connections=1), goals=LARGE_READ, static=True),
    Case("blob-get-medium-c16", "blob reads", "GET blob {medium_blob_mib} MiB, c=16", SPEED,
         partial(reads.get_blob, size="medium", connections=16),
         goals=(*LARGE_READ, at_most(100, metric="anonymous_mib")), static=True),
    Case("blob-get-large-c4", "blob reads", "GET blob {large_blob_mib} MiB, c=4", SPEED,
         partial(reads.get_blob, size="large", connections=4), goals=LARGE_READ, static=True),
    Case("blob-range-c4", "blob reads", "GET 64 KiB ranges of {large_blob_mib} MiB, c=4", SPEED,
         partial(reads.get_ranges, connections=4), goals=(at_least(15, of="d3"),), static=True),
)  # fmt: skip

STORE = (
    Case("tags-first-page", "lists and start", "tags/list, first 1000 of {tags} tags", Unit.MILLISECONDS,
         listings.list_tags, goals=(at_most(5),), prepare=listings.prepare_tags),
    Case("catalog-first-page", "lists and start", "catalog, first 1000 of {repositories} repositories",
         Unit.MILLISECONDS, listings.list_catalog, goals=(at_most(5),), prepare=listings.prepare_repositories),
    Case("start-to-ready", "lists and start", "start to ready, {tags} tags", Unit.SECONDS,
         lifecycle.start_to_ready, goals=(at_most(1),), prepare=listings.prepare_tags, restarts=True),
    Case("idle-memory", "lists and start", "memory when idle after a start", Unit.MEBIBYTES,
         lifecycle.stay_idle, goals=(at_most(60),)),
    Case("blob-get-tls-c1", "blob reads", "GET blob {medium_blob_mib} MiB over TLS 1.3, c=1", SPEED,
         partial(reads.get_blob, size="medium", connections=1), goals=(at_least(1.0, of="d3"),), static=True,
         tls=True),
)  # fmt: skip

UPLOADS = (
    *(
        Case(f"upload-{mode}", "uploads", f"upload {{upload_mib}} MiB, {label}", SPEED,
             partial(uploads.upload_large, mode=mode), goals=LARGE_WRITE, fresh=True, writes=True)
        for mode, label in UPLOAD_MODES
    ),
    Case("upload-parallel", "uploads", "{parallel_uploads} uploads of {parallel_upload_mib} MiB at once", SPEED,
         uploads.upload_parallel, goals=LARGE_WRITE, fresh=True, writes=True),
    Case("blob-put-small-c16", "small writes", "4 KiB blob uploads, c=16", RATE,
         partial(writes.write, kind="blob", connections=16), fresh=True, writes=True),
)  # fmt: skip

SMALL_WRITES = (
    Case("manifest-put-c16", "small writes", "PUT manifest, new tags, c=16", RATE,
         partial(writes.write, kind="manifest", connections=16), goals=(at_least(5, of="d3"),),
         prepare=partial(writes.prepare, kind="manifest"), writes=True),
    Case("bind-one", "small writes", "tag binds, one repository, c={bind_connections}", RATE,
         partial(writes.write, kind="bind"), goals=(at_least(2000),),
         prepare=partial(writes.prepare, kind="bind"), writes=True),
    Case("bind-many", "small writes", "tag binds, {bind_repositories} repositories, c={bind_connections}", RATE,
         writes.bind_many, goals=(at_least(2000),), prepare=writes.prepare_bind_many, writes=True),
    Case("contend-one-tag", "small writes", "new manifests to ONE tag, c={bind_connections}", RATE,
         partial(writes.write, kind="contend"), prepare=partial(writes.prepare, kind="contend"), writes=True),
)  # fmt: skip

CLIENTS = (
    Case("client-push", "real client", "skopeo push, {image_mib} MiB image, {image_layers} layers", Unit.SECONDS,
         clients.push, goals=CLIENT, prepare=clients.prepare_image, fresh=True, writes=True),
    Case("client-pull", "real client", "skopeo pull, {image_mib} MiB image", Unit.SECONDS,
         clients.pull, goals=CLIENT, prepare=clients.prepare_pull),
    Case("client-push-parallel", "real client", "{parallel_pushes} skopeo pushes at once", Unit.SECONDS,
         clients.push_parallel, goals=(at_most(1 / 1.2, of="d3"),), prepare=clients.prepare_image, fresh=True,
         writes=True),
)  # fmt: skip

CASES: tuple[Case, ...] = (*MANIFEST_READS, *BLOB_READS, *STORE, *UPLOADS, *SMALL_WRITES, *CLIENTS)
