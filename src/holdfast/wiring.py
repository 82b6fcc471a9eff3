"""The one place that joins adapters to use cases and use cases to faces."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import logging
import math
import os
import shutil
import time
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Final

from holdfast.client import issuer
from holdfast.client.witness import WitnessAnswer, WitnessClient, WitnessUnreachable
from holdfast.core.errors import DatabaseBusy, ReadOnly, StorageFailed, StorageFull
from holdfast.core.forwarding import is_trusted, networks
from holdfast.core.mutability import MutabilitySettings, TagMutability
from holdfast.core.quota import Resource
from holdfast.faces.certificate import ServerCertificate
from holdfast.faces.ecr import ECRFace
from holdfast.faces.forwarded import behind
from holdfast.faces.http import Handler, Request, Response
from holdfast.faces.json_call import UseCases
from holdfast.faces.kept_answers import KeptAnswers
from holdfast.faces.ledger import PREFIX as LEDGER_PREFIX
from holdfast.faces.ledger import LedgerFace
from holdfast.faces.oci import ERRORS, OCIFace
from holdfast.faces.operations import Metrics, OperationsFace
from holdfast.faces.server import Limits, Server
from holdfast.faces.signatures import connection_of
from holdfast.faces.sts import STSFace
from holdfast.faces.tracing import Tracing
from holdfast.outbound import Outbound
from holdfast.registry.access import Access
from holdfast.registry.account_settings import AccountSettings
from holdfast.registry.blobs import Blobs
from holdfast.registry.cosigning import PolicyCosigner, read_policy
from holdfast.registry.flows import Flows
from holdfast.registry.gate import SETTING, Gate, GatedDatabase, Mode
from holdfast.registry.history import History
from holdfast.registry.identities import Identities
from holdfast.registry.image_pages import ImagePages
from holdfast.registry.images import Images
from holdfast.registry.ledger import Ledger
from holdfast.registry.ledger_keys import LedgerKeys
from holdfast.registry.ledger_use import LedgerUse, Readers
from holdfast.registry.lifecycle import Lifecycle, PolicyOfTemplate
from holdfast.registry.lifecycle_runs import LifecycleRuns
from holdfast.registry.oidc import IdentityTokens
from holdfast.registry.organizations import Organizations
from holdfast.registry.orphans import Orphans
from holdfast.registry.principals import Principals
from holdfast.registry.pulls import Pulls
from holdfast.registry.quotas import Quotas
from holdfast.registry.rates import RateLimits
from holdfast.registry.registries import Registries, found_server
from holdfast.registry.repositories import Repositories
from holdfast.registry.resource_policies import RepositoryPolicy, ResourcePolicies
from holdfast.registry.scanning import Scanning
from holdfast.registry.scrub import Scrub
from holdfast.registry.seal import Seal
from holdfast.registry.seal_keys import SealKeys
from holdfast.registry.sessions import Sessions
from holdfast.registry.signing import Signing
from holdfast.registry.storage_class import StorageClasses
from holdfast.registry.templates import Document, Templates
from holdfast.registry.upkeep import Upkeep
from holdfast.registry.uploads import Uploads
from holdfast.store import content, entries, failpoints, flows, replications, usage
from holdfast.store.data_directory import DataDirectory
from holdfast.store.filesystem import FilesystemBlobs
from holdfast.store.ledger_files import LedgerFiles
from holdfast.store.reserve import Reserve
from holdfast.store.sqlite import SQLiteDatabase

if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast.config import Settings
    from holdfast.store.catalog import Registry

COLLECT_SECONDS: Final = 3_600
_THIS_MACHINE: Final = networks("127.0.0.0/8,::1")
LEDGER_END_SECONDS: Final = 10
"""How long a stop waits for the last entries to be published; the next start publishes what is left."""

ROOM_SECONDS: Final = 5
"""How often a server whose disk was full looks whether there is room again."""

_OPERATIONS: Final = frozenset({"/livez", "/readyz", "/readyz/write", "/metrics"})
_LOGGER: Final = logging.getLogger("holdfast.server")
_REQUESTS: Final = logging.getLogger("holdfast.request")
_QUIET: Final = frozenset({"GET", "HEAD"})


def microseconds_now() -> int:
    """Return the time in microseconds since the epoch."""
    return time.time_ns() // 1_000


class SteadyClock:
    """The time of day at the start, and from then on the seconds that really passed."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._ahead = clock() - time.monotonic_ns() // 1_000

    def __call__(self) -> int:
        """Return microseconds since the epoch; never less than before."""
        return self._ahead + time.monotonic_ns() // 1_000


