"""LinearPattern agrees with Python's own engine on every pattern it takes, and never backtracks."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core.linear_pattern import MAX_CACHED_STATES, LinearPattern, PatternUnsupported

ECR = [
    r"^\S+$",
    r"^arn:aws(-\w+)*:secretsmanager:[a-zA-Z0-9-:]+:secret:ecr\-pullthroughcache\/[a-zA-Z0-9\/_+=.@-]+$",
    r"^[0-9a-zA-Z._*-]{1,128}$",
    r"^$|arn:aws[a-z0-9-]*:kms:[a-z0-9-]+:[0-9]{12}:key\/[a-z0-9-]+",
    r"[a-zA-Z0-9-_+.]+:[a-fA-F0-9]+",
    r"^([a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\/?|ROOT)$",
    r"^arn:aws(-[a-z]+)*:iam::[0-9]{12}:(role|user)/[\w+=,.@-]+(/[\w+=,.@-]+)*$",
    r"[0-9a-z-]{2,25}",
    r"[0-9]{12}",
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}",
    r"^(?:[a-z0-9]+(?:[._-][a-z0-9]*)*/)*[a-z0-9]*(?:[._-][a-z0-9]*)*$",
    r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(\/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*",
    r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$",
    r"^arn:aws(-[a-z]+)*:signer:[a-z0-9-]+:[0-9]{12}:\/signing-profiles\/[a-zA-Z0-9_]{2,}$",
    r"^(?:[a-z0-9*]+(?:[._-][a-z0-9*]+)*/)*[a-z0-9*]+(?:[._-][a-z0-9*]+)*$",
]

_SETS = st.sampled_from(
    ["a", "b", "-", r"\.", "[ab]", "[^a]", r"[\w-]", r"\d", r"\S", r"\W", "[a-c0]", "[+-]", "^", "$", ""]
)
_REPEAT = st.sampled_from(["*", "+", "?", "{2}", "{0,2}", "{1,}", "*?", "{0}"])


def _wrap(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    group = inner.map("({})".format) | inner.map("(?:{})".format)
    return (
        st.tuples(inner, inner).map("".join)
        | st.tuples(inner, inner).map("|".join)
        | group
        | st.tuples(group, _REPEAT).map("".join)
    )


@given(
    st.recursive(_SETS, _wrap, max_leaves=8),
    st.lists(st.text("ab.-c0 \n\u00e9", max_size=6), min_size=5, max_size=5),
)
def test_agrees_with_re_on_random_patterns(pattern: str, texts: list[str]) -> None:
    mine = LinearPattern(pattern)
    # Python takes "$" before a trailing line break too; with a match of the whole text that makes no difference.
    other = re.compile(pattern, re.ASCII)
    for text in texts:
        assert mine.fullmatch(text) == bool(other.fullmatch(text))


@pytest.mark.parametrize("pattern", ECR)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_agrees_with_re_on_the_patterns_of_ecr(pattern: str, data: st.DataObject) -> None:
    mine = LinearPattern(pattern)
    good = data.draw(st.from_regex(re.compile(pattern, re.ASCII), fullmatch=True))
    assert mine.fullmatch(good)
    at = data.draw(st.integers(0, len(good)))
    other = data.draw(st.sampled_from(["", "/", "A", "_", "\n", "-", "*", "\u0663"]))
    changed = (good[:at] + other + good[at + 1 :])[:16]  # longer, and the other engine might not come back
    assert mine.fullmatch(changed) == bool(re.fullmatch(pattern, changed, re.ASCII))


def test_the_pattern_that_kills_backtracking_engines() -> None:
    pattern = LinearPattern(r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$")
    assert pattern.fullmatch("a" * 1_000_000)
    assert not pattern.fullmatch("a" * 1_000_000 + "!")
    assert len(pattern._states) < 20


def test_the_table_of_states_stays_small() -> None:
    pattern = LinearPattern("(a|b)*a(a|b){14}")
    text = "".join("ab"[n.bit_count() % 2] for n in range(3_000))
    assert pattern.fullmatch(text[:-15] + "a" * 15)
    assert len(pattern._states) <= MAX_CACHED_STATES


@pytest.mark.parametrize(
    "pattern",
    [
        "a.",
        "(?=a)",
        "(?<n>a)",
        r"\1",
        r"\b",
        "a**",
        "a*+",
        "a{2",
        "a{x}",
        "a{3,2}",
        "(a",
        "a)",
        "[a",
        "[]",
        "[[a]]",
        "[a&&b]",
        "[z-a]",
        r"[\d-a]",
        "\\",
        "*",
        "{2}",
        "]",
        "\u00e9",
        "(a{100}){100}",
        "a" * 2000,
        "(" * 30,
        "a{99999}",
    ],
)
def test_what_it_cannot_run_is_refused(pattern: str) -> None:
    with pytest.raises(PatternUnsupported):
        LinearPattern(pattern)


@given(st.text("ab01()[]{}|*+?^$\\-.,:&dwS", max_size=15))
def test_garbage_is_refused_or_compiles(pattern: str) -> None:
    with contextlib.suppress(PatternUnsupported):
        LinearPattern(pattern).fullmatch("ab01")
