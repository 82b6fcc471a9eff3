"""Triage, simulation and exclusion filters: tables of pasts, and properties over random ones."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.core.digest import Digest
from holdfast.core.mutability import MAX_FILTERS, MutabilitySettings, TagMutability, decide, matches, parse_settings
from holdfast.govern.actors import pipeline_of
from holdfast.govern.estate import Inventory, PullThroughRule, ReplicationRule, Template
from holdfast.govern.events import Event, Kind
from holdfast.govern.exclusions import Synthesis, candidates, synthesize
from holdfast.govern.simulate import Result, Rules, simulate
from holdfast.govern.tag_kinds import TagKind, kind_of
from holdfast.govern.triage import Code, Triage, Verdict, triage, triage_all
from pasts import ACCOUNT, BEGIN, NAME, REGION, digest, event, push, refused, registry, repository

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY = (ACCOUNT, REGION, NAME)
IMMUTABLE = MutabilitySettings(TagMutability.IMMUTABLE)
SIGNATURE = f"sha256-{'a' * 64}.sig"


def excluding(*filters: str) -> MutabilitySettings:
    return parse_settings("IMMUTABLE_WITH_EXCLUSION", filters)


# --- simulate --------------------------------------------------------------------------------------------------------


def test_a_tag_that_was_refused_goes_on_to_name_what_it_named() -> None:
    past = [push(0, "latest", 1), push(1, "latest", 2), push(2, "latest", 1), push(3, "v1", 3)]
    found = simulate(KEY, past, IMMUTABLE)
    assert found.pushes == 4
    assert [(one.event.tag, one.stays) for one in found.refused] == [("latest", digest(1))]
    assert [one.event.digest for one in found.repeated] == [digest(1)]
    assert found.bindings == {"latest": digest(1), "v1": digest(3)}
    assert found.by_pipeline == {"ci/app-build": {"latest": 1}}
    assert found.by_day == {BEGIN.date(): 1}
    assert found.is_lower_bound


def test_filters_let_pointers_move() -> None:
    past = [push(0, "latest", 1), push(1, "latest", 2), push(2, SIGNATURE, 3), push(3, SIGNATURE, 4)]
    assert len(simulate(KEY, past, IMMUTABLE).refused) == 2
    assert [one.event.tag for one in simulate(KEY, past, excluding("latest")).refused] == [SIGNATURE]
    assert simulate(KEY, past, excluding("latest", "sha256-*")).refused == ()


@pytest.mark.parametrize(
    ("past", "ecr", "holdfast"),
    [
        ([push(0, "v1", 1), push(1, "v1", 1)], Result.REPEATED, Result.PASSES),
        ([push(0, "v1", 1), event(1, Kind.DELETE, "v1"), push(2, "v1", 2)], Result.PASSES, Result.REFUSED),
        ([push(0, "v1", 1), event(1, Kind.DELETE, None, 1), push(2, "v1", 2)], Result.PASSES, Result.REFUSED),
        ([push(0, "v1", 1), event(1, Kind.DELETE, "v1"), push(2, "v1", 1)], Result.PASSES, Result.PASSES),
        ([push(0, "v1", 1), event(1, Kind.DROP), push(2, "v1", 2)], Result.PASSES, Result.REFUSED),
        ([push(0, SIGNATURE, 1), push(1, SIGNATURE, 2)], Result.REFUSED, Result.PASSES),
        ([push(0, "v1", 2, previous=digest(1))], Result.REFUSED, Result.REFUSED),
        ([push(0, "v1", 1), refused(1, "v1", 2)], Result.REFUSED, Result.REFUSED),
    ],
)
def test_the_rules_of_ecr_and_of_holdfast(past: list[Event], ecr: Result, holdfast: Result) -> None:
    for rules, wanted in ((Rules.ECR, ecr), (Rules.HOLDFAST, holdfast)):
        found = simulate(KEY, past, IMMUTABLE, rules)
        last = Result.PASSES
        if found.refused and found.refused[-1].event == past[-1]:
            last = Result.REFUSED
        elif found.repeated and found.repeated[-1].event == past[-1]:
            last = Result.REPEATED
        assert last is wanted, rules


def test_what_never_came_to_the_tag_is_no_push() -> None:
    past = [push(0, "v1", 1), refused(1, "v1", 2, "AccessDenied"), push(2, None, 3)]
    found = simulate(KEY, past, IMMUTABLE)
    assert (found.pushes, found.untagged_pushes, found.refused) == (1, 1, ())


def test_a_history_from_the_beginning_is_no_lower_bound() -> None:
    assert not simulate(KEY, [event(0, Kind.CREATE), push(1, "v1", 1)], IMMUTABLE).is_lower_bound


@pytest.mark.parametrize(
    ("past", "told"),
    [
        ([], "nothing is known of the next build"),
        ([push(0, "v1", 1)], "goes through: none of 1 pushes"),
        ([push(0, "v1", 1), push(1, "v1", 1)], "is an error on Amazon ECR"),
        (
            [push(0, "latest", 1), push(1, "v1", 1), push(2, "latest", 2), push(3, "v2", 2)],
            "The next build of ci/app-build fails at 'latest': the tag names another image and holds (1 of 4 pushes",
        ),
    ],
)
def test_the_next_build_in_a_sentence(past: list[Event], told: str) -> None:
    assert told in simulate(KEY, past, IMMUTABLE).next_build


TAGS = ("latest", "v1", "dev-1", SIGNATURE)
steps = st.lists(
    st.builds(
        lambda kind, tag, number: (kind, tag, number),
        st.sampled_from([Kind.PUSH] * 4 + [Kind.DELETE]),
        st.sampled_from(TAGS),
        st.integers(1, 4),
    ),
    max_size=30,
)
wishes = st.sampled_from(
    [
        MutabilitySettings(),
        IMMUTABLE,
        excluding("latest"),
        excluding("*-*"),
        parse_settings("MUTABLE_WITH_EXCLUSION", ["v*"]),
    ]
)


@given(steps, wishes, st.sampled_from(list(Rules)))
@settings(max_examples=150, deadline=None)
def test_a_replay_is_what_the_tag_rule_says(
    given_: list[tuple[Kind, str, int]], wish: MutabilitySettings, rules: Rules
) -> None:
    """The oracle: the rule asked step by step over a dictionary, as a registry would."""
    past = [
        event(at, kind, tag, number if kind is Kind.PUSH else None) for at, (kind, tag, number) in enumerate(given_)
    ]
    bound: dict[str, Digest] = {}
    buried: dict[str, Digest] = {}
    expected = []
    for one in past:
        tag = one.tag or ""
        if one.kind is Kind.DELETE:
            gone = bound.pop(tag, None)
            if gone is not None and wish.judge(tag).held:
                buried[tag] = gone
            continue
        pushed = Digest.parse(one.digest or "")
        stone = buried.get(tag) if rules is Rules.HOLDFAST else None
        said = decide(wish, tag, pushed, bound=bound.get(tag), tombstone=stone, appends=rules is Rules.HOLDFAST)
        if said.action == "refuse":
            expected.append((one.at, one.tag))
        else:
            bound[tag] = pushed
            buried.pop(tag, None)
    found = simulate(KEY, past, wish, rules)
    assert [(one.event.at, one.event.tag) for one in found.refused] == expected
    assert found.bindings == {tag: str(one) for tag, one in bound.items()}
    assert (
        sum(found.by_day.values()) == len(expected) == sum(map(sum, (x.values() for x in found.by_pipeline.values())))
    )


# --- triage ----------------------------------------------------------------------------------------------------------


def judged(past: Sequence[Event], *tags: str, **more: object) -> Triage:
    return triage(repository(*tags), registry(), past, **more)  # type: ignore[arg-type] # of the test's table


def codes(found: Triage) -> set[Code]:
    return {one.code for one in found.reasons}


def opened(minute: int, mode: TagMutability) -> Event:
    return event(minute, Kind.SET_MUTABILITY, mode=mode)


@pytest.mark.parametrize(
    ("past", "tags", "verdict", "code"),
    [
        ([push(0, "v1", 1), push(1, "v2", 2)], ("v1", "v2"), Verdict.READY, Code.CLEAN),
        ([push(0, "latest", 1), push(1, "latest", 2)], ("latest",), Verdict.NEEDS_WORK, Code.REUSED_TAGS),
        ([push(0, "v1", 1), push(1, "v1", 1)], ("v1",), Verdict.READY, Code.SAME_DIGEST),
        (
            [push(0, "v1", 1), event(1, Kind.DELETE, "v1"), push(2, "v1", 2)],
            ("v1",),
            Verdict.NEEDS_WORK,
            Code.DELETE_THEN_PUSH,
        ),
        ([push(0, "v1", 1), event(1, Kind.DELETE, "v1"), push(2, "v1", 1)], ("v1",), Verdict.READY, Code.CLEAN),
        ([push(0, SIGNATURE, 1), push(1, SIGNATURE, 2)], (SIGNATURE,), Verdict.NEEDS_WORK, Code.SIGNATURE_TAGS),
        ([push(0, "v1", 1), refused(1, "v1", 2)], ("v1",), Verdict.NEEDS_WORK, Code.REFUSED_ALREADY),
        (
            [
                push(0, "latest", 1),
                opened(1, TagMutability.MUTABLE),
                push(2, "latest", 2),
                opened(3, TagMutability.IMMUTABLE),
            ],
            ("latest",),
            Verdict.NEEDS_WORK,
            Code.FLIP_PUSH_FLIP,
        ),
        ([], ("latest", "v1.0.0"), Verdict.NEEDS_WORK, Code.POINTER_TAGS),
        ([], ("v1.0.0",), Verdict.READY, Code.QUIET),
        ([], ("cache", "app-cache"), Verdict.LEAVE, Code.CACHE_REPOSITORY),
    ],
)
def test_verdicts_and_their_reasons(past: list[Event], tags: tuple[str, ...], verdict: Verdict, code: Code) -> None:
    found = judged(past, *tags)
    assert (found.verdict, code in codes(found)) == (verdict, True), found.reasons


def test_reasons_name_tags_times_and_pipelines() -> None:
    past = [push(0, "latest", 1), push(1, "latest", 2), push(2, "latest", 3), push(3, "v1", 3)]
    found = judged(past, "latest", "v1")
    reason = next(one for one in found.reasons if one.code is Code.REUSED_TAGS)
    assert reason.sentence == "latest came to name another image 2 times, pushed by ci/app-build."
    assert (reason.tags, reason.pipelines, reason.count) == (("latest",), ("ci/app-build",), 2)
    assert [(one.tag, one.moves, one.kind) for one in found.reused] == [("latest", 2, TagKind.LATEST)]
    assert (found.keep, found.hold) == (("latest",), ("v1",))


def test_a_switch_without_a_moved_tag_is_no_flip_push_flip() -> None:
    past = [opened(0, TagMutability.MUTABLE), push(1, "v1", 1), opened(2, TagMutability.IMMUTABLE)]
    assert Code.FLIP_PUSH_FLIP not in codes(judged(past, "v1"))


def test_what_is_around_a_repository() -> None:
    cache = registry(pull_through=(PullThroughRule("team", "quay.io"),))
    assert triage(repository("latest"), cache, []).verdict is Verdict.LEAVE
    other = registry(pull_through=(PullThroughRule("tea", "quay.io"), PullThroughRule("ROOT", "docker.io")))
    assert Code.PULL_THROUGH not in codes(triage(repository("v1.0.0"), other, []))
    template = registry(templates=(Template("ROOT"),))
    assert Code.TEMPLATE_MUTABLE in codes(triage(repository("v1.0.0"), template, []))
    held = triage(repository("v1", mode=TagMutability.IMMUTABLE), registry(), [])
    assert (held.verdict, held.reasons[0].code) == (Verdict.LEAVE, Code.HOLDS_ALREADY)
    behind = triage(repository("v1.0.0", orphans=3), registry(), [])
    assert (behind.verdict, behind.reasons[0].count) == (Verdict.NEEDS_WORK, 3)
    unknown = triage(repository("v1.0.0"), registry(), [], is_known=False)
    assert (unknown.verdict, codes(unknown)) == (Verdict.NEEDS_WORK, {Code.UNKNOWN_PAST})


def test_a_replica_is_found_by_the_rules_of_other_registries() -> None:
    far = registry(replication=(ReplicationRule(((ACCOUNT, "eu-west-1"),), ("team/",)),))
    here = repository("v1.0.0")
    copy = type(here)(ACCOUNT, "eu-west-1", NAME, "arn", "uri", live_tags=here.live_tags, images=here.images)
    found = triage_all(Inventory(BEGIN, (far,), (here, copy)), [push(0, "v1.0.0", 1)])
    assert [(one.region, one.verdict) for one in found] == [(REGION, Verdict.READY), ("eu-west-1", Verdict.LEAVE)]
    assert Code.REPLICATED in codes(found[0])


@pytest.mark.parametrize(
    ("tag", "kind"),
    [
        ("latest", TagKind.LATEST),
        ("app-latest", TagKind.LATEST),
        ("main", TagKind.BRANCH),
        ("feature-login", TagKind.BRANCH),
        ("pr-42", TagKind.BRANCH),
        ("prod", TagKind.ENVIRONMENT),
        ("staging-eu", TagKind.ENVIRONMENT),
        ("buildcache", TagKind.CACHE),
        ("cache-main", TagKind.CACHE),
        (SIGNATURE, TagKind.SIGNATURE),
        ("1.2.3", TagKind.VERSION),
        ("v1.2.3-rc.1", TagKind.VERSION),
        ("v1", TagKind.FLOATING_VERSION),
        ("1.2", TagKind.FLOATING_VERSION),
        ("4f2a9bc", TagKind.COMMIT),
        ("sha-4f2a9bc", TagKind.COMMIT),
        ("20260301", TagKind.BUILD),
        ("build-4711", TagKind.BUILD),
        ("product", TagKind.OTHER),
        ("blue", TagKind.OTHER),
    ],
)
def test_what_names_of_tags_say(tag: str, kind: TagKind) -> None:
    assert kind_of(tag) is kind


@pytest.mark.parametrize(
    ("session", "pipeline"),
    [
        ("app-build-4711", "ci/app-build"),
        ("AWSCodeBuild-2f3a1b6e-aaaa-bbbb-cccc-123456789abc", "ci"),
        ("i-0abcdef1234567890", "ci"),
        ("botocore-session-1700000000", "ci"),
        ("GitHubActions", "ci"),
        ("ci", "ci"),
    ],
)
def test_runs_of_one_pipeline_share_its_name(session: str, pipeline: str) -> None:
    assert pipeline_of("ci", session) == pipeline


# --- exclusion filters -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keep", "hold", "filters"),
    [
        ((), ("v1",), ()),
        (("latest",), ("v1",), ("latest",)),
        (("latest", "cache"), (), ("cache", "latest")),
        (("dev-1", "dev-2", "dev-3"), ("v1",), ("dev-*",)),
        (("app-dev", "web-dev", "latest"), ("app-1", "web-1"), ("*-dev", "latest")),
        ((f"sha256-{'a' * 64}.sig", f"sha256-{'b' * 64}.att"), ("v1",), ("sha256-*",)),
        ((SIGNATURE, "latest"), ("v1",), ("latest", "sha256-*")),
        (("prod-eu", "prod-us"), ("prod-2026.1", "v1"), ("prod-eu", "prod-us")),
        (("a-x", "b-x", "c-x", "d-x", "e-x", "f-x"), ("g-y",), ("*-x",)),
    ],
)
def test_the_fewest_filters_that_hold_what_shall_hold(
    keep: tuple[str, ...], hold: tuple[str, ...], filters: tuple[str, ...]
) -> None:
    found = synthesize(keep, hold)
    assert (found.filters, found.missed, found.collateral, found.is_exact) == (filters, (), (), True)


def test_what_stays_movable_is_told() -> None:
    keep = ("one", "two", "three", "four", "five-a", "five-b")
    found = synthesize(keep, ("five-c", "v1"), (*keep, "five-c", "v1"))
    assert found.missed == ()
    assert found.collateral == ("five-c",)
    assert (found.live, len(found.movable), found.share) == (8, 7, 7 / 8)
    assert "7 of 8 live tags stay movable (87.5%)" in found.sentence
    assert "1 of them were not meant to" in found.sentence
    hopeless = synthesize(("one", "two", "three", "four", "five", "six"))
    assert (len(hopeless.filters), len(hopeless.missed), hopeless.is_exact) == (5, 1, False)
    assert "five filters do not suffice" in hopeless.sentence


words = st.sampled_from(["a", "b", "dev", "x"])
names = st.lists(words, min_size=1, max_size=3).map("-".join)


def cost(chosen: Sequence[str], keep: Sequence[str], hold: Sequence[str]) -> tuple[int, int, int]:
    return (
        sum(not any(matches(one, tag) for one in chosen) for tag in keep),
        sum(any(matches(one, tag) for one in chosen) for tag in hold),
        len(chosen),
    )


@given(st.lists(names, max_size=5, unique=True), st.lists(names, max_size=4, unique=True))
@settings(max_examples=80, deadline=None)
def test_no_set_of_the_candidates_is_better(keep: list[str], hold: list[str]) -> None:
    hold = sorted(set(hold) - set(keep))
    found: Synthesis = synthesize(keep, hold)
    if found.filters:
        parse_settings("IMMUTABLE_WITH_EXCLUSION", found.filters)
    thought_of = candidates(sorted(keep))[:14]
    every = itertools.chain.from_iterable(itertools.combinations(thought_of, count) for count in range(4))
    if found.is_exact:
        assert cost(found.filters, keep, hold) <= min(cost(one, keep, hold) for one in every)
    assert len(found.filters) <= MAX_FILTERS


def test_a_large_question_is_answered_within_its_limit() -> None:
    keep = [f"feature-{number}-{word}" for number in range(60) for word in ("alpha", "beta", "gamma", "delta")]
    found = synthesize(keep, [f"v{number}" for number in range(500)], keep)
    assert (found.filters, found.missed, found.collateral) == (("feature-*",), (), ())
