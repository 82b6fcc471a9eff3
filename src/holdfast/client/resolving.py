"""Many names asked of many registries at once: which digest each has, and what that is.

This file alone decides how many questions run at one time, what is asked twice (nothing), and when a registry is left
alone: after it said that there were too many questions, no more go there. Each question has its own answer or its own
trouble; none stops the others.
"""

from __future__ import annotations

import io
import json
import threading
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from holdfast.client.api import APIError, APIUnreachable, CallInvalid
from holdfast.client.docker_login import DOCKER_HUB, DockerLogin, LoginFailed, ecr_host
from holdfast.client.oci import RegistryClient
from holdfast.client.transport import (
    AddressInvalid,
    ContentMismatch,
    RegistryError,
    RegistryUnreachable,
    is_loopback,
)
from holdfast.core.digest import Digest
from holdfast.core.errors import HoldfastError
from holdfast.core.manifest import DOCKER_LIST, OCI_INDEX
from holdfast.core.mutability import MutabilitySettings, parse_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from holdfast.client.api import API

MAX_AT_ONCE: Final = 16
"""Questions that run at one time, over all registries."""

MAX_AT_ONE: Final = 6
"""Connections to one registry: as many as docker opens to pull."""

MAX_UNREACHED: Final = 3
"""Questions in a row that came to nothing before a registry counts as down: each may wait half a minute."""

MAX_CONFIG_BYTES: Final = 4 * 1024 * 1024

INDEXES: Final = frozenset({OCI_INDEX, DOCKER_LIST})

_HUB_ADDRESS: Final = "https://registry-1.docker.io"
_UNAUTHORIZED: Final = frozenset({401, 403})
_TOO_MANY: Final = 429
_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404


class Failure(StrEnum):
    """Why a question had no answer."""

    UNAUTHORIZED = "unauthorized"
    RATE_LIMITED = "rate limit"
    UNREACHABLE = "unreachable"
    INVALID = "invalid answer"


@dataclass(frozen=True, slots=True)
class Question:
    """A name to ask for: a tag or a digest of a repository of a registry."""

    registry: str
    repository: str
    reference: str
    closely: bool = False
    """Whether the manifest is to be read: the images of an index, the platform of an image."""

    @property
    def is_digest(self) -> bool:
        """Whether it asks for a digest."""
        return ":" in self.reference

    def __str__(self) -> str:
        return f"{self.registry}/{self.repository}{'@' if self.is_digest else ':'}{self.reference}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry told. Without a failure and without a digest, the name names nothing."""

    digest: str | None = None
    media_type: str = ""
    children: tuple[tuple[str, str], ...] = ()
    """(digest, platform) of the images of an index."""

    platform: str = ""
    """Of an image that is no index, where it was read closely."""

    held: bool | None = None
    """Whether the repository holds the tag; None where nobody says."""

    failure: Failure | None = None
    sentence: str = ""


@dataclass
class _Registry:
    """What is known of one registry during a run."""

    host: str
    gate: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(MAX_AT_ONE))
    idle: list[RegistryClient] = field(default_factory=list)
    limited: str | None = None
    """What it said when there were too many questions."""

    unreached: int = 0
    """Questions in a row to which nothing came."""

    down: str | None = None
    """Why it is not asked any more: too many of those."""


