"""Access policies in AWS's language: what a document says, and what all documents together decide.

This package alone decides whether an action on a resource is allowed, and gives the reason in AWS's words and the
statements that settled it. It is pure: the values of condition keys, the time among them, are handed in. It knows
nothing of where policies, principals and accounts are kept. Rules: AWS IAM User Guide, "IAM JSON policy elements
reference" and "Policy evaluation logic"; where AWS is silent or differs: docs/reference/iam.md.

Fail closed: what a document says and this package cannot evaluate is refused when the document is read, never skipped;
a `Deny` that is half understood would allow.
"""

from holdfast.core.iam.context import Context, Value
from holdfast.core.iam.deciding import Deciding, Decision, Layers, Policy, Question, Step, decide, denial_message
from holdfast.core.iam.documents import (
    MAX_DOCUMENT_CHARACTERS,
    PolicyDocument,
    PolicyInvalid,
    PolicyKind,
    Statement,
)
from holdfast.core.iam.presets import ADMINISTRATOR, FULL_GUARDRAIL, MANAGED, POWER_USER, READ_ONLY
from holdfast.core.iam.whom import Principal, Standing

__all__ = [
    "ADMINISTRATOR",
    "FULL_GUARDRAIL",
    "MANAGED",
    "MAX_DOCUMENT_CHARACTERS",
    "POWER_USER",
    "READ_ONLY",
    "Context",
    "Deciding",
    "Decision",
    "Layers",
    "Policy",
    "PolicyDocument",
    "PolicyInvalid",
    "PolicyKind",
    "Principal",
    "Question",
    "Standing",
    "Statement",
    "Step",
    "Value",
    "decide",
    "denial_message",
]
