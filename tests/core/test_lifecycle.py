"""What a policy does to images: AWS's own examples, a slow twin compared at random, and what hangs together."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core.lifecycle import (
    DAY_MICROSECONDS,
    Cause,
    Decision,
    Image,
    ImageStatus,
    Outcome,
    containers_first,
    evaluate,
    oldest_first,
)
from holdfast.core.lifecycle_policy import CountType, Policy, Rule, TagStatus, parse
from holdfast.core.mutability import matches

NOW = 1_000 * DAY_MICROSECONDS


def rule(priority: int, count_type: str, count: int, *tags: str, **more: Any) -> dict[str, Any]:
    """Return a rule; `tags` are patterns, none of them and no tagStatus means any."""
    selection: dict[str, Any] = {
        "tagStatus": "tagged" if tags else "any",
        "countType": count_type,
        "countNumber": count,
    }
    if tags:
        selection["tagPatternList"] = list(tags)
    if count_type != "imageCountMoreThan":
        selection["countUnit"] = "days"
    action = more.pop("action", {"type": "expire"})
    return {"rulePriority": priority, "selection": selection | more, "action": action}


def policy(*rules: dict[str, Any]) -> Policy:
    return parse(json.dumps({"rules": list(rules)}))


def image(name: str, age: float, *tags: str, **more: Any) -> Image:
    return Image(name, tags, NOW - int(age * DAY_MICROSECONDS), **more)


ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}
ARCHIVED = {"status": ImageStatus.ARCHIVED}


def outcomes(decisions: list[Decision]) -> dict[str, str]:
    return {one.image.digest: str(one.outcome) for one in decisions if one.outcome is not Outcome.KEEP}


# --- AWS's examples --------------------------------------------------------------------------------------------------

BETA_AND_PROD = [
    image("A", 10, "beta-1", "prod-1"),
    image("B", 9, "beta-2", "prod-2"),
    image("C", 8, "beta-3"),
]


def test_a_rule_shields_what_it_selects_from_those_after_it() -> None:
    """B is past beta's count, but prod selects it and keeps it."""
    decided = evaluate(
        policy(rule(1, "imageCountMoreThan", 1, "prod*"), rule(2, "imageCountMoreThan", 1, "beta*")), BETA_AND_PROD, NOW
    )
    assert outcomes(decided) == {"A": "expire"}
    assert [one.rule and one.rule.priority for one in decided] == [1, 1, 2]
    assert decided[0].reason == "number 2 from the youngest that rule 1 selects; it keeps 1"


def test_what_one_rule_claims_still_counts_for_the_next() -> None:
    decided = evaluate(
        policy(rule(1, "imageCountMoreThan", 1, "beta*"), rule(2, "imageCountMoreThan", 1, "prod*")), BETA_AND_PROD, NOW
    )
    assert outcomes(decided) == {"A": "expire", "B": "expire"}
    assert [one.rule and one.rule.priority for one in decided] == [1, 1, 1]


def test_any_takes_what_no_rule_before_it_selects() -> None:
    decided = evaluate(
        policy(
            rule(1, "imageCountMoreThan", 1, "alpha*"),
            rule(2, "sinceImagePushed", 10, tagStatus="untagged"),
            rule(3, "imageCountMoreThan", 1),
        ),
        [
            image("A", 12, "alpha-1"),
            image("B", 11, "beta-1"),
            image("C", 10.5),
            image("D", 9, "alpha-2"),
            image("E", 8, "git-hash"),
            image("F", 7),
        ],
        NOW,
    )
    assert outcomes(decided) == {"A": "expire", "B": "expire", "C": "expire", "E": "expire"}


def test_several_patterns_must_all_match_some_tag() -> None:
    wanted = policy(rule(1, "sinceImagePushed", 1, "alpha*", "beta*"))
    images = [image("A", 5, "alpha-1"), image("B", 5, "beta-1"), image("C", 5, "alpha-2", "beta-2")]
    assert outcomes(evaluate(wanted, images, NOW)) == {"C": "expire"}


