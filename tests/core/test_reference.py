"""Names and tags: the grammar of the specification, the limits of ECR, whole match, ASCII only."""

from __future__ import annotations

import contextlib
import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.digest import Digest
from holdfast.core.errors import DigestInvalid, NameInvalid, TagInvalid
from holdfast.core.reference import parse_reference, parse_repository_name, parse_tag

DIGEST = "sha256:" + "ab" * 32

# Source: OCI distribution specification, "Pulling manifests", to the letter.
SPECIFIED_NAME = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*", re.ASCII)
SPECIFIED_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", re.ASCII)


@pytest.mark.parametrize(
    "name",
    [
        "ab",
        "a1",
        "00",
        "r/a",
        "a/b/c/d/e/f",
        "a.b",
        "a_b",
        "a__b",
        "a-b",
        "a--b",
        "a" + "-" * 200 + "b",
        "a-b_c.d__e/f",
        "manifests/blobs",
        "a" * 256,
        "/".join(["a"] * 128),
    ],
)
def test_a_name_of_the_grammar_is_kept_as_it_is(name: str) -> None:
    assert parse_repository_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "a",
        "a" * 257,
        "/".join(["a"] * 1_000),
        "R/a",
        "r/A",
        "a..b",
        "a_.b",
        "a._b",
        "a-_b",
        "a___b",
        "-a",
        "a-",
        "_a",
        "a_",
        ".a",
        "a.",
        "r//a",
        "/r/a",
        "r/a/",
        "./r/a",
        "r/../a",
        "..",
        "r/a\n",
        "\nr/a",
        "r/a ",
        "r a",
        "r/a\0",
        "r%2Fa",
        "r\\a",
        "r:a",
        "r@a",
        "\u0430b",
        "\uff41b",
        "a\u0301b",
        "a\u0663b",
        "r/\u00e9",
        "\ud800a",
    ],
)
def test_a_name_outside_the_grammar_is_refused(name: str) -> None:
    with pytest.raises(NameInvalid):
        parse_repository_name(name)


@pytest.mark.parametrize("tag", ["v1", "_", "_x", "0", "A", "1.2.3-rc_1", "a..b", "a" * 128, "latest", "__", "A.-_"])
def test_a_tag_of_the_grammar_is_kept_as_it_is(tag: str) -> None:
    assert parse_tag(tag) == tag


@pytest.mark.parametrize(
    "tag",
    [
        "", ".", "..", ".a", "-a", "a" * 129, "a b", "a\n", "\na", "a/b", "a:b", "a@b", "a+b", "a%b", "a\0", "a*",
        "\u00e9", "a\u0663", "\uff41", "../x", "v1\r\nX: y", "<script>", "\ud800",
    ],
)  # fmt: skip
def test_a_tag_outside_the_grammar_is_refused(tag: str) -> None:
    with pytest.raises(TagInvalid):
        parse_tag(tag)


def test_a_reference_with_a_colon_is_a_digest_and_nothing_else() -> None:
    assert parse_reference("v1") == "v1"
    assert parse_reference(DIGEST) == Digest.parse(DIGEST)
    with pytest.raises(DigestInvalid):
        parse_reference("v1:v2")
    with pytest.raises(DigestInvalid):
        parse_reference("sha256:abc")
    with pytest.raises(TagInvalid):
        parse_reference("")


@pytest.mark.parametrize("text", ["a" * 100_000, "a-" * 50_000, "a/" * 50_000, "-" * 100_000, "a" + "_" * 100_000])
def test_the_length_is_looked_at_before_the_grammar(text: str) -> None:
    began = time.thread_time()
    with pytest.raises(NameInvalid) as refused:
        parse_repository_name(text)
    with pytest.raises(TagInvalid) as also_refused:
        parse_tag(text)
    assert time.thread_time() - began < 0.1
    for error in (refused.value, also_refused.value):
        assert len(error.message) + len(str(error.detail)) < 1_000


@pytest.mark.parametrize("tail", ["", "!", "_", "/"])
def test_the_grammar_does_not_backtrack_within_the_limit(tail: str) -> None:
    for piece in ("a-", "a--", "a/", "a.", "a__"):
        text = (piece * 200)[:250].rstrip("-/._") + tail
        began = time.thread_time()
        with contextlib.suppress(NameInvalid):
            parse_repository_name(text)
        assert time.thread_time() - began < 0.05


_NEAR = st.text("aZ0-_./: \n\u0663", max_size=14)


@given(_NEAR | st.text(max_size=20))
def test_names_agree_with_the_specification_and_only_their_own_error_is_raised(text: str) -> None:
    accepted = True
    try:
        assert parse_repository_name(text) == text
    except NameInvalid:
        accepted = False
    assert accepted == (len(text) >= 2 and SPECIFIED_NAME.fullmatch(text) is not None)


@given(_NEAR | st.text(max_size=20))
def test_tags_agree_with_the_specification_and_only_their_own_error_is_raised(text: str) -> None:
    accepted = True
    try:
        assert parse_tag(text) == text
    except TagInvalid:
        accepted = False
    assert accepted == (SPECIFIED_TAG.fullmatch(text) is not None)


@given(_NEAR | st.text(max_size=20))
def test_a_reference_raises_only_the_errors_of_tags_and_digests(text: str) -> None:
    with contextlib.suppress(TagInvalid, DigestInvalid):
        assert str(parse_reference(text)) == text
