"""Lifecycle policies over the API: put, previewed, run; a preview tells what a run does; held names are kept."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from holdfast.core.errors import StorageFull
from holdfast.registry.lifecycle_plans import Planner
from images import image, index, push, push_parts, put
from json_api import Clock, Refusal, allow, client_of, ids, person, policy, refusal
from running import ACCOUNT, RunningServer, on_loop, running, settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from images import Image
    from running import Client

DAY_SECONDS = 24 * 3600
PATIENCE_SECONDS = 30
ARCHIVE = {"type": "transition", "targetStorageClass": "archive"}


def rule(priority: int, count_type: str, count: int, *tags: str, action: Any = None, **more: Any) -> dict[str, Any]:
    selection: dict[str, Any] = {
        "tagStatus": "tagged" if tags else "any",
        "countType": count_type,
        "countNumber": count,
    }
    if tags:
        selection["tagPatternList"] = list(tags)
    if count_type != "imageCountMoreThan":
        selection["countUnit"] = "days"
    return {"rulePriority": priority, "selection": selection | more, "action": action or {"type": "expire"}}


def text(*rules: dict[str, Any]) -> str:
    return json.dumps({"rules": [{"description": "a rule of a test", **one} for one in rules]})


KEEP_ONE = text(rule(1, "imageCountMoreThan", 1, "*"))


@pytest.fixture
def aged(tmp_path: Path) -> Iterator[tuple[RunningServer, Clock]]:
    """A server whose clock a test puts forward."""
    clock = Clock()
    with running(settings(tmp_path, create_on_push="MUTABLE"), clock=clock) as up:
        yield up, clock


def waited(ask: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE_SECONDS
    while (told := ask())["status"] == "IN_PROGRESS":
        assert time.monotonic() < until
        time.sleep(0.01)
    return told


def previewed(ecr: Any, repository: str, wanted: str | None = None) -> dict[str, tuple[str, int | None]]:
    """Preview a policy: digest -> what becomes of it, by which rule."""
    given = {"lifecyclePolicyText": wanted} if wanted else {}
    ecr.start_lifecycle_policy_preview(repositoryName=repository, **given)
    ecr.get_waiter("lifecycle_policy_preview_complete").wait(
        repositoryName=repository, WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    pages = ecr.get_paginator("get_lifecycle_policy_preview").paginate(
        repositoryName=repository, PaginationConfig={"PageSize": 2}
    )
    return {
        one["imageDigest"]: (one["action"]["type"], one.get("appliedRulePriority"))
        for page in pages
        for one in page["previewResults"]
    }


def run(server: RunningServer, repository: str) -> Any:
    holdfast = server.aws("holdfast")
    holdfast.run_lifecycle_policy(repositoryName=repository)
    return waited(lambda: holdfast.get_lifecycle_run(repositoryName=repository))


def digests(ecr: Any, repository: str, status: str = "ANY") -> set[str]:
    return {digest for digest, _ in ids(ecr, repository, filter={"imageStatus": status})}


def pushed(client: Client, repository: str, *tags: str) -> list[Image]:
    made = [image() for _ in tags]
    for tag, one in zip(tags, made, strict=True):
        assert push(client, repository, tag, one).status == 201
    return made


# --- policies --------------------------------------------------------------------------------------------------------


def test_a_policy_is_put_told_and_deleted_and_each_is_on_record(ecr: Any, holdfast: Any, repository: str) -> None:
    ecr.create_repository(repositoryName=repository)
    missing = Refusal(
        "LifecyclePolicyNotFoundException",
        f"Lifecycle policy does not exist for the repository with name '{repository}' in the registry with id "
        f"'{ACCOUNT}'",
    )
    assert refusal(ecr.get_lifecycle_policy, repositoryName=repository) == missing
    assert refusal(ecr.delete_lifecycle_policy, repositoryName=repository) == missing
    assert refusal(ecr.start_lifecycle_policy_preview, repositoryName=repository) == missing
    assert refusal(holdfast.run_lifecycle_policy, repositoryName=repository) == missing
    put_reply = ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=KEEP_ONE)
    assert put_reply["lifecyclePolicyText"] == KEEP_ONE
    told = ecr.get_lifecycle_policy(repositoryName=repository)
    assert (told["lifecyclePolicyText"], told["lastEvaluatedAt"]) == (KEEP_ONE, datetime.fromtimestamp(0, UTC))
    assert ecr.delete_lifecycle_policy(repositoryName=repository)["lifecyclePolicyText"] == KEEP_ONE
    entries = holdfast.list_entries(repositoryName=repository)["entries"]
    bodies = {one["kind"]: json.loads(one["body"]) for one in entries}
    assert bodies["lifecycle-policy-put"]["after"] == KEEP_ONE
    assert bodies["lifecycle-policy-deleted"]["before"] == KEEP_ONE


def test_what_is_no_policy_is_refused_and_not_kept(ecr: Any, repository: str) -> None:
    ecr.create_repository(repositoryName=repository)
    told = refusal(
        ecr.put_lifecycle_policy,
        repositoryName=repository,
        lifecyclePolicyText=text(rule(0, "imageCountMoreThan", 1)),
    )
    assert told == Refusal(
        "InvalidParameterException",
        "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation "
        "failure: numeric instance is lower than the required minimum (minimum: 1, found: 0)'",
    )
    assert refusal(ecr.get_lifecycle_policy, repositoryName=repository).code == "LifecyclePolicyNotFoundException"


def test_each_operation_needs_its_right(server: RunningServer, holdfast: Any, repository: str) -> None:
    someone = person(holdfast, policy(allow("ecr:DescribeImages")))
    ecr, own = client_of(server, someone), client_of(server, someone, "holdfast")
    for call, given in (
        (ecr.put_lifecycle_policy, {"lifecyclePolicyText": KEEP_ONE}),
        (ecr.get_lifecycle_policy, {}),
        (ecr.delete_lifecycle_policy, {}),
        (ecr.start_lifecycle_policy_preview, {}),
        (ecr.get_lifecycle_policy_preview, {}),
        (own.run_lifecycle_policy, {}),
        (own.get_lifecycle_run, {}),
        (own.list_lifecycle_decisions, {}),
        (own.get_orphan_report, {}),
    ):
        assert refusal(call, repositoryName=repository, **given).code == "AccessDeniedException"


# --- previews and runs -----------------------------------------------------------------------------------------------


def test_a_run_does_what_the_preview_told(server: RunningServer, ecr: Any, client: Client, repository: str) -> None:
    old, middle, new = pushed(client, repository, "v1", "v2", "v3")
    stray = image()
    push_parts(client, repository, stray)
    put(client, repository, stray.digest, stray)
    told = previewed(ecr, repository, KEEP_ONE)
    assert told == {old.digest: ("EXPIRE", 1), middle.digest: ("EXPIRE", 1)}
    assert digests(ecr, repository) == {one.digest for one in (old, middle, new, stray)}
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=KEEP_ONE)
    done = run(server, repository)
    assert (done["examined"], done["expired"], done["archived"], done["spared"]) == (4, 2, 0, 0)
    assert digests(ecr, repository) == {new.digest, stray.digest}
    assert ecr.get_lifecycle_policy(repositoryName=repository)["lastEvaluatedAt"].year > 2000
    entries = server.aws("holdfast").list_entries(repositoryName=repository)["entries"]
    expired = [json.loads(one["body"]) for one in entries if one["kind"] == "image-expired"]
    assert {(one["digest"], one["rule"], tuple(one["tags"])) for one in expired} == {
        (old.digest, 1, ("v1",)),
        (middle.digest, 1, ("v2",)),
    }
    assert all("number " in one["reason"] for one in expired)
    (ran,) = [json.loads(one["body"]) for one in entries if one["kind"] == "lifecycle-run"]
    assert (ran["examined"], ran["expired"]) == (4, 2)
    deleted = [json.loads(one["body"])["why"] for one in entries if one["kind"] == "tag-deleted"]
    assert deleted == ["lifecycle rule 1 expired its image"] * 2


def test_a_preview_is_told_by_pages_filters_and_images_with_the_sums(ecr: Any, client: Client, repository: str) -> None:
    old, _, _ = pushed(client, repository, "a1", "a2", "a3")
    none = refusal(ecr.get_lifecycle_policy_preview, repositoryName=repository)
    assert none.code == "LifecyclePolicyPreviewNotFoundException"
    assert len(previewed(ecr, repository, KEEP_ONE)) == 2
    told = ecr.get_lifecycle_policy_preview(repositoryName=repository, imageIds=[{"imageTag": "a1"}])
    assert [one["imageDigest"] for one in told["previewResults"]] == [old.digest]
    assert told["status"] == "COMPLETE"
    assert told["summary"]["expiringImageTotalCount"] == 2
    untagged = ecr.get_lifecycle_policy_preview(repositoryName=repository, filter={"tagStatus": "UNTAGGED"})
    assert untagged["previewResults"] == []
    for named, digests_told in (
        ([{"imageTag": "a1", "imageDigest": old.digest}], [old.digest]),
        ([{"imageTag": "a2", "imageDigest": old.digest}], []),
        ([{"imageTag": "none"}, {"imageDigest": old.digest}, {"imageTag": "a3"}], [old.digest]),
    ):
        told = ecr.get_lifecycle_policy_preview(repositoryName=repository, imageIds=named)
        assert [one["imageDigest"] for one in told["previewResults"]] == digests_told


def test_a_repository_has_one_preview_at_a_time(
    ecr: Any, client: Client, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(client, repository, "v1", "v2")
    go, plan = threading.Event(), Planner.plan

    async def waiting(self: Planner, *given: Any, **more: Any) -> Any:
        await asyncio.to_thread(go.wait, PATIENCE_SECONDS)
        return await plan(self, *given, **more)

    monkeypatch.setattr(Planner, "plan", waiting)
    started = ecr.start_lifecycle_policy_preview(repositoryName=repository, lifecyclePolicyText=KEEP_ONE)
    assert started["status"] == "IN_PROGRESS"
    told = ecr.get_lifecycle_policy_preview(repositoryName=repository)
    assert (told["status"], told["previewResults"]) == ("IN_PROGRESS", [])
    again = refusal(ecr.start_lifecycle_policy_preview, repositoryName=repository, lifecyclePolicyText=KEEP_ONE)
    assert again.code == "LifecyclePolicyPreviewInProgressException"
    go.set()
    waited(lambda: ecr.get_lifecycle_policy_preview(repositoryName=repository))
    assert len(previewed(ecr, repository, KEEP_ONE)) == 1


def test_every_image_is_told_with_its_reason(ecr: Any, holdfast: Any, client: Client, repository: str) -> None:
    old, new = pushed(client, repository, "v1", "v2")
    previewed(ecr, repository, KEEP_ONE)
    told = holdfast.list_lifecycle_decisions(repositoryName=repository)["decisions"]
    assert [(one["imageDigest"], one["outcome"], one["rulePriority"], one["reason"]) for one in told] == [
        (old.digest, "expire", 1, "number 2 from the youngest that rule 1 selects; it keeps 1"),
        (new.digest, "keep", 1, "number 1 from the youngest that rule 1 selects; it keeps 1"),
    ]


def test_a_policy_that_is_due_runs_by_itself_and_then_every_few_hours(aged: tuple[RunningServer, Clock]) -> None:
    server, clock = aged
    ecr = server.aws()
    _, new = pushed(server.client(), "t/due", "v1", "v2")
    ecr.put_lifecycle_policy(repositoryName="t/due", lifecyclePolicyText=KEEP_ONE)
    assert on_loop(server, server.holdfast.lifecycle.run_due) == 0
    clock.ahead_seconds += 61
    assert on_loop(server, server.holdfast.lifecycle.run_due) == 1
    assert digests(ecr, "t/due") == {new.digest}
    entries = server.aws("holdfast").list_entries(repositoryName="t/due")["entries"]
    runs = [one for one in entries if one["kind"] == "lifecycle-run"]
    assert {one["principal"] for one in runs} == {f"arn:aws:iam::{ACCOUNT}:service/lifecycle"}
    pushed(server.client(), "t/due", "v3")
    clock.ahead_seconds += 3600
    assert on_loop(server, server.holdfast.lifecycle.run_due) == 0
    clock.ahead_seconds += 7 * 3600
    assert on_loop(server, server.holdfast.lifecycle.run_due) == 1
    assert server.client()("GET", "/v2/t/due/tags/list").json()["tags"] == ["v3"]


def interrupted(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], object], plans: list[int]
) -> None:
    """Let something happen between the first plan of a run and its first transaction."""
    planner = server.holdfast.lifecycle.planner
    plan = planner.plan

    async def planned(*given: Any, **named: Any) -> Any:
        made = await plan(*given, **named)
        plans.append(len(made.going))
        if len(plans) == 1:
            await asyncio.to_thread(meanwhile)
        return made

    monkeypatch.setattr(planner, "plan", planned)


def test_what_was_tagged_or_pulled_since_the_plan_is_spared(
    server: RunningServer, ecr: Any, client: Client, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loose = [image() for _ in range(4)]
    for one in loose:
        push_parts(client, repository, one)
        put(client, repository, one.digest, one)
    everything = text(rule(1, "sinceImagePushed", 1, tagStatus="untagged"))
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=everything)
    plans: list[int] = []

    def meanwhile() -> None:
        mine = server.client()
        put(mine, repository, "rescued", loose[1])
        mine("GET", f"/v2/{repository}/manifests/{loose[2].digest}")

    monkeypatch.setattr(
        server.holdfast.lifecycle.planner, "_clock", lambda: server.holdfast._clock() + 2 * 86_400_000_000
    )
    interrupted(server, monkeypatch, meanwhile, plans)
    done = run(server, repository)
    assert (plans, done["expired"], done["spared"]) == ([4], 2, 2)
    assert digests(ecr, repository) == {loose[1].digest, loose[2].digest}


def test_a_plan_that_counts_is_made_anew_when_something_went_meanwhile(
    server: RunningServer, ecr: Any, client: Client, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the first plan two would stay; by then one of them is gone, so that the oldest but one has to stay."""
    made = pushed(client, repository, "v1", "v2", "v3", "v4")
    wanted = text(rule(1, "imageCountMoreThan", 2, "v*"))
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=wanted)
    plans: list[int] = []
    interrupted(
        server,
        monkeypatch,
        lambda: server.client()("DELETE", f"/v2/{repository}/manifests/{made[3].digest}"),
        plans,
    )
    done = run(server, repository)
    assert (plans, done["expired"]) == ([2, 1], 1)
    assert digests(ecr, repository) == {made[1].digest, made[2].digest}