def test_a_pattern_matches_the_whole_tag() -> None:
    images = [image("A", 5, "prod"), image("B", 5, "prod1"), image("C", 5, "not-prod")]
    assert set(outcomes(evaluate(policy(rule(1, "sinceImagePushed", 1, "prod*")), images, NOW))) == {"A", "B"}
    assert set(outcomes(evaluate(policy(rule(1, "sinceImagePushed", 1, "*prod")), images, NOW))) == {"A", "C"}
    assert set(outcomes(evaluate(policy(rule(1, "sinceImagePushed", 1, "prod")), images, NOW))) == {"A"}
    of_prefix = rule(1, "sinceImagePushed", 1) | {
        "selection": {
            "tagStatus": "tagged",
            "tagPrefixList": ["prod"],
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": 1,
        }
    }
    assert set(outcomes(evaluate(policy(of_prefix), images, NOW))) == {"A", "B"}


# --- time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("age", "goes"), [(13.9, False), (14.0, False), (14.0001, True), (400, True)])
def test_an_image_goes_when_it_is_older_than_the_days(age: float, goes: bool) -> None:  # noqa: FBT001 - a row
    assert bool(outcomes(evaluate(policy(rule(1, "sinceImagePushed", 14)), [image("A", age)], NOW))) is goes


def test_since_pulled_takes_the_pull_or_else_the_push_or_the_restoration() -> None:
    wanted = policy(rule(1, "sinceImagePulled", 30, action=ARCHIVE))
    recent = NOW - DAY_MICROSECONDS
    images = [
        image("pulled", 100, pulled_at=recent),
        image("pulled-long-ago", 100, pulled_at=NOW - 50 * DAY_MICROSECONDS),
        image("never-pulled", 100),
        image("new", 1),
        image("restored", 100, pulled_at=NOW - 90 * DAY_MICROSECONDS, activated_at=recent),
    ]
    assert outcomes(evaluate(wanted, images, NOW)) == {"pulled-long-ago": "archive", "never-pulled": "archive"}


def test_an_archived_image_expires_by_its_time_in_the_archive() -> None:
    wanted = policy(rule(1, "imageCountMoreThan", 1), rule(2, "sinceImageTransitioned", 90, storageClass="archive"))
    images = [
        image("long", 500, archived_at=NOW - 91 * DAY_MICROSECONDS, **ARCHIVED),
        image("short", 500, archived_at=NOW - 89 * DAY_MICROSECONDS, **ARCHIVED),
        image("active", 400),
    ]
    assert outcomes(evaluate(wanted, images, NOW)) == {"long": "expire"}


def test_a_restored_image_counts_from_its_restoration() -> None:
    images = [image("old", 100, activated_at=NOW), image("newer", 50)]
    assert outcomes(evaluate(policy(rule(1, "imageCountMoreThan", 1)), images, NOW)) == {"newer": "expire"}


def test_an_image_that_is_being_restored_is_left_alone() -> None:
    images = [image("A", 100, status=ImageStatus.ACTIVATING)]
    assert outcomes(evaluate(policy(rule(1, "sinceImagePushed", 1)), images, NOW)) == {}


# --- held tags, indexes, referrers -----------------------------------------------------------------------------------


def test_a_held_tag_is_expired_only_where_the_registry_allows_it() -> None:
    images = [image("A", 100, "v1", is_held=True), image("B", 100, "dev")]
    wanted = policy(rule(1, "sinceImagePushed", 1))
    decided = evaluate(wanted, images, NOW)
    assert outcomes(decided) == {"B": "expire"}
    assert decided[0].cause is Cause.HELD
    assert decided[0].reason.endswith("but a tag of it is held")
    assert outcomes(evaluate(wanted, images, NOW, expires_held=True)) == {"A": "expire", "B": "expire"}


def test_a_child_stays_while_its_index_stays_and_goes_with_it_when_a_rule_claims_it() -> None:
    children = [image("child-1", 50, parents=("index",)), image("child-2", 50, parents=("index", "other"))]
    images = [image("index", 50, "dev-1"), image("other", 50, "v1"), *children]
    untagged = rule(1, "sinceImagePushed", 1, tagStatus="untagged")
    decided = evaluate(policy(untagged), images, NOW)
    assert outcomes(decided) == {}
    assert decided[2].cause is Cause.LISTED
    assert decided[2].reason.endswith("but the index index lists it")
    decided = evaluate(policy(untagged, rule(2, "sinceImagePushed", 1, "dev*")), images, NOW)
    assert outcomes(decided) == {"index": "expire", "child-1": "expire"}
    assert outcomes(evaluate(policy(rule(2, "sinceImagePushed", 1, "dev*")), images, NOW)) == {"index": "expire"}


