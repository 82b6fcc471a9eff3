"""Running a coroutine without a Task, unless it waits.

A Task costs more than all the rest of a small request, and most handlers never wait. So the first step is made by hand,
with `coroutine.send(None)`: one that returns at once raises StopIteration with its result. One that waits has yielded
the future it waits for, as it would to a Task; `continued` hands that future on to the Task that then takes over.
Python 3.12's eager tasks do the same.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

_Result = TypeVar("_Result")


@types.coroutine
def continued(coroutine: Coroutine[Any, Any, _Result], awaited: object) -> Generator[Any, Any, _Result]:
    """Go on with a coroutine whose first step yielded `awaited`, as if this Task had made that step.

    The coroutine is driven by its `__await__` wrapper, since `await` refuses one that is suspended in another await.
    """
    while True:
        try:
            yield awaited
        except BaseException as error:  # noqa: BLE001  a cancellation is the coroutine's to see
            try:
                awaited = coroutine.throw(error)
            except StopIteration as done:
                result: _Result = done.value
                return result
        else:
            return (yield from coroutine.__await__())
