"""Dockerfiles: what is an image, what it comes to, and where its digest goes."""

from __future__ import annotations

from holdfast.pin.files import mentions
from holdfast.pin.mention import Context, Kind, Mention, splices

DIGEST = "sha256:" + "a" * 64


def read(text: str, path: str = "Dockerfile") -> list[Mention]:
    found = mentions(path, text.encode())
    assert isinstance(found, list), found
    for mention in found:
        assert text.encode()[mention.span.start : mention.span.end].decode() == mention.text
    return found


def pinned(text: str) -> str:
    data = text.encode()
    made = {splice for mention in read(text) for splice in splices(mention, data, DIGEST)}
    for splice in sorted(made, reverse=True):
        data = data[: splice.span.start] + splice.new + data[splice.span.end :]
    return data.decode().replace(DIGEST, "D")


def test_stages_scratch_and_numbers_are_no_images() -> None:
    found = read(
        "# syntax=docker/dockerfile:1\n"
        "FROM --platform=$BUILDPLATFORM golang:1.22 AS Build\n"
        "COPY --from=busybox:1.36 /bin/sh /sh\n"
        "FROM scratch\nCOPY --from=build / /\nCOPY --from=0 / /\n"
        "RUN --mount=type=bind,from=alpine:3,target=/x --mount=type=cache,target=/y true\n"
        "FROM build\n"
    )
    assert [(one.kind, one.image, one.context) for one in found] == [
        (Kind.DOCKERFILE_SYNTAX, "docker/dockerfile:1", Context.BUILD),
        (Kind.DOCKERFILE_FROM, "golang:1.22", Context.PRODUCTION),
        (Kind.DOCKERFILE_COPY_FROM, "busybox:1.36", Context.BUILD),
        (Kind.DOCKERFILE_MOUNT_FROM, "alpine:3", Context.BUILD),
    ]


def test_arguments_are_put_in_and_pinned_where_they_stand() -> None:
    text = 'ARG BASE="python:3.13"\nARG V=1.2\nFROM ${BASE} AS a\nFROM node:$V\nFROM go:${W:-1.22}\nFROM $UNKNOWN\n'
    assert [one.image for one in read(text)] == ["python:3.13", "node:1.2", "go:1.22", None]
    assert pinned(text) == (
        'ARG BASE="python:3.13@D"\nARG V=1.2@D\nFROM ${BASE} AS a\nFROM node:$V\nFROM go:${W:-1.22@D}\nFROM $UNKNOWN\n'
    )


def test_an_argument_that_two_images_share_is_left_alone() -> None:
    found = read("ARG V=3\nFROM python:${V} AS a\nFROM node:${V}\n")
    assert [one.rewrite for one in found] == [None, None]
    assert "more than one image" in found[0].notes[0]


def test_a_tag_made_of_a_variable_and_more_is_left_alone() -> None:
    assert pinned("ARG V=3\nFROM python:${V}-slim\n") == "ARG V=3\nFROM python:${V}-slim\n"
    assert pinned("ARG R=reg.io\nFROM ${R}/python:3\n") == "ARG R=reg.io\nFROM ${R}/python:3@D\n"


def test_continuations_comments_heredocs_and_the_escape_directive() -> None:
    text = (
        "# escape=`\r\nFROM `\r\n# a comment\r\n\r\n  alpine:3 `\r\n AS x\r\n"
        "RUN <<EOF cat <<-'TWO'\r\nFROM not:this\r\nEOF\r\n\tFROM nor:this\r\n\tTWO\r\nFROM x\r\nCOPY a b\r\n"
    )
    found = read(text)
    assert [(one.image, one.line, one.column) for one in found] == [("alpine:3", 5, 3)]
    assert pinned(text).count("\r\n") == text.count("\r\n")


def test_a_stage_named_by_a_variable() -> None:
    text = "FROM alpine:3 AS build-amd64\nFROM alpine:3 AS build-arm64\nFROM build-${TARGETARCH}\n"
    assert [one.image for one in read(text)] == ["alpine:3", "alpine:3"]


def test_what_is_no_utf8_and_a_mark_at_the_front_keep_their_bytes() -> None:
    data = b"\xef\xbb\xbf# caf\xe9 \xc3\xa9\nFROM python:3 # not a comment\n"
    found = mentions("Dockerfile", data)
    assert isinstance(found, list)
    assert data[found[0].span.start : found[0].span.end] == b"python:3"