def test_a_child_is_archived_only_with_its_indexes_and_not_expired_under_an_archived_one() -> None:
    images = [image("index", 50, "v1"), image("child", 50, parents=("index",))]
    archive = rule(1, "sinceImagePulled", 1, action=ARCHIVE)
    assert outcomes(evaluate(policy(archive), images, NOW)) == {"index": "archive", "child": "archive"}
    assert outcomes(evaluate(policy(rule(1, "sinceImagePulled", 60, action=ARCHIVE)), images, NOW)) == {}
    untagged = rule(1, "sinceImagePushed", 1, tagStatus="untagged")
    tagged = rule(2, "sinceImagePulled", 1, "*", action=ARCHIVE)
    assert outcomes(evaluate(policy(untagged, tagged), images, NOW)) == {"index": "archive"}


def test_referrers_follow_their_subject_and_no_rule_counts_them() -> None:
    images = [
        image("A", 50, "v1"),
        image("B", 40, "v2"),
        image("signature-of-A", 1, subject="A"),
        image("signature-of-signature", 1, subject="signature-of-A"),
        image("signature-of-B", 90, subject="B"),
        image("signature-of-nothing", 90, subject="gone"),
    ]
    decided = evaluate(policy(rule(1, "imageCountMoreThan", 1, "v*"), rule(2, "sinceImagePushed", 60)), images, NOW)
    assert outcomes(decided) == dict.fromkeys(
        ["A", "signature-of-A", "signature-of-signature", "signature-of-nothing"], "expire"
    )
    assert [one.rule and one.rule.priority for one in decided] == [1, 1, 1, 1, 1, 2]
    assert decided[2].reason == "it refers to A, which goes"
    assert decided[4].reason == "it refers to B, which stays"


def test_referrers_are_archived_with_their_subject_also_afterwards() -> None:
    images = [image("A", 50, "v1", **ARCHIVED, archived_at=NOW), image("late", 1, subject="A")]
    assert outcomes(evaluate(policy(rule(1, "sinceImagePushed", 900)), images, NOW)) == {"late": "archive"}


def test_an_index_that_refers_to_its_own_child_goes_with_it() -> None:
    images = [image("A", 50, "v1"), image("index", 50, subject="A"), replace(image("A", 50, "v1"), parents=("index",))]
    decided = evaluate(policy(rule(1, "sinceImagePushed", 1)), [images[2], images[1]], NOW)
    assert outcomes(decided) == {"A": "expire", "index": "expire"}
    assert [[one.image.digest for one in group] for group in containers_first(decided)] == [["index", "A"]]


def test_a_held_referrer_stays_and_keeps_what_it_lists() -> None:
    images = [
        image("A", 50, "v1"),
        image("index", 50, "sha256-a", subject="A", is_held=True),
        image("child", 50, parents=("index",)),
    ]
    decided = evaluate(policy(rule(1, "sinceImagePushed", 1)), images, NOW)
    assert outcomes(decided) == {"A": "expire"}
    assert [one.cause for one in decided] == [Cause.CLAIMED, Cause.HELD, Cause.LISTED]


def test_what_goes_goes_after_whatever_contains_it() -> None:
    images = [
        image("child", 90, parents=("index",)),
        image("index", 80, "v1"),
        image("signature", 1, subject="index"),
        image("alone", 70),
    ]
    decided = oldest_first(evaluate(policy(rule(1, "sinceImagePushed", 1)), images, NOW))
    groups = [[one.image.digest for one in group] for group in containers_first(decided)]
    assert groups == [["signature", "index", "child"], ["alone"]]


# --- a slow twin -----------------------------------------------------------------------------------------------------


