"""`holdfast investigate`, `watch`, and the past of tags asked by day and by digest."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import images
import scan_reports
from forged_ledger import SIGNER, Writer, many, publish

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from commands import Commands
    from forged_ledger import Forged
    from running import Client


def configured(**config: object) -> images.Image:
    """Return an image with a configuration."""
    content = json.dumps({"architecture": "amd64", "os": "linux", "config": config}).encode()
    return images.image(json.dumps(config).encode(), config=content)


def test_a_story_tells_who_tried_what_and_what_would_have_changed(
    holdfast: Commands, repository: str, client: Client
) -> None:
    holdfast("repo", "create", repository, "--mutability", "IMMUTABLE")
    good = configured(Entrypoint=["/app"], Env=["PATH=/bin", "MODE=safe"])
    evil = configured(Entrypoint=["/bin/sh", "-c", "curl"], Env=["PATH=/bin", "MODE=other", "TOKEN=x"])
    assert images.push(client, repository, "v1", good).status == 201
    assert images.push(client, repository, "v2", evil).status == 201
    assert images.push(client, repository, "v1", evil).status == 409
    holdfast("repo", "set", repository, "--mutability", "MUTABLE")
    told = holdfast("investigate", f"{repository}:v1", "--json").json()
    assert [one["kind"] for one in told["events"]] == [
        "repository-created",
        "tag-bound",
        "tag-refused",
        "mutability-changed",
    ]
    [attempt] = told["attempts"]
    assert (attempt["pushed"], attempt["stays"], attempt["kept"]) == (evil.digest, good.digest, True)
    changed = {one["what"]: (one["before"], one["after"]) for one in attempt["differences"]}
    assert changed["Entrypoint"] == (["/app"], ["/bin/sh", "-c", "curl"])
    assert changed["environment MODE"] == ("safe", "other")
    assert changed["environment TOKEN"] == (None, "x")
    text = holdfast("investigate", f"{repository}:v1").out
    assert "The repository was switched from IMMUTABLE to MUTABLE, by user/administrator from 127.0.0.1" in text
    assert "was refused: it stays at" in text
    assert "Entrypoint: /app -> /bin/sh -c curl" in text
    everything = holdfast("investigate", repository, "--json").json()
    assert [one["tag"] for one in everything["events"]] == [None, "v1", "v2", "v1", None]


def test_a_move_is_told_with_what_it_changed_and_the_packages_that_scans_name(
    holdfast: Commands, repository: str, client: Client, tmp_path: Path
) -> None:
    holdfast("repo", "create", repository, "--mutability", "MUTABLE")
    old, new = configured(Cmd=["one"]), configured(Cmd=["two"])
    for pushed, version in ((old, "3.0.1"), (new, "3.0.0")):
        assert images.push(client, repository, "v1", pushed).status == 201
        report = tmp_path / f"{version}.json"
        found = [*scan_reports.FINDINGS[1:], ("CVE-2026-0009", "HIGH", 8.0, "openssl", version, "")]
        report.write_bytes(scan_reports.trivy(pushed.digest, found))
        assert holdfast("scan", "load", f"{repository}@{pushed.digest}", str(report)).code == 0
    [moved] = holdfast("investigate", f"{repository}:v1", "--json").json()["attempts"]
    assert (moved["kind"], moved["stays"], moved["pushed"]) == ("tag-moved", old.digest, new.digest)
    changed = {one["what"]: (one["before"], one["after"]) for one in moved["differences"]}
    assert changed["Cmd"] == (["one"], ["two"])
    assert changed["package with findings openssl"] == ("3.0.1", "3.0.0")
    assert "package with findings zlib" not in changed
    assert f"What was pushed to v1 when it moved, {new.digest}" in holdfast("investigate", f"{repository}:v1").out


def test_nothing_is_told_of_a_repository_that_is_not_there(holdfast: Commands, repository: str) -> None:
    ran = holdfast("investigate", repository)
    assert ran.code == 3
    assert "does not exist" in ran.err


def test_the_past_is_asked_by_day_and_by_digest(holdfast: Commands, repository: str, client: Client) -> None:
    holdfast("repo", "create", repository, "--mutability", "MUTABLE")
    first, second = images.image(), images.image()
    for tag, pushed in (("dev", first), ("v1", first), ("dev", second)):
        assert images.push(client, repository, tag, pushed).status == 201
    today = datetime.now(UTC).date()
    asked = holdfast("tags", repository, "--history", "--on", today.isoformat(), "--json").json()
    assert [one["digest"] for one in asked["bindings"]] == [second.digest, first.digest, first.digest]
    assert {one["source"] for one in asked["bindings"]} == {"127.0.0.1"}
    assert {one["through"] for one in asked["bindings"]} == {"oci"}
    before = (today - timedelta(days=1)).isoformat()
    assert holdfast("tags", repository, "--history", "--on", before, "--json").json()["bindings"] == []
    now = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    asked = holdfast("tags", repository, "--history", "--on", now, "--json").json()
    assert {one["tag"]: one["digest"] for one in asked["bindings"]} == {"dev": second.digest, "v1": first.digest}
    asked = holdfast("tags", repository, "--history", "--digest", first.digest, "--json").json()
    assert [(one["tag"], one["how"]) for one in asked["bindings"]] == [("v1", None), ("dev", "moved")]
    assert holdfast("tags", repository, "--history", "--on", "yesterday").code == 2
    assert holdfast("tags", repository, "--on", before).code == 2


def _written(folder: Path, forged: Forged) -> None:
    for path, content in forged.files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)


def test_watch_alerts_behind_what_was_seen_and_on_breaches(
    holdfast: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer()
    writer.created()
    writer.named("a", None)
    writer.add(
        "tag-refused", tag="v1", pushed="sha256:" + "b" * 64, digest="sha256:" + "a" * 64, rule="held", reason="r"
    )
    folder, state = tmp_path / "bundle", tmp_path / "seen"
    _written(folder, publish(writer.contents))
    monkeypatch.setenv("HOLDFAST_ENDPOINT", "http://127.0.0.1:9")
    look = ("watch", "--bundle", str(folder), "--key", str(SIGNER.verifier), "--state", str(state), "--once", "--json")

    def alerts() -> tuple[int, list[tuple[str, str]]]:
        ran = holdfast(*look)
        lines = [json.loads(line) for line in ran.out.splitlines()]
        return ran.code, [(one["gravity"], one["code"]) for one in lines]

    assert alerts() == (1, [("warning", "tag-refused")])
    assert alerts() == (0, [])
    writer.switched("IMMUTABLE", "MUTABLE")
    writer.named("b", "a", kind="tag-moved", held=False, rule="not-held")
    writer.deleted("b", held=False)
    _written(folder, publish(writer.contents))
    assert alerts() == (1, [("warning", "mutability-changed"), ("notice", "tag-moved"), ("notice", "tag-deleted")])
    writer.switched("MUTABLE", "IMMUTABLE")
    writer.named("a", None)
    writer.named("b", "a", kind="tag-moved")
    _written(folder, publish(writer.contents))
    code, told = alerts()
    assert code == 1
    assert told[-1] == ("breach", "held-tag-moved")
    _written(folder, publish(many(20)))
    code, told = alerts()
    assert (code, told[-1]) == (1, ("breach", "forked"))
