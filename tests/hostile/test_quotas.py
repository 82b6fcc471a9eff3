"""C13 and quotas: what would be too much is refused inside the transaction that would add it, and leaves nothing."""

from __future__ import annotations

import asyncio
from importlib import resources
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from held_ground import WatchedClient, refused
from holding import own_server, rows, variants
from images import digest_of, image, push, push_blob, push_parts, put, sha256
from json_api import put_image, put_refused, refusal
from volley import request, volley

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from running import RunningServer

Ground = tuple["RunningServer", WatchedClient, Any, Any]


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """A server of one's own with clients of its three interfaces; what is used is right when a test ends."""
    with own_server(tmp_path, create_on_push="MUTABLE") as up:
        yield up
        assert counted(up[0]) == used(up[0])


def used(server: RunningServer) -> list[tuple[Any, ...]]:
    """Return what the triggers have counted."""
    return [
        *rows(server, "SELECT repository_id, images, bytes FROM repository_usage ORDER BY repository_id"),
        *rows(server, "SELECT repositories, images, bytes FROM registry_usage"),
    ]


def counted(server: RunningServer) -> list[tuple[Any, ...]]:
    """Count anew what the triggers should have counted."""
    each = rows(
        server,
        "SELECT r.id, (SELECT count(*) FROM manifests m WHERE m.repository_id = r.id), "
        "(SELECT coalesce(sum(payload_bytes), 0) FROM manifests m WHERE m.repository_id = r.id) + "
        "(SELECT coalesce(sum(b.size_bytes), 0) FROM repository_blobs l JOIN blobs b USING (digest) "
        "WHERE l.repository_id = r.id) FROM repositories r WHERE r.deleted_at IS NULL ORDER BY r.id",
    )
    return [*each, (len(each), sum(one[1] for one in each), sum(one[2] for one in each))]


def told(holdfast: Any, **where: Any) -> dict[tuple[str, str], tuple[int | None, int | None]]:
    """Return (scope, resource) -> (most, used)."""
    found = holdfast.get_quotas(**where)["quotas"]
    return {(one["scope"], one["resource"]): (one.get("most"), one.get("used")) for one in found}


def test_what_is_used_is_counted_whatever_happens(ground: Ground) -> None:
    server, client, ecr, holdfast = ground
    first, second = image(), image(b"x" * 1_000)
    push(client, "u/a", "v1", first)
    push(client, "u/a", "v2", second)
    push(client, "u/a", "v2", second)
    push(client, "u/b", "v1", second)
    size = sum(len(blob) for one in (first, second) for blob in (one.manifest, *one.blobs))
    assert told(holdfast, repositoryName="u/a") == {
        ("repository", "images"): (None, 2),
        ("repository", "bytes"): (None, size),
    }
    usage = holdfast.list_usage()["repositories"]
    assert [one["repositoryName"] for one in usage] == ["u/a", "u/b"]
    assert usage[0]["bytes"] == size
    assert counted(server) == used(server)
    client("DELETE", f"/v2/u/a/manifests/{second.digest}")
    client("DELETE", f"/v2/u/a/blobs/{sha256(b'x' * 1_000)}")
    assert counted(server) == used(server)
    mounted = client("POST", f"/v2/u/a/blobs/uploads/?mount={sha256(b'x' * 1_000)}&from=u/b")
    assert mounted.status == 201
    assert counted(server) == used(server)
    ecr.delete_repository(repositoryName="u/a", force=True)
    asyncio.run_coroutine_threadsafe(server.holdfast.upkeep.collect(), server.loop).result(30)
    assert told(holdfast)["registry", "repositories"] == (None, 1)
    assert counted(server) == used(server)
    ecr.create_repository(repositoryName="u/a")
    assert told(holdfast, repositoryName="u/a")["repository", "bytes"] == (None, 0)


def test_a_registry_has_no_more_repositories_than_its_quota(ground: Ground) -> None:
    _, client, ecr, holdfast = ground
    holdfast.put_quotas(repositories=2)
    for name in ("n/a", "n/b"):
        ecr.create_repository(repositoryName=name)
    code, message = refusal(ecr.create_repository, repositoryName="n/c")
    assert code == "LimitExceededException"
    assert message.startswith("The registry may have at most 2 repositories and has 2")
    refused(client("POST", "/v2/n/c/blobs/uploads/"), 403, "DENIED")
    assert client("GET", "/v2/_catalog").json()["repositories"] == ["n/a", "n/b"]
    ecr.delete_repository(repositoryName="n/a")
    assert client("POST", "/v2/n/c/blobs/uploads/").status == 202
    holdfast.put_quotas(repositories=-1)
    ecr.create_repository(repositoryName="n/d")


