"""The care of a server that runs: whether it takes changes, the scrub, the key that seals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from holdfast.core.errors import ParameterInvalid
from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result

if TYPE_CHECKING:
    from holdfast.registry.scrub import Pass


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


async def rotate_seal_key(call: Call) -> Result:
    """Seal with a new key from now on."""
    end_tokens = bool(call.parameters.get("endTokens"))
    await call.use.seal_keys.rotate(call.caller, call.registry, end_tokens=end_tokens, through=THROUGH)
    return {}


async def start_scrub(call: Call) -> Result:
    """Read every stored byte again, from the beginning."""
    pace = call.parameters.get("bytesPerSecond")
    if pace is not None and pace < 1:
        parameter, why = "bytesPerSecond", "Member must have value greater than or equal to 1"
        raise ParameterInvalid(parameter, why)
    return _scrub(*await call.use.scrub.start(call.caller, call.registry, bytes_per_second=pace))


async def describe_scrub(call: Call) -> Result:
    """Tell how far the scrub is."""
    return _scrub(*call.use.scrub.describe(call.caller, call.registry))


def _scrub(now: Pass, totals: dict[str, int]) -> Result:
    told: Result = {
        "state": "running" if now.is_running else "waiting",
        "checkedBlobs": now.checked_blobs,
        "checkedBytes": now.checked_bytes,
        "blobs": totals["blobs"],
        "bytes": totals["blob_bytes"],
        "damaged": list(now.damaged),
    }
    for name, moment in (("startedAt", now.started_at), ("lastFullPassAt", now.last_full_pass_at)):
        if moment is not None:
            told[name] = moment / MICROSECONDS
    return told


CARE: Final[dict[str, Operation]] = {
    "DescribeScrub": describe_scrub,
    "GetReadOnly": get_read_only,
    "RotateSealKey": rotate_seal_key,
    "SetReadOnly": set_read_only,
    "StartScrub": start_scrub,
}
"""Operation -> what performs it."""
