"""What a run asks of registries about the images that its files name, and how the answers become knowledge.

Tags are asked first, each once; a digest is asked for only where the answer about its tag does not settle it.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

from holdfast.cli.connection import Connection
from holdfast.cli.counting import counting
from holdfast.cli.exits import Unfinished
from holdfast.client.docker_login import DockerLogin, LoginFailed
from holdfast.client.resolving import Question, Resolver
from holdfast.client.transport import AddressInvalid, parse_address
from holdfast.pin.consumers import consumed
from holdfast.pin.knowledge import Child, Known, Trouble, digest_name, tag_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from holdfast.client.resolving import Answer
    from holdfast.pin.case import Case
    from holdfast.pin.image import ImageReference
    from holdfast.pin.knowledge import Knowledge

F = TypeVar("F", bound="Callable[..., Any]")


@dataclass(frozen=True, slots=True)
class Asking:
    """How registries are asked: the options that lint, pin and drift share."""

    endpoint: str | None = None
    profile: str | None = None
    plain_http: tuple[str, ...] = ()
    ca_bundle: str | None = None


def asking_options(command: F) -> F:
    """Give a command the options of asking registries; it gets them as `endpoint`, `profile` and `plain_http`."""
    options = (
        click.option(
            "--endpoint",
            envvar="HOLDFAST_ENDPOINT",
            metavar="URL",
            callback=_checked,
            help="A Holdfast server to log in to.  [HOLDFAST_ENDPOINT]",
        ),
        click.option("--profile", metavar="NAME", help="A profile of AWS's files, for Amazon ECR and Holdfast."),
        click.option("--plain-http", multiple=True, metavar="HOST", help="A registry without TLS; may be repeated."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _checked(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    try:
        return parse_address(value).geturl() if value else None
    except AddressInvalid as error:
        raise click.BadParameter(str(error)) from None


@contextlib.contextmanager
def registries(how: Asking, *, ask_held: bool = False) -> Iterator[Resolver]:
    """Open what answers; raises Unfinished when docker's configuration cannot be read."""
    try:
        logins = DockerLogin(profile=how.profile)
    except LoginFailed as error:
        raise Unfinished(str(error)) from None
    with contextlib.ExitStack() as stack:
        addresses, apis = {}, {}
        if how.endpoint is not None:
            host = urlsplit(how.endpoint).netloc
            connection = stack.enter_context(Connection(how.endpoint, None, how.profile))
            addresses[host], apis[host] = how.endpoint, connection.api
        resolver = Resolver(
            logins,
            plain_http=how.plain_http,
            addresses=addresses,
            apis=apis,
            ca_bundle=how.ca_bundle or os.environ.get("AWS_CA_BUNDLE") or None,
            ask_held=ask_held,
        )
        stack.callback(resolver.close)
        yield resolver


def learn(cases: Iterable[Case], resolver: Resolver, *, closely: bool = False) -> dict[str, Known]:
    """Ask about every image that is consumed; `closely` reads what is behind every tag, which counts as a pull."""
    read = [(mention, named.image) for case in cases for mention, named in consumed(case) if named.image is not None]
    tags: dict[str, Question] = {}
    for _, image in read:
        if image.tag is None and image.digest is not None:
            continue
        name = tag_name(image)
        deep = closely or image.digest is not None or (name in tags and tags[name].closely)
        tags[name] = Question(image.registry, image.repository, image.tag or "latest", deep)
    knowledge = asked(tags, resolver, "asking registries for tags")
    digests: dict[str, Question] = {}
    for _, image in read:
        if image.digest is None:
            continue
        told = knowledge.get(tag_name(image)) if image.tag is not None else None
        if told is not None and _settles(told, image):
            knowledge[digest_name(image)] = _settled(told, image)
        elif told is None or told.trouble is not Trouble.RATE_LIMITED:
            digests[digest_name(image)] = Question(image.registry, image.repository, image.digest, closely=True)
    return knowledge | asked(digests, resolver, "asking registries for digests")


def complaints(cases: Iterable[Case], knowledge: Knowledge) -> list[str]:
    """Say for each mention whose registry did not answer where it is and what was said instead."""
    found = []
    for case in cases:
        for mention, read in consumed(case):
            names = () if read.image is None else (tag_name(read.image), digest_name(read.image))
            told = next((knowledge[name] for name in names if name in knowledge and knowledge[name].trouble), None)
            if told is not None:
                where = f"{case.path}:{mention.line}:{mention.column}"
                found.append(f"{where}: {read.name}: {told.trouble}: {told.sentence}")
    return found


def _settles(told: Known, image: ImageReference) -> bool:
    return told.digest == image.digest or any(one.digest == image.digest for one in told.children)


def _settled(told: Known, image: ImageReference) -> Known:
    if told.digest == image.digest:
        return told
    platform = next(one.platform for one in told.children if one.digest == image.digest)
    return Known(image.digest, platform=platform)


def asked(questions: Mapping[str, Question], resolver: Resolver, what: str) -> dict[str, Known]:
    """Ask each question once; `what` is shown while it lasts."""
    if not questions:
        return {}
    with counting(what, len(questions)) as advance:
        answers = resolver.ask(questions.values(), advance)
    return {name: known(answers[question]) for name, question in questions.items()}


def known(answer: Answer) -> Known:
    """Make knowledge of an answer."""
    return Known(
        answer.digest,
        answer.media_type,
        tuple(Child(*pair) for pair in answer.children),
        answer.platform,
        answer.held,
        None if answer.failure is None else Trouble(answer.failure.value),
        answer.sentence,
    )
