"""The tag rule: every row with its reason, filters against a slow twin, settings refused with ECR's sentences."""

from __future__ import annotations

import contextlib
import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.core.digest import Digest
from holdfast.core.errors import ParameterInvalid
from holdfast.core.mutability import (
    Action,
    Decision,
    MutabilitySettings,
    Rule,
    TagMutability,
    Verdict,
    decide,
    is_signature_tag,
    matches,
    parse_settings,
    refusal_sentence,
)

OLD, NEW, OTHER = (Digest.of(content) for content in (b"old", b"new", b"other"))
SIGNATURES = "sha256-" + "a" * 64 + ".sig"

MUTABLE = MutabilitySettings()
IMMUTABLE = MutabilitySettings(TagMutability.IMMUTABLE)
HELD_BUT_DEV = MutabilitySettings(TagMutability.IMMUTABLE_WITH_EXCLUSION, ("dev-*", "latest"))
FREE_BUT_RELEASES = MutabilitySettings(TagMutability.MUTABLE_WITH_EXCLUSION, ("v*.*", "stable"))


# --- judging a tag ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "tag", "expected"),
    [
        (MUTABLE, "v1", Verdict(held=False, reason="the repository is MUTABLE")),
        (IMMUTABLE, "v1", Verdict(held=True, reason="the repository is IMMUTABLE")),
        (IMMUTABLE, "latest", Verdict(held=True, reason="the repository is IMMUTABLE")),
        (
            HELD_BUT_DEV,
            "dev-7",
            Verdict(
                held=False,
                reason="the repository is IMMUTABLE_WITH_EXCLUSION and the filter 'dev-*' matches the tag",
            ),
        ),
        (
            HELD_BUT_DEV,
            "latest",
            Verdict(
                held=False,
                reason="the repository is IMMUTABLE_WITH_EXCLUSION and the filter 'latest' matches the tag",
            ),
        ),
        (
            HELD_BUT_DEV,
            "latest-2",
            Verdict(held=True, reason="the repository is IMMUTABLE_WITH_EXCLUSION and no filter matches the tag"),
        ),
        (
            FREE_BUT_RELEASES,
            "v1.2",
            Verdict(held=True, reason="the repository is MUTABLE_WITH_EXCLUSION and the filter 'v*.*' matches the tag"),
        ),
        (
            FREE_BUT_RELEASES,
            "v1",
            Verdict(held=False, reason="the repository is MUTABLE_WITH_EXCLUSION and no filter matches the tag"),
        ),
    ],
)
def test_a_verdict_says_whether_the_tag_is_held_and_why(
    settings: MutabilitySettings, tag: str, expected: Verdict
) -> None:
    assert settings.judge(tag) == expected


# --- deciding a push -------------------------------------------------------------------------------------------------

