"""Events of Amazon EventBridge as events.

Pure. This file alone knows their form. They name no identity and no digest that a tag named before, and they are
delivered as best as can be: some may be missing. What is not of the source aws.ecr is no event; what is not of
EventBridge's form raises RecordInvalid. A record of CloudTrail that came over EventBridge is read as CloudTrail's.

Source: Amazon ECR user guide, "Amazon ECR events and EventBridge".
"""

from __future__ import annotations

from typing import Any, Final

from holdfast.govern import cloudtrail
from holdfast.govern.events import Actor, Event, Kind, Origin, Outcome
from holdfast.govern.members import RecordInvalid, mapping, maybe, moment, part, text

SOURCE: Final = "aws.ecr"
_IMAGE: Final = "ECR Image Action"
_CACHE: Final = "ECR Pull Through Cache Action"
_CLOUDTRAIL: Final = "AWS API Call via CloudTrail"
_ACTIONS: Final = {"PUSH": Kind.PUSH, "DELETE": Kind.DELETE}


def events_of(record: object) -> tuple[Event, ...]:
    """Read one event. Raises RecordInvalid."""
    members = mapping(record, "the event")
    if text(members, "source") != SOURCE:
        return ()
    what, detail = text(members, "detail-type"), part(members, "detail")
    if what == _CLOUDTRAIL:
        return cloudtrail.events_of(detail)
    if what == _CACHE:
        done = maybe(detail, "sync-status") == "SUCCESS"
        return (_event(members, detail, Kind.PUSH, is_done=done, actor=Actor(service="pull-through cache")),)
    if what != _IMAGE:
        return ()
    action = text(detail, "action-type")
    kind = _ACTIONS.get(action)
    if kind is None:
        msg = f"action-type is {action!r}, which is not known"
        raise RecordInvalid(msg)
    return (_event(members, detail, kind, is_done=maybe(detail, "result") == "SUCCESS", actor=Actor()),)


def _event(members: dict[str, Any], detail: dict[str, Any], kind: Kind, *, is_done: bool, actor: Actor) -> Event:
    return Event(
        at=moment(members, "time"),
        account=text(members, "account"),
        region=text(members, "region"),
        repository=text(detail, "repository-name"),
        kind=kind,
        origin=Origin.EVENTBRIDGE,
        outcome=Outcome.DONE if is_done else Outcome.REFUSED,
        tag=maybe(detail, "image-tag"),
        digest=maybe(detail, "image-digest"),
        media_type=maybe(detail, "manifest-media-type"),
        actor=actor,
        id=maybe(members, "id"),
    )
