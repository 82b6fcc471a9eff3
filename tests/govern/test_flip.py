"""Plans and flips: what becomes a step, what stops one, and that a run that ends anywhere is finished by the next."""

from __future__ import annotations

import contextlib
import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from govern_registries import ACCOUNT, REGION, Killed, Simulator
from holdfast.client.api import APIError
from holdfast.core.mutability import MutabilitySettings, TagMutability
from holdfast.govern.documents import DocumentInvalid
from holdfast.govern.estate import Inventory, RegistryRecord, RepositoryRecord, Template
from holdfast.govern.flip import Flipper, Outcome
from holdfast.govern.journal import Journal, JournalBusy, read_journal
from holdfast.govern.plan import (
    Creation,
    Meets,
    Plan,
    Settings,
    Waves,
    Wish,
    digest_of,
    judge,
    make_plan,
    read_plan,
    reversal,
    write_plan,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MUTABLE = Settings(TagMutability.MUTABLE)
HELD = Settings(TagMutability.IMMUTABLE)
LATEST = Settings(TagMutability.IMMUTABLE_WITH_EXCLUSION, ("latest",))


def record(name: str, settings: Settings = MUTABLE) -> RepositoryRecord:
    arn = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
    return RepositoryRecord(ACCOUNT, REGION, name, arn, f"host/{name}", mode=settings.mode, filters=settings.filters)


def estate(found: dict[str, Settings], templates: tuple[Template, ...] = ()) -> Inventory:
    registry = RegistryRecord(ACCOUNT, REGION, templates=templates)
    return Inventory(NOW, (registry,), tuple(record(name, settings) for name, settings in found.items()))


def planned(found: dict[str, Settings], wanted: Settings = HELD, **more: object) -> Plan:
    wishes = {(ACCOUNT, REGION, name): Wish(wanted.rule, "ready") for name in found}
    return make_plan(estate(found), wishes, now=NOW, **more)  # type: ignore[arg-type]


def simulated(found: dict[str, Settings]) -> Simulator:
    return Simulator({(ACCOUNT, REGION, name): settings for name, settings in found.items()})


def flipped(plan: Plan, registries: Simulator, path: Path, *, keep_going: bool = False, undo: bool = False) -> Outcome:
    with Journal(path, plan.digest) as journal:
        flipper = Flipper(registries, journal, clock=lambda: NOW, sleep=lambda _: None, keep_going=keep_going)
        return flipper.undo(journal.told.states().values()) if undo else flipper.apply(plan.steps)


def settings_of(registries: Simulator) -> dict[str, str]:
    return {key[2]: str(settings) for key, settings in registries.repositories.items()}


# --- plans -----------------------------------------------------------------------------------------------------------


def test_only_what_differs_becomes_a_step_and_the_call_is_exact() -> None:
    plan = planned({"a": MUTABLE, "b": HELD, "c": LATEST}, LATEST)
    assert [(step.name, str(step.precondition), str(step.read_back)) for step in plan.steps] == [
        ("a", "MUTABLE", "IMMUTABLE_WITH_EXCLUSION (latest)"),
        ("b", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION (latest)"),
    ]
    assert plan.steps[0].call.parameters == {
        "registryId": ACCOUNT,
        "repositoryName": "a",
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "latest"}],
    }
    assert plan.steps[0].call.command.startswith("aws ecr put-image-tag-mutability --registry-id 111122223333 ")


def test_filters_are_never_lost_unasked() -> None:
    plan = planned({"c": LATEST})
    assert plan.steps == ()
    assert "somebody set the exclusion filters latest" in plan.left[0].why
    assert [step.name for step in planned({"c": LATEST}, drop_filters=True).steps] == ["c"]
    wider = Settings(TagMutability.IMMUTABLE_WITH_EXCLUSION, ("cache*", "latest"))
    assert len(planned({"c": LATEST}, wider).steps) == 1
    turned = Settings(TagMutability.IMMUTABLE_WITH_EXCLUSION, ("latest", "cache*"))
    assert planned({"c": wider}, turned).steps == (), "the order of filters means nothing"


