"""`holdfast serve` as a process: what it tells, and that what it tells works."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
from typing import TYPE_CHECKING

import pytest

from commands import PROGRAM, process_environment
from holdfast.cli.serve import greeting
from running import running, settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from commands import Commands


@contextlib.contextmanager
def serving(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Run the server as a process until the block ends; its log is `log` in the folder, its data `data`."""
    with (
        (folder / "log").open("a") as log,
        subprocess.Popen(
            [*PROGRAM, "serve", "--json", "--port", "0", "--data", str(folder / "data"), *options],
            env=process_environment(),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def told(process: subprocess.Popen[str]) -> dict[str, str]:
    """Read the line of `--json`."""
    assert process.stdout is not None
    facts: dict[str, str] = json.loads(process.stdout.readline())
    return facts


def test_the_key_is_told_once_and_works(holdfast: Commands, tmp_path: Path) -> None:
    with serving(tmp_path, "--region", "eu-central-1") as process:
        first = told(process)
        assert sorted(first) == ["access_key_id", "account_id", "region", "secret_access_key", "url"]
        mine = {
            "HOLDFAST_ENDPOINT": first["url"],
            "AWS_ACCESS_KEY_ID": first["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": first["secret_access_key"],
        }
        assert holdfast("repo", "create", "demo/app", **mine).code == 0
    assert process.returncode == 0
    with serving(tmp_path, "--region", "eu-central-1") as process:
        second = told(process)
        assert sorted(second) == ["account_id", "region", "url"]
        listed = holdfast("repo", "list", "--json", **(mine | {"HOLDFAST_ENDPOINT": second["url"]})).json()
        assert [one["name"] for one in listed["repositories"]] == ["demo/app"]


def test_the_log_has_no_secret(holdfast: Commands, tmp_path: Path) -> None:
    with serving(tmp_path, "--log-level", "debug") as process:
        facts = told(process)
        secret = facts["secret_access_key"]
        mine = {
            "HOLDFAST_ENDPOINT": facts["url"],
            "AWS_ACCESS_KEY_ID": facts["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": facts["region"],
        }
        holdfast("user", "create", "ci", "--administrator", **mine)
        made = holdfast("user", "key", "create", "ci", "--json", **mine).json()
    log = (tmp_path / "log").read_text()
    assert "CreateAccessKey" in log
    assert secret not in log
    assert made["secret_access_key"] not in log
    assert all(isinstance(json.loads(line), dict) for line in log.splitlines())


def test_the_greeting_can_be_copied(tmp_path: Path) -> None:
    with running(settings(tmp_path, bootstrap_access_key_id=None, bootstrap_secret_access_key=None)) as server:
        assert server.holdfast.made_up_key is not None
        key_id, secret = server.holdfast.made_up_key
        text = greeting(server.holdfast)
    assert text.count(secret) == 1
    host = f"{server.host}:{server.port}"
    for line in (
        f"  export AWS_ACCESS_KEY_ID={key_id}",
        f"  export AWS_SECRET_ACCESS_KEY={secret}",
        f"  aws ecr get-login-password | docker login -u AWS --password-stdin {host}   # the same",
        f"  docker tag IMAGE {host}/demo/app:v1 && docker push {host}/demo/app:v1",
    ):
        assert line in text.splitlines()
    assert f"AWS_DEFAULT_REGION=eu-central-1 AWS_ENDPOINT_URL_ECR={server.url} HOLDFAST_ENDPOINT={server.url}" in text


def test_the_greeting_of_an_old_server_shows_no_key(tmp_path: Path) -> None:
    with running(settings(tmp_path, create_on_push="IMMUTABLE")) as server:
        text = greeting(server.holdfast)
    assert "export AWS_SECRET_ACCESS_KEY=...\n" in text
    assert "A push to a repository that is not there makes it, IMMUTABLE." in text


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = subprocess.run(
            [*PROGRAM, "serve", "--port", str(port), "--data", str(tmp_path)],
            env=process_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 2
    assert f"Cannot listen on 127.0.0.1 port {port}: Address already in use." in ran.stderr
    assert "Choose another with --host and --port." in ran.stderr


def test_a_data_folder_that_is_in_use(tmp_path: Path) -> None:
    with serving(tmp_path) as process:
        told(process)
        ran = subprocess.run(
            [*PROGRAM, "serve", "--port", "0", "--data", str(tmp_path / "data")],
            env=process_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.returncode == 2
    assert "Another server is using the data directory" in ran.stderr


def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = subprocess.run(
        [*PROGRAM, "serve", "--port", "0", "--data", str(tmp_path / "file" / "data")],
        env=process_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 3
    assert f"holdfast: {tmp_path}/file/data: Not a directory" in ran.stderr


@pytest.mark.parametrize(
    ("options", "environment", "sentence"),
    [
        (("--port", "many"), {}, "The setting port must be a whole number"),
        ((), {"HOLDFAST_REGION": "nowhere"}, "came from the variable HOLDFAST_REGION"),
        (("--tls-cert", "x"), {}, "tls_cert and tls_key go together"),
        (("--config", "/nonexistent"), {}, "cannot be read"),
    ],
)
def test_a_setting_that_cannot_be(
    holdfast: Commands, options: tuple[str, ...], environment: dict[str, str], sentence: str
) -> None:
    ran = holdfast("serve", *options, **environment)
    assert ran.code == 2
    assert sentence in ran.err