def test_a_repository_has_no_more_images_than_its_quota(ground: Ground) -> None:
    _, client, ecr, holdfast = ground
    holdfast.put_quotas(eachRepository=True, images=2)
    holdfast.put_quotas(repositoryName="i/large", images=3)
    many = variants(client, "i/a", 4)
    for number, one in enumerate(many[:2]):
        assert put(client, "i/a", f"v{number}", one).status == 201
    told_ = refused(put(client, "i/a", "v2", many[2]), 403, "DENIED")
    assert told_.json()["errors"][0]["detail"] == {
        "whose": "repository 'i/a'", "resource": "images", "most": 2, "used": 2, "more": 1,
    }  # fmt: skip
    assert put_refused(ecr, "i/a", many[3], "v3").code == "LimitExceededException"
    assert put(client, "i/a", "v9", many[0]).status == 201, "another tag is no image more"
    assert digest_of(client, "i/a", "v2") is None
    client("DELETE", f"/v2/i/a/manifests/{many[0].digest}")
    put_image(ecr, "i/a", many[3], "v3")
    large = variants(client, "i/large", 4)
    assert [put(client, "i/large", f"v{number}", one).status for number, one in enumerate(large)] == [201] * 3 + [403]
    assert told(holdfast, repositoryName="i/large")["repository", "images"] == (3, 3)
    assert told(holdfast, repositoryName="i/a")["each-repository", "images"] == (2, 2)


def test_of_many_that_race_for_the_last_place_one_gets_it(ground: Ground) -> None:
    server, client, _, holdfast = ground
    racers = variants(client, "r/a", 20)
    holdfast.put_quotas(repositoryName="r/a", images=1)
    requests = [
        request("PUT", f"/v2/r/a/manifests/t{number}", one.manifest, {"Content-Type": one.media_type})
        for number, one in enumerate(racers)
    ]
    assert sorted(answer.status for answer in volley(server, requests)) == [201] + [403] * 19


def test_c13_bytes_beyond_the_quota_are_refused_early_and_leave_nothing(ground: Ground, tmp_path: Path) -> None:
    server, client, ecr, holdfast = ground
    ecr.create_repository(repositoryName="b/a")
    push_blob(client, "b/a", b"a" * 400)
    holdfast.put_quotas(repositoryName="b/a", bytes=1_000)
    big = b"b" * 601
    refused(client("POST", f"/v2/b/a/blobs/uploads/?digest={sha256(big)}", big), 403, "DENIED")
    session = client("POST", "/v2/b/a/blobs/uploads/").headers["Location"]
    refused(client("PATCH", session, big), 403, "DENIED")
    assert client("GET", session).status == 404, "the session is gone"
    session = client("POST", "/v2/b/a/blobs/uploads/").headers["Location"]
    assert client("PATCH", session, big[:400]).status == 202
    refused(client("PUT", f"{session}?digest={sha256(big)}", iter([big[400:]])), 403, "DENIED")
    upload = ecr.initiate_layer_upload(repositoryName="b/a")["uploadId"]
    code, _ = refusal(
        ecr.upload_layer_part,
        repositoryName="b/a", uploadId=upload, partFirstByte=0, partLastByte=600, layerPartBlob=big,
    )  # fmt: skip
    assert code == "LimitExceededException"
    assert (
        ecr.upload_layer_part(
            repositoryName="b/a", uploadId=upload, partFirstByte=0, partLastByte=0, layerPartBlob=b"b"
        )["lastByteReceived"]
        == 0
    ), "the session is there for a client that tries again with less"
    assert client("DELETE", f"/v2/b/a/blobs/uploads/{upload}").status == 204
    assert list((tmp_path / "uploads").iterdir()) == []
    assert len([one for one in (tmp_path / "blobs").rglob("*") if one.is_file()]) == 1
    assert used(server)[0][2] == 400
    assert client("POST", f"/v2/b/a/blobs/uploads/?digest={sha256(b'a' * 400)}", b"a" * 400).status == 201, "is there"
    fits = big[:600]
    assert client("POST", f"/v2/b/a/blobs/uploads/?digest={sha256(fits)}", fits).status == 201
    push_blob(client, "b/other", b"c")
    refused(client("POST", f"/v2/b/a/blobs/uploads/?mount={sha256(b'c')}&from=b/other"), 403, "DENIED")


