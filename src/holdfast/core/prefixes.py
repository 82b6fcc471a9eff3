"""Prefixes of repository names: which of several covers a name, and what a name is called upstream. Pure.

Sources: Amazon ECR API, CreateRepositoryCreationTemplate ("a prefix of prod would apply to all repositories beginning
with prod/"; ROOT for those that no other covers) and CreatePullThroughCacheRule ("there is always an assumed / applied
to the end of the prefix").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = "ROOT"
"""The prefix of every name, asked last."""


def covers(prefix: str, name: str) -> bool:
    """Whether a prefix covers a repository name: whole components, whether or not the prefix ends with a slash."""
    return prefix == ROOT or name.startswith(prefix.rstrip("/") + "/")


def same(one: str, other: str) -> bool:
    """Whether two prefixes cover the same names: a slash at the end says nothing."""
    return one.rstrip("/") == other.rstrip("/")


def closest(prefixes: Iterable[str], name: str) -> str | None:
    """Return the longest prefix that covers a name, ROOT only when no other does."""
    fitting = [prefix for prefix in prefixes if covers(prefix, name)]
    return max(fitting, key=lambda prefix: 0 if prefix == ROOT else len(prefix.rstrip("/")) + 1, default=None)


def upstream_name(prefix: str, upstream_prefix: str, name: str) -> str:
    """Return what a repository of the cache is called upstream: `prefix/rest` there is `upstream_prefix/rest`."""
    rest = name if prefix == ROOT else name.removeprefix(prefix.rstrip("/") + "/")
    return rest if upstream_prefix in {"", ROOT} else f"{upstream_prefix.rstrip('/')}/{rest}"
