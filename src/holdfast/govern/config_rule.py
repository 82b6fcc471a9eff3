"""The AWS Config rule ecr-private-tag-immutability-enabled, evaluated when something changes.

Pure. This file alone decides what an event makes of a repository's compliance. It reads what AWS Config hands to a
custom rule, and events in normal form (`events`), wherever they came from: CloudTrail, EventBridge, a Holdfast ledger.

Sources: AWS Config Developer Guide, "Example events for AWS Config rules" (a rule that is left by its resource or whose
resource was deleted is NOT_APPLICABLE) and API PutEvaluations: an annotation has at most 256 characters, a call at most
100 evaluations. AWS's managed rule passes IMMUTABLE alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.mutability import TagMutability
from holdfast.govern.events import Event, Kind, Outcome
from holdfast.govern.findings import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

RULE: Final = "ecr-private-tag-immutability-enabled"
MAX_ANNOTATION: Final = 256
MAX_IN_CALL: Final = 100


class InvocationInvalid(Exception):
    """What was handed in is no invocation of a rule; the message says why."""


class Compliance(StrEnum):
    """What AWS Config knows."""

    COMPLIANT = "COMPLIANT"
    NON_COMPLIANT = "NON_COMPLIANT"
    NOT_APPLICABLE = "NOT_APPLICABLE"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdict on one repository at one time."""

    account: str
    region: str
    repository: str
    compliance: Compliance
    annotation: str
    at: datetime

    def document(self) -> dict[str, Any]:
        """Return it as a member of PutEvaluations."""
        return {
            "ComplianceResourceType": REPOSITORY,
            "ComplianceResourceId": self.repository,
            "ComplianceType": str(self.compliance),
            "Annotation": self.annotation[:MAX_ANNOTATION],
            "OrderingTimestamp": self.at.isoformat(),
        }


def of_mode(mode: str | None) -> tuple[Compliance, str]:
    """Judge a mode as the managed rule does."""
    if mode is None:
        return Compliance.INSUFFICIENT_DATA, "The mode is not told."
    passes = mode == TagMutability.IMMUTABLE
    told = f"Tag immutability is {mode}" + ("." if passes else ", and only IMMUTABLE passes.")
    return Compliance.COMPLIANT if passes else Compliance.NON_COMPLIANT, told


def of_event(event: Event) -> Evaluation | None:
    """Judge what an event left behind; None when it changes nothing of this rule's."""
    if event.outcome is not Outcome.DONE or not event.repository:
        return None
    if event.kind is Kind.DROP:
        compliance, annotation = Compliance.NOT_APPLICABLE, "The repository was deleted."
    elif event.kind in {Kind.CREATE, Kind.SET_MUTABILITY}:
        compliance, annotation = of_mode(event.mode or (TagMutability.MUTABLE if event.kind is Kind.CREATE else None))
    else:
        return None
    return Evaluation(event.account, event.region, event.repository, compliance, annotation, event.at)


def of_events(events: Iterable[Event]) -> Iterator[Evaluation]:
    """Judge events in order; of each repository the last verdict counts."""
    for event in events:
        made = of_event(event)
        if made is not None:
            yield made


def of_invocation(document: object) -> tuple[Evaluation, str]:
    """Judge what AWS Config hands to a custom rule; return the verdict and the result token.

    Raises InvocationInvalid.
    """
    if not isinstance(document, dict) or not isinstance(document.get("invokingEvent"), str):
        raise InvocationInvalid("it has no invokingEvent")
    try:
        event = json.loads(document["invokingEvent"])
    except ValueError as error:
        raise InvocationInvalid(f"its invokingEvent is no JSON: {error}") from None
    item = event.get("configurationItem") or event.get("configurationItemSummary") if isinstance(event, dict) else None
    if not isinstance(item, dict) or item.get("resourceType") != REPOSITORY:
        raise InvocationInvalid(f"it is not about an {REPOSITORY}")
    try:
        at = datetime.fromisoformat(str(item["configurationItemCaptureTime"]))
        name = str(item.get("resourceName") or item["resourceId"])
        where = str(item["awsAccountId"]), str(item["awsRegion"])
    except (KeyError, ValueError) as error:
        raise InvocationInvalid(f"its configuration item lacks {error}") from None
    gone = document.get("eventLeftScope") is True or str(item.get("configurationItemStatus", "")).startswith(
        "ResourceDeleted"
    )
    if gone:
        compliance, annotation = Compliance.NOT_APPLICABLE, "The repository was deleted, or left the rule's scope."
    else:
        compliance, annotation = of_mode(_mode(item.get("configuration")))
    # The id is the resource's own: what PutEvaluations is told must be what AWS Config knows it by.
    made = Evaluation(*where, str(item.get("resourceId") or name), compliance, annotation, at)
    return made, str(document.get("resultToken", ""))


def _mode(configuration: object) -> str | None:
    """Return the mode; Config writes members as CloudFormation does, other readers as ECR does."""
    if isinstance(configuration, str):
        try:
            configuration = json.loads(configuration)
        except ValueError:
            return None
    if not isinstance(configuration, dict):
        return None
    value = configuration.get("ImageTagMutability", configuration.get("imageTagMutability"))
    return value if isinstance(value, str) else None
