"""Deployments that name a movable tag, made to read the pointer file instead.

This file alone knows commands that deploy an image by its name, and how the pointer file is read in a shell (yq 4). An
edit is made only to literal references on a line of such a command, outside quotes; the rest is told to a person.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from holdfast.pin.migration import pointer
from holdfast.pin.pushes.passage import Span
from holdfast.pin.pushes.remedies import Change

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES_AN_IMAGE: Final = re.compile(
    r"\bkubectl\b.*\bset\s+image\b|\bgcloud\b.*\brun\s+deploy\b|\baz\b.*\bcontainerapp\b|\bdocker\s+service\s+update\b"
    r"|\bnomad\b.*\brun\b|\boc\b.*\bset\s+image\b"
)
_RESTARTS: Final = re.compile(
    r"--force-new-deployment|\brollout\s+restart\b|\bcompose\b.*\b(?:pull|up)\b|\bhelm\b.*\bupgrade\b.*\btag=(?:latest|\w+)"
)


@dataclass(frozen=True, slots=True)
class Deployment:
    """A line that deploys."""

    path: str
    line: int
    text: str
    read_from: str = ""
    """The shell's words that read the reference; empty where a person has to decide which."""


def read_command(environment: str, name: str) -> str:
    """Return how a shell reads one reference of the pointer file."""
    return f"$(yq '.{environment}.[\"{name}\"]' {pointer.PATH})"


def find(path: str, text: str, moved: Mapping[str, tuple[str, str]]) -> tuple[list[Change], list[Deployment]]:
    """Return the edits of deployments of images that moved (image -> environment and name), and all deployments."""
    changes: list[Change] = []
    found: list[Deployment] = []
    at = 0
    for number, line in enumerate(text.splitlines(keepends=True), 1):
        if _NAMES_AN_IMAGE.search(line) and not line.lstrip().startswith("#"):
            known = next((image for image in moved if _place(line, image) >= 0), None)
            if known is not None:
                words = read_command(*moved[known])
                place = _place(line, known)
                changes.append(Change(Span(at + place, at + place + len(known)), words))
                found.append(Deployment(path, number, line.strip(), words))
            else:
                found.append(Deployment(path, number, line.strip()))
        elif _RESTARTS.search(line) and not line.lstrip().startswith("#"):
            found.append(Deployment(path, number, line.strip()))
        at += len(line)
    return changes, found


def _place(line: str, image: str) -> int:
    """Return where an image stands as a whole word outside quotes; -1 if it does not."""
    if '"' in line or "'" in line:
        return -1
    match = re.search(rf"(?<![\w./:-]){re.escape(image)}(?![\w./:@-])", line)
    return match.start() if match else -1