ROWS = [
    # settings, tag, bound, tombstone, appends -> action, rule, reason
    (MUTABLE, "v1", None, None, False, Action.BIND, Rule.FREE_NAME, "the tag is new"),
    (IMMUTABLE, "v1", None, None, False, Action.BIND, Rule.FREE_NAME, "the tag is new"),
    (MUTABLE, "v1", NEW, None, False, Action.KEEP, Rule.SAME_DIGEST, "the tag names this digest already"),
    (IMMUTABLE, "v1", NEW, None, False, Action.KEEP, Rule.SAME_DIGEST, "the tag names this digest already"),
    (IMMUTABLE, SIGNATURES, NEW, None, True, Action.KEEP, Rule.SAME_DIGEST, "the tag names this digest already"),
    (MUTABLE, "v1", OLD, None, False, Action.MOVE, Rule.NOT_HELD, "the repository is MUTABLE"),
    (IMMUTABLE, "v1", OLD, None, False, Action.REFUSE, Rule.HELD, "the repository is IMMUTABLE"),
    # What an append would be does not matter to a tag that is no signature tag.
    (IMMUTABLE, "v1", OLD, None, True, Action.REFUSE, Rule.HELD, "the repository is IMMUTABLE"),
    (
        HELD_BUT_DEV, "dev-1", OLD, None, False, Action.MOVE, Rule.NOT_HELD,
        "the repository is IMMUTABLE_WITH_EXCLUSION and the filter 'dev-*' matches the tag",
    ),
    (
        HELD_BUT_DEV, "v1", OLD, None, False, Action.REFUSE, Rule.HELD,
        "the repository is IMMUTABLE_WITH_EXCLUSION and no filter matches the tag",
    ),
    (
        FREE_BUT_RELEASES, "stable", OLD, None, False, Action.REFUSE, Rule.HELD,
        "the repository is MUTABLE_WITH_EXCLUSION and the filter 'stable' matches the tag",
    ),
    (
        FREE_BUT_RELEASES, "dev", OLD, None, False, Action.MOVE, Rule.NOT_HELD,
        "the repository is MUTABLE_WITH_EXCLUSION and no filter matches the tag",
    ),
    (
        IMMUTABLE, SIGNATURES, OLD, None, True, Action.MOVE, Rule.APPEND_ONLY,
        "the manifest keeps every descriptor of the one before",
    ),
    (
        IMMUTABLE, SIGNATURES, OLD, None, False, Action.REFUSE, Rule.APPEND_ONLY,
        "the repository is IMMUTABLE; a signature tag may only grow, and this manifest drops a descriptor",
    ),
    (MUTABLE, SIGNATURES, OLD, None, False, Action.MOVE, Rule.NOT_HELD, "the repository is MUTABLE"),
    (
        IMMUTABLE, "v1", None, NEW, False, Action.RESTORE, Rule.TOMBSTONE,
        "the tag comes back to the digest that it named",
    ),
    (
        IMMUTABLE, "v1", None, OLD, False, Action.REFUSE, Rule.TOMBSTONE,
        f"the tag was deleted while it was held; only {OLD} may take the name again",
    ),
    # A tombstone outlives a switch to MUTABLE, and a signature tag's waits as any other.
    (
        MUTABLE, "v1", None, OLD, False, Action.REFUSE, Rule.TOMBSTONE,
        f"the tag was deleted while it was held; only {OLD} may take the name again",
    ),
    (
        IMMUTABLE, SIGNATURES, None, OLD, True, Action.REFUSE, Rule.TOMBSTONE,
        f"the tag was deleted while it was held; only {OLD} may take the name again",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "tag", "bound", "tombstone", "appends", "action", "rule", "reason"), ROWS)
def test_each_row_of_the_rule_decides_with_its_reason(
    settings: MutabilitySettings,
    tag: str,
    bound: Digest | None,
    tombstone: Digest | None,
    appends: bool,  # noqa: FBT001 - a column of the table
    action: Action,
    rule: Rule,
    reason: str,
) -> None:
    decision = decide(settings, tag, NEW, bound=bound, tombstone=tombstone, appends=appends)
    assert decision == Decision(action, rule, reason)


def test_the_table_above_has_every_rule_and_every_action() -> None:
    assert {row[5] for row in ROWS} == set(Action)
    assert {row[6] for row in ROWS} == set(Rule)


def test_no_held_tag_ever_moves_to_a_manifest_that_is_no_append() -> None:
    for settings, tag, bound, tombstone, appends in product(
        [MUTABLE, IMMUTABLE, HELD_BUT_DEV, FREE_BUT_RELEASES],
        ["v1", "v1.0", "latest", "dev-1", "stable", SIGNATURES],
        [None, OLD, NEW],
        [None, OLD, NEW],
        [False, True],
    ):
        decision = decide(settings, tag, NEW, bound=bound, tombstone=tombstone, appends=appends)
        if bound == OLD and settings.judge(tag).held:
            assert decision.action is Action.REFUSE or (is_signature_tag(tag) and appends)
        if bound is None and tombstone == OLD:
            assert decision.action is Action.REFUSE


def test_a_repeated_push_is_kept_in_every_mode_even_beside_a_tombstone_of_another_digest() -> None:
    for settings, tombstone in product([MUTABLE, IMMUTABLE, HELD_BUT_DEV, FREE_BUT_RELEASES], [None, OLD, OTHER]):
        assert decide(settings, "v1", NEW, bound=NEW, tombstone=tombstone).action is Action.KEEP


