"""Pins in files: only the span changes, what cannot be proven is not done, and taken out it is as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.pin import lockfile
from holdfast.pin.files import mentions
from holdfast.pin.lockfile import Lock, Locked, LockInvalid
from holdfast.pin.mention import Mention, Span, Splice
from holdfast.pin.rewrite import Record, Rewritten, Unproven, Wish, prove_bytes, prove_mentions, rewrite, spliced

A, B = ("sha256:" + one * 64 for one in "ab")


def read(data: bytes, path: str = "Dockerfile") -> list[Mention]:
    found = mentions(path, data)
    assert isinstance(found, list)
    return found


def pinned(data: bytes, digest: str | None = A, records: tuple[Record, ...] = ()) -> Rewritten:
    return rewrite("Dockerfile", data, [Wish(one, digest) for one in read(data) if one.rewrite], records)


DOCKERFILE = (
    b"\xef\xbb\xbf# syntax=docker/dockerfile:1\r\nARG BASE=python:3.13\r\nFROM ${BASE} AS one # Gr\xc3\xb6\xc3\x9fe\r\n"
    b"FROM --platform=$BUILDPLATFORM nginx AS two\nFROM 'redis'  \nCOPY --from=ghcr.io/a/b:1 /a /b\n# \xff end"
)


def test_only_spans_change_and_it_can_be_undone() -> None:
    made = pinned(DOCKERFILE)
    assert not made.refused
    assert f"ARG BASE=python:3.13@{A}\r\n".encode() in made.after
    assert f"nginx:latest@{A} AS two\n".encode() in made.after
    assert made.after.replace(b"@" + A.encode(), b"").replace(b":latest", b"") == DOCKERFILE
    assert pinned(made.after, None, made.records).after == DOCKERFILE
    assert pinned(made.after, None, made.records).records == ()


def test_an_update_keeps_what_stood_there_at_first() -> None:
    first = pinned(DOCKERFILE)
    second = pinned(first.after, B, first.records)
    assert A.encode() not in second.after
    assert pinned(second.after, None, second.records).after == DOCKERFILE


def test_two_alike_share_a_record_and_both_come_back() -> None:
    data = b"FROM a/b\nFROM a/b\nCOPY --from=c/d /a /a\nCOPY --from=c/d /b /b\n"
    first = pinned(data)
    second = pinned(first.after, B, first.records)
    assert len(second.records) == len(first.records)
    assert pinned(second.after, None, second.records).after == data


def test_without_a_record_the_digest_goes_and_the_tag_stays() -> None:
    assert pinned(f"FROM a/b:1@{A}\n".encode(), None).after == b"FROM a/b:1\n"


def test_without_a_record_a_digest_alone_is_not_taken_out() -> None:
    made = pinned(f"FROM a/b@{A}\n".encode(), None)
    assert made.after == made.before
    assert "names no tag" in made.refused[0][1]


def test_two_that_want_one_place_for_different_things() -> None:
    with pytest.raises(Unproven, match="share"):
        spliced(b"FROM a", [Splice(Span(5, 6), b"b"), Splice(Span(5, 6), b"c")])
    assert spliced(b"FROM a", [Splice(Span(5, 6), b"b")] * 2) == b"FROM b"


@given(st.binary(max_size=60), st.data())
def test_the_proof_of_bytes_holds_for_what_splicing_does_and_for_nothing_else(data: bytes, draw: st.DataObject) -> None:
    places = sorted(draw.draw(st.lists(st.integers(0, len(data)), max_size=6)))
    spans = [Span(*pair) for pair in zip(places[::2], places[1::2], strict=False)]
    wanted = [Splice(one, draw.draw(st.binary(max_size=8))) for one in dict.fromkeys(spans)]
    try:
        after = spliced(data, wanted)
    except Unproven:
        return
    prove_bytes(data, after, wanted)
    inside = sum(len(one.new) for one in wanted)
    if len(after) > inside:
        outside = draw.draw(st.integers(0, len(after) - 1))
        harmed = bytearray(after)
        harmed[outside] ^= 1
        shift, covered = 0, False
        for one in wanted:
            start = one.span.start + shift
            covered |= start <= outside < start + len(one.new)
            shift += len(one.new) - (one.span.end - one.span.start)
        if not covered:
            with pytest.raises(Unproven):
                prove_bytes(data, bytes(harmed), wanted)


def test_the_proof_of_meaning_can_fail() -> None:
    before = b"FROM a/b:1\nCOPY --from=c/d:2 /x /y\n"
    first, _ = read(before)
    good = before.replace(b"a/b:1", f"a/b:1@{A}".encode())
    prove_mentions("Dockerfile", before, good, [Wish(first, A)])
    for harmed, told in (
        (good.replace(b"d:2", b"d:3"), "would name"),
        (good.replace(A.encode(), B.encode()), "not a/b:1 with the digest"),
        (good + b"COPY --from=e/f:1 /x /y\n", "would name 3 images"),
        (good.replace(b"a/b:1@", b"a/c:1@"), "not a/b:1 with the digest"),
        (good.replace(b"FROM", b"FROm", 1).replace(b"a/b", b"A B C", 1), "would"),
    ):
        with pytest.raises(Unproven, match=told):
            prove_mentions("Dockerfile", before, harmed, [Wish(first, A)])


def test_what_cannot_be_done_leaves_the_rest_done() -> None:
    data = b"FROM a/b:1\nCOPY --from=c/d:2 /x /y\nCOPY --from=e/f:3 /x /y\n"
    one, two, three = read(data)
    made = rewrite("Dockerfile", data, [Wish(one, A), Wish(two, "sha256:zz"), Wish(three, B)])
    assert [wish.mention for wish in made.done] == [one, three]
    assert [wish.mention for wish, _ in made.refused] == [two]
    assert made.after.count(b"@sha256:") == 2


# --- the lock file ---------------------------------------------------------------------------------------------------


def test_a_lock_file_says_what_it_was_told() -> None:
    lock = Lock(
        {"docker.io/library/a:1": Locked(A, "application/x"), "b:1": Locked(B, "", "linux/arm64")},
        {"Dockerfile": (Record("FROM", "a\udcff", "a:latest"),)},
    )
    text = lockfile.render(lock)
    assert lockfile.parse(text.encode()) == lock
    assert lockfile.render(lockfile.parse(text.encode())) == text


def test_a_lock_file_never_guesses() -> None:
    lock = Lock({"a:1": Locked(A, "", "linux/arm64")})
    assert lock.known("a:1", "linux/arm64").digest == A
    for name, platform in (("a:2", "linux/arm64"), ("a:1", ""), ("a:1", "linux/amd64")):
        assert lock.known(name, platform).trouble is not None


@given(st.binary(max_size=100))
def test_what_is_no_lock_file_is_refused(content: bytes) -> None:
    with pytest.raises(LockInvalid):
        lockfile.parse(content)


@pytest.mark.parametrize("text", ['{"version": 2}', '{"version": 1, "images": {"a": {"digest": "x"}}, "files": {}}'])
def test_another_version_or_a_wrong_digest_is_refused(text: str) -> None:
    with pytest.raises(LockInvalid):
        lockfile.parse(text.encode())