def test_c13_an_endless_stream_is_refused_at_the_quota(ground: Ground, tmp_path: Path) -> None:
    _, client, ecr, holdfast = ground
    ecr.create_repository(repositoryName="s/a")
    holdfast.put_quotas(bytes=1 << 20)
    session = client("POST", "/v2/s/a/blobs/uploads/").headers["Location"]
    endless = (bytes(1 << 16) for _ in range(1_000))
    try:
        refused(client("PATCH", session, endless), 403, "DENIED")
    except OSError:
        client.close()  # the answer came, and the connection was closed, while we were sending
    assert client("GET", session).status == 404
    assert list((tmp_path / "uploads").iterdir()) == []


def test_two_uploads_that_fit_one_at_a_time_do_not_both_fit(ground: Ground, tmp_path: Path) -> None:
    server, _client, ecr, holdfast = ground
    ecr.create_repository(repositoryName="t/a")
    holdfast.put_quotas(repositoryName="t/a", bytes=1_000)
    blobs = [bytes([number]) * 600 for number in range(8)]
    requests = [request("POST", f"/v2/t/a/blobs/uploads/?digest={sha256(one)}", one) for one in blobs]
    answers = volley(server, requests)
    assert sorted(answer.status for answer in answers) == [201] + [403] * 7
    assert used(server)[0][2] == 600
    assert len([one for one in (tmp_path / "blobs").rglob("*") if one.is_file()]) == 1, "no file without a row"


def test_a_quota_lowered_below_what_is_there_takes_nothing_away(ground: Ground) -> None:
    _, client, _, holdfast = ground
    kept, other = image(), image()
    push(client, "l/a", "v1", kept)
    push_parts(client, "l/a", other)
    holdfast.put_quotas(repositoryName="l/a", bytes=0, images=0)
    assert digest_of(client, "l/a", "v1") == kept.digest
    assert put(client, "l/a", "v2", kept).status == 201
    refused(put(client, "l/a", "v1", other), 403, "DENIED")
    assert digest_of(client, "l/a", "v1") == kept.digest
    assert client("DELETE", "/v2/l/a/manifests/v2").status == 202


def test_a_change_is_on_record_and_the_same_again_is_not(ground: Ground) -> None:
    server, _, _, holdfast = ground
    for _ in range(2):
        holdfast.put_quotas(repositoryName="q/a", images=5)
    holdfast.put_quotas(repositoryName="q/a", images=-1, bytes=7)
    found = rows(
        server, "SELECT body FROM entries WHERE kind = 'quota-changed' AND repository = 'q/a' ORDER BY sequence"
    )
    assert len(found) == 2
    assert '"after":{"images":5},"at"' in found[0][0]
    assert '"before":{"images":5,"bytes":null}' in found[1][0] or '"before":{"bytes":null,"images":5}' in found[1][0]


def test_what_cannot_be_limited_is_refused(ground: Ground) -> None:
    _, _, _, holdfast = ground
    for wrong in (
        {"repositoryName": "a/b", "repositories": 1},
        {"eachRepository": True, "repositories": 1},
        {"eachRepository": True, "repositoryName": "a/b", "images": 1},
        {"repositoryName": "A/b", "images": 1},
    ):
        assert refusal(holdfast.put_quotas, **wrong).code == "InvalidParameterException", wrong
    assert refusal(holdfast.get_quotas, repositoryName="not/there").code == "RepositoryNotFoundException"
    assert set(told(holdfast).values()) <= {(None, 0), (None, None)}


def test_what_was_there_before_is_counted_when_the_schema_comes(tmp_path: Path) -> None:
    """The script is run anew over a database whose counters were taken away, as over one of an older version."""
    with own_server(tmp_path, create_on_push="MUTABLE") as (server, client, ecr, _):
        for name in ("o/a", "o/b", "o/gone"):
            push(client, name, "v1", image(b"shared", name.encode()))
        ecr.delete_repository(repositoryName="o/gone", force=True)
        before = used(server)
    connection = apsw.Connection(str(tmp_path / "holdfast.db"))
    found = connection.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'usage%'"
    ).fetchall()
    assert len(found) == 8
    for (trigger,) in found:
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute("DROP TABLE repository_usage; DROP TABLE registry_usage; DROP TABLE quotas")
    connection.execute("DROP INDEX uploads_of_principal")
    connection.execute((resources.files("holdfast.store.schema.sqlite") / "0008_limits.sql").read_text("utf-8"))
    connection.close()
    with own_server(tmp_path) as (server, *_):
        assert used(server) == before == counted(server)