def arm_failpoints(plan: str) -> dict[str, int]:
    """Let this process be killed at named places: for crash tests. Raises ConfigurationInvalid."""
    return failpoints.arm(plan)


class Holdfast:
    """A server with everything in it, from its settings to its sockets.

    `start` and `stop` are for one event loop. `failed` is set when the disk refused to do its work: nothing is written
    any more, and the process should end, so that a restart finds out what is there.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], int] = microseconds_now,
        lease_clock: Callable[[], int] | None = None,
    ) -> None:
        """`clock` and `lease_clock` give microseconds since the epoch; a test hands in such as it can set.

        What is recorded bears the time of the clock. What is promised for a while (a lease, an upload session) is
        measured by the other, which does not jump: else a clock put right would end what a client was just promised.
        """
        self.settings = settings
        self._clock = clock
        self._lease_clock = lease_clock or (SteadyClock(clock) if clock is microseconds_now else clock)
        self.failed = asyncio.Event()
        self.collected_once = asyncio.Event()
        """Set when the collection of the start is over, whatever came of it: the next one is an hour away."""
        self._swept = False
        self._is_settled = False
        self._tracing: Tracing | None = None
        self._certificate: ServerCertificate | None = None
        self._errors: Counter[str] = Counter()
        self.made_up_key: tuple[str, str] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._background: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Open the data directory, make the first administrator, listen. Raises ConfigurationInvalid."""
        settings = self.settings
        raw, gate = self._open(settings)
        ledger = await self._open_ledger(raw, gate)
        seal, included = Seal.at(self._directory.seal_key), ledger.included
        clock, leases = self._clock, self._lease_clock
        places = [(settings.account_id, settings.region), *settings.registries]
        registry = await raw.write(lambda txn: found_server(txn, places, clock()))
        rates = self._rates = RateLimits(leases, settings.requests_per_second, settings.stranger_requests_per_second)
        access = Access(self._database, seal, clock, management=settings.account_id, rates=rates)
        registries = Registries(self._database, access, registry, clock)
        on_push = MutabilitySettings(TagMutability(settings.create_on_push)) if settings.create_on_push else None
        templates = self._made_templates(access)
        repositories = Repositories(self._database, access, clock, templates, create_on_push=on_push)
        self.pulls = Pulls(self._database, access, clock)
        blobs = Blobs(self._database, self._store, access, repositories, leases)
        images = Images(
            self._database, access, repositories, clock, is_there=blobs.is_there, pulls=self.pulls, included=included
        )
        ledger_use = LedgerUse(self._database, access, ledger, clock, readers=Readers(settings.ledger_readers))
        sessions = {"max_sessions": settings.max_uploads, "session_seconds": settings.upload_hours * 3_600}
        self._uploads = Uploads(self._database, self._store, access, repositories, leases, gate=gate, **sessions)
        self._make_keepers(raw, gate, access)
        await self._bootstrap(raw, access, registry)
        self._outbound = Outbound(ca_bundle=str(settings.upstream_ca) if settings.upstream_ca else None)
        joined = (seal, templates, images, blobs, self._uploads, self._store, self._outbound, clock, leases)
        flowing = self._flows = Flows.joined(self._database, access, *joined)
        self._metrics = self._made_metrics()
        kept = KeptAnswers(self._changes, leases)
        served = (access, registries, repositories, images, blobs, self._uploads, flowing.fetching, kept)
        oci = OCIFace(*served, challenge=settings.login, on_error=self._count_error)
        ecr = ECRFace(
            UseCases(
                access=access,
                registries=registries,
                repositories=repositories,
                images=images,
                pages=ImagePages(self._database, access, clock, included=included),
                quotas=Quotas(self._database, access, clock),
                blobs=blobs,
                uploads=self._uploads,
                pulls=self.pulls,
                storage_classes=self.storage_classes,
                lifecycle=Lifecycle(self._database, access, clock),
                lifecycle_runs=self.lifecycle,
                orphans=Orphans(self._database, access, self.lifecycle.planner, clock),
                principals=Principals(self._database, access, clock),
                identities=Identities(self._database, access, clock),
                organizations=Organizations(self._database, access, clock),
                policies=ResourcePolicies(self._database, access, clock),
                history=History(self._database, access),
                ledger=ledger_use,
                upkeep=self.upkeep,
                templates=templates,
                flows=flowing,
                scanning=Scanning(self._database, access, clock),
                signing=Signing(self._database, access, clock),
                account_settings=AccountSettings(self._database, access, clock),
                mode=Mode(raw, gate, access, clock),
                scrub=self._scrub,
                seal=seal,
                seal_keys=SealKeys(self._database, access, seal, clock),
                clock=clock,
            ),
            on_error=self._count_error,
        )
        may_read = partial(_require_metrics, settings.metrics, access, registry)
        sts, files = self._made_sts(access, registries, seal), LedgerFace(ledger, ledger_use, registries)
        await self._listen(oci, ecr, sts, files, may_read=may_read)
        self._begin_background_work()

    async def _bootstrap(self, raw: SQLiteDatabase, access: Access, registry: Registry) -> None:
        """Make the first administrator, or give it the key of the settings."""
        settings = self.settings
        if self._ledger.problem is None:
            self.made_up_key = await Principals(raw, access, self._clock).bootstrap(
                registry, settings.bootstrap_access_key_id, settings.bootstrap_secret_access_key
            )

    def _make_keepers(self, raw: SQLiteDatabase, gate: Gate, access: Access) -> None:
        """Make the use cases that keep the house."""
        leases = self._lease_clock
        self._scrub = self._made_scrub(raw, access)
        self.upkeep = Upkeep(
            raw, self._store, self._uploads, access, leases, gate=gate, deleting=self._directory.deleting
        )
        self.storage_classes = StorageClasses(self._database, self._store, access, self._clock)
        self.lifecycle = LifecycleRuns(self._database, access, self.pulls, self._clock)

    def _begin_background_work(self) -> None:
        scrubbing = self._scrub.run(self._unclean_since, self._settle)
        of_images = (self.pulls.run(), self.storage_classes.run(), self.lifecycle.run())
        renewal = (self._certificate.run(),) if self._certificate is not None else ()
        works = (self._collect(), self._watch_room(), scrubbing, *of_images, *renewal)
        self._background = [asyncio.create_task(work) for work in works]
        self._ledger_work = asyncio.create_task(self._keep_ledger())
        self._flows.start()

    async def _listen(
        self, oci: OCIFace, ecr: ECRFace, sts: STSFace, files: LedgerFace, *, may_read: Callable[[Request], None]
    ) -> None:
        """Begin to answer."""
        settings = self.settings
        operations = OperationsFace(self._metrics, self._problems, self._write_problems, may_read=may_read)
        handler = self._outermost(failpoints.before_answers(_router(oci, ecr, sts, files, operations)))
        self._server = Server()
        await self._server.start(
            handler,
            settings.host,
            settings.port,
            ssl_context=self._certificate.context if self._certificate is not None else None,
            limits=Limits(connections=settings.max_connections, shutdown_grace_seconds=settings.shutdown_seconds),
            on_request_done=self._on_request_done,
        )

    def _made_sts(self, access: Access, registries: Registries, seal: Seal) -> STSFace:
        tokens = IdentityTokens(self._database, self._clock, issuer.fetch)
        sessions = Sessions(self._database, access, registries, tokens, seal, self._clock)
        return STSFace(access, registries, sessions, self._clock)

    def _open(self, settings: Settings) -> tuple[SQLiteDatabase, Gate]:
        """Take the data directory and open what lies in it."""
        self._loop = asyncio.get_running_loop()
        if settings.tls_cert is not None and settings.tls_key is not None:
            self._certificate = ServerCertificate(settings.tls_cert, settings.tls_key)
        self._witnesses = WitnessClient(ca_bundle=str(settings.upstream_ca) if settings.upstream_ca else None)
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = DataDirectory(settings.data)
        self._lock = self._directory.lock()
        reserve = self._reserve = Reserve(self._directory.reserve, settings.reserve_mib * 1024 * 1024)
        reserve.make()
        self._unclean_since = self._directory.begin_run(self._lease_clock())
        gate = self._gate = Gate(lambda: not reserve.is_full)
        hears = {"on_failure": self._on_failure, "on_read_only": gate.close_for_disk}
        raw = self._raw_database = SQLiteDatabase(self._directory.database, make_room=reserve.release, **hears)
        self._store = FilesystemBlobs(settings.data, on_full=reserve.release, **hears)
        if settings.read_only:
            gate.close(SETTING, "read_only is yes")
        self._database = GatedDatabase(raw, gate)
        return raw, gate

    def _outermost(self, handler: Handler) -> Handler:
        """Put around the faces what the settings ask for."""
        if self.settings.tracing:
            self._tracing = Tracing()
            handler = self._tracing.traced(handler)
        return behind(self.settings.trusted_proxies, handler) if self.settings.trusted_proxies else handler

    @property
    def url(self) -> str:
        """Where the server listens."""
        scheme = "https" if self.settings.tls_cert else "http"
        host = f"[{self.settings.host}]" if ":" in self.settings.host else self.settings.host
        return f"{scheme}://{host}:{self._server.port}"

    async def stop(self) -> None:
        """Finish what runs, then close everything."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.lifecycle.stop()
        await self._server.stop()
        await self._flows.stop()
        self._ledger.end()  # after the last answer that waits for it
        await asyncio.wait({self._ledger_work}, timeout=LEDGER_END_SECONDS)
        self._ledger_work.cancel()
        await asyncio.gather(self._ledger_work, return_exceptions=True)
        if self._tracing is not None:
            await asyncio.to_thread(self._tracing.close)
        self._outbound.close()
        self._witnesses.close()
        with contextlib.suppress(DatabaseBusy, ReadOnly, StorageFailed, StorageFull):
            await self.pulls.flush()
        self._uploads.close()
        self._store.close()
        self._raw_database.close()
        if self._is_sound:
            self._directory.end_run()
        os.close(self._lock)

    def _changes(self) -> int:
        """Give a number that differs after each commit and after each blob that was set aside; odd during a commit."""
        return self._database.commits + 2 * self._store.damaged

    def _made_templates(self, access: Access) -> Templates:
        policies: dict[str, Document] = {"repositoryPolicy": RepositoryPolicy(), "lifecyclePolicy": PolicyOfTemplate()}
        return Templates(self._database, access, self._clock, policies)

    def _made_scrub(self, raw: SQLiteDatabase, access: Access) -> Scrub:
        settings = self.settings
        pace = settings.scrub_mib_per_second * 1024 * 1024
        clock = self._lease_clock
        return Scrub(raw, self._store, access, clock, bytes_per_second=pace, every_days=settings.scrub_days)

    def _made_metrics(self) -> Metrics:
        return Metrics(
            {
                "holdfast_commits": ("Transactions committed since the start.", lambda: self._database.commits // 2),
                "holdfast_damaged_blobs": ("Files set aside as damaged since the start.", lambda: self._store.damaged),
                "holdfast_upstream_drifted_tags": (
                    "Held tags whose upstream names something else by now.",
                    lambda: flows.count_drifted(self._database),
                ),
                "holdfast_replications_waiting": (
                    "Replications that are asked for and not done.",
                    lambda: replications.count_waiting(self._database),
                ),
                "holdfast_write_disabled": ("1 when the disk failed and nothing is written.", self._is_failed),
                "holdfast_unclean_start": ("1 when the run before did not end well.", self._is_unclean),
                "holdfast_scrub_last_full_pass_timestamp_seconds": (
                    "When everything was read again for the last time; 0 if never.",
                    lambda: (self._scrub.now.last_full_pass_at or 0) / 1_000_000,
                ),
                "holdfast_scrub_checked_bytes": (
                    "Bytes read by the scrub in this or the last pass.",
                    lambda: self._scrub.now.checked_bytes,
                ),
                "holdfast_scrub_damaged": (
                    "Blobs and manifests that this or the last pass found damaged.",
                    lambda: len(self._scrub.now.damaged),
                ),
                "holdfast_read_only": ("1 while pushes and changes are refused.", lambda: bool(self._gate.reasons)),
                "holdfast_ledger_entries": (
                    "Entries of the ledger that are published.",
                    lambda: self._ledger.published_size,
                ),
                "holdfast_ledger_stopped": ("1 when the ledger signs nothing.", lambda: bool(self._ledger.problem)),
                "holdfast_disk_full": ("1 while new content waits for room.", lambda: self._reserve.is_full),
                "holdfast_reserve_bytes": ("Room kept back on the disk.", lambda: self._reserve.held_bytes),
                "holdfast_tls_certificate_not_after_timestamp_seconds": (
                    "When the certificate that is served ends; +Inf without TLS.",
                    lambda: self._certificate.ends_at if self._certificate is not None else math.inf,
                ),
                **self._gauges_of_use(),
            },
            {
                "holdfast_rate_limited": ("Requests told to wait, by whose.", "whose", lambda: self._rates.refused),
                "holdfast_lifecycle": (
                    "Lifecycle runs, those that failed, and what became of images.",
                    "outcome",
                    lambda: self.lifecycle.totals,
                ),
                "holdfast_errors": ("Errors told to clients, as docs/reference/errors.md.", "error", self._told),
            },
        )

    def _gauges_of_use(self) -> dict[str, tuple[str, Callable[[], float]]]:
        def used(resource: Resource) -> Callable[[], float]:
            return lambda: usage.of_every_registry(self._database).of(resource)

        return {
            "holdfast_repositories": ("Repositories.", used(Resource.REPOSITORIES)),
            "holdfast_images": ("Manifests, counted in each repository that has them.", used(Resource.IMAGES)),
            "holdfast_content_bytes": ("Bytes, counted in each repository that has them.", used(Resource.BYTES)),
            "holdfast_uploads": ("Upload sessions that are open.", lambda: content.count_uploads(self._database)),
            "holdfast_entries": ("Entries of the record.", lambda: entries.last_sequence(self._database)),
            "holdfast_connections": ("Connections that are open.", lambda: self._server.connections),
            "holdfast_disk_free_bytes": (
                "Room left on the disk of the data.",
                lambda: shutil.disk_usage(self.settings.data).free,
            ),
        }

    def _told(self) -> dict[str, int]:
        """Return how often each error was told, with a zero for those that never were."""
        return {kind.__name__: self._errors[kind.__name__] for kind in ERRORS}

    def _count_error(self, name: str) -> None:
        self._errors[name] += 1

    @property
    def _is_sound(self) -> bool:
        """Whether the disk did all that was asked of it since the start."""
        return not self.failed.is_set() and self._gate.disk_takes_writes

    def _is_failed(self) -> float:
        return float(self.failed.is_set())

    def _is_unclean(self) -> float:
        return float(self._unclean_since is not None)

    def _problems(self) -> list[str]:
        return ["the disk refused to store; the server is stopping"] if self.failed.is_set() else []

    def _write_problems(self) -> list[str]:
        full = ["the disk is full: new content is refused until there is room"] if self._reserve.is_full else []
        return [f"read-only: {reason}" for reason in self._gate.reasons] + full

    def _on_failure(self, error: BaseException) -> None:
        """Hear, in any thread, that the disk failed."""
        _LOGGER.critical("the disk refused to store; nothing more is written", exc_info=error)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.failed.set)

    def _on_request_done(self, request: Request, status: int, seconds: float, bytes_sent: int) -> None:
        face = "oci" if request.path.startswith("/v2") else "operations" if request.path in _OPERATIONS else "ecr"
        self._metrics.count(face, request.method, status, seconds, bytes_sent)
        level = logging.DEBUG if request.method in _QUIET and status < 400 else logging.INFO  # noqa: PLR2004 - 4xx, 5xx
        if _REQUESTS.isEnabledFor(level):
            _REQUESTS.log(
                level,
                "%s %s %d",
                request.method,
                request.path,
                status,
                extra={
                    "request_id": request.id,
                    "operation": request.headers.get("x-amz-target"),
                    "peer": request.peer,
                    "milliseconds": round(seconds * 1_000, 3),
                    "bytes_sent": bytes_sent,
                    "client": request.headers.get("user-agent"),
                },
            )

    async def _collect(self) -> None:
        while True:
            try:
                await self._sweep_once()
                collected = await self.upkeep.collect()
            except ReadOnly:
                pass  # nothing is removed either
            except Exception:  # the collection outlives any one failure
                _LOGGER.exception("the collection failed")
            else:
                _LOGGER.info("collected what nobody needs", extra=dataclasses.asdict(collected))
            self.collected_once.set()
            await asyncio.sleep(COLLECT_SECONDS)
            if self._is_settled:
                self._settle()

    async def _sweep_once(self) -> None:
        """Sweep the files of blobs once a start; what a backup held up is done with the next collection."""
        swept = None if self._swept else await self.upkeep.sweep_files()
        self._swept = self._swept or swept is not None
        if swept:
            _LOGGER.warning("deleted %d files of blobs that no row names", swept)

    def _settle(self) -> None:
        """Note that nothing that was written so far is in doubt."""
        if not self._is_sound:
            return
        try:
            self._directory.sound_until(self._lease_clock())
        except OSError as error:
            _LOGGER.warning("how far everything is sound could not be noted: %s", error)
        else:
            self._is_settled = True

    async def _open_ledger(self, raw: SQLiteDatabase, gate: Gate) -> Ledger:
        """Open the ledger before anything is written: what is behind what was published must not go on."""
        settings = self.settings
        origin = settings.ledger_origin or f"holdfast/{settings.account_id}/{settings.region}"
        keys = LedgerKeys(settings.data, origin)
        files = LedgerFiles(self._directory.ledger)
        waits = settings.ledger_answers == "published"
        cosigner = PolicyCosigner(read_policy(settings.ledger_policy), self._submit) if settings.ledger_policy else None
        self._ledger = Ledger(raw, files, keys, origin, gate, self._clock, waits=waits, cosigner=cosigner)
        await self._ledger.open()
        return self._ledger

    async def _submit(self, url: str, request: bytes) -> WitnessAnswer | None:
        """Ask a witness; None when nothing answered."""
        try:
            return await asyncio.to_thread(self._witnesses.add_checkpoint, url, request)
        except WitnessUnreachable as error:
            _LOGGER.warning("the witness at %s does not answer: %s", url, error)
            return None

    async def _keep_ledger(self) -> None:
        try:
            await self._ledger.run()
        except Exception as error:  # noqa: BLE001 - entries that cannot be published are as bad as a disk that fails
            self._on_failure(error)

    async def _watch_room(self) -> None:
        while True:
            await asyncio.sleep(ROOM_SECONDS)
            if self._reserve.is_full:
                await asyncio.to_thread(self._reserve.make)


def _router(oci: OCIFace, ecr: ECRFace, sts: STSFace, ledger: LedgerFace, operations: OperationsFace) -> Handler:
    async def answer(request: Request) -> Response:
        path = request.path
        if path.startswith("/v2/") or path == "/v2":
            return await oci.answer(request)
        if path == "/":
            is_form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
            return await (sts if is_form and request.method == "POST" else ecr).answer(request)
        if path in _OPERATIONS:
            return await operations.answer(request)
        if path.startswith(LEDGER_PREFIX):
            return await ledger.answer(request)
        if path == "/token":
            return await oci.answer_token(request)
        if path.startswith("/download/"):
            return await ecr.answer_download(request)
        return Response(404, (("Content-Type", "text/plain; charset=utf-8"),), b"there is nothing here\n")

    return answer


def _require_metrics(who: str, access: Access, registry: Registry, request: Request) -> None:
    """Raise unless this request may read the metrics, by the setting `metrics` or by the right to."""
    if who == "open" or (who == "loopback" and is_trusted(request.peer, _THIS_MACHINE)):
        return
    caller = access.authenticate(request.headers.get("authorization"), connection_of(request))
    access.require(caller, registry, "holdfast:GetMetrics")
