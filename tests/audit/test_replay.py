"""Entries replayed: a log that is signed and whole may still tell of a rule that was broken, and that is found."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from forged_ledger import REGISTRY, REPOSITORY, Writer, digest, publish
from holdfast.core import entry
from holdfast.core.ledger_audit import Auditor
from holdfast.core.replay import Replay


def replayed(writer: Writer) -> Replay:
    forged = publish(writer.contents)
    done = Auditor(forged.fetch).follow(forged.checkpoint)
    assert not done.findings
    return done.replay


def codes(writer: Writer) -> list[str]:
    return [one.code for one in replayed(writer).findings]


def test_a_past_by_the_rule_has_no_finding() -> None:
    writer = Writer()
    writer.created("IMMUTABLE_WITH_EXCLUSION", ("dev-*",))
    writer.named("a", None)
    writer.named("a", None, tag="dev-1", held=False)
    writer.named("b", "a", tag="dev-1", kind="tag-moved", held=False)
    writer.add("tag-refused", tag="v1", pushed=digest("b"), digest=digest("a"), rule="held", reason="", media_type="")
    writer.deleted("a")
    writer.add("tag-refused", tag="v1", pushed=digest("b"), digest=digest("a"), rule="tombstone", reason="")
    writer.named("a", None, kind="tag-restored")
    writer.deleted("a")
    writer.deleted("b", tag="dev-1", held=False)
    writer.add("repository-deleted", force=True)
    replay = replayed(writer)
    assert not replay.findings
    assert not replay.released
    past = replay.past(REGISTRY, REPOSITORY)
    assert past is not None
    assert [(one.tag, one.digest, one.cause) for one in past.intervals] == [
        ("v1", digest("a"), "deleted"),
        ("dev-1", digest("a"), "moved"),
        ("dev-1", digest("b"), "deleted"),
        ("v1", digest("a"), "deleted"),
    ]
    first = past.intervals[0]
    assert past.named("v1", first.since) is first
    assert past.named("v1", first.since - 1) is None


def test_a_held_tag_that_moved_is_found() -> None:
    writer = Writer()
    writer.created()
    writer.named("a", None)
    writer.named("b", "a", kind="tag-moved")
    assert codes(writer) == ["held-tag-moved"]


def test_a_tag_that_was_deleted_while_held_and_names_something_else_is_found() -> None:
    writer = Writer()
    writer.created()
    writer.named("a", None)
    writer.deleted("a")
    writer.named("b", None)
    assert codes(writer) == ["held-tag-moved"]


def test_a_repository_made_anew_does_not_free_its_tags() -> None:
    writer = Writer()
    writer.created()
    writer.named("a", None)
    writer.deleted("a")
    writer.add("repository-deleted", force=True)
    writer.created("MUTABLE")
    writer.named("b", None, held=False)
    assert codes(writer) == ["held-tag-moved"]


@pytest.mark.parametrize("way", ["switched", "forgotten", "free"])
def test_a_tag_that_was_let_go_is_told_though_no_rule_was_broken(way: str) -> None:
    writer = Writer()
    writer.created()
    writer.named("a", None)
    if way == "switched":
        writer.switched("IMMUTABLE", "MUTABLE")
        writer.named("b", "a", kind="tag-moved", held=False, rule="not-held")
        writer.switched("MUTABLE", "IMMUTABLE")
    elif way == "forgotten":
        writer.deleted("a")
        writer.add("tag-forgotten", tag="v1", digest=digest("a"))
        writer.named("b", None)
    else:
        writer.add("registry-changed", None, before={"deleted_tags": "held"}, after={"deleted_tags": "free"})
        writer.deleted("a")
        writer.named("b", None)
    replay = replayed(writer)
    assert not replay.findings
    [one] = replay.released
    assert (one.code, one.tag) == ("held-then-released", "v1")
    assert f"by entry {2 if way == 'switched' else 3}," in one.message


def test_an_entry_that_lies_about_what_was_before_is_found() -> None:
    writer = Writer()
    writer.created("MUTABLE")
    writer.named("a", None, held=False)
    writer.named("c", "b", kind="tag-moved", held=False)
    assert codes(writer) == ["history-broken"]


def test_an_entry_that_says_a_held_tag_is_free_is_found() -> None:
    writer = Writer()
    writer.created()
    writer.named("a", None, held=False)
    assert codes(writer) == ["not-by-the-rule"]


def test_settings_that_were_not_in_force_are_found() -> None:
    writer = Writer()
    writer.created()
    writer.switched("MUTABLE", "IMMUTABLE")
    assert codes(writer) == ["history-broken"]


def test_acts_in_a_repository_that_is_not_there_are_found() -> None:
    writer = Writer()
    writer.named("a", None)
    assert codes(writer) == ["entry-contradicts"]


@given(
    kind=st.sampled_from(["tag-bound", "tag-moved", "tag-deleted", "tag-refused", "registry-changed", "anything"]),
    facts=st.dictionaries(
        st.sampled_from(["digest", "before", "held", "rule", "at", "principal", "source", "pushed", "after"]),
        st.recursive(st.none() | st.booleans() | st.integers(0, 9) | st.text(), st.lists),
    ),
)
def test_no_entry_that_can_be_read_breaks_the_replay(kind: str, facts: dict[str, object]) -> None:
    replay = Replay()
    replay.take(0, entry.Entry("repository-created", REGISTRY, "a", None, 1, None, {"mode": "IMMUTABLE"}))
    replay.take(1, entry.Entry(kind, REGISTRY, "a", "v1", 2, None, facts))
    assert {one.code for one in replay.findings} <= {"entry-incomplete", "entry-contradicts"}
