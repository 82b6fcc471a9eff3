"""The form of an entry."""

from __future__ import annotations

import json
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core import entry
from holdfast.core.entry import Entry, EntryInvalid

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(max_size=20)
    | st.floats(allow_nan=False, allow_infinity=False, max_value=1e15, min_value=-1e15),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)
FACTS = st.dictionaries(
    st.text(min_size=1, max_size=8).filter(lambda one: one not in entry.OWN_MEMBERS), JSON, max_size=5
)


def made(**facts: Any) -> Entry:
    return Entry("tag-bound", "123456789012/eu-central-1", "demo/app", "v1", 7, "ab" * 32, facts)


@given(JSON)
def test_the_canonical_form_is_the_librarys(value: object) -> None:
    try:
        expected = rfc8785.dumps(value)  # type: ignore[arg-type]
    except (rfc8785.CanonicalizationError, UnicodeEncodeError):
        with pytest.raises(EntryInvalid):
            entry.canonical(value)
        return
    assert entry.canonical(value) == expected


@given(FACTS)
def test_entries_are_read_as_they_were_written(facts: dict[str, Any]) -> None:
    written = entry.write(made(**facts))
    assert entry.canonical(json.loads(written.content)) == written.content
    assert entry.read(written.content) == made(**json.loads(json.dumps(facts)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"v":1}',
        entry.write(made()).content + b" ",
        entry.write(made()).content.replace(b'"v":1', b'"v":2'),
        entry.write(made()).content.replace(b'"number":7', b'"number":"7"'),
        entry.write(made()).content.replace(b'"tag":"v1"', b'"tag":null'),
        entry.write(made()).content.replace(b",", b", ", 1),
        json.dumps(dict(reversed(json.loads(entry.write(made()).content).items())), separators=(",", ":")).encode(),
    ],
)
def test_an_entry_has_one_form(content: bytes) -> None:
    with pytest.raises(EntryInvalid):
        entry.read(content)


@given(
    value=JSON | FACTS.map(lambda facts: json.loads(entry.write(made(**facts)).content)),
    ascii_alone=st.booleans(),
    put_in=st.sampled_from(["", " ", "\\u0041", "1e2", "-0", "9007199254740992", '"a":1,"a":1', "[" * 65, "NaN", "é"]),
    at=st.integers(0, 200),
)
def test_the_quick_way_takes_nothing_that_the_strict_one_refuses(
    *, value: object, ascii_alone: bool, put_in: str, at: int
) -> None:
    text = json.dumps(value, ensure_ascii=ascii_alone, sort_keys=True, separators=(",", ":"))
    content = (text[:at] + put_in + text[at:]).encode("utf-8", "surrogatepass")
    read = entry._read_plainly(content)
    if read is not None:
        assert read == entry._read_strictly(content)


def test_the_quick_way_takes_what_nearly_all_entries_are() -> None:
    content = entry.write(made(at=1_700_000_000_000_000, before=None, held=True, digest="sha256:" + "a" * 64)).content
    assert entry._read_plainly(content) == entry._read_strictly(content)
    for other in ('{"a":1,"a":1}', '{"a":01}', '{"a":-0}', '{"a":1.5}', '{"b":1,"a":1}', '{"a":9007199254740992}'):
        assert entry._read_plainly(other.encode()) is None


@given(st.binary(max_size=100))
def test_the_parser_raises_only_its_own_error(content: bytes) -> None:
    with pytest.raises(EntryInvalid):
        entry.read(content)


def test_facts_cannot_pass_for_what_every_entry_has() -> None:
    with pytest.raises(EntryInvalid, match="previous"):
        entry.write(made(previous="00"))


def test_what_is_too_large_stands_beside_the_entry() -> None:
    policy = {"rules": ["r" * 1000] * 70}
    written = entry.write(made(before={"policy": policy}, after="short", at=5))
    assert len(written.content) < 65_536
    digest, document = next(iter(written.documents.items()))
    read = entry.read(written.content)
    assert read.facts["before"] == {"sha256": digest, "bytes": len(document)}
    assert read.facts["after"] == "short"
    assert json.loads(document) == {"policy": policy}


def test_what_is_too_large_however_it_is_written_is_refused() -> None:
    with pytest.raises(EntryInvalid, match="at most"):
        entry.write(made(**{f"fact-{number}": "x" * 1000 for number in range(80)}))