def test_what_no_wish_speaks_of_or_what_cannot_be_is_left_with_its_reason() -> None:
    wishes = {
        (ACCOUNT, REGION, "a"): Wish(None, "a cache"),
        (ACCOUNT, REGION, "b"): Wish(MutabilitySettings(TagMutability.IMMUTABLE_WITH_EXCLUSION)),
    }
    plan = make_plan(estate({"a": MUTABLE, "b": MUTABLE, "c": MUTABLE}), wishes, now=NOW)
    whys = {one.name: one.why for one in plan.left}
    assert (whys["a"], whys["c"]) == ("a cache", "no wish speaks of it")
    assert "can't be null" in whys["b"]


def test_waves_pilot_first() -> None:
    found = {f"r{number:02}": MUTABLE for number in range(40)}
    wishes = {(ACCOUNT, REGION, name): Wish(HELD.rule, risk=float(name[1:])) for name in found}
    plan = make_plan(estate(found), wishes, now=NOW)
    sizes = {wave: sum(step.wave == wave for step in plan.steps) for wave in plan.waves}
    assert sizes == {1: 2, 2: 10, 3: 28}
    assert [step.name for step in plan.steps[:3]] == ["r00", "r01", "r02"]
    by_name = make_plan(estate(found), wishes, now=NOW, waves=Waves(("r39", f"{ACCOUNT}/*/r1*")))
    assert [step.name for step in by_name.steps if step.wave == 1] == ["r39"]
    assert {step.name for step in by_name.steps if step.wave == 2} == {f"r1{number}" for number in range(10)}


def test_what_pipelines_need_and_templates_come_before() -> None:
    inventory = estate({"a": MUTABLE}, (Template("ROOT", ("REPLICATION",)), Template("x", (), TagMutability.IMMUTABLE)))
    wishes = {(ACCOUNT, REGION, "a"): Wish(HELD.rule)}
    plan = make_plan(inventory, wishes, now=NOW, creations=[Creation(ACCOUNT, REGION, "a-cache", MUTABLE.rule)])
    assert [(step.wave, step.name, step.call.operation) for step in plan.steps] == [
        (0, "a-cache", "CreateRepository"),
        (0, "ROOT", "UpdateRepositoryCreationTemplate"),
        (1, "a", "PutImageTagMutability"),
    ]


