"""Lifecycle runs on command, why each image goes or stays, and what no tag reaches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result

if TYPE_CHECKING:
    from holdfast.core.lifecycle import Decision
    from holdfast.registry.lifecycle_runs import Run
    from holdfast.registry.orphans import Orphan


async def run_lifecycle_policy(call: Call) -> Result:
    """Begin to apply a policy."""
    return _run(call.use.lifecycle_runs.start_run(*call.where, through=THROUGH))


async def get_lifecycle_run(call: Call) -> Result:
    """Tell how far a run is."""
    return _run(call.use.lifecycle_runs.run_of(*call.where))


async def list_lifecycle_decisions(call: Call) -> Result:
    """Tell of the last preview what becomes of each image, and why, by pages."""
    preview = call.use.lifecycle_runs.preview(*call.where, right="holdfast:ListLifecycleDecisions")
    limit = call.limit()
    begin, of = call.after() or (0, preview.started_at)
    begin = begin if of == preview.started_at else 0
    found = preview.plan.decisions
    token = call.next_token([begin + limit, preview.started_at]) if begin + limit < len(found) else None
    page = found[begin : begin + limit]
    return {"status": preview.status, "decisions": [_decision(one) for one in page], "nextToken": token}


async def get_orphan_report(call: Call) -> Result:
    """Tell what no tag reaches, by pages."""
    limit, after = call.limit(), call.after()
    text = call.parameters.get("lifecyclePolicyText")
    report = await call.use.orphans.page(*call.where, text, after=after)
    begin = after or 0
    more = begin + limit < len(report.orphans)
    return {
        "repositoryName": call.repository,
        "images": report.images,
        "orphanCount": len(report.orphans),
        "orphanBytes": report.orphan_bytes,
        "freedBytes": report.freed_bytes,
        "hasPolicy": report.has_policy,
        "policyExpires": report.policy_expires,
        "policyExpiresOrphans": report.policy_expires_orphans,
        "policyFreesBytes": report.policy_frees_bytes,
        "orphans": [_orphan(one) for one in report.orphans[begin : begin + limit]],
        "nextToken": call.next_token(begin + limit) if more else None,
    }


def _run(run: Run) -> Result:
    return {
        "status": run.status,
        "startedAt": run.started_at / MICROSECONDS,
        "finishedAt": run.finished_at / MICROSECONDS if run.finished_at is not None else None,
        "examined": run.examined,
        "planned": run.planned,
        "expired": run.expired,
        "archived": run.archived,
        "spared": run.spared,
        "error": run.error or None,
    }


def _decision(one: Decision) -> Result:
    return {
        "imageDigest": one.image.digest,
        "imageTags": list(one.image.tags) or None,
        "imagePushedAt": one.image.pushed_at / MICROSECONDS,
        "outcome": one.outcome,
        "cause": one.cause,
        "rulePriority": one.rule.priority if one.rule is not None else None,
        "reason": one.reason,
    }


def _orphan(one: Orphan) -> Result:
    pulled = one.image.pulled_at
    return {
        "imageDigest": one.image.digest,
        "imageBytes": one.image_bytes,
        "imagePushedAt": one.image.pushed_at / MICROSECONDS,
        "lastRecordedPullTime": pulled / MICROSECONDS if pulled is not None else None,
        "outcome": one.decision.outcome if one.decision is not None else None,
        "reason": one.decision.reason if one.decision is not None else None,
    }


LIFECYCLE: Final[dict[str, Operation]] = {
    "GetLifecycleRun": get_lifecycle_run,
    "GetOrphanReport": get_orphan_report,
    "ListLifecycleDecisions": list_lifecycle_decisions,
    "RunLifecyclePolicy": run_lifecycle_policy,
}
"""Operation -> what performs it."""
