"""Principals as policies see them: who asks, and whom a policy of a resource speaks of.

Source: AWS IAM User Guide, "AWS JSON policy elements: Principal" and "NotPrincipal".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from holdfast.core.iam.refusal import PolicyInvalid, echo, expect

_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_ROOT: Final = re.compile(r"arn:[a-z-]+:iam::([0-9]{12}):root")
_NAMED: Final = re.compile(
    r"arn:[a-z-]+:(?:iam::[0-9]{12}:(?:user|role)/[^*?]+|sts::[0-9]{12}:(?:assumed-role/[^*?/]+/|federated-user/)[^*?]+)"
)
_SERVICE: Final = re.compile(r"[a-z0-9.-]+\.[a-z0-9.-]+")
_FEDERATED: Final = re.compile(r"[^*?\s]+")
_TYPES: Final = ("AWS", "Service", "Federated", "CanonicalUser")


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks. A session of a role is named by its own ARN and by its role's.

    `account_id` is None for someone who comes with a token of an identity provider (`federated`) and has no account.
    """

    account_id: str | None
    arns: frozenset[str] = frozenset()
    federated: str | None = None


class Standing(IntEnum):
    """How a policy names someone: not at all, by the account (which then decides itself), or in person."""

    NONE = 0
    ACCOUNT = 1
    PERSON = 2


@dataclass(frozen=True, slots=True)
class Whom:
    """A Principal element, or with `negated` a NotPrincipal element."""

    everyone: bool
    accounts: frozenset[str]
    arns: frozenset[str]
    federated: frozenset[str]
    negated: bool

    def standing(self, principal: Principal) -> Standing:
        """Tell how the element names this principal. NotPrincipal exempts those named in person, no whole account."""
        if (
            self.everyone
            or principal.arns & self.arns
            or (principal.federated is not None and principal.federated in self.federated)
        ):
            named = Standing.PERSON
        elif principal.account_id in self.accounts:
            named = Standing.ACCOUNT
        else:
            named = Standing.NONE
        if not self.negated:
            return named
        return Standing.NONE if named is Standing.PERSON else Standing.PERSON


def parse_whom(described: Mapping[str, Any], path: str, *, allows: bool) -> Whom:
    """Read Principal or NotPrincipal of a statement, of which exactly one must stand. Raises PolicyInvalid."""
    present = [name for name in ("Principal", "NotPrincipal") if name in described]
    expect(len(present) == 1, path, "must have exactly one of Principal and NotPrincipal")
    where = f"{path}.{present[0]}"
    negated = present[0] == "NotPrincipal"
    expect(not (negated and allows), where, "goes with Deny only: with Allow it would let in everyone else")
    given = described[present[0]]
    if given == "*":
        return Whom(everyone=True, accounts=frozenset(), arns=frozenset(), federated=frozenset(), negated=negated)
    if not isinstance(given, Mapping) or not given:
        raise PolicyInvalid(where, 'must be "*" or an object such as {"AWS": "123456789012"}')
    everyone = False
    accounts: set[str] = set()
    arns: set[str] = set()
    federated: set[str] = set()
    for kind, values in given.items():
        at = f"{where}.{echo(kind)}"
        expect(kind in _TYPES, at, f"must be one of {', '.join(_TYPES)}")
        texts = [values] if isinstance(values, str) else values
        expect(isinstance(texts, list | tuple) and len(texts) > 0, at, "must be a string or a list of strings")
        for text in texts:
            expect(isinstance(text, str), at, "must be a string or a list of strings")
            if kind == "AWS" and text == "*":
                everyone = True
            elif kind == "AWS":
                _read_aws(text, at, accounts, arns)
            elif kind == "Federated":
                expect(bool(_FEDERATED.fullmatch(text)), at, f"{echo(text)!r} must be the ARN of an identity provider")
                federated.add(text)
            else:  # services of AWS and canonical users never call here; they may be named
                expect(kind != "Service" or bool(_SERVICE.fullmatch(text)), at, f"{echo(text)!r} must be a service")
    return Whom(everyone, frozenset(accounts), frozenset(arns), frozenset(federated), negated)


def _read_aws(text: str, where: str, accounts: set[str], arns: set[str]) -> None:
    root = _ROOT.fullmatch(text)
    if root:
        accounts.add(root[1])
    elif _ACCOUNT.fullmatch(text):
        accounts.add(text)
    else:
        why = f"{echo(text)!r} must be *, an account, or the ARN of a user, role or session, without wildcards"
        expect(bool(_NAMED.fullmatch(text)), where, why)
        arns.add(text)