def test_the_refusal_is_ecrs_sentence_to_the_letter() -> None:
    # Source: facts/ecr.md section 2; kaniko's --push-ignore-immutable-tag-errors matches this text.
    assert refusal_sentence("v1", "team/app") == (
        "The image tag 'v1' already exists in the 'team/app' repository and cannot be overwritten because the tag is "
        "immutable."
    )


# --- filters ---------------------------------------------------------------------------------------------------------


def _slow_twin(pattern: str, tag: str) -> bool:
    """Match by the definition: character by character, `*` taking any number. Exponential, obviously right."""
    if not pattern:
        return not tag
    if pattern[0] == "*":
        return any(_slow_twin(pattern[1:], tag[taken:]) for taken in range(len(tag) + 1))
    return bool(tag) and tag[0] == pattern[0] and _slow_twin(pattern[1:], tag[1:])


@given(st.text("ab.*", max_size=7), st.text("ab.", max_size=9))
def test_matches_agrees_with_a_slow_twin(pattern: str, tag: str) -> None:
    assert matches(pattern, tag) == _slow_twin(pattern, tag)


@given(st.lists(st.text("ab-", max_size=4), min_size=1, max_size=4), st.lists(st.text("ab-", max_size=3), max_size=3))
def test_a_tag_made_from_a_filter_matches_it(pieces: list[str], runs: list[str]) -> None:
    runs = [*runs, "", "", ""][: len(pieces) - 1]
    tag = "".join(piece + run for piece, run in zip(pieces, [*runs, ""], strict=True))
    assert matches("*".join(pieces), tag)


@pytest.mark.parametrize(
    ("pattern", "tag", "expected"),
    [
        ("v1", "v1", True),
        ("v1", "v10", False),
        ("v1", "av1", False),
        ("v*", "v", True),
        ("v*", "v1.2-rc", True),
        ("v*", "V1", False),
        ("v*", "rv1", False),
        ("*-rc", "v1-rc", True),
        ("*-rc", "v1-rc2", False),
        ("*rc*", "rc", True),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("ab*ba", "aba", False),
        ("*", "", True),
        ("**", "anything", True),
        ("v1.2", "v1x2", False),
        ("v*", "v1\n", True),
        ("v1", "v1\n", False),
        ("", "", True),
        ("", "v1", False),
    ],
)
def test_a_filter_is_matched_against_the_whole_tag_and_only_the_star_is_special(
    pattern: str, tag: str, *, expected: bool
) -> None:
    assert matches(pattern, tag) is expected


@pytest.mark.parametrize(
    ("pattern", "tag"),
    [
        ("*" + "a" * 120 + "*b", "a" * 200_000),
        ("*" + "a" * 60 + "b*", "a" * 200_000),
        ("*a*" * 40 + "b", "a" * 200_000),
        ("*ab" * 42, "ab" * 100_000),
    ],
)
def test_no_filter_costs_more_than_linear_work(pattern: str, tag: str) -> None:
    def seconds(text: str) -> float:
        best = 1.0
        for _ in range(3):
            began = time.thread_time()
            matches(pattern, text)
            best = min(best, time.thread_time() - began)
        return best

    # A backtracking matcher takes the age of the universe here; a quadratic one, seconds.
    assert seconds(tag) < 0.2


# --- settings --------------------------------------------------------------------------------------------------------

_AT = "Invalid parameter at 'imageTagMutabilityExclusionFilters' failed to satisfy constraint: "
_MODE_AT = "Invalid parameter at 'imageTagMutability' failed to satisfy constraint: "


