"""One repository that code creates, and the verdict on its tags.

This file alone decides what a written mode means. The four modes are ECR's (since July 2025 two of them with exclusion
filters); a repository made without a word about it is MUTABLE in Terraform's resource, CloudFormation, CDK, Pulumi and
the AWS CLI alike (Amazon ECR API Reference, CreateRepository).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Hold(StrEnum):
    """Whether tags hold in it."""

    HELD = "held"
    PARTLY = "partly"
    MOVABLE = "movable"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Edit:
    """New text for a range of characters."""

    start: int
    end: int
    new: str


@dataclass(frozen=True, slots=True)
class Creation:
    """One repository, or template of repositories, that code creates."""

    name: str
    by: str
    """How it is created, for people: `resource aws_ecr_repository`."""
    start: int
    end: int
    """The characters that say so."""
    mode: str | None
    """What is written; None if nothing is; a name in angle brackets if it is decided elsewhere."""
    filters: tuple[str, ...] = ()
    edit: Edit | None = None
    why: str = ""

    @property
    def hold(self) -> Hold:
        """Tell whether its tags hold."""
        mode = (self.mode or "MUTABLE").upper()
        if mode == "IMMUTABLE":
            return Hold.HELD
        if mode == "IMMUTABLE_WITH_EXCLUSION":
            return Hold.MOVABLE if "*" in self.filters else Hold.PARTLY
        if mode in {"MUTABLE", "MUTABLE_WITH_EXCLUSION"}:
            return Hold.MOVABLE
        return Hold.UNKNOWN

    @property
    def sentence(self) -> str:
        """Say what is wrong with it."""
        if self.hold is Hold.PARTLY:
            return (
                f"{self.name} ({self.by}) holds its tags but for those of {', '.join(self.filters) or 'its filters'}."
            )
        if self.mode is None:
            return f"{self.name} ({self.by}) says nothing of tags, and so is created MUTABLE."
        return f"{self.name} ({self.by}) is created {self.mode}{self.why}."