def twin(wanted: Policy, images: list[Image], now: int, *, expires_held: bool) -> dict[str, str]:
    """The rules as sentences, without cleverness: every rule over every image, then what cannot be is taken back."""
    by_digest = {one.digest: one for one in images}
    own = [one for one in images if one.subject not in by_digest]
    went = {one.digest: outcome for one in own if (outcome := twin_claim(wanted, one, own, now, expires_held))}
    followers = [one for one in images if one.subject in by_digest and one.status is not ImageStatus.ACTIVATING]
    went |= dict.fromkeys([one.digest for one in followers], "expire")
    while True:
        may = {one.digest: twin_may(one, by_digest, went, expires_held=expires_held) for one in images}
        wrong = next((digest for digest in went if went[digest] not in may[digest]), None)
        if wrong is None:
            return went
        if went.pop(wrong) == "expire" and "archive" in may[wrong] and by_digest[wrong] in followers:
            went[wrong] = "archive"


def twin_claim(wanted: Policy, one: Image, own: list[Image], now: int, expires_held: bool) -> str | None:  # noqa: FBT001
    for rule_ in wanted.rules:
        if twin_selects(rule_, one):
            selected = [other for other in own if twin_selects(rule_, other)]
            if not twin_marks(rule_, one, selected, now):
                return None
            if rule_.action == "transition":
                return "archive"
            return None if one.is_held and not expires_held else "expire"
    return None


def twin_selects(rule_: Rule, one: Image) -> bool:
    if (one.status is ImageStatus.ACTIVE) != (
        rule_.storage_class == "standard"
    ) or one.status is ImageStatus.ACTIVATING:
        return False
    if rule_.tag_status is TagStatus.ANY:
        return True
    if rule_.tag_status is TagStatus.UNTAGGED:
        return not one.tags
    return all(any(matches(pattern, tag) for tag in one.tags) for pattern in rule_.patterns) and all(
        any(tag.startswith(prefix) for tag in one.tags) for prefix in rule_.prefixes
    )


def twin_marks(rule_: Rule, one: Image, selected: list[Image], now: int) -> bool:
    if rule_.count_type is CountType.MORE_THAN:
        younger = [other for other in selected if (other.since, other.digest) > (one.since, one.digest)]
        return len(younger) >= rule_.count
    at = {
        CountType.SINCE_PUSHED: one.since,
        CountType.SINCE_PULLED: max(one.since, one.pulled_at or 0),
        CountType.SINCE_TRANSITIONED: one.archived_at or one.since,
    }[rule_.count_type]
    return now - at > rule_.count * DAY_MICROSECONDS


def twin_may(one: Image, by_digest: dict[str, Image], went: dict[str, str], *, expires_held: bool) -> set[str]:
    may = {"expire", "archive"} if one.status is ImageStatus.ACTIVE else {"expire"}
    containers = [by_digest[parent] for parent in one.parents if parent in by_digest]
    subject = by_digest.get(one.subject or "")
    for outer in containers + ([subject] if subject is not None else []):
        if went.get(outer.digest) != "expire":
            may.discard("expire")
        if went.get(outer.digest) is None and outer.status is not ImageStatus.ARCHIVED:
            may.discard("archive")
    if subject is not None and one.is_held and not expires_held:
        may.discard("expire")
        if went.get(subject.digest) == "expire":
            may.discard("archive")
    return may


