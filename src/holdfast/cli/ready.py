"""`holdfast ready`: is the server ready? For health checks of containers and of scripts."""

from __future__ import annotations

import http.client
import json
import os
import ssl
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from holdfast.cli.connection import DEFAULT_ENDPOINT, json_option
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.output import Output
from holdfast.cli.teaching import TeachingCommand

if TYPE_CHECKING:
    from collections.abc import Callable

_SECONDS: Final = 4.0
_MOST_BYTES: Final = 65_536


@click.command(
    cls=TeachingCommand, sections={"Examples": ("holdfast ready", "holdfast ready --write || echo no pushes now")}
)
@click.option(
    "--endpoint",
    envvar="HOLDFAST_ENDPOINT",
    metavar="URL",
    help="The server.  "
    f"[HOLDFAST_ENDPOINT; default: {DEFAULT_ENDPOINT}, or what HOLDFAST_PORT and HOLDFAST_TLS_CERT say]",
)
@click.option("--write", is_flag=True, help="Ready for pushes too: neither read-only nor full.")
@json_option
def ready(endpoint: str | None, *, write: bool, as_json: bool) -> int:
    """Ask the server whether it is ready.

    Exits with 0 when it is, with 1 when it says that it is not. No credentials are needed or sent, and the server's
    certificate is not looked at: nothing that is told is secret, and a health check comes by an address that is in no
    certificate.
    """
    endpoint = endpoint or _of_this_machine()
    state = _ask(endpoint, "/readyz/write" if write else "/readyz")
    problems = [*state["problems"], *(state.get("write_problems", []) if write else [])]
    document = {"endpoint": endpoint, "ready": not problems, "problems": problems}
    Output(as_json=as_json).result(document, "ready" if not problems else "not ready: " + "; ".join(problems))
    return Exit.FOUND if problems else Exit.DONE


def _of_this_machine() -> str:
    """Return where a server listens that has the settings of this environment, as in a container's health check."""
    default = urlsplit(DEFAULT_ENDPOINT)
    scheme = "https" if os.environ.get("HOLDFAST_TLS_CERT") else default.scheme
    return f"{scheme}://{default.hostname}:{os.environ.get('HOLDFAST_PORT') or default.port}"


def _ask(endpoint: str, path: str) -> dict[str, Any]:
    try:
        found = urlsplit(endpoint)
        connection = _CONNECTIONS[found.scheme](found.hostname or "", found.port)
        connection.request("GET", path)
        response = connection.getresponse()
        state = json.loads(response.read(_MOST_BYTES))
        connection.close()
        if isinstance(state, dict) and isinstance(state.get("problems"), list):
            return state
    except (OSError, KeyError, ValueError, http.client.HTTPException) as error:
        msg = f"{endpoint} does not answer: {error}"
        raise Unfinished(msg, "Is the server running? Start one with: holdfast serve.") from None
    msg = f"What answers at {endpoint} is no Holdfast."
    raise Unfinished(msg)


def _tls(host: str, port: int | None) -> http.client.HTTPConnection:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=context)


def _plain(host: str, port: int | None) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(host, port, timeout=_SECONDS)


_CONNECTIONS: Final[dict[str, Callable[[str, int | None], http.client.HTTPConnection]]] = {
    "http": _plain,
    "https": _tls,
}
