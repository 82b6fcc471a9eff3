"""A parser that has no target of its own yet raises only errors that are Holdfast's own."""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import holdfast
from fuzz import targets
from holdfast.core import strict_json
from holdfast.core.errors import HoldfastError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

SEEDS = (b"a/b", b"{}", b'{"rules":[]}', b"[]", b"https://example.com/a", b'"x"', b"1")
WORDS = (
    b'{"a":',
    b'"',
    b"/",
    b":",
    b"@",
    b"*",
    b"[{}]",
    b"null",
    b'"rules":[',
    b'"registryId":"123456789012"',
    b"\xff",
)
COVERS = ("holdfast/core", ".py")

ELSEWHERE: Final = frozenset({"client.transport.parse_address"})
"""Parsers of what only the person who runs the program says."""


def check(data: bytes) -> None:
    """Give it to each of them, as text, as bytes and as the JSON that it may be."""
    for name, parse in newcomers().items():
        for value in _forms(data, next(iter(inspect.signature(parse).parameters.values())).annotation):
            try:
                parse(value)
            except HoldfastError as error:
                assert error.message.isprintable(), name
            except Exception as error:
                if not type(error).__module__.startswith("holdfast."):
                    raise


def _forms(data: bytes, annotation: str) -> list[Any]:
    """Return the data in the form that a parameter wants; none where it cannot be had."""
    if "bytes" in annotation:
        return [data]
    if "str" in annotation and "Mapping" not in annotation and "Sequence" not in annotation:
        return [data.decode("latin-1"), data.decode("utf-8", "replace")]
    try:
        value = strict_json.parse(data)
    except strict_json.StrictJSONError:
        return []
    wanted = dict if "Mapping" in annotation or "dict" in annotation else list if "Sequence" in annotation else object
    return [value] if isinstance(value, wanted) else []


@cache
def newcomers() -> dict[str, Callable[[Any], object]]:
    """Return the functions named parse... that take one thing and that no other target names."""
    named = {one for name in targets.NAMES if name != "newcomers" for one in getattr(targets.load(name), "PARSERS")}  # noqa: B009 - not of the protocol
    found: dict[str, Callable[[Any], object]] = {}
    source = Path(holdfast.__file__).parent
    for path in sorted(source.rglob("*.py")):
        dotted = ".".join(path.relative_to(source).with_suffix("").parts)
        if "def parse" not in path.read_text("utf-8"):
            continue
        module = importlib.import_module(f"holdfast.{dotted}")
        found |= {
            f"{dotted}.{name}": parse
            for name, parse in _parsers(module)
            if f"{dotted}.{name}" not in named | ELSEWHERE and _takes_one(parse)
        }
    return found


def _parsers(module: ModuleType) -> Iterator[tuple[str, Callable[..., object]]]:
    """Give the functions of a module, and what its classes can be asked without one of them, named parse..."""
    for name, member in vars(module).items():
        if getattr(member, "__module__", None) != module.__name__:
            continue
        if inspect.isfunction(member) and name.startswith("parse"):
            yield name, member
        elif inspect.isclass(member):
            for inner, made in vars(member).items():
                if inner.startswith("parse") and isinstance(made, classmethod | staticmethod):
                    yield f"{name}.{inner}", getattr(member, inner)


def _takes_one(parse: Callable[..., object]) -> bool:
    needed = [one for one in inspect.signature(parse).parameters.values() if one.default is one.empty]
    return len(needed) == 1


PARSERS = ()
"""All that no other target names: see `newcomers`."""

newcomers()  # now: the first time imports all of Holdfast, which takes longer than one input may
