"""Conditions of a push: what `If-Match` and `If-None-Match` ask of a tag."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.digest import Digest
from holdfast.core.preconditions import MAX_ENTITY_TAGS, PreconditionInvalid, parse

A, B, C = (Digest.of(text) for text in (b"a", b"b", b"c"))


def etag(digest: Digest) -> str:
    return f'"{digest}"'


@pytest.mark.parametrize(
    ("if_match", "if_none_match", "bound", "holds"),
    [
        (None, "*", None, True),
        (None, "*", A, False),
        (None, etag(A), A, False),
        (None, etag(A), B, True),
        (None, f"{etag(C)} ,{etag(A)}", A, False),
        ("*", None, None, False),
        ("*", None, A, True),
        (etag(A), None, A, True),
        (etag(A), None, B, False),
        (etag(A), None, None, False),
        (f"{etag(A)}, {etag(B)}", None, B, True),
        (f"W/{etag(A)}", None, A, False),
        (etag(A), etag(A), A, False),
        ('"nobody knows this"', None, A, False),
    ],
)
def test_each_row(if_match: str | None, if_none_match: str | None, bound: Digest | None, *, holds: bool) -> None:
    found = parse(if_match, if_none_match)
    assert found is not None
    assert found.holds(bound, C) is holds


@given(st.sampled_from([None, "*", etag(A)]), st.sampled_from(["*", etag(A), etag(B)]))
def test_what_changes_nothing_is_always_done(if_match: str | None, if_none_match: str) -> None:
    found = parse(if_match, if_none_match)
    assert found is not None
    assert found.holds(A, A)


def test_no_header_is_no_condition() -> None:
    assert parse(None, None) is None


@pytest.mark.parametrize(
    "header",
    ["", "sha256:abc", '"', '"a" "b"', '"a",', "**", '*, "a"', "W/", ", ".join(['"a"'] * (MAX_ENTITY_TAGS + 1))],
)
def test_what_is_no_list_of_entity_tags_is_refused(header: str) -> None:
    for given_ in ((header, None), (None, header)):
        with pytest.raises(PreconditionInvalid):
            parse(*given_)


@given(st.none() | st.text(), st.none() | st.text(alphabet='"*W/, a'))
def test_a_parser_raises_only_its_own_error(if_match: str | None, if_none_match: str | None) -> None:
    with suppress(PreconditionInvalid):
        parse(if_match, if_none_match)
