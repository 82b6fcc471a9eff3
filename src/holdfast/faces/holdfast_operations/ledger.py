"""The ledger: receipts, how far it is, and the keys that it signs with."""

from __future__ import annotations

from typing import Final

from holdfast.faces.json_call import MICROSECONDS, THROUGH, Call, Operation, Result


async def get_tag_receipt(call: Call) -> Result:
    """Give the receipt of what a tag names, or of its deletion."""
    proof = call.use.ledger.receipt(*call.where, call.parameters["imageTag"])
    entry = proof.extra.decode() if proof.extra is not None else None
    return {"receipt": proof.encode().decode(), "ledgerIndex": proof.index, "entry": entry}


async def get_ledger_status(call: Call) -> Result:
    """Tell how far the ledger is, and which keys sign."""
    status = call.use.ledger.status(call.caller, call.registry)
    return {
        "origin": status["origin"],
        "size": status["size"],
        "publishedSize": status["published_size"],
        "problem": status["problem"],
        "keys": [
            {
                "vkey": key.vkey,
                "beganAt": key.began_at / MICROSECONDS,
                "endedAt": key.ended_at / MICROSECONDS if key.ended_at is not None else None,
            }
            for key in status["keys"]
        ],
    }


async def add_ledger_key(call: Call) -> Result:
    """Let a new key sign beside those that do."""
    return {"vkey": await call.use.ledger.add_key(call.caller, call.registry, through=THROUGH)}


async def retire_ledger_key(call: Call) -> Result:
    """Let a key sign no more."""
    await call.use.ledger.retire_key(call.caller, call.registry, call.parameters["vkey"], through=THROUGH)
    return {}


LEDGER: Final[dict[str, Operation]] = {
    "AddLedgerKey": add_ledger_key,
    "GetLedgerStatus": get_ledger_status,
    "GetTagReceipt": get_tag_receipt,
    "RetireLedgerKey": retire_ledger_key,
}
"""Operation -> what performs it."""
