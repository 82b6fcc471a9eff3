"""How failures end: the exit code, whose fault it is, and what to do, whatever went wrong below."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING

import pytest

from commands import PROGRAM, process_environment
from holdfast.cli.exits import EXIT_MEANINGS, Exit, Unfinished, explain
from holdfast.client.api import APIError, APIUnreachable
from holdfast.client.transport import ContentMismatch, RegistryError, RegistryUnreachable
from holdfast.core import errors
from holdfast.faces import ecr, oci
from stub import Asked, Told, stub

if TYPE_CHECKING:
    from collections.abc import Callable

    from commands import Commands

HELD = (
    "The image tag 'v1' already exists in the 'a/b' repository and cannot be overwritten because the tag is immutable."
)


def _always(told: Told) -> Callable[[Asked], Told]:
    return lambda _: told


def test_nothing_answers(holdfast: Commands) -> None:
    ran = holdfast("repo", "list", "--endpoint", "http://127.0.0.1:9")
    assert (ran.code, ran.out) == (3, "")
    assert 'Could not connect to the endpoint URL: "http://127.0.0.1:9/"' in ran.err
    assert "Is the server running? Start one with: holdfast serve" in ran.err
    told = holdfast("repo", "list", "--endpoint", "http://127.0.0.1:9", "--json")
    assert told.code == 3
    assert set(told.failure()) == {"exit", "code", "message", "next"}
    assert told.failure()["code"] == "Unreachable"


def test_something_else_answers(holdfast: Commands) -> None:
    for told in (Told(404, b"<html>not here</html>"), Told(200, b"<html>"), Told(405), Told(200, b"{}"), Told(500)):
        with stub(_always(told)) as server:
            ran = holdfast("repo", "list", "--endpoint", server.url)
        assert ran.code == 3
        assert "JSON API of ECR and Holdfast" in ran.err
        assert "Is the server running?" in ran.err


def test_no_credentials(holdfast: Commands) -> None:
    ran = holdfast("repo", "list", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    assert ran.code == 2
    assert "AWS_ACCESS_KEY_ID" in ran.err


def test_wrong_credentials(holdfast: Commands) -> None:
    for changed in ({"AWS_SECRET_ACCESS_KEY": "wrong-on-purpose"}, {"AWS_ACCESS_KEY_ID": "AKIANOBODY"}):
        ran = holdfast("repo", "list", **changed)
        assert ran.code == 3
        assert "holdfast user key create NAME" in ran.err
        assert "wrong-on-purpose" not in ran.err


def test_another_region(holdfast: Commands) -> None:
    ran = holdfast("repo", "list", "--region", "ap-south-1")
    assert ran.code == 3
    assert "--region" in ran.err
    assert holdfast("repo", "list", AWS_DEFAULT_REGION="ap-south-1", HOLDFAST_REGION="eu-central-1").code == 0


def test_a_profile_that_is_not_there(holdfast: Commands) -> None:
    ran = holdfast("repo", "list", "--profile", "nobody")
    assert ran.code == 2
    assert "nobody" in ran.err


@pytest.mark.parametrize("endpoint", ["127.0.0.1:5000", "http://", "http://u:p@h", "http://h/path", "nonsense"])
def test_an_endpoint_that_is_none(holdfast: Commands, endpoint: str) -> None:
    ran = holdfast("repo", "list", "--endpoint", endpoint)
    assert ran.code == 2
    assert "--endpoint" in ran.err


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("repo", "create"), ("tags", "a/b", "--nonsense"), ("--nonsense",)]
)
def test_usage(holdfast: Commands, arguments: tuple[str, ...]) -> None:
    ran = holdfast(*arguments)
    assert (ran.code, ran.out) == (2, "")
    assert "Try 'holdfast" in ran.err


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (RegistryError(HELD, status=409, code="DENIED"), Exit.REFUSED),
        (RegistryError(HELD, status=400, code="TAG_INVALID"), Exit.REFUSED),
        (RegistryError("no", status=403, code="DENIED"), Exit.UNFINISHED),
        (RegistryError("bad tag", status=400, code="TAG_INVALID"), Exit.USAGE),
        (RegistryError("The registry answered 502 (Bad Gateway).", status=502), Exit.UNFINISHED),
        (ContentMismatch("wrong bytes"), Exit.UNFINISHED),
        (APIError("ImageTagAlreadyExistsException", HELD, 400), Exit.REFUSED),
        (APIError("SomethingNewException", "what", 500), Exit.UNFINISHED),
        (APIError("404", "Not Found", 404), Exit.UNFINISHED),
        (errors.TagHeld(HELD), Exit.REFUSED),
        (errors.ConfigurationInvalid("bad"), Exit.USAGE),
        (errors.StorageFull(), Exit.UNFINISHED),
        (Unfinished("part done", "do this"), Exit.UNFINISHED),
        (FileNotFoundError(2, "No such file or directory", "/x"), Exit.UNFINISHED),
        (ZeroDivisionError("ours"), Exit.UNFINISHED),
    ],
)
def test_every_kind_of_error_has_an_end(error: Exception, end: Exit) -> None:
    failure = explain(error)
    assert failure.exit is end
    assert failure.message
    json.dumps(failure.document())


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ("SSL validation failed for https://h/ certificate verify failed: self-signed certificate", "AWS_CA_BUNDLE"),
        ('Connection was closed before we received a valid response from endpoint URL: "http://h/"', "https://"),
        ("Nothing that could be understood came from h (Connection refused).", "holdfast serve"),
    ],
)
def test_silence_has_its_advice(message: str, advice: str) -> None:
    for error in (APIUnreachable(message), RegistryUnreachable(message)):
        failure = explain(error)
        assert failure.exit is Exit.UNFINISHED
        assert advice in (failure.next or "")


def test_a_fault_of_ours_says_so() -> None:
    failure = explain(ZeroDivisionError("ours"))
    assert "ZeroDivisionError: ours" in failure.message
    assert "fault in Holdfast itself" in failure.message


def test_every_error_of_either_face_becomes_a_failure() -> None:
    """What the server can say, the command line can tell: no code of either table ends in a fault of ours."""
    for status, code in oci.ERRORS.values():
        assert explain(RegistryError("sentence", status=status, code=code)).message == "sentence"
    for codes in ecr.ERRORS.values():
        for code in codes:
            assert explain(APIError(code, "sentence", 400)).message == "sentence"


def test_every_code_has_its_meaning() -> None:
    assert set(EXIT_MEANINGS) == set(Exit)


def test_control_characters_of_a_server_do_not_reach_the_terminal(holdfast: Commands) -> None:
    body = json.dumps({"__type": "ServerException", "message": "\x1b[2J\x07wiped"}).encode()
    with stub(lambda _: Told(400, body, (("Content-Type", "application/x-amz-json-1.1"),))) as server:
        ran = holdfast("repo", "list", "--endpoint", server.url)
    assert ran.code == 3
    assert "\\x1b[2J\\x07wiped" in ran.err
    assert "\x1b" not in ran.err


def test_a_reader_that_had_enough_is_no_fault(holdfast: Commands, repository: str) -> None:
    """`holdfast ... | head -0`: the pipe is closed before anything is written."""
    holdfast("repo", "create", repository)
    url = holdfast.environment["HOLDFAST_ENDPOINT"]
    with subprocess.Popen(
        [*PROGRAM, "repo", "list", "--json"],
        env=process_environment(url),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        said = process.stderr.read()
    assert process.returncode == 141
    assert said == b""