class Resolver:
    """Asks registries, with the credentials that docker has. Close it after use."""

    def __init__(
        self,
        logins: DockerLogin,
        *,
        plain_http: Iterable[str] = (),
        addresses: Mapping[str, str] | None = None,
        apis: Mapping[str, API] | None = None,
        ca_bundle: str | None = None,
        ask_held: bool = False,
    ) -> None:
        """`plain_http`: hosts without TLS; this machine is asked so anyway.

        `addresses` and `apis`: where a host is and the JSON API that it has, where its name does not say.
        `ask_held`: ask the JSON API, of ECR and of Holdfast, whether tags are held.
        """
        self._logins = logins
        self._plain = frozenset(plain_http)
        self._addresses = dict(addresses or {})
        self._apis = dict(apis or {})
        self._ca_bundle = ca_bundle
        self._ask_held = ask_held
        self._registries: dict[str, _Registry] = {}
        self._held: dict[tuple[str, str], MutabilitySettings | None] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections."""
        for registry in self._registries.values():
            for client in registry.idle:
                client.close()
        self._logins.close()

    def ask(self, questions: Iterable[Question], advance: Callable[[], None] = lambda: None) -> dict[Question, Answer]:
        """Answer each question once; `advance` is called after each, from several threads."""
        asked = list(dict.fromkeys(questions))

        def one(question: Question) -> Answer:
            try:
                return self._answer(question)
            finally:
                advance()

        # Registries take turns, so that a slow one does not hold all threads.
        turns: dict[str, list[Question]] = defaultdict(list)
        for question in asked:
            turns[question.registry].append(question)
        mixed = [
            queue[place]
            for place in range(max(map(len, turns.values()), default=0))
            for queue in turns.values()
            if place < len(queue)
        ]
        with ThreadPoolExecutor(MAX_AT_ONCE, thread_name_prefix="holdfast-resolving") as threads:
            return dict(zip(mixed, threads.map(one, mixed), strict=True))

    # --- one question ------------------------------------------------------------------------------------------------

    def _answer(self, question: Question) -> Answer:
        with self._lock:
            registry = self._registries.setdefault(question.registry, _Registry(question.registry))
        with registry.gate:
            if registry.limited is not None:
                return Answer(failure=Failure.RATE_LIMITED, sentence=registry.limited)
            if registry.down is not None:
                return Answer(failure=Failure.UNREACHABLE, sentence=registry.down)
            try:
                with self._client(registry) as client:
                    answer = self._described(client, question)
                    registry.unreached = 0
                    return answer
            except LoginFailed as error:
                return Answer(failure=Failure.UNAUTHORIZED, sentence=str(error))
            except AddressInvalid as error:
                return Answer(failure=Failure.INVALID, sentence=f"{question.registry}: {error}.")
            except HoldfastError as error:
                return Answer(failure=Failure.INVALID, sentence=error.message)
            except RegistryError as error:
                return self._failed(registry, question, error)

    def _described(self, client: RegistryClient, question: Question) -> Answer:
        reference = Digest.parse(question.reference) if question.is_digest else question.reference
        found = client.describe(question.repository, reference)
        if found is None:
            return Answer()
        digest, media_type = found
        held = None if question.is_digest else self._is_held(question)
        if not question.closely:
            return Answer(str(digest), media_type, held=held)
        manifest = client.manifest(question.repository, digest)
        document = _object(manifest.payload)
        if manifest.media_type in INDEXES:
            return Answer(str(digest), manifest.media_type, _children(document), held=held)
        platform = _platform_of_config(client, question.repository, document)
        return Answer(str(digest), manifest.media_type, platform=platform, held=held)

    @contextmanager
    def _client(self, registry: _Registry) -> Iterator[RegistryClient]:
        """Have a connection for oneself: a client is for one thread at a time."""
        with self._lock:
            client = registry.idle.pop() if registry.idle else None
        if client is None:
            address = self._address(registry.host)
            api = self._apis.get(registry.host)
            credentials = self._logins.credentials(registry.host)
            if credentials is None and api is not None:
                credentials = self._logins.by_api(registry.host, api)
            client = RegistryClient(address, credentials, ca_bundle=self._ca_bundle, only_pulls=True)
        try:
            yield client
        finally:
            with self._lock:
                registry.idle.append(client)

    def _address(self, host: str) -> str:
        if host in self._addresses:
            return self._addresses[host]
        if host == DOCKER_HUB:
            return _HUB_ADDRESS
        plain = host in self._plain or is_loopback(host.rpartition(":")[0] if ":" in host else host)
        return f"{'http' if plain else 'https'}://{host}"

    def _failed(self, registry: _Registry, question: Question, error: RegistryError) -> Answer:
        status = error.status or 0
        if status == _TOO_MANY or error.code == "TOOMANYREQUESTS":
            registry.limited = f"{registry.host} takes no more questions for now: {error.message}"
            return Answer(failure=Failure.RATE_LIMITED, sentence=registry.limited)
        if status in _UNAUTHORIZED or error.code in {"UNAUTHORIZED", "DENIED"}:
            known = self._logins.knows(registry.host)
            who = "with the credentials that docker has for it" if known else "without credentials"
            hint = "" if known else f" Log in: docker login {registry.host}"
            sentence = f"{registry.host} does not show {question.repository} {who}: {error.message}{hint}"
            return Answer(failure=Failure.UNAUTHORIZED, sentence=sentence)
        if isinstance(error, RegistryUnreachable):
            registry.unreached += 1
            if registry.unreached >= MAX_UNREACHED:
                registry.down = f"{error.message} It was not asked again."
            return Answer(failure=Failure.UNREACHABLE, sentence=error.message)
        if isinstance(error, ContentMismatch):
            return Answer(failure=Failure.INVALID, sentence=error.message)
        kind = Failure.INVALID if _BAD_REQUEST <= status < 500 else Failure.UNREACHABLE  # noqa: PLR2004 - the server's own
        return Answer(failure=kind, sentence=f"{registry.host}: {error.message}")

    # --- whether a tag is held ---------------------------------------------------------------------------------------

    def _is_held(self, question: Question) -> bool | None:
        """Ask the JSON API once a repository; where it has no answer for us, nobody knows."""
        if not self._ask_held:
            return None
        key = (question.registry, question.repository)
        with self._lock:
            known = key in self._held
        if not known:
            api = self._apis.get(question.registry) or self._logins.ecr_api(question.registry)
            settings = None if api is None else _settings(api, question)
            with self._lock:
                self._held[key] = settings
        settings = self._held[key]
        return None if settings is None else settings.judge(question.reference).held


def _settings(api: API, question: Question) -> MutabilitySettings | None:
    at = ecr_host(question.registry)
    account = {} if at is None else {"registryId": at.account_id}
    with suppress(APIError, APIUnreachable, CallInvalid, HoldfastError, LookupError, ValueError):
        [found] = api.ecr("describe_repositories", repositoryNames=[question.repository], **account)["repositories"]
        filters = [one["filter"] for one in found.get("imageTagMutabilityExclusionFilters", ())]
        return parse_settings(found["imageTagMutability"], filters)
    return None


def _object(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _children(index: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the images of an index; attestations, whose platform is unknown/unknown, are none."""
    found = []
    for one in index.get("manifests") or ():
        digest = one.get("digest") if isinstance(one, dict) else None
        platform = _platform(one.get("platform")) if isinstance(one, dict) else ""
        if isinstance(digest, str) and platform != "unknown/unknown":
            found.append((digest, platform))
    return tuple(found)


def _platform(told: Any) -> str:  # noqa: ANN401 - JSON
    if not isinstance(told, dict):
        return ""
    pieces = [told.get("os"), told.get("architecture"), told.get("variant")]
    return "/".join(one for one in pieces if isinstance(one, str) and one)


def _platform_of_config(client: RegistryClient, repository: str, manifest: Mapping[str, Any]) -> str:
    """Read the platform of an image in its configuration; empty where it has none that is small enough to read."""
    config = manifest.get("config")
    if not isinstance(config, dict) or not isinstance(config.get("digest"), str):
        return ""
    size = config.get("size")
    if not isinstance(size, int) or size > MAX_CONFIG_BYTES:
        return ""
    content = io.BytesIO()
    try:
        client.pull_blob(repository, Digest.parse(config["digest"]), content, size_bytes=size)
    except (RegistryError, HoldfastError):
        return ""
    return _platform(_object(content.getvalue()))