@st.composite
def repositories(draw: st.DrawFn) -> list[Image]:
    """Images that may list and refer to earlier ones, as digests allow."""
    made: list[Image] = []
    for number in range(draw(st.integers(0, 9))):
        digest = f"d{number}"
        status = draw(st.sampled_from([ImageStatus.ACTIVE] * 4 + [ImageStatus.ARCHIVED, ImageStatus.ACTIVATING]))
        tags = draw(st.lists(st.sampled_from(["a", "ab", "b1", "b2", "prod-1", "prod-2"]), max_size=3, unique=True))
        days = st.integers(0, 400).map(lambda age: NOW - age * DAY_MICROSECONDS)
        held = bool(tags) and draw(st.booleans())
        earlier = [one.digest for one in made]
        subject = draw(st.sampled_from([None, None, "gone", *earlier]))
        made.append(
            Image(
                digest,
                tuple(tags),
                draw(days),
                draw(st.none() | days),
                draw(days) if status is ImageStatus.ARCHIVED else None,
                draw(st.none() | days),
                status,
                (),
                subject,
                held,
            )
        )
        for listed in draw(st.lists(st.sampled_from(earlier), max_size=2, unique=True)) if earlier else ():
            at = earlier.index(listed)
            made[at] = replace(made[at], parents=(*made[at].parents, digest))
    return made


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    rules = []
    patterns = draw(st.lists(st.sampled_from(["a*", "*1", "b*", "prod*", "*o*-*", "ab"]), max_size=4, unique=True))
    for pattern in patterns:
        more = draw(st.lists(st.sampled_from(["*", "*2"]), max_size=1))
        rules.append(draw(counts(pattern, *more)))
    if draw(st.booleans()):
        rules.append(draw(counts(tagStatus="untagged")))
    rules = draw(st.permutations(rules))
    if draw(st.booleans()):
        rules = [*rules, draw(counts())]
    if draw(st.booleans()) or not rules:
        rules = [*rules, rule(1, "sinceImageTransitioned", draw(st.sampled_from([90, 200])), storageClass="archive")]
    return policy(*({**one, "rulePriority": number * 3 + 1} for number, one in enumerate(rules)))


def counts(*tags: str, **more: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.one_of(
        st.integers(1, 4).map(lambda count: rule(1, "imageCountMoreThan", count, *tags, **more)),
        st.integers(1, 300).map(lambda count: rule(1, "sinceImagePushed", count, *tags, **more)),
        st.integers(1, 300).map(lambda count: rule(1, "sinceImagePulled", count, *tags, **more, action=ARCHIVE)),
        st.integers(1, 4).map(lambda count: rule(1, "imageCountMoreThan", count, *tags, **more, action=ARCHIVE)),
    )


@settings(max_examples=200)
@given(policies(), repositories(), st.booleans())
def test_the_evaluation_is_what_the_sentences_say(wanted: Policy, images: list[Image], expires_held: bool) -> None:  # noqa: FBT001 - drawn
    decided = evaluate(wanted, images, NOW, expires_held=expires_held)
    assert [one.image for one in decided] == images
    assert outcomes(decided) == twin(wanted, images, NOW, expires_held=expires_held)
    for one in decided:
        assert one.reason
        assert one.outcome is Outcome.KEEP or one.rule is not None or one.cause is Cause.FOLLOWS


@given(policies(), repositories())
def test_nothing_goes_before_what_contains_it(wanted: Policy, images: list[Image]) -> None:
    going = [one for one in oldest_first(evaluate(wanted, images, NOW)) if one.outcome is Outcome.EXPIRE]
    order = [one.image.digest for group in containers_first(going) for one in group]
    assert sorted(order) == sorted(one.image.digest for one in going)
    for one in going:
        later = order[order.index(one.image.digest) :]
        assert not set(one.image.parents) & set(later)
        assert one.image.subject not in order or one.image.subject in later


# --- speed -----------------------------------------------------------------------------------------------------------


def test_a_hundred_thousand_images_take_about_a_second() -> None:
    """The bound is twice what the busy machines of a CI need; a quadratic step would take hours."""
    images = [
        image(
            f"sha256:{number:064x}", number % 900, *([f"{'v' if number % 3 else 'dev-'}{number}"] if number % 4 else [])
        )
        for number in range(90_000)
    ]
    images += [image(f"ref{number}", 1, subject=images[number].digest) for number in range(5_000)]
    images += [image(f"chain{number}", 1, subject=f"chain{number - 1}") for number in range(5_000)]
    wanted = policy(
        rule(1, "imageCountMoreThan", 1_000, "v*"),
        rule(2, "sinceImagePushed", 30, "dev-*"),
        rule(3, "sinceImagePushed", 30, "*-rc*"),
        rule(4, "sinceImagePushed", 7, tagStatus="untagged"),
        rule(5, "imageCountMoreThan", 50_000),
    )
    begun = time.process_time()
    containers_first([one for one in oldest_first(evaluate(wanted, images, NOW)) if one.outcome is Outcome.EXPIRE])
    assert time.process_time() - begun < 4