def test_a_run_that_was_stopped_is_gone_on_with(
    server: RunningServer, ecr: Any, client: Client, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed(client, repository, "v1", "v2", "v3")
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=KEEP_ONE)
    with monkeypatch.context() as broken:

        async def fails(*_: Any, **__: Any) -> Any:
            raise StorageFull

        broken.setattr(server.holdfast.lifecycle, "_apply", fails)
        assert run(server, repository)["status"] == "FAILED"
    assert len(digests(ecr, repository)) == 3
    assert run(server, repository)["expired"] == 2


# --- held tags -------------------------------------------------------------------------------------------------------


def test_a_held_tag_is_kept_unless_the_registry_says_otherwise_and_then_its_name_is(
    aged: tuple[RunningServer, Clock],
) -> None:
    server, _ = aged
    ecr, holdfast, client = server.aws(), server.aws("holdfast"), server.client()
    ecr.create_repository(repositoryName="t/held", imageTagMutability="IMMUTABLE")
    old, new = pushed(client, "t/held", "v1", "v2")
    ecr.put_lifecycle_policy(repositoryName="t/held", lifecyclePolicyText=KEEP_ONE)
    assert holdfast.get_registry_settings()["lifecycleHeldTags"] == "keep"
    assert previewed(ecr, "t/held") == {}
    (kept, _) = holdfast.list_lifecycle_decisions(repositoryName="t/held")["decisions"]
    assert (kept["cause"], kept["outcome"]) == ("held-tag", "keep")
    assert run(server, "t/held")["expired"] == 0
    assert holdfast.put_registry_settings(lifecycleHeldTags="expire")["lifecycleHeldTags"] == "expire"
    try:
        assert previewed(ecr, "t/held") == {old.digest: ("EXPIRE", 1)}
        assert run(server, "t/held")["expired"] == 1
    finally:
        holdfast.put_registry_settings(lifecycleHeldTags="keep")
    assert digests(ecr, "t/held") == {new.digest}
    assert push(client, "t/held", "v1", image()).status == 409
    assert push(client, "t/held", "v1", old).status == 201


