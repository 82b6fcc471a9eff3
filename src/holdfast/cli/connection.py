"""The options that every client command has, and the connection that they make."""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING, Final, ParamSpec, Self, TypeVar

import click

from holdfast.cli.output import Output
from holdfast.client.api import API, DEFAULT_REGION
from holdfast.client.oci import RegistryClient
from holdfast.client.transport import AddressInvalid, Credentials, parse_address

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_ENDPOINT: Final = "http://127.0.0.1:5000"
_JSON: Final = "holdfast.json"
_KEY_ID: Final = "HOLDFAST_ACCESS_KEY_ID"
_SECRET: Final = "HOLDFAST_SECRET_ACCESS_KEY"  # noqa: S105 - the name of a variable


class Connection:
    """One server as one user reaches it; nothing is sent before something is asked."""

    def __init__(self, endpoint: str, region: str | None, profile: str | None) -> None:
        self.endpoint = endpoint
        self._region = region
        self._profile = profile
        self._api: API | None = None
        self._registry: RegistryClient | None = None

    @classmethod
    def over(cls, endpoint: str, api: API) -> Self:
        """Make a connection of a client that is there already."""
        made = cls(endpoint, None, None)
        made._api = api
        return made

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._registry is not None:
            self._registry.close()
        if self._api is not None:
            self._api.close()

    @property
    def api(self) -> API:
        """The JSON API."""
        if self._api is None:
            key_id, secret = own_key(self._profile) or (None, None)
            self._api = API(self.endpoint, self._region, key_id, secret, profile=self._profile)
        return self._api

    @property
    def registry(self) -> RegistryClient:
        """The registry protocol, by a log-in token: the secret access key stays here."""
        if self._registry is None:
            credentials = Credentials(*self.api.login())
            self._registry = RegistryClient(self.endpoint, credentials, ca_bundle=self.api.ca_bundle)
        return self._registry


def own_key(profile: str | None) -> tuple[str, str] | None:
    """Return the access key pair of our own variables; None unless it is set, and when a profile was named."""
    key_id, secret = os.environ.get(_KEY_ID), os.environ.get(_SECRET)
    if profile is not None:
        return None
    if key_id and secret:
        return key_id, secret
    if key_id or secret:
        msg = f"{_KEY_ID} and {_SECRET} go together: set both or neither."
        raise click.UsageError(msg)
    return None


def _checked(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    try:
        return parse_address(value).geturl()
    except AddressInvalid as error:
        raise click.BadParameter(str(error)) from None


def json_option(command: Callable[P, R]) -> Callable[P, R]:
    """Give a command `--json`; that it was given is remembered for telling a failure."""
    return click.option(
        "--json", "as_json", is_flag=True, callback=_remember, help="Print one JSON document for programs."
    )(command)


def _remember(context: click.Context, _parameter: click.Parameter, value: bool) -> bool:  # noqa: FBT001 - click's call
    context.find_root().meta[_JSON] = value
    return value


def wants_json(context: click.Context) -> bool:
    """Whether the command that runs was given `--json`."""
    return bool(context.find_root().meta.get(_JSON))


def connected(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command a connection and an output, and the options that make them."""

    @click.option(
        "--endpoint",
        envvar="HOLDFAST_ENDPOINT",
        default=DEFAULT_ENDPOINT,
        metavar="URL",
        callback=_checked,
        help=f"The server.  [HOLDFAST_ENDPOINT; default: {DEFAULT_ENDPOINT}]",
    )
    @click.option(
        "--region",
        envvar="HOLDFAST_REGION",
        metavar="NAME",
        help=f"The server's region.  [HOLDFAST_REGION, then AWS's settings; default: {DEFAULT_REGION}]",
    )
    @click.option("--profile", metavar="NAME", help="A profile of AWS's files, instead of keys in the environment.")
    @json_option
    @functools.wraps(command)
    def connecting(endpoint: str, region: str | None, profile: str | None, as_json: bool, **given: object) -> R:  # noqa: FBT001
        with Connection(endpoint, region, profile) as connection:
            return command(connection, Output(as_json=as_json), **given)

    return connecting
