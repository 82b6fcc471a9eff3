"""`holdfast pin` against a real registry: asked with docker's credentials, written, verified, and taken out again."""

from __future__ import annotations

import base64
import json
import os
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

import images
from commands import ISOLATED, Commands
from running import KEY_ID, SECRET, Client, RunningServer
from stub import Asked, Told, stub

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Bench:
    """A folder with a code base, a registry with images, and the program."""

    folder: Path
    host: str
    repository: str
    client: Client
    run: Commands

    @property
    def name(self) -> str:
        """What images of the registry are called."""
        return f"{self.host}/{self.repository}"

    def __call__(self, *arguments: str, **environment: str | None) -> Any:
        return self.run("pin", *arguments, **environment)

    def write(self, path: str, text: str) -> Path:
        """Write a file byte by byte."""
        goal = self.folder / path
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.write_bytes(text.encode("utf-8", "surrogateescape"))
        return goal

    def push(self, tag: str) -> images.Image:
        """Push an index of two platforms."""
        amd, arm = images.image(), images.image()
        listed = [
            {**amd.descriptor, "platform": {"os": "linux", "architecture": "amd64"}},
            {**arm.descriptor, "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        ]
        made = images.index(amd, arm, manifests=listed)
        assert images.push(self.client, self.repository, tag, made).status == 201
        return made


def docker_config(folder: Path, **entries: Any) -> str:
    """Write a config.json and return the folder for DOCKER_CONFIG."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(entries))
    return str(folder)


def auth(name: str, password: str) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{name}:{password}".encode()).decode()}


@pytest.fixture
def bench(
    tmp_path: Path,
    server: RunningServer,
    client: Client,
    repository: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Bench:
    """A bench whose docker is logged in to the shared server."""
    folder = tmp_path / "code"
    folder.mkdir()
    monkeypatch.chdir(folder)
    host = f"{server.host}:{server.port}"
    config = docker_config(tmp_path / "docker", auths={host: auth(KEY_ID, SECRET)})
    around = {**ISOLATED, "DOCKER_CONFIG": config, "REGISTRY_AUTH_FILE": "", "HOLDFAST_ENDPOINT": None}
    kept = {name: value for name, value in around.items() if value is not None}
    monkeypatch.delenv("HOLDFAST_ENDPOINT", raising=False)
    return Bench(folder, host, repository, client, Commands(monkeypatch, capsys, kept))


def test_the_whole_way(bench: Bench) -> None:
    made = bench.push("1.0")
    text = f"# Größe\r\nFROM {bench.name}:1.0  AS one\r\nFROM '{bench.name}:1.0'\nCOPY --from=one /a /b"
    file = bench.write("Dockerfile", text)
    file.chmod(0o640)

    shown = bench()
    assert shown.code == 0
    assert f"\n-FROM {bench.name}:1.0  AS one\r\n" in shown.out
    assert f"\n+FROM {bench.name}:1.0@{made.digest}  AS one\r\n" in shown.out
    assert "2 images would change in 1 of 1 files." in shown.err
    assert file.read_bytes() == text.encode()
    assert not (bench.folder / "holdfast.lock").exists()

    assert bench("--check").code == 1
    assert bench("--write").code == 0
    assert file.read_bytes() == text.replace(":1.0", f":1.0@{made.digest}").encode()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert bench("--check").code == 0
    assert bench("--verify").code == 0
    again = bench("--write", "--json").json()
    assert again["changes"] == []

    by_hand = bench.write("b.Dockerfile", f"FROM a/b:1@{made.digest}\n")
    assert bench("--unpin", "--write").code == 0
    assert file.read_bytes() == text.encode()
    assert made.digest in by_hand.read_text()
    assert not (bench.folder / "holdfast.lock").read_text().count("Dockerfile")
    assert bench("--unpin", "--all", "--write").code == 0
    assert by_hand.read_text() == "FROM a/b:1\n"


def test_a_newer_digest_of_the_same_tag(bench: Bench) -> None:
    old = bench.push("1.0")
    bench.write("Dockerfile", f"FROM {bench.name}:1.0\n")
    bench("--write")
    new = bench.push("1.0")

    verified = bench("--verify", "--json")
    assert (verified.code, [one["rule"] for one in verified.json()["findings"]]) == (1, ["image-stale-digest"])
    assert verified.json()["findings"][0]["edits"][0]["after"] == f"{bench.name}:1.0@{new.digest}"
    assert bench("--update", "--check").code == 1
    updated = bench("--update", "--write")
    assert updated.code == 0
    assert f"{old.digest[:19]} -> {new.digest[:19]}" in updated.err
    assert bench("--verify").code == 0
    assert json.loads((bench.folder / "holdfast.lock").read_text())["images"] == {
        f"{bench.name}:1.0": {"digest": new.digest, "media_type": images.OCI_INDEX}
    }
    bench("--unpin", "--write")
    assert (bench.folder / "Dockerfile").read_text() == f"FROM {bench.name}:1.0\n"


def test_offline_the_lock_file_answers(bench: Bench) -> None:
    made = bench.push("1.0")
    bench.write("a/Dockerfile", f"FROM {bench.name}:1.0\n")
    bench("a", "--lock", "holdfast.lock", "--write")
    bench.write("b/Dockerfile", f"FROM {bench.name}:1.0\nFROM {bench.name}:2.0\n")
    ran = bench("b", "--offline", "--lock", "holdfast.lock", "--write", DOCKER_CONFIG="/nonexistent")
    assert ran.code == 3
    assert "b/Dockerfile:2:6: " in ran.err
    assert "not in the lock file" in ran.err
    written = (bench.folder / "b" / "Dockerfile").read_text()
    assert written == f"FROM {bench.name}:1.0@{made.digest}\nFROM {bench.name}:2.0\n"


def test_one_platform_when_it_is_asked_for(bench: Bench) -> None:
    made = bench.push("1.0")
    bench.write("Dockerfile", f"FROM {bench.name}:1.0\n")
    assert made.children[1].digest in bench("--platform", "linux/arm64").out
    missing = bench("--platform", "linux/s390x")
    assert (missing.code, "no image for linux/s390x" in missing.err) == (3, True)
    assert bench("--platform", "arm64").code == 2
    bench("--platform", "linux/amd64", "--write")
    told = bench("--verify", "--platform", "linux/arm64", "--json").json()
    assert [one["rule"] for one in told["findings"]] == ["image-platform-digest", "image-wrong-platform"]


def test_what_is_not_there_and_who_may_not_see_do_not_stop_the_rest(bench: Bench, tmp_path: Path) -> None:
    made = bench.push("1.0")
    bench.write("Dockerfile", f"FROM {bench.name}:none\nFROM {bench.name}:1.0\nFROM 127.0.0.1:1/a/b:1\n")
    ran = bench("--write")
    assert ran.code == 3
    assert f"Dockerfile:1:6: {bench.name}:none: Not found: nothing is called" in ran.err
    assert "Dockerfile:3:6: 127.0.0.1:1/a/b:1: unreachable: " in ran.err
    assert f"FROM {bench.name}:1.0@{made.digest}\n" in (bench.folder / "Dockerfile").read_text()

    bench.write("Dockerfile", f"FROM {bench.name}:1.0\n")
    stranger = bench("--json", DOCKER_CONFIG=docker_config(tmp_path / "nobody"))
    [left] = stranger.json()["left"]
    assert (stranger.code, left["trouble"], left["line"]) == (3, "unauthorized", 1)
    assert "docker login" in left["reason"]
    verified = bench("--verify", DOCKER_CONFIG=docker_config(tmp_path / "nobody"))
    assert (verified.code, verified.err.startswith(f"Dockerfile:1:6: {bench.name}:1.0: unauthorized: ")) == (3, True)
    bench.write("Dockerfile", f"FROM {bench.name}@{made.digest}\n")
    linted = bench.run("lint", "--online", DOCKER_CONFIG=docker_config(tmp_path / "nobody"))
    assert (linted.code, "Dockerfile:1:6: " in linted.err) == (3, True)


def test_a_registry_that_has_enough_is_left_alone(bench: Bench) -> None:
    def enough(_asked: Asked) -> Told:
        return Told(429, b'{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}')

    with stub(enough) as registry:
        host = registry.url.partition("://")[2]
        bench.write("Dockerfile", "".join(f"FROM {host}/a/b:{tag}\n" for tag in range(60)))
        ran = bench()
    assert ran.code == 3
    assert ran.err.count("rate limit: ") == 60
    assert len(registry.asked) < 20


def test_what_people_accept_stays(bench: Bench) -> None:
    bench.push("1.0")
    line = f"FROM {bench.name}:1.0\n"
    bench.write("Dockerfile", f"# holdfast: ignore[image-movable-tag] a base of our own, rebuilt nightly\n{line}")
    assert bench("--check").code == 0
    assert bench("--json").json()["changes"] == []


def test_a_link_out_of_the_tree_is_not_written_through(bench: Bench, tmp_path: Path) -> None:
    bench.push("1.0")
    outside = tmp_path / "outside.Dockerfile"
    outside.write_text(f"FROM {bench.name}:1.0\n")
    bench.write(".holdfast.yaml", "")
    (bench.folder / "Dockerfile").symlink_to(outside)
    ran = bench("Dockerfile", "--write")
    assert (ran.code, "is not in" in ran.err) == (3, True)
    assert outside.read_text() == f"FROM {bench.name}:1.0\n"
    (bench.folder / "real.Dockerfile").write_text(f"FROM {bench.name}:1.0\n")
    (bench.folder / "Dockerfile").unlink()
    (bench.folder / "Dockerfile").symlink_to("real.Dockerfile")
    assert bench("Dockerfile", "--write").code == 0
    assert (bench.folder / "Dockerfile").is_symlink()
    assert "@sha256:" in (bench.folder / "real.Dockerfile").read_text()


def test_a_credential_helper_is_asked_and_its_troubles_are_told(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = bench.push("1.0")
    bench.write("Dockerfile", f"FROM {bench.name}:1.0\n")
    folder = tmp_path / "bin"
    folder.mkdir()
    helper = folder / "docker-credential-test"
    answer = json.dumps({"ServerURL": bench.host, "Username": KEY_ID, "Secret": SECRET})
    helper.write_text(f"#!/bin/sh\nread host\n[ \"$host\" = {bench.host} ] && echo '{answer}'\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    for entries in ({"credHelpers": {bench.host: "test"}}, {"credsStore": "test"}):
        assert made.digest in bench(DOCKER_CONFIG=docker_config(tmp_path / "d", **entries)).out
    helper.write_text("#!/bin/sh\necho 'credentials not found in native keychain'\nexit 1\n")
    ran = bench(DOCKER_CONFIG=docker_config(tmp_path / "d", credsStore="test"))
    assert (ran.code, "without credentials" in ran.err) == (3, True)
    helper.write_text("#!/bin/sh\necho 'the keychain is locked'\nexit 1\n")
    ran = bench(DOCKER_CONFIG=docker_config(tmp_path / "d", credsStore="test"))
    assert (ran.code, "the keychain is locked" in ran.err) == (3, True)
    ran = bench(DOCKER_CONFIG=docker_config(tmp_path / "d", credHelpers={bench.host: "missing"}))
    assert (ran.code, "not installed" in ran.err) == (3, True)
    ran = bench(DOCKER_CONFIG=docker_config(tmp_path / "d", credHelpers={bench.host: "../evil"}))
    assert (ran.code, "no name of a credential helper" in ran.err) == (3, True)


def test_a_holdfast_server_needs_no_docker_login_and_says_what_holds(
    bench: Bench, tmp_path: Path, server: RunningServer
) -> None:
    bench.push("1.0")
    bench.write("Dockerfile", f"FROM {bench.name}:1.0\n")
    around = {
        "DOCKER_CONFIG": docker_config(tmp_path / "nobody"),
        "HOLDFAST_ENDPOINT": server.url,
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": KEY_ID,
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }
    assert bench(**around).code == 0
    [found] = bench.run("lint", "--online", "--json", **around).json()["findings"]
    assert "its repository does not hold it" in found["message"]
    assert found["edits"][0]["after"].startswith(f"{bench.name}:1.0@sha256:")
    server.aws().put_image_tag_mutability(repositoryName=bench.repository, imageTagMutability="IMMUTABLE")
    assert bench.run("lint", "--online", **around).code == 0


def test_wrong_usage(bench: Bench) -> None:
    bench.write("holdfast.lock", "[]")
    assert bench().code == 2
    (bench.folder / "holdfast.lock").unlink()
    for wrong in (
        ("--write", "--check"),
        ("--update", "--unpin"),
        ("--verify", "--offline"),
        ("--write", "--verify"),
        ("--endpoint", "x"),
    ):
        assert bench(*wrong).code == 2
