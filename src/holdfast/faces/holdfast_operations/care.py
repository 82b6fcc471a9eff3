"""The care of a server that runs: whether it takes changes."""

from __future__ import annotations

from typing import Final

from holdfast.faces.json_call import THROUGH, Call, Operation, Result


async def get_read_only(call: Call) -> Result:
    """Tell whether the registry is read-only, and why."""
    return _state(call.use.mode.reasons(call.caller, call.registry))


async def set_read_only(call: Call) -> Result:
    """Take no more changes, or take them again."""
    reasons = await call.use.mode.set(
        call.caller,
        call.registry,
        read_only=bool(call.parameters["readOnly"]),
        reason=call.parameters.get("reason"),
        through=THROUGH,
    )
    return _state(reasons)


def _state(reasons: list[str]) -> Result:
    return {"readOnly": bool(reasons), "reasons": reasons}


CARE: Final[dict[str, Operation]] = {
    "GetReadOnly": get_read_only,
    "SetReadOnly": set_read_only,
}
"""Operation -> what performs it."""
