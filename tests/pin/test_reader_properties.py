"""Every reader, whatever it is given: spans are exact, mentions do not overlap, nothing but `Unreadable` comes out."""

from __future__ import annotations

import importlib.util
from itertools import pairwise
from pathlib import Path

import dockerfile
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.pin.files import FORMATS, _settled, mentions
from holdfast.pin.image import parse_image
from holdfast.pin.mention import Mention, Unreadable, splices
from holdfast.pin.source import Source, UnreadableFile

CORPUS = Path(__file__).parent / "corpus" / "mentions"
FILES = sorted(path for path in CORPUS.rglob("*") if path.is_file() and path.name not in {"labels.toml", "README.md"})
DIGEST = "sha256:" + "0123456789abcdef" * 4

PIECES = st.sampled_from(
    [
        *(
            "FROM ",
            "ARG A=b\n",
            "${A}",
            "$",
            "\\\n",
            "<<EOF",
            "EOF\n",
            "# syntax=x\n",
            "COPY --from=",
            "image: ",
            "image:\n",
        ),
        *(
            "services:\n",
            "  ",
            "- ",
            "{",
            "}",
            "[",
            "]",
            "'",
            '"',
            "|\n",
            ">-\n",
            "&a ",
            "*a",
            "<<: *a\n",
            ": ",
            ", ",
            "!Sub ",
        ),
        *(
            "${{ env.X }}",
            "{{ .Values.x }}",
            "docker push ",
            "docker build -t ",
            "docker run -it ",
            "a/b:1",
            "x@sha256:",
            "\r\n",
        ),
        *(
            "kind: Pod\napiVersion: v1\n",
            "---\n",
            "jobs:\n",
            "steps:\n",
            "run: ",
            "uses: docker://",
            "tags: ",
            "\t",
            "\ufeff",
        ),
        *(
            'resource "a" "b" {\n',
            "jsonencode(",
            "<<-X\n",
            "X\n",
            "sh '''",
            "'''",
            "docker.image(",
            "$(",
            ")",
            "é",
            "\U0001f600",
        ),
    ]
)


def check(data: bytes, found: list[Mention]) -> None:
    text = data.decode("utf-8", "surrogateescape")
    lines = text.removeprefix("\ufeff").split("\n")
    for mention in found:
        written = data[mention.span.start : mention.span.end].decode("utf-8", "surrogateescape")
        assert written == mention.text
        assert lines[mention.line - 1][mention.column - 1 :].startswith(mention.text.split("\n")[0])
        assert mention.image is None or parse_image(mention.image) is not None
        for splice in splices(mention, data, DIGEST, "latest"):
            assert 0 <= splice.span.start <= splice.span.end <= len(data)
    for before, after in pairwise(found):
        assert before.span.end <= after.span.start


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.name)
@settings(max_examples=40, deadline=None)
@given(st.one_of(st.lists(PIECES, max_size=40).map(lambda parts: "".join(parts).encode()), st.binary(max_size=200)))
def test_any_bytes(row: object, data: bytes) -> None:
    read = next(one.read for one in FORMATS if one is row)
    try:
        check(data, _settled("a/b", read(Source("a/b", data))))
    except UnreadableFile:
        return


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(FILES), st.data())
def test_a_public_file_with_a_piece_cut_out_or_put_in(path: Path, choose: st.DataObject) -> None:
    data = path.read_bytes()
    start = choose.draw(st.integers(0, len(data)))
    end = choose.draw(st.integers(start, min(len(data), start + 80)))
    data = data[:start] + choose.draw(PIECES).encode() + data[end:]
    found = mentions(path.relative_to(CORPUS).as_posix(), data)
    if not isinstance(found, Unreadable):
        check(data, found)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(CORPUS).as_posix())
def test_a_pin_is_read_again_as_that_digest(path: Path) -> None:
    """Each mention that can be pinned, pinned alone: the file is read as before, but for that image's digest."""
    name, data = path.relative_to(CORPUS).as_posix(), path.read_bytes()
    found = mentions(name, data)
    assert isinstance(found, list)
    check(data, found)
    for number, mention in enumerate(found):
        changed = data
        for span, new in sorted(splices(mention, data, DIGEST), reverse=True):
            changed = changed[: span.start] + new + changed[span.end :]
        if changed == data:
            continue
        again = mentions(name, changed)
        assert isinstance(again, list)
        assert len(again) == len(found)
        if mention.image is not None:
            assert again[number].image is not None
            assert str(again[number].image).endswith(f"@{DIGEST}")


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if "ockerfile" in path.name and "nanorc" not in path.name],
    ids=lambda path: path.relative_to(CORPUS).as_posix(),
)
def test_dockerfiles_are_taken_apart_as_moby_does(path: Path) -> None:
    spec = importlib.util.find_spec("holdfast.pin.readers.dockerfile")
    assert spec is not None
    from holdfast.pin.readers.dockerfile import instructions_of  # noqa: PLC0415 - the oracle has the same name

    ours = [
        (one.keyword, one.rest.source.place(one.rest.origin(0))[0])
        for one in instructions_of(Source("x", path.read_bytes()))
    ]
    theirs = [(one.cmd.upper(), one.start_line) for one in dockerfile.parse_string(path.read_text("utf-8"))]
    assert [keyword for keyword, _ in ours] == [keyword for keyword, _ in theirs]
    assert [line for keyword, line in ours if keyword == "FROM"] == [
        line for keyword, line in theirs if keyword == "FROM"
    ]
