"""The cache and the replication against CNCF distribution (Debian's docker-registry), and across a restart."""

from __future__ import annotations

import http.client
import shutil
import socket
import subprocess
import uuid
from typing import TYPE_CHECKING

import pytest

from holdfast.core.digest import Digest
from holdfast.core.manifest import OCI_IMAGE, OCI_INDEX
from holdfast.store import replications
from holdfast.store.sqlite import SQLiteDatabase
from images import digest_of, image, index, push, put
from json_api import Clock
from running import ACCOUNT, Client, running, settings
from waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from images import Image

PROGRAM = shutil.which("docker-registry")
FAR = "us-west-2"
WAIT_SECONDS = 30


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def distribution(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a fresh docker-registry, without log-in."""
    if PROGRAM is None:
        pytest.skip("docker-registry is not installed (apt-get install docker-registry)")
    folder, port = tmp_path_factory.mktemp("distribution"), free_port()
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}', secret: tests}}\n"
    )
    with subprocess.Popen([PROGRAM, "serve", str(config)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ran:
        client = Client("127.0.0.1", port, None)

        def answers() -> bool:
            try:
                return client("GET", "/v2/").status == 200
            except (http.client.HTTPException, OSError):
                return False

        try:
            eventually(answers)
            yield client
        finally:
            client.close_all()
            ran.terminate()


def push_in_two_steps(client: Client, repository: str, tag: str, pushed: Image) -> None:
    """Push as every registry understands it: it does not take a blob in one request."""
    for blob in pushed.blobs:
        started = client("POST", f"/v2/{repository}/blobs/uploads/")
        location = started.headers["Location"].partition(str(client.port))[2] or started.headers["Location"]
        mark = "&" if "?" in location else "?"
        assert client("PUT", f"{location}{mark}digest={Digest.of(blob)}", blob).status == 201
    for child in pushed.children:
        push_in_two_steps(client, repository, child.digest, child)
    assert put(client, repository, tag, pushed).status == 201


def named(client: Client, repository: str, tag: str) -> str | None:
    """Return what a tag names; this registry shows an index only to who says that it takes one."""
    answer = client("HEAD", f"/v2/{repository}/manifests/{tag}", None, {"Accept": f"{OCI_INDEX}, {OCI_IMAGE}"})
    return str(answer.headers["Docker-Content-Digest"]) if answer.status == 200 else None


def test_an_index_of_distributions_comes_through_the_cache(distribution: Client, tmp_path: Path) -> None:
    pushed = index(image(b"1" * 100_000), image(b"2"))
    push_in_two_steps(distribution, "library/app", "v1", pushed)
    with running(settings(tmp_path)) as cache:
        ecr, pull = cache.aws(), cache.client()
        url = f"http://127.0.0.1:{distribution.port}"
        ecr.create_pull_through_cache_rule(ecrRepositoryPrefix="hub", upstreamRegistryUrl=url)
        assert ecr.validate_pull_through_cache_rule(ecrRepositoryPrefix="hub")["isValid"]
        got = pull("GET", "/v2/hub/library/app/manifests/v1")
        assert (got.status, got.body) == (200, pushed.manifest)
        assert pull("GET", "/v2/hub/library/app/manifests/v2").status == 404
        ecr.close()


def test_an_image_is_replicated_to_distribution_and_deleted_there(distribution: Client, tmp_path: Path) -> None:
    with running(settings(tmp_path, create_on_push="MUTABLE")) as source:
        ecr, holdfast, client = source.aws(), source.aws("holdfast"), source.client()
        place = {"region": FAR, "registryId": ACCOUNT}
        holdfast.put_replication_peer(destination=place, url=f"http://127.0.0.1:{distribution.port}")
        rule = {"destinations": [place], "deleteReplication": {"enabled": True}}
        ecr.put_replication_configuration(replicationConfiguration={"rules": [rule]})
        name, pushed = f"mirrored/{uuid.uuid4().hex[:8]}", index(image(b"a"), image(b"b"))
        push(client, name, "v1", pushed)
        eventually(lambda: named(distribution, name, "v1") == pushed.digest)
        ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageDigest": pushed.digest}])
        eventually(lambda: named(distribution, name, "v1") is None)
        ecr.close()
        holdfast.close()


def test_what_was_under_way_goes_on_after_a_restart(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    clock, wanted = Clock(), settings(tmp_path, create_on_push="MUTABLE")
    other = settings(tmp_path_factory.mktemp("late"), create_on_push="MUTABLE", port=str(free_port()))
    pushed, name = image(b"survives"), "survives/app"
    with running(wanted, clock=clock) as source:
        ecr, holdfast = source.aws(), source.aws("holdfast")
        place = {"region": FAR, "registryId": ACCOUNT}
        login = {"username": other.bootstrap_access_key_id, "password": other.bootstrap_secret_access_key}
        holdfast.put_upstream_credential(name="late", **login)
        url = f"http://127.0.0.1:{other.port}"
        holdfast.put_replication_peer(destination=place, url=url, credentialName="late")
        ecr.put_replication_configuration(replicationConfiguration={"rules": [{"destinations": [place]}]})
        push(source.client(), name, "v1", pushed)
        eventually(lambda: holdfast.list_replications()["replications"][0]["attempts"])
        ecr.close()
        holdfast.close()
    taken_by_a_server_that_died(tmp_path)
    clock.ahead_seconds = 3_600
    with running(other) as late, running(wanted, clock=clock):
        eventually(lambda: digest_of(late.client(), name, "v1") == pushed.digest)


def taken_by_a_server_that_died(data: Path) -> None:
    """Leave the queue as a kill in the middle of the work leaves it."""
    import asyncio  # noqa: PLC0415 - of this function alone

    async def take() -> None:
        database = SQLiteDatabase(data / "holdfast.db")
        try:
            rows = replications.due(database, 2**62, limit=10)
            assert len(rows) == 1
            assert await database.write(lambda txn: replications.claim(txn, rows[0].id))
        finally:
            database.close()

    asyncio.run(take())