# --- indexes, referrers, archive -------------------------------------------------------------------------------------


def test_children_and_referrers_go_with_what_they_belong_to(
    server: RunningServer, ecr: Any, client: Client, repository: str
) -> None:
    child = image()
    parent = index(child)
    push(client, repository, "dev-1", parent)
    signature = image(b"{}", config=b"{}", subject=parent.descriptor)
    push_parts(client, repository, signature)
    put(client, repository, signature.digest, signature)
    (kept,) = pushed(client, repository, "dev-2")
    untagged = rule(2, "imageCountMoreThan", 1, tagStatus="untagged")
    wanted = text(rule(1, "imageCountMoreThan", 1, "dev-*"), untagged)
    ecr.put_lifecycle_policy(repositoryName=repository, lifecyclePolicyText=wanted)
    assert run(server, repository)["expired"] == 2
    assert digests(ecr, repository) == {kept.digest, child.digest}
    other = image()
    push_parts(client, repository, other)
    put(client, repository, other.digest, other)
    assert run(server, repository)["expired"] == 1
    assert digests(ecr, repository) == {kept.digest, other.digest}


def test_what_nobody_pulls_is_archived_and_in_the_end_expired(aged: tuple[RunningServer, Clock]) -> None:
    server, clock = aged
    client = server.client()
    pushed(client, "t/archive", "v1", "v2")
    wanted = text(
        rule(1, "sinceImagePulled", 30, action=ARCHIVE),
        rule(2, "sinceImageTransitioned", 90, storageClass="archive"),
    )
    server.aws().put_lifecycle_policy(repositoryName="t/archive", lifecyclePolicyText=wanted)
    clock.ahead_seconds += 31 * DAY_SECONDS
    client("GET", "/v2/t/archive/manifests/v1")
    assert on_loop(server, server.holdfast.lifecycle.run_due) >= 1
    assert client("GET", "/v2/t/archive/manifests/v2").status == 404
    assert client("GET", "/v2/t/archive/manifests/v1").status == 200
    clock.ahead_seconds += 91 * DAY_SECONDS
    assert on_loop(server, server.holdfast.lifecycle.run_due) >= 1
    tags = client("GET", "/v2/t/archive/tags/list").json()["tags"]
    assert tags == ["v1"]
    assert client("GET", "/v2/t/archive/manifests/v1").status == 404


