"""What could not be read, told: whose fault it is and what to do.

This file alone decides the sentences of an inventory's failures, and which of them end a whole place.
"""

from __future__ import annotations

from typing import Final

from holdfast.client.api import APIError, APIUnreachable, CredentialsMissing
from holdfast.govern.estate import Failure

ENDS_PLACE: Final = frozenset(
    {
        "UnrecognizedClientException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "ExpiredTokenException",
        "MissingAuthenticationTokenException",
        "OptInRequired",
        "RegistryNotFoundException",
    }
)
"""After one of these every other call in the place would fail the same way."""

_ADVICE: Final = {
    "AccessDeniedException": "The identity lacks this right here: grant it, or leave the account or region out.",
    "AccessDenied": (
        "The role is not there, does not trust this identity, or a service control policy forbids it: make the role in "
        "the account, or name another with --role."
    ),
    "UnrecognizedClientException": (
        "The credentials are not valid here. On AWS a region that is not enabled for the account says the same."
    ),
    "InvalidClientTokenId": "The credentials are not valid here: check the profile or the access key.",
    "InvalidSignatureException": "The secret access key does not fit the key id, or this machine's clock is wrong.",
    "SignatureDoesNotMatch": "The secret access key does not fit the key id, or this machine's clock is wrong.",
    "ExpiredToken": "The session ended while it was used: log in again and go on with --resume.",
    "ExpiredTokenException": "The session ended while it was used: log in again and go on with --resume.",
    "OptInRequired": "The account has not enabled this service or region.",
    "RegistryNotFoundException": "The server has no registry for this account and region.",
    "ThrottlingException": "The service kept refusing calls as too many: try again with --resume when it is quieter.",
    "TooManyRequestsException": "The service kept refusing calls as too many: try again with --resume.",
}
_AGAIN: Final = "Try again with --resume: what was read is kept."


def failure_of(account: str, region: str, what: str, error: Exception, repository: str | None = None) -> Failure:
    """Tell what could not be read, from the error that said so."""
    if isinstance(error, APIError):
        said = f"{error.message.rstrip('.')}." if error.message else f"The service said {error.code}."
        return Failure(account, region, what, error.code, f"{said} {_ADVICE.get(error.code, _AGAIN)}", repository)
    if isinstance(error, APIUnreachable):
        return Failure(account, region, what, "Unreachable", f"{str(error).rstrip('.')}. {_AGAIN}", repository)
    if isinstance(error, CredentialsMissing):
        return Failure(account, region, what, "CredentialsMissing", f"{str(error).rstrip('.')}.", repository)
    if isinstance(error, KeyError | TypeError | ValueError):
        sentence = f"The reply could not be understood ({type(error).__name__}: {error}); this program may be too old."
        return Failure(account, region, what, "Unreadable", sentence, repository)
    return Failure(account, region, what, type(error).__name__, f"{error}. {_AGAIN}", repository)
