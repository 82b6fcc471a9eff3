"""Blobs on a real disk: the order of a commit, damage found before the last byte, and uploads that go on."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import random
import stat
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core.digest import Digest
from holdfast.core.errors import BlobCorrupt, BlobNotFound, StorageFailed
from holdfast.store import filesystem
from holdfast.store.filesystem import READ_BYTES, BlobReader, FilesystemBlobs
from store.disk_calls import disk_calls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONTENT = b"the bytes of a layer"
DIGEST = Digest.of(CONTENT)
LARGE = random.Random(20260101).randbytes(READ_BYTES * 2 + 12_345)  # noqa: S311 - the same on every run


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with its folders: making 512 of them, synced, for each test would be most of the work."""
    made = tmp_path_factory.mktemp("data")
    FilesystemBlobs(made).close()
    return made


@pytest.fixture
def root(shared: Path) -> Iterator[Path]:
    """A data directory without a file in it."""
    yield shared
    for folder, _, files in os.walk(shared):
        for name in files:
            (Path(folder) / name).unlink()
    planted = shared / "uploads" / "u1"
    if planted.is_dir():
        planted.rmdir()


@contextlib.contextmanager
def opened(root: Path) -> Iterator[FilesystemBlobs]:
    store = FilesystemBlobs(root)
    try:
        yield store
    finally:
        store.close()


@pytest.fixture
def store(root: Path) -> Iterator[FilesystemBlobs]:
    with opened(root) as made:
        yield made


async def keep(
    store: FilesystemBlobs, content: bytes, upload: str = "u1", algorithm: str = "sha256"
) -> tuple[Digest, str]:
    """Receive content and commit it."""
    staged = await store.open_staged(upload)
    await store.append(staged, [content])
    digest = Digest.of(content, algorithm)
    generation = await store.commit(staged, digest)
    assert generation is not None
    return digest, generation


async def read(reader: BlobReader) -> bytes:
    """Read to the end, as the HTTP edge does: what is at hand first, then what has to be waited for."""
    taken = bytearray()
    try:
        while len(taken) < reader.length:
            view = reader.read_nowait()
            piece = bytes(await reader.read() if view is None else view)
            assert piece
            taken += piece
    finally:
        reader.close()
    return bytes(taken)


def file_of(root: Path, digest: Digest, generation: str) -> Path:
    return root / "blobs" / digest.algorithm / digest.hex[:2] / f"{digest.hex}.{generation}"


def committed(root: Path) -> list[Path]:
    """List the files of blobs."""
    return [one for one in (root / "blobs").rglob("*") if one.is_file()]


# --- committing ------------------------------------------------------------------------------------------------------


async def test_a_commit_leaves_the_blob_under_its_name_and_nothing_else(root: Path, store: FilesystemBlobs) -> None:
    digest, generation = await keep(store, CONTENT)
    path = file_of(root, digest, generation)
    assert path.read_bytes() == CONTENT
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.stat().st_nlink == 1
    assert list((root / "uploads").iterdir()) == []
    assert store.has(digest, generation, len(CONTENT))
    assert await read(store.open(digest, generation)) == CONTENT


async def test_a_commit_syncs_the_file_then_links_it_then_syncs_the_folder(root: Path) -> None:
    with disk_calls() as seen:
        with opened(root) as store:
            staged = await store.open_staged("u1")
            await store.append(staged, [CONTENT])
            seen.clear()
            assert await store.commit(staged, DIGEST)
        assert seen == [("fsync", "sync_file"), ("link", "_commit"), ("fsync", "sync_file"), ("unlink", "_unlink")]


async def test_a_commit_of_a_resumed_upload_syncs_what_was_there_before(root: Path) -> None:
    with opened(root) as store:
        staged = await store.open_staged("u1")
        await store.append(staged, [CONTENT])
        staged.close()
    with disk_calls() as seen, opened(root) as store:
        seen.clear()
        assert await store.commit(await store.open_staged("u1"), DIGEST)
    assert [name for name, _ in seen] == ["fsync", "link", "fsync", "unlink"]


def test_the_folders_are_synced_at_every_start(tmp_path: Path) -> None:
    # Also when they are there: whoever made them may have been killed before it synced them.
    for _ in range(2):
        with disk_calls() as seen:
            FilesystemBlobs(tmp_path).close()
            assert seen.count(("fsync", "sync_file")) == 5


async def test_bytes_of_another_digest_are_not_committed(root: Path, store: FilesystemBlobs) -> None:
    staged = await store.open_staged("u1")
    await store.append(staged, [CONTENT, b"!"])
    assert await store.commit(staged, DIGEST) is None
    assert store.staged_bytes("u1") == len(CONTENT) + 1
    assert committed(root) == []
    assert await store.commit(staged, Digest.of(CONTENT + b"!")) is not None