def test_a_plan_that_was_changed_is_none() -> None:
    plan = planned({"a": MUTABLE, "b": MUTABLE})
    text = write_plan(plan)
    assert read_plan(text) == plan
    assert read_plan(text.encode()).digest == digest_of(plan)
    for changed in (
        text.replace('"IMMUTABLE"', '"MUTABLE"'),
        text.replace('"name": "b"', '"name": "c"'),
        text.replace(KIND, "holdfast/plan/2"),
        "{}",
        "",
        json.dumps(json.loads(text) | {"digest": "sha256:00"}),
    ):
        with pytest.raises(DocumentInvalid):
            read_plan(changed)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["steps", "kind", "digest", "record", "plan", "step", "at", "x"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(st.binary(max_size=60) | JSON.map(lambda one: json.dumps(one).encode() + b"\n"))
def test_what_is_no_plan_and_no_journal_is_refused_and_nothing_else_happens(content: bytes) -> None:
    for read in (read_plan, read_journal):
        with contextlib.suppress(DocumentInvalid):
            read(content)


KIND = "holdfast/plan/1"
ANY = st.sampled_from([MUTABLE, HELD, LATEST, Settings(TagMutability.MUTABLE_WITH_EXCLUSION, ("v*",))])


@given(before=ANY, wanted=ANY, now=st.one_of(st.none(), ANY))
def test_a_step_changes_only_what_it_knows(before: Settings, wanted: Settings, now: Settings | None) -> None:
    plan = planned({"a": before}, wanted, drop_filters=True)
    for step in plan.steps:
        verdict = judge(step, now)
        assert (verdict.meets is Meets.CHANGE) == (now == before)
        assert (verdict.meets is Meets.ALREADY) == (now == wanted)
        back = reversal(step)
        assert (back.precondition, back.read_back) == (wanted, before)
        assert Settings.read(back.call.parameters) == before


# --- flips -----------------------------------------------------------------------------------------------------------

FOUND = {"a": MUTABLE, "b": LATEST, "c": MUTABLE, "d": MUTABLE}
WANTED = Settings(TagMutability.IMMUTABLE_WITH_EXCLUSION, ("cache", "latest"))


def test_flip_again_and_undo(tmp_path: Path) -> None:
    registries = simulated(FOUND)
    plan = planned(FOUND, WANTED)
    done = flipped(plan, registries, tmp_path / "j")
    assert (len(done.changed), done.is_whole) == (4, True)
    writes = len(registries.writes)
    again = flipped(plan, registries, tmp_path / "j")
    assert (len(again.already), len(registries.writes)) == (4, writes), "what is right is not written again"
    back = flipped(plan, registries, tmp_path / "j", undo=True)
    assert (len(back.changed), registries.repositories) == (4, simulated(FOUND).repositories)
    assert flipped(plan, registries, tmp_path / "j", undo=True).changed == []
    assert len(flipped(plan, registries, tmp_path / "j").changed) == 4, "after an undo the plan may be flipped again"


def test_what_was_right_before_is_not_undone(tmp_path: Path) -> None:
    registries = simulated({"a": WANTED, "b": LATEST})
    plan = planned({"a": MUTABLE, "b": LATEST}, WANTED)
    assert len(flipped(plan, registries, tmp_path / "j").already) == 1
    flipped(plan, registries, tmp_path / "j", undo=True)
    assert settings_of(registries) == {"a": str(WANTED), "b": str(LATEST)}


def test_a_surprise_stops_and_nothing_after_it_is_touched(tmp_path: Path) -> None:
    registries = simulated({**FOUND, "b": HELD})
    plan = planned(FOUND, WANTED)
    ended = flipped(plan, registries, tmp_path / "j")
    names = [step.name for step in plan.steps]
    place = names.index("b")
    assert [trouble.code for trouble in ended.troubles] == ["Surprise"]
    assert [step.name for step in ended.changed] == names[:place]
    assert [step.name for step in ended.untried] == names[place + 1 :]
    went_on = flipped(plan, registries, tmp_path / "j", keep_going=True)
    assert (len(went_on.troubles), went_on.untried) == (1, [])
    assert settings_of(registries)["b"] == "IMMUTABLE"


def test_what_is_gone_is_told_and_the_rest_goes_on(tmp_path: Path) -> None:
    registries = simulated(FOUND)
    plan = planned(FOUND, WANTED)
    registries.meanwhile[2] = lambda one: one.repositories.pop((ACCOUNT, REGION, plan.steps[1].name))
    ended = flipped(plan, registries, tmp_path / "j")
    assert [trouble.code for trouble in ended.troubles] == ["Gone"] or "NotFound" in ended.troubles[0].code
    assert len(ended.changed) == 3 or ended.untried


def test_somebody_who_changes_it_back_is_seen(tmp_path: Path) -> None:
    registries = simulated({"a": MUTABLE})
    plan = planned({"a": MUTABLE})
    registries.meanwhile[2] = lambda one: one.repositories.update({(ACCOUNT, REGION, "a"): MUTABLE})
    assert [one.code for one in flipped(plan, registries, tmp_path / "j").troubles] == ["NotReadBack"]


def test_a_denial_is_the_reason_and_a_rule_is_told_as_one(tmp_path: Path) -> None:
    registries = simulated(FOUND)
    said = "not authorized to perform: ecr:PutImageTagMutability with an explicit deny in a service control policy"
    registries.denied[ACCOUNT, REGION] = APIError("AccessDeniedException", said, 400)
    plan = planned(FOUND, WANTED)
    ended = flipped(plan, registries, tmp_path / "j")
    assert (ended.troubles[0].code, ended.troubles[0].refused) == ("AccessDeniedException", True)
    assert (len(ended.untried), registries.writes) == (3, [])


def test_throttled_for_good_it_stops_and_goes_on_later(tmp_path: Path) -> None:
    registries = simulated(FOUND)
    plan = planned(FOUND, WANTED)
    slow = APIError("ThrottlingException", "Rate exceeded", 400)
    registries.meanwhile[4] = lambda one: one.denied.update({(ACCOUNT, REGION): slow})
    ended = flipped(plan, registries, tmp_path / "j")
    assert (len(ended.changed), [one.code for one in ended.troubles]) == (1, ["ThrottlingException"])
    assert len(ended.changed) + len(ended.troubles) + len(ended.untried) == len(plan.steps), "every step is told of"
    registries.denied.clear()
    assert flipped(plan, registries, tmp_path / "j").is_whole


def test_a_survey_changes_nothing_and_knows_what_is_gone(tmp_path: Path) -> None:
    registries = simulated({name: one for name, one in FOUND.items() if name != "c"} | {"b": HELD})
    plan = planned(FOUND, WANTED)
    survey = Flipper(registries, None, clock=lambda: NOW, sleep=lambda _: None).survey(plan.steps)
    assert {trouble.step.name: trouble.code for trouble in survey.troubles} == {"b": "Surprise", "c": "Gone"}
    assert registries.writes == []
    assert not (tmp_path / "j").exists()


# --- ended anywhere --------------------------------------------------------------------------------------------------


def ended_everywhere(make: Callable[[], Simulator], run: Callable[[Simulator, int], None]) -> int:
    """Run to its end once for each place where it can be killed, before and after each call; return how many."""
    counting = make()
    run(counting, -1)
    for number in range(len(counting.calls)):
        run(make(), number)
    return len(counting.calls)


@pytest.mark.parametrize("moment", ["kill_before", "kill_after"])
def test_killed_at_any_call_and_run_again_it_ends_right_and_can_be_undone(tmp_path: Path, moment: str) -> None:
    plan = planned(FOUND, WANTED)
    runs = itertools.count()

    def run(registries: Simulator, number: int) -> None:
        path = tmp_path / f"j{next(runs)}"
        setattr(registries, moment, number)
        try:
            flipped(plan, registries, path)
        except Killed:
            setattr(registries, moment, None)
            assert flipped(plan, registries, path).is_whole
        assert set(settings_of(registries).values()) == {str(WANTED)}
        setattr(registries, moment, len(registries.calls) + number)
        try:
            flipped(plan, registries, path, undo=True)
        except Killed:
            setattr(registries, moment, None)
            flipped(plan, registries, path, undo=True)
        assert registries.repositories == simulated(FOUND).repositories, "whatever was ours is taken back"

    assert ended_everywhere(lambda: simulated(FOUND), run) >= 12


def test_a_torn_line_is_cut_off_and_another_writer_is_kept_out(tmp_path: Path) -> None:
    registries = simulated(FOUND)
    plan = planned(FOUND, WANTED)
    flipped(replace(plan, steps=plan.steps[:2]), registries, tmp_path / "j")
    whole = (tmp_path / "j").read_bytes()
    for torn in range(whole.rfind(b"\n", 0, -1) + 2, len(whole)):
        (tmp_path / "j").write_bytes(whole[:torn])
        assert len(read_journal(whole[:torn]).lines) == len(read_journal(whole).lines) - 1
        with Journal(tmp_path / "j", plan.digest) as journal:
            assert [len(journal.told.lines)] == [3]
            with pytest.raises(JournalBusy):
                Journal(tmp_path / "j", plan.digest)
    assert flipped(plan, registries, tmp_path / "j").is_whole
    with pytest.raises(DocumentInvalid, match="another plan"):
        Journal(tmp_path / "j", "sha256:other")
