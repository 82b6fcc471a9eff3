"""A real Holdfast server for tests, in a thread of this process, on a free loopback port."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import threading
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import uvloop

from holdfast import config
from holdfast.client.api import api_client
from holdfast.wiring import Holdfast, microseconds_now

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Mapping
    from pathlib import Path

KEY_ID = "AKIAHOLDFASTTESTS234"
SECRET = "a-secret-for-tests-only"
ACCOUNT = "123456789012"
REGION = "eu-central-1"


@dataclass(frozen=True)
class Answer:
    """An HTTP answer, read whole."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of the first error of the OCI face."""
        return str(self.json()["errors"][0]["code"])

    @property
    def message(self) -> str:
        """The message of the first error of the OCI face."""
        return str(self.json()["errors"][0]["message"])


@dataclass
class Client:
    """Speaks plain HTTP to a server, one connection a thread, with the given Authorization."""

    host: str
    port: int
    authorization: str | None
    _local: threading.local = field(default_factory=threading.local)
    _opened: list[http.client.HTTPConnection] = field(default_factory=list)

    def __call__(
        self,
        method: str,
        path: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request and read the answer; `path` goes out as it is."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
            self._opened.append(connection)
        send = dict(headers or {})
        if self.authorization is not None:
            send.setdefault("Authorization", self.authorization)
        try:
            connection.request(method, path, body=body, headers=send, encode_chunked=body is not None)
            response = connection.getresponse()
            return Answer(response.status, response.headers, response.read())
        except (http.client.HTTPException, OSError):
            self.close()
            raise

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection is not None:
            connection.close()
            self._opened.remove(connection)
            self._local.connection = None

    def close_all(self) -> None:
        """Close the connections of all threads."""
        for connection in self._opened:
            connection.close()


def basic(user: str, password: str) -> str:
    """Return a Basic Authorization header."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@dataclass
class RunningServer:
    """A server that is up."""

    holdfast: Holdfast
    loop: asyncio.AbstractEventLoop
    host: str
    port: int
    clients: list[Client] = field(default_factory=list)
    is_shared: bool = False
    """Whether tests of all kinds use it, one after the other."""

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{self.host}:{self.port}"

    def client(self, user: str = KEY_ID, password: str = SECRET) -> Client:
        """Return a client that logs in with an access key pair."""
        return self._client(basic(user, password))

    def anonymous(self) -> Client:
        """Return a client without credentials."""
        return self._client(None)

    def _client(self, authorization: str | None) -> Client:
        made = Client(self.host, self.port, authorization)
        self.clients.append(made)
        return made

    def aws(self, service: str = "ecr", key_id: str = KEY_ID, secret: str = SECRET) -> Any:
        """Return a boto3 client of this server; `service` "holdfast" is our own model."""
        return api_client(service, self.url, REGION, key_id, secret)


def settings(data: Path, **overrides: str | None) -> config.Settings:
    """Return settings for a test's server."""
    flags: dict[str, str | None] = {
        "host": "127.0.0.1",
        "port": "0",
        "data": str(data),
        "account_id": ACCOUNT,
        "region": REGION,
        "bootstrap_access_key_id": KEY_ID,
        "bootstrap_secret_access_key": SECRET,
        "shutdown_seconds": "2",
        "reserve_mib": "1",
        "scrub_mib_per_second": "0",
        **overrides,
    }
    return config.load(flags, {})


@contextlib.contextmanager
def running(
    wanted: config.Settings,
    *,
    clock: Callable[[], int] = microseconds_now,
    lease_clock: Callable[[], int] | None = None,
) -> Iterator[RunningServer]:
    """Run a server until the block ends; its thread and sockets are gone then.

    A test that sets the clock has the start's own collection behind it: it would find old what the test is yet to look
    at, at a moment that nobody knows.
    """
    loop = uvloop.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="holdfast-under-test")
    thread.start()
    server: Holdfast | None = None

    async def make() -> Holdfast:
        made = Holdfast(wanted, clock=clock, lease_clock=lease_clock)
        await made.start()
        return made

    try:
        server = asyncio.run_coroutine_threadsafe(make(), loop).result(30)
        host, _, port = server.url.partition("://")[2].rpartition(":")
        up = RunningServer(server, loop, host, int(port))
        if clock is not microseconds_now or lease_clock is not None:
            asyncio.run_coroutine_threadsafe(server.collected_once.wait(), loop).result(30)
        try:
            yield up
        finally:
            for client in up.clients:
                client.close_all()
    finally:
        if server is not None:
            asyncio.run_coroutine_threadsafe(server.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()


def on_loop(server: RunningServer, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine on the server's own loop, and wait for it."""
    return asyncio.run_coroutine_threadsafe(work(), server.loop).result(30)


def with_settings(base: config.Settings, **changes: Any) -> config.Settings:
    """Return settings with some changed."""
    return replace(base, **changes)