async def test_the_same_content_twice_is_two_files_and_neither_replaces_the_other(
    root: Path, store: FilesystemBlobs
) -> None:
    digest, first = await keep(store, CONTENT, "u1")
    inode = file_of(root, digest, first).stat().st_ino
    _, second = await keep(store, CONTENT, "u2")
    assert first != second
    assert file_of(root, digest, first).stat().st_ino == inode
    await store.delete(digest, first)
    assert not store.has(digest, first, len(CONTENT))
    assert await read(store.open(digest, second)) == CONTENT


async def test_a_name_that_is_taken_is_never_replaced(
    root: Path, store: FilesystemBlobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("holdfast.store.filesystem.secrets.token_hex", lambda _: "the-same-generation")
    digest, generation = await keep(store, CONTENT, "u1")
    file_of(root, digest, generation).write_bytes(b"who was here first")
    staged = await store.open_staged("u2")
    await store.append(staged, [CONTENT])
    with pytest.raises(StorageFailed):
        await store.commit(staged, digest)
    assert file_of(root, digest, generation).read_bytes() == b"who was here first"
    staged.close()


async def test_many_commits_of_one_content_at_once_are_all_whole(store: FilesystemBlobs) -> None:
    kept = await asyncio.gather(*(keep(store, LARGE, f"u{number}") for number in range(8)))
    assert len({generation for _, generation in kept}) == 8
    for digest, generation in kept:
        assert hashlib.sha256(await read(store.open(digest, generation))).hexdigest() == digest.hex


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("content", [b"", CONTENT, LARGE])
async def test_both_algorithms_are_committed_and_read(
    root: Path, store: FilesystemBlobs, algorithm: str, content: bytes
) -> None:
    digest, generation = await keep(store, content, algorithm=algorithm)
    assert await read(store.open(digest, generation)) == content
    with opened(root) as again:
        assert await read(again.open(digest, generation, end=len(content))) == content


async def test_a_sync_that_fails_is_told_and_never_called_a_success(root: Path) -> None:
    heard: list[BaseException] = []
    store = FilesystemBlobs(root, on_failure=heard.append)
    staged = await store.open_staged("u1")
    await store.append(staged, [CONTENT])
    ours, theirs = os.pipe()
    os.dup2(ours, staged._descriptor)  # a pipe in place of the file: the kernel answers fsync with an error
    with pytest.raises(StorageFailed):
        await store.sync(staged)
    assert len(heard) == 1
    with pytest.raises(StorageFailed):
        await store.commit(staged, DIGEST)
    assert committed(root) == []
    assert len(heard) == 2
    staged.close()
    os.close(ours)
    os.close(theirs)
    store.close()


# --- receiving -------------------------------------------------------------------------------------------------------


@given(st.lists(st.lists(st.binary(max_size=50), max_size=4), max_size=6))
@settings(max_examples=40)
def test_whatever_pieces_come_are_the_blob(shared: Path, batches: list[list[bytes]]) -> None:
    content = b"".join(b"".join(pieces) for pieces in batches)

    async def receive(store: FilesystemBlobs) -> None:
        staged = await store.open_staged("u1")
        for pieces in batches:
            await store.append(staged, pieces)
        assert store.staged_bytes("u1") == len(content) == staged.size_bytes
        generation = await store.commit(staged, Digest.of(content))
        assert generation is not None
        assert await read(store.open(Digest.of(content), generation)) == content

    with opened(shared) as store:
        asyncio.run(receive(store))


async def test_more_pieces_than_one_call_takes_are_all_written(store: FilesystemBlobs) -> None:
    pieces = [bytes([number % 256]) * (number % 7) for number in range(3_000)]
    staged = await store.open_staged("u1")
    await store.append(staged, pieces)
    content = b"".join(pieces)
    assert await store.commit(staged, Digest.of(content)) is not None


async def test_an_upload_goes_on_where_it_ended_before_a_restart(root: Path) -> None:
    with opened(root) as store:
        staged = await store.open_staged("u1")
        await store.append(staged, [LARGE[:700_000]])
        await store.sync(staged)
        staged.close()
    with opened(root) as store:
        assert store.staged_bytes("u1") == 700_000
        staged = await store.open_staged("u1")
        assert staged.size_bytes == 700_000
        await store.append(staged, [LARGE[700_000:]])
        generation = await store.commit(staged, Digest.of(LARGE))
        assert generation is not None
        assert await read(store.open(Digest.of(LARGE), generation)) == LARGE


async def test_what_changed_in_a_staged_file_between_restarts_is_found_at_its_commit(root: Path) -> None:
    with opened(root) as store:
        staged = await store.open_staged("u1")
        await store.append(staged, [CONTENT])
        staged.close()
    (root / "uploads" / "u1").write_bytes(b"X" + CONTENT[1:])
    with opened(root) as store:
        staged = await store.open_staged("u1")
        assert await store.commit(staged, DIGEST) is None
        staged.close()


async def test_a_discarded_upload_is_gone_and_discarding_again_is_no_error(store: FilesystemBlobs) -> None:
    staged = await store.open_staged("u1")
    await store.append(staged, [CONTENT])
    staged.close()
    staged.close()
    await store.discard("u1")
    assert store.staged_bytes("u1") == 0
    await store.discard("u1")


async def test_the_sweep_takes_what_nobody_knows_and_nothing_else(root: Path, store: FilesystemBlobs) -> None:
    for upload in ("known", "left-behind-1", "left-behind-2"):
        staged = await store.open_staged(upload)
        await store.append(staged, [CONTENT])
        staged.close()
    digest, generation = await keep(store, CONTENT, "finished")
    assert await store.sweep_uploads(lambda upload: upload == "known") == 2
    assert [one.name for one in (root / "uploads").iterdir()] == ["known"]
    assert store.has(digest, generation, len(CONTENT))


@pytest.mark.parametrize("kind", ["symlink", "dangling", "folder"])
async def test_nothing_but_a_plain_file_is_written_to(root: Path, store: FilesystemBlobs, kind: str) -> None:
    victim = root / "victim"
    planted = root / "uploads" / "u1"
    if kind == "folder":
        planted.mkdir()
    else:
        planted.symlink_to(victim)
        if kind == "symlink":
            victim.write_bytes(b"not yours")
    with pytest.raises(StorageFailed):
        await store.open_staged("u1")
    assert kind != "symlink" or victim.read_bytes() == b"not yours"
    assert kind != "dangling" or not victim.exists()


def test_a_write_that_comes_short_is_finished_or_taken_back_whole(tmp_path: Path) -> None:
    # RLIMIT_FSIZE makes the kernel write a part of a write, and then refuse: as a disk that fills up does.
    program = """
        import asyncio, os, resource, sys
        from pathlib import Path
        from holdfast.core.digest import Digest
        from holdfast.core.errors import StorageFailed
        from holdfast.store.filesystem import FilesystemBlobs

        async def main() -> None:
            store = FilesystemBlobs(Path(sys.argv[1]))
            staged = await store.open_staged("u1")
            await store.append(staged, [b"a" * 1000])
            resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
            try:
                await store.append(staged, [b"b" * 3000, b"c" * 3000])
            except StorageFailed:
                print("refused", store.staged_bytes("u1"), staged.size_bytes)
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
            await store.append(staged, [b"d" * 6000])
            content = b"a" * 1000 + b"d" * 6000
            generation = await store.commit(staged, Digest.of(content))
            print("kept", os.path.getsize(store._blob_path(Digest.of(content), generation)))
            store.close()

        asyncio.run(main())
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program), str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": "src"},
    )
    assert done.stdout.splitlines() == ["refused 1000 1000", "kept 7000"]


# --- reading ---------------------------------------------------------------------------------------------------------


def _flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "first bit": lambda content: _flip(content, 0),
    "last bit": lambda content: _flip(content, len(content) - 1),
    "middle": lambda content: _flip(content, len(content) // 2),
    "one byte short": lambda content: content[:-1],
    "half": lambda content: content[: len(content) // 2],
    "nothing": lambda _: b"",  # the typical wreck of a power cut
    "one byte more": lambda content: content + b"\0",
    "zeros": lambda content: bytes(len(content)),
}


@pytest.mark.parametrize("damage", list(DAMAGES))
@pytest.mark.parametrize(
    "content",
    [b"x", CONTENT, LARGE[:READ_BYTES], LARGE[: READ_BYTES + 1], LARGE],
    ids=lambda content: str(len(content)),
)
async def test_a_damaged_blob_never_comes_to_its_end_and_is_set_aside(root: Path, damage: str, content: bytes) -> None:
    with opened(root) as store:
        digest, generation = await keep(store, content)
    path = file_of(root, digest, generation)
    path.write_bytes(DAMAGES[damage](content))
    with opened(root) as store:
        reader = store.open(digest, generation, end=len(content))
        assert reader.length == len(content)
        given_out = 0
        try:
            while given_out < len(content):
                given_out += len(await reader.read())
        except BlobCorrupt:
            pass
        else:
            pytest.fail("damaged bytes were given to their end")
        reader.close()
        assert given_out < len(content)
        assert not store.has(digest, generation, len(content))
        assert [one.name for one in (root / "quarantine").iterdir()] == [path.name]
        with pytest.raises(BlobNotFound):
            store.open(digest, generation)


@pytest.mark.parametrize("damage", list(DAMAGES))
@pytest.mark.parametrize(("start", "end"), [(0, 1), (5, 10), (len(CONTENT) - 1, len(CONTENT)), (10, len(CONTENT))])
async def test_no_byte_of_a_part_is_given_before_the_whole_was_found_sound(
    root: Path, damage: str, start: int, end: int
) -> None:
    with opened(root) as store:
        digest, generation = await keep(store, CONTENT)
    file_of(root, digest, generation).write_bytes(DAMAGES[damage](CONTENT))
    with opened(root) as store:
        reader = store.open(digest, generation, start=start, end=end)
        with pytest.raises(BlobCorrupt):
            await reader.read()
        reader.close()
        assert not store.has(digest, generation, len(CONTENT))


async def test_a_blob_whose_file_is_gone_is_not_found(root: Path, store: FilesystemBlobs) -> None:
    digest, generation = await keep(store, CONTENT)
    file_of(root, digest, generation).unlink()
    assert not store.has(digest, generation, len(CONTENT))
    with pytest.raises(BlobNotFound):
        store.open(digest, generation)


async def test_a_blob_whose_file_has_another_size_is_not_found_by_who_knows_its_size(
    root: Path, store: FilesystemBlobs
) -> None:
    digest, generation = await keep(store, CONTENT)
    store.open(digest, generation, size_bytes=len(CONTENT)).close()
    for other in (CONTENT[:-1], CONTENT + b"!", b""):
        file_of(root, digest, generation).write_bytes(other)
        before = _open_files()
        with pytest.raises(BlobNotFound):
            store.open(digest, generation, size_bytes=len(CONTENT))
        assert _open_files() == before


async def test_a_new_upload_of_damaged_content_is_another_file_and_sound(root: Path) -> None:
    with opened(root) as store:
        digest, generation = await keep(store, CONTENT)
    file_of(root, digest, generation).write_bytes(b"!")
    with opened(root) as store:
        with pytest.raises(BlobCorrupt):
            await read(store.open(digest, generation, end=len(CONTENT)))
        _, sound = await keep(store, CONTENT, "u2")
        assert await read(store.open(digest, sound)) == CONTENT


@given(start=st.integers(0, len(LARGE) - 1), length=st.integers(1, READ_BYTES + 10), reopened=st.booleans())
@settings(max_examples=15)
def test_any_part_is_read_exactly_by_first_and_later_readers(
    shared: Path, start: int, length: int, *, reopened: bool
) -> None:
    end = min(start + length, len(LARGE))

    async def take_part() -> None:
        with opened(shared) as store:
            digest, generation = await keep(store, LARGE)
        with opened(shared) as store:
            if not reopened:
                assert await read(store.open(digest, generation)) == LARGE
            assert await read(store.open(digest, generation, start=start, end=end)) == LARGE[start:end]
            await store.delete(digest, generation)

    asyncio.run(take_part())


async def test_only_the_first_reader_since_the_start_verifies(root: Path) -> None:
    with opened(root) as store:
        digest, generation = await keep(store, CONTENT)
        fresh = store.open(digest, generation)
        assert type(fresh) is BlobReader  # hashed as it was written
        fresh.close()
    with opened(root) as store:
        first = store.open(digest, generation)
        assert type(first) is not BlobReader
        assert first.read_nowait() is None
        assert await read(first) == CONTENT
        second = store.open(digest, generation)
        assert type(second) is BlobReader
        assert await read(second) == CONTENT


async def test_two_first_readers_at_once_both_get_the_whole(root: Path) -> None:
    with opened(root) as store:
        digest, generation = await keep(store, LARGE)
    with opened(root) as store:
        both = await asyncio.gather(*(read(store.open(digest, generation)) for _ in range(2)))
        assert both == [LARGE, LARGE]


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_readers_that_leave_early_leave_nothing_open(root: Path) -> None:
    with opened(root) as store:
        digest, generation = await keep(store, LARGE)
    with opened(root) as store:
        before = _open_files()
        for _ in range(20):
            reader = store.open(digest, generation)
            await reader.read()
            reader.close()
            reader.close()
        assert _open_files() == before


async def test_what_is_remembered_as_verified_is_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(filesystem, "MAX_VERIFIED", 3)
    with opened(root) as store:
        for number in range(10):
            await keep(store, CONTENT + bytes([number]), f"u{number}")
        assert len(store._verified) == 3
