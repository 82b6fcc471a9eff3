# SHIM by the lead so that the server can be smoke-tested; overwrite this file entirely.
from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class PolicyInvalid(Exception): ...
@dataclass(frozen=True)
class PolicyDocument:
    n: int = 0
    @classmethod
    def parse(cls, d: Any) -> PolicyDocument: return cls()
@dataclass(frozen=True)
class Decision:
    allowed: bool
    reason: str = ""
    statements: tuple[Any, ...] = ()
ADMINISTRATOR: dict[str, Any] = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
def decide(p: Any, a: str, r: str) -> Decision: return Decision(True)
def denial_message(*a: Any) -> str: return "no"
