"""CDK and Pulumi programs, as text: calls that create a repository, and what they say of its tags.

This file alone knows how such calls are written in TypeScript, JavaScript and Python. It reads no language: a call is
its text up to the bracket that closes it, strings passed over. Sources: AWS CDK API reference, "class Repository
(aws-ecr)"; Pulumi AWS provider, "aws.ecr.Repository".
"""

from __future__ import annotations

import re
from typing import Final

from holdfast.pin.creation.creation import Creation, Edit

_CALL: Final = re.compile(r"(?P<call>(?:\bnew\s+)?(?:aws_?ecr|ecr|\w*[eE]cr|awsx?\.ecr)\.Repository)\s*\(")
_MODE: Final = re.compile(
    r"(?:imageTagMutability|image_tag_mutability)\s*[:=]\s*(?P<value>[\w.]*?\b(?P<mode>(?:IM)?MUTABLE(?:_WITH_EXCLUSION)?)\b"
    r"|[\"'](?P<quoted>[A-Z_]+)[\"']|(?P<other>[^,\n)}]+))"
)
_STRING: Final = re.compile(r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'|`[^`]*`|[()\[\]{}]|//[^\n]*|#[^\n]*")
_MAX_CALL: Final = 6_000
_MAX_CALLS: Final = 200


def read(text: str) -> list[Creation]:
    """Return what a program creates."""
    found: list[Creation] = []
    for match in _CALL.finditer(text):
        if len(found) >= _MAX_CALLS:
            break
        body = _arguments(text, match.end())
        if body is None:
            continue
        name = re.search(r"[\"'`]([^\"'`]+)[\"'`]", body)
        by = match.group("call").replace("new ", "")
        shown = name.group(1) if name else "a repository"
        said = _MODE.search(body)
        if said is None:
            # What is spread in (`...props`, `**props`) may say it.
            mode = "<elsewhere>" if re.search(r"\.\.\.\w|\*\*\w", body) or not body.strip() else None
            found.append(Creation(shown, by, match.start(), match.end("call"), mode))
            continue
        mode = said.group("mode") or said.group("quoted") or f"<{said.group('other').strip()[:40]}>"
        start, end = match.end() + said.start("value"), match.end() + said.end("value")
        edit = Edit(start, end, said.group("value").replace("MUTABLE", "IMMUTABLE")) if mode == "MUTABLE" else None
        filters = tuple(re.findall(r"wildcard\(\s*[\"']([^\"']+)[\"']", body))
        found.append(Creation(shown, by, start, end, mode, filters, edit))
    return found


def _arguments(text: str, start: int) -> str | None:
    """Return the text between a call's brackets; None if it does not end within the limit."""
    depth = 1
    for match in _STRING.finditer(text, start, start + _MAX_CALL):
        if match.group() in "([{":
            depth += 1
        elif match.group() in ")]}":
            depth -= 1
            if depth == 0:
                return text[start : match.start()]
    return None
