"""Account settings."""

from __future__ import annotations

from typing import Final

from holdfast.faces.json_call import THROUGH, Call, Operation, Result


async def get_account_setting(call: Call) -> Result:
    """Tell an account setting."""
    name = call.parameters["name"]
    return {"name": name, "value": call.use.account_settings.get(call.caller, call.registry, name)}


async def put_account_setting(call: Call) -> Result:
    """Change an account setting."""
    name, value = call.parameters["name"], call.parameters["value"]
    put = await call.use.account_settings.put(call.caller, call.registry, name, value, through=THROUGH)
    return {"name": name, "value": put}


ACCOUNT: Final[dict[str, Operation]] = {
    "GetAccountSetting": get_account_setting,
    "PutAccountSetting": put_account_setting,
}
"""Operation -> what performs it."""
