"""How commands name things: REPO, REPO:TAG, REPO@DIGEST; each checked before anything is sent."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import click

from holdfast.core.digest import Digest
from holdfast.core.errors import HoldfastError
from holdfast.core.reference import parse_repository_name, parse_tag

if TYPE_CHECKING:
    from collections.abc import Callable

_HOST: Final = re.compile(r"(?:localhost|[^/]*[.:][^/]*)/")


def repository(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Check the name of a repository."""
    try:
        return parse_repository_name(value)
    except HoldfastError as error:
        raise click.BadParameter(error.message + _host_hint(value)) from None


def repository_if_any(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Check the name of a repository, if one was given."""
    return None if value is None else repository(context, parameter, value)


def optional_repository(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """Check the name of a repository, if one was given."""
    return None if value is None else repository(context, parameter, value)


def tag(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Check a tag, if one was given."""
    try:
        return None if value is None else parse_tag(value)
    except HoldfastError as error:
        raise click.BadParameter(error.message) from None


def tags(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    """Check several tags."""
    try:
        return tuple(dict.fromkeys(map(parse_tag, values)))
    except HoldfastError as error:
        raise click.BadParameter(error.message) from None


def image(*forms: str) -> Callable[[click.Context, click.Parameter, str], tuple[str, str | Digest]]:
    """Return a check for an image: its repository, and its tag (form REPO:TAG) or digest (form REPO@DIGEST)."""

    def check(_context: click.Context, _parameter: click.Parameter, value: str) -> tuple[str, str | Digest]:
        name, mark, reference = value.partition("@") if "@" in value else value.partition(":")
        form = "REPO@DIGEST" if mark == "@" or ":" in reference else "REPO:TAG"
        if not mark or form not in forms or _HOST.match(value):
            msg = f"{value!r} is not of the form {' or '.join(forms)}.{_host_hint(value)}"
            raise click.BadParameter(msg)
        try:
            parse_repository_name(name)
            return name, Digest.parse(reference) if form == "REPO@DIGEST" else parse_tag(reference)
        except HoldfastError as error:
            raise click.BadParameter(error.message) from None

    return check


def repository_or_tag(context: click.Context, parameter: click.Parameter, value: str) -> tuple[str, str | None]:
    """Check REPO or REPO:TAG."""
    if ":" not in value or _HOST.match(value):
        return repository(context, parameter, value), None
    name, reference = image("REPO:TAG")(context, parameter, value)
    return name, str(reference)


def image_if_any(
    *forms: str,
) -> Callable[[click.Context, click.Parameter, str | None], tuple[str, str | Digest] | None]:
    """Return the same check, for an image that need not be given."""
    check = image(*forms)
    return lambda context, parameter, value: None if value is None else check(context, parameter, value)


def _host_hint(text: str) -> str:
    """Tell who wrote the server's name before the repository's, as docker wants it, where it goes here."""
    return " The server's address goes into --endpoint, not before the name." if _HOST.match(text) else ""
