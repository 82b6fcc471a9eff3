"""Unified diffs in git's form, of bytes: `git apply` takes them as they are.

This file alone knows that form. Bytes are kept, whatever their encoding and line ends. Source: git documentation,
"Generating patch text with -p".
"""

from __future__ import annotations

import difflib
import re

_CODE = "latin-1"
"""One character for each byte: nothing is lost on the way through text."""


def of_file(path: str, before: bytes | None, after: bytes) -> bytes:
    """Return the patch of one file; `before` is None for a new one."""
    if before == after:
        return b""
    name = path.encode("utf-8", "surrogateescape").decode(_CODE)
    tab = "\t" if " " in name else ""
    head = f"diff --git a/{name} b/{name}\n"
    head += "new file mode 100644\n--- /dev/null\n" if before is None else f"--- a/{name}{tab}\n"
    head += f"+++ b/{name}{tab}\n"
    lines = list(difflib.unified_diff(_lines(before or b""), _lines(after), "a", "b"))[2:]
    body = "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
    return (head + body).encode(_CODE)


def can_be_named(path: str) -> bool:
    """Tell whether git writes a path without quotes."""
    return not re.search(r'[\x00-\x1f"\\\x7f-\xff]', path)


def _lines(content: bytes) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+", content.decode(_CODE))
