"""`holdfast demo`: see a tag hold, on a throw-away registry, with a real image and a real client.

Each step is checked, not only shown: the exit code is 0 only if everything held.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from typing import TYPE_CHECKING, Any, Final

import click

from holdfast.cli.connection import Connection, json_option
from holdfast.cli.demo_image import DemoImages
from holdfast.cli.demo_server import throwaway
from holdfast.cli.exits import Exit
from holdfast.cli.output import plain, size
from holdfast.cli.progress import watching
from holdfast.cli.tag import kept_manifest, name_anew
from holdfast.cli.tags import history_of
from holdfast.client.api import API
from holdfast.client.oci import is_tag_refusal
from holdfast.client.oci_layout import LayoutWriter, open_image
from holdfast.client.transfer import Pull, Push
from holdfast.client.transport import RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from holdfast.cli.demo_server import DemoServer
    from holdfast.core.manifest import Manifest

REPOSITORY: Final = "demo/app"
TAG: Final = "v1"
NEW_TAG: Final = "v2"


@click.command(short_help="See a tag hold, on a throw-away registry.")
@click.option("--keep", is_flag=True, help="Leave the registry running, and tell how to reach and how to stop it.")
@json_option
def demo(*, keep: bool, as_json: bool) -> int:
    """See a tag hold: push a real image, try to move its tag, pull the first image back.

    Starts a registry in a temporary folder on a free port of this machine, and removes it at the end. Nothing else is
    touched.
    """
    with _ended_by_termination(), throwaway(keep=keep) as server:
        show = Show(as_json=as_json)
        facts = _Demonstration(server, show).run()
        if keep:
            facts["kept"] = _kept(server)
            show.say(*_how_to_reach(server))
        if as_json:
            click.echo(json.dumps(facts, indent=2))
        return Exit.DONE if facts["held"] else Exit.FOUND


class Show:
    """Says what happens, in short sentences; with `--json` it says nothing."""

    def __init__(self, *, as_json: bool) -> None:
        self._silent = as_json
        self._step = 0

    def step(self, sentence: str) -> None:
        """Begin the next step."""
        self._step += 1
        self.say("", f"{self._step}. {sentence}")

    def say(self, *sentences: str) -> None:
        """Say something."""
        if not self._silent:
            for sentence in sentences:
                click.echo(plain(sentence))


class _Demonstration:
    """The steps, and what was found at each."""

    def __init__(self, server: DemoServer, show: Show) -> None:
        self._server = server
        self._show = show
        self._checks: list[dict[str, Any]] = []
        self._facts: dict[str, Any] = {"held": False, "endpoint": server.url, "repository": REPOSITORY, "tag": TAG}

    def run(self) -> dict[str, Any]:
        """Go through the steps; return what was found."""
        server = self._server
        self._show.say(f"A registry of its own is up at {server.url}; its data is in {server.folder}.")
        api = API(server.url, server.region, server.key_id, server.secret)
        with Connection.over(server.url, api) as at:
            first, second = self._build()
            self._create(at)
            self._push_first(at, first)
            self._push_second(at, second)
            self._try_the_other_door(at, second)
            self._pull_back(at, first)
            self._name_anew(at, second)
            self._tell_history(at)
        held = all(check["held"] for check in self._checks)
        self._facts |= {"held": held, "checks": self._checks}
        broken = [check["check"] for check in self._checks if not check["held"]]
        self._show.say(
            "", f"Everything held: {len(self._checks)} checks." if held else f"NOT held: {'; '.join(broken)}."
        )
        return self._facts

    def _check(self, check: str, *, held: bool) -> None:
        self._checks.append({"check": check, "held": held})
        if not held:
            self._show.say(f"   THIS DID NOT HOLD: {check}.")

    @property
    def _images(self) -> Path:
        return self._server.folder / "images"

    def _build(self) -> tuple[Manifest, Manifest]:
        self._show.step(
            "Build two releases of an image, of real files: this Python's library, Holdfast, an application."
        )
        images = DemoImages(self._images)
        images.add_base()
        first, second = images.release(1), images.release(2)
        layers = [{"digest": str(layer.digest), "size": layer.size_bytes} for layer in first.layers]
        total = sum(layer.size_bytes for layer in first.layers)
        self._facts["first"] = {"digest": str(first.digest), "layers": layers, "layers_bytes": total}
        self._facts["second"] = {"digest": str(second.digest)}
        self._show.say(f"   release 1  {first.digest}  ({len(layers)} layers, {size(total)})")
        self._show.say(f"   release 2  {second.digest}  (another application in the last layer)")
        return first, second

    def _create(self, at: Connection) -> None:
        self._show.step(f"Make the repository {REPOSITORY}, IMMUTABLE.")
        made = at.api.ecr("create_repository", repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")["repository"]
        self._facts["mutability"] = made["imageTagMutability"]
        self._check("the repository is IMMUTABLE", held=made["imageTagMutability"] == "IMMUTABLE")

    def _push_first(self, at: Connection, first: Manifest) -> None:
        self._show.step(f"Push release 1 as {REPOSITORY}:{TAG}.")
        begun = time.monotonic()
        self._push(at, "release-1")
        seconds = time.monotonic() - begun
        named = at.registry.resolve(REPOSITORY, TAG)
        self._facts["first"] |= {"push_seconds": round(seconds, 3)}
        self._show.say(f"   {TAG} names {named} ({seconds:.1f} s).")
        self._check(f"{TAG} names release 1", held=named == first.digest)

    def _push_second(self, at: Connection, second: Manifest) -> None:
        self._show.step(f"Try to move {TAG}: push release 2 under the same tag.")
        refusal: RegistryError | None = None
        try:
            self._push(at, "release-2")
        except RegistryError as error:
            refusal = error
        if refusal is not None:
            told = {
                "status": refusal.status,
                "code": refusal.code,
                "message": refusal.message,
                "detail": refusal.detail,
            }
            self._facts["refusal"] = told
            self._show.say("   Refused. This is what a client sees:", f"   HTTP {refusal.status} {refusal.code}")
            self._show.say(f"   {refusal.message}")
        self._check("the push to the held tag was refused", held=refusal is not None and is_tag_refusal(refusal))
        named = at.registry.resolve(REPOSITORY, TAG)
        self._facts["tag_digest_after"] = str(named)
        self._show.say(f"   {TAG} still names {named}.")
        self._check(f"{TAG} did not move", held=str(named) == self._facts["first"]["digest"])
        kept = at.registry.resolve(REPOSITORY, second.digest)
        self._check("the refused image is kept under its digest", held=kept == second.digest)

    def _try_the_other_door(self, at: Connection, second: Manifest) -> None:
        self._show.step("Try the other door: Amazon ECR's PutImage, with release 2 and the same tag.")
        outcome = name_anew(at, REPOSITORY, kept_manifest(at, REPOSITORY, second.digest), TAG)
        self._facts["refusal_by_put_image"] = outcome["message"]
        self._show.say(
            f"   Refused: {outcome['message']}" if outcome["message"] else f"   It was {outcome['outcome']}."
        )
        self._check("PutImage was refused", held=outcome["outcome"] == "refused")
        named = at.registry.resolve(REPOSITORY, TAG)
        self._check(f"{TAG} did not move by PutImage", held=str(named) == self._facts["first"]["digest"])

    def _pull_back(self, at: Connection, first: Manifest) -> None:
        self._show.step(f"Pull {REPOSITORY}:{TAG} back, and compare every byte with what was built.")
        folder = self._server.folder / "pulled"
        with watching() as watcher:
            root = Pull(at.registry, REPOSITORY, LayoutWriter(folder), watcher).image(TAG)
        parts = [first.digest, *(one.digest for one in first.blobs)]
        same = [_same(self._images, folder, f"blobs/{one.algorithm}/{one.hex}") for one in parts]
        self._facts["pulled"] = {"digest": str(root.digest), "files": len(parts), "identical": all(same)}
        self._show.say(f"   {root.digest}: {sum(same)} of {len(parts)} files are equal, byte for byte.")
        self._check("the first image came back, byte for byte", held=root.digest == first.digest and all(same))

    def _name_anew(self, at: Connection, second: Manifest) -> None:
        self._show.step("Release 2 is not lost: give it a tag of its own. Nothing is uploaded again.")
        outcome = name_anew(at, REPOSITORY, kept_manifest(at, REPOSITORY, second.digest), NEW_TAG)
        named = at.registry.resolve(REPOSITORY, NEW_TAG)
        self._show.say(f"   holdfast tag {REPOSITORY}@{second.digest} {NEW_TAG}", f"   {NEW_TAG} names {named}.")
        self._check(f"{NEW_TAG} names release 2", held=outcome["outcome"] == "bound" and named == second.digest)

    def _tell_history(self, at: Connection) -> None:
        self._show.step("Read the record: what each tag named, and who tried to move it.")
        bindings, refused = history_of(at, REPOSITORY, None)
        self._facts |= {"history": bindings, "refused": refused}
        for one in bindings:
            until = one["until"] or "now"
            self._show.say(f"   {one['tag']}  {one['digest']}  from {one['from']} until {until}, by {one['by']}")
        for one in refused:
            self._show.say(
                f"   {one['tag']}  refused at {one['at']}: {one['pushed']} by {one['by']} ({one['through']})"
            )
        named = {one["tag"]: one["digest"] for one in bindings if one["until"] is None}
        first, second = self._facts["first"]["digest"], self._facts["second"]["digest"]
        self._check("the history has each tag once", held=len(bindings) == 2 and named == {TAG: first, NEW_TAG: second})  # noqa: PLR2004 - the tags
        self._check("the record has both refusals", held=[one["pushed"] for one in refused] == [second, second])

    def _push(self, at: Connection, name: str) -> None:
        with open_image(self._images, name) as image, watching() as watcher:
            Push(at.registry, REPOSITORY, watcher).image(image, TAG)


def _same(one: Path, other: Path, name: str) -> bool:
    left, right = one / name, other / name
    return left.is_file() and right.is_file() and left.read_bytes() == right.read_bytes()


def _kept(server: DemoServer) -> dict[str, Any]:
    return {
        "process_id": server.process_id,
        "folder": str(server.folder),
        "region": server.region,
        "access_key_id": server.key_id,
        "secret_access_key": server.secret,
    }


def _how_to_reach(server: DemoServer) -> list[str]:
    return [
        "",
        "The registry goes on running. Reach it (the key is made for it alone):",
        f"  export HOLDFAST_ENDPOINT={server.url} HOLDFAST_REGION={server.region}",
        f"  export HOLDFAST_ACCESS_KEY_ID={server.key_id} HOLDFAST_SECRET_ACCESS_KEY={server.secret}",
        f"  holdfast tags {REPOSITORY} --history",
        "Stop it and remove its data:",
        f"  kill {server.process_id}; rm -r {server.folder}",
    ]


@contextlib.contextmanager
def _ended_by_termination() -> Iterator[None]:
    """Turn a request to end this process into an exit that cleans up."""

    def end(number: int, _frame: object) -> None:
        sys.exit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
