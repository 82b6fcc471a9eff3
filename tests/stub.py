"""An HTTP server that answers by a script and remembers what it was asked: registries that misbehave."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Told:
    """An answer; `promised_bytes` is what Content-Length says when that is not the truth."""

    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    promised_bytes: int | None = None


@dataclass
class Stub:
    """A server that is up."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    def authorizations(self) -> list[str]:
        """Return the Authorization headers that came."""
        return [value for one in self.asked if (value := one.headers.get("Authorization")) is not None]


@contextlib.contextmanager
def stub(answer: Callable[[Asked], Told]) -> Iterator[Stub]:
    """Run a server that answers what the function says, until the block ends."""
    up: list[Stub] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 20

        def answer(self) -> None:
            """Answer one request."""
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            asked = Asked(self.command, self.path, dict(self.headers.items()), body)
            up[0].asked.append(asked)
            told = answer(asked)
            self.send_response(told.status)
            for name, value in told.headers:
                self.send_header(name, value)
            length = len(told.body) if told.promised_bytes is None else told.promised_bytes
            self.send_header("Content-Length", str(length))
            self.end_headers()
            if self.command != "HEAD":
                with contextlib.suppress(ConnectionError):
                    self.wfile.write(told.body)
            if told.promised_bytes is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
            """Say nothing."""

    for method in ("GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False
        up.append(Stub(f"http://127.0.0.1:{server.server_address[1]}"))
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield up[0]
        finally:
            server.shutdown()
            thread.join()