# --- orphans ---------------------------------------------------------------------------------------------------------


def test_orphans_are_what_no_tag_reaches_and_only_what_nobody_else_needs_is_freed(
    ecr: Any, holdfast: Any, client: Client, repository: str
) -> None:
    shared, alone = b"s" * 5000, b"a" * 3000
    child = image()
    parent = index(child)
    push(client, repository, "multi", parent)
    signature = image(b"{}", config=b"{}", subject=parent.descriptor)
    stays, orphan = image(shared), image(shared, alone)
    push(client, repository, "v1", stays)
    for one in (signature, orphan):
        push_parts(client, repository, one)
        put(client, repository, one.digest, one)
    told = holdfast.get_orphan_report(repositoryName=repository)
    assert [one["imageDigest"] for one in told["orphans"]] == [orphan.digest]
    config = len(orphan.blobs[0])
    assert told["orphanBytes"] == len(orphan.manifest) + config + 8000
    assert told["freedBytes"] == len(orphan.manifest) + config + 3000
    assert (told["images"], told["hasPolicy"]) == (5, False)
    wanted = text(rule(1, "imageCountMoreThan", 1, tagStatus="untagged"))
    told = holdfast.get_orphan_report(repositoryName=repository, lifecyclePolicyText=wanted)
    assert (told["hasPolicy"], told["policyExpires"], told["policyFreesBytes"]) == (True, 0, 0)
    second = image(alone)
    push_parts(client, repository, second)
    put(client, repository, second.digest, second)
    told = holdfast.get_orphan_report(repositoryName=repository, lifecyclePolicyText=wanted, maxResults=1)
    assert (told["policyExpires"], told["policyExpiresOrphans"]) == (1, 1)
    assert told["policyFreesBytes"] == len(orphan.manifest) + config
    pages = holdfast.get_paginator("get_orphan_report").paginate(
        repositoryName=repository, PaginationConfig={"PageSize": 1}
    )
    assert [one["imageDigest"] for page in pages for one in page["orphans"]] == [orphan.digest, second.digest]
    assert {one["imageDigest"] for one in ecr.describe_images(repositoryName=repository)["imageDetails"]} == {
        one.digest for one in (child, parent, signature, stays, orphan, second)
    }