@pytest.mark.parametrize(
    ("mode", "filters", "sentence"),
    [
        (
            "IMMUTABLE",
            ["dev"],
            _AT + "'ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set as IMMUTABLE'",
        ),
        (
            "MUTABLE",
            ["dev"],
            _AT + "'ImageTagMutabilityExclusionFilters are not allowed when imageTagMutability is set as MUTABLE'",
        ),
        (
            "IMMUTABLE_WITH_EXCLUSION",
            None,
            _AT + "'ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as "
            "IMMUTABLE_WITH_EXCLUSION'",
        ),
        (
            "MUTABLE_WITH_EXCLUSION",
            [],
            _AT + "'ImageTagMutabilityExclusionFilters can't be null when imageTagMutability is set as "
            "MUTABLE_WITH_EXCLUSION'",
        ),
        (
            "IMMUTABLE_WITH_EXCLUSION",
            ["a", "b", "c", "d", "e", "f"],
            _AT + "'Member must have length less than or equal to 5'",
        ),
        (
            "IMMUTABLE_WITH_EXCLUSION",
            ["a", "a", "a", "a", "a", "a"],
            _AT + "'Member must have length less than or equal to 5'",
        ),
        *(
            (
                "IMMUTABLE_WITH_EXCLUSION",
                [pattern],
                _AT + "'Member must satisfy regular expression pattern: ^[0-9a-zA-Z._*-]{1,128}$'",
            )
            for pattern in ("", "a" * 129, "v?", "[ab]", "a/b", "a b", "a\n", "v1\0", "ä", "\u0663", "^v1$", "a\\*")
        ),
        (
            "IMMUTABLE_WITH_EXCLUSION",
            ["a*b*c*d"],
            _AT + "'A filter can have a maximum of 2 wildcards (*): 'a*b*c*d''",
        ),
        *(
            (
                mode,
                None,
                _MODE_AT + "'Member must satisfy enum value set: "
                "[MUTABLE, IMMUTABLE, IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION]'",
            )
            for mode in ("immutable", "", "IMMUTABLE ", "ANY", "IMMUTABLE\n")
        ),
    ],
)
def test_settings_that_cannot_be_are_refused_with_ecrs_sentence(
    mode: str, filters: list[str] | None, sentence: str
) -> None:
    with pytest.raises(ParameterInvalid) as refused:
        parse_settings(mode, filters)
    assert refused.value.message == sentence


@pytest.mark.parametrize(
    ("mode", "filters", "expected"),
    [
        ("MUTABLE", None, MutabilitySettings()),
        ("MUTABLE", [], MutabilitySettings()),
        ("IMMUTABLE", None, MutabilitySettings(TagMutability.IMMUTABLE)),
        (
            "IMMUTABLE_WITH_EXCLUSION",
            ["a*", "*b*", "c", "a*"],
            MutabilitySettings(TagMutability.IMMUTABLE_WITH_EXCLUSION, ("a*", "*b*", "c")),
        ),
        (
            "MUTABLE_WITH_EXCLUSION",
            ["x" * 128, "**", ".", "-", "_"],
            MutabilitySettings(TagMutability.MUTABLE_WITH_EXCLUSION, ("x" * 128, "**", ".", "-", "_")),
        ),
    ],
)
def test_settings_as_ecr_takes_them_are_taken_in_their_order(
    mode: str, filters: list[str] | None, expected: MutabilitySettings
) -> None:
    assert parse_settings(mode, filters) == expected


@given(
    st.text(max_size=30) | st.sampled_from(list(TagMutability)), st.none() | st.lists(st.text(max_size=8), max_size=7)
)
def test_garbage_settings_are_refused_or_judge(mode: str, filters: list[str] | None) -> None:
    with contextlib.suppress(ParameterInvalid):
        parse_settings(mode, filters).judge("v1")


# --- signature tags --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
@pytest.mark.parametrize("ending", ["", ".sig", ".att", ".sbom"])
def test_the_fallback_names_of_referrers_and_cosign_are_signature_tags(algorithm: str, ending: str) -> None:
    # A sha512 digest is cut to 64 digits in a tag (OCI distribution specification, "Referrers Tag Schema").
    assert is_signature_tag(f"{algorithm}-{'0123456789abcdef' * 4}{ending}")


@pytest.mark.parametrize(
    "tag",
    [
        "v1",
        "sha256",
        "sha256-abc",
        "sha256-" + "a" * 63,
        "sha256-" + "a" * 65,
        "sha256-" + "A" * 64,
        "sha256-" + "g" * 64,
        "sha256-" + "a" * 64 + ".sig.sig",
        "sha256-" + "a" * 64 + ".cosign",
        "sha256-" + "a" * 64 + "\n",
        "x-sha256-" + "a" * 64,
        "sha384-" + "a" * 64,
        "sha256:" + "a" * 64,
        "sha256_" + "a" * 64,
        "sha256-" + "\u0663" * 64,
    ],
)
def test_no_other_name_may_grow(tag: str) -> None:
    assert not is_signature_tag(tag)
