"""How a command ends: the exit codes, and the one table that turns what went wrong into one of them.

This file alone decides which failure is whose fault, what a person is told to do next, and with which code the process
ends. Commands raise; nothing else maps errors.
"""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final

from holdfast.client.api import APIError, APIUnreachable, CallInvalid, CredentialsMissing
from holdfast.client.oci import is_tag_refusal
from holdfast.client.oci_layout import LayoutInvalid
from holdfast.client.transport import AddressInvalid, ContentMismatch, RegistryError, RegistryUnreachable
from holdfast.core import errors

if TYPE_CHECKING:
    from collections.abc import Callable


class Exit(IntEnum):
    """What the exit code of every command means."""

    DONE = 0
    FOUND = 1
    USAGE = 2
    UNFINISHED = 3
    REFUSED = 4
    INTERRUPTED = 130


EXIT_MEANINGS: Final = {
    Exit.DONE: "done",
    Exit.FOUND: "a check found something",
    Exit.USAGE: "wrong usage: a command, option or value that cannot be",
    Exit.UNFINISHED: "could not finish; the message says what is missing and whose fault it is",
    Exit.REFUSED: "refused by a rule of the registry, such as a tag that holds",
    Exit.INTERRUPTED: "stopped by Ctrl-C",
}
"""The sentences of the help and of the reference."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A command that did not do what it was asked: how it ends, a name for machines, and two sentences for people."""

    exit: Exit
    code: str
    message: str
    next: str | None = None

    def document(self) -> dict[str, Any]:
        """Return what `--json` tells."""
        return {"error": {"exit": int(self.exit), "code": self.code, "message": self.message, "next": self.next}}


class Unfinished(Exception):
    """A command that could not finish, told by itself; `next` is what to do."""

    def __init__(self, message: str, advice: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.next = advice


_ADDRESS: Final = "Is the server running? Start one with: holdfast serve. Another address: --endpoint URL."
_KEYS: Final = (
    "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (HOLDFAST_ACCESS_KEY_ID and HOLDFAST_SECRET_ACCESS_KEY come "
    "before them). An administrator makes a new key with: holdfast user key create NAME"
)
_SERVER: Final = "The fault is the server's; its log tells more. Nothing was half done: try again."

_API: Final[dict[str, tuple[Exit, str | None]]] = {
    "ImageTagAlreadyExistsException": (Exit.REFUSED, "Use a new tag; the old one keeps its digest."),
    "RepositoryNotEmptyException": (Exit.REFUSED, "Add --force to delete its images with it."),
    "LastAdministratorException": (Exit.REFUSED, None),
    "LimitExceededException": (Exit.REFUSED, None),
    "InvalidParameterException": (Exit.USAGE, None),
    "ValidationException": (Exit.USAGE, None),
    "RepositoryNotFoundException": (Exit.UNFINISHED, "See what there is: holdfast repo list"),
    "LifecyclePolicyNotFoundException": (Exit.UNFINISHED, "Set one with: holdfast lifecycle set REPO FILE"),
    "LifecyclePolicyPreviewInProgressException": (Exit.UNFINISHED, "Wait a moment, then try again."),
    "RepositoryAlreadyExistsException": (Exit.UNFINISHED, "Change its settings with: holdfast repo set"),
    "ImageNotFoundException": (Exit.UNFINISHED, "See what there is: holdfast tags REPO"),
    "PrincipalNotFoundException": (Exit.UNFINISHED, "See who there is: holdfast user list"),
    "PrincipalAlreadyExistsException": (Exit.UNFINISHED, "See who there is: holdfast user list"),
    "PullThroughCacheRuleNotFoundException": (Exit.UNFINISHED, "See what there is: holdfast upstream list"),
    "PullThroughCacheRuleAlreadyExistsException": (Exit.UNFINISHED, "See what there is: holdfast upstream list"),
    "UnsupportedUpstreamRegistryException": (Exit.USAGE, "An address is a host, or http(s):// with host and port."),
    "SecretNotFoundException": (Exit.UNFINISHED, "See what there is: holdfast upstream credential list"),
    "PeerNotFoundException": (Exit.UNFINISHED, "See what there is: holdfast replication peer list"),
    "RegistryNotFoundException": (Exit.UNFINISHED, "See what there is: holdfast registry list"),
    "RepositoryPolicyNotFoundException": (Exit.UNFINISHED, None),
    "RegistryPolicyNotFoundException": (Exit.UNFINISHED, None),
    "StillInUseException": (Exit.REFUSED, None),
    "AccessDenied": (Exit.UNFINISHED, "The role's trust policy says who may become it, and on which conditions."),
    "InvalidIdentityToken": (Exit.UNFINISHED, "See which issuers are known: holdfast iam provider list"),
    "ExpiredToken": (Exit.UNFINISHED, "Log in again: holdfast login"),
    "ExpiredTokenException": (Exit.UNFINISHED, "Log in again: holdfast login"),
    "ValidationError": (Exit.USAGE, None),
    "AccessDeniedException": (Exit.UNFINISHED, "Ask an administrator for the right that the sentence names."),
    "UnrecognizedClientException": (Exit.UNFINISHED, _KEYS),
    "InvalidSignatureException": (Exit.UNFINISHED, _KEYS),
    "MissingAuthenticationTokenException": (Exit.UNFINISHED, _KEYS),
    "ThrottlingException": (Exit.UNFINISHED, None),
    "UnknownOperationException": (Exit.UNFINISHED, "The server is older than this command, or is no Holdfast."),
    "ServerException": (Exit.UNFINISHED, _SERVER),
    "ServiceUnavailableException": (Exit.UNFINISHED, _SERVER),
}
"""Exceptions of the JSON API -> how the command ends and what to do next."""

_REGISTRY: Final[dict[str, tuple[Exit, str | None]]] = {
    "UNAUTHORIZED": (Exit.UNFINISHED, _KEYS),
    "DENIED": (Exit.UNFINISHED, "Ask an administrator for the right that the sentence names."),
    "NAME_UNKNOWN": (Exit.UNFINISHED, "Make the repository first: holdfast repo create NAME"),
    "MANIFEST_UNKNOWN": (Exit.UNFINISHED, "See what there is: holdfast tags REPO"),
    "NAME_INVALID": (Exit.USAGE, None),
    "TAG_INVALID": (Exit.USAGE, None),
    "UNAVAILABLE": (Exit.UNFINISHED, _SERVER),
}
"""Codes of the registry protocol -> the same."""

_USAGE: Final = (
    errors.NameInvalid,
    errors.TagInvalid,
    errors.DigestInvalid,
    errors.ParameterInvalid,
    errors.ConfigurationInvalid,
)
_LEAST_SERVER_ERROR: Final = 500


def explain(error: BaseException) -> Failure:
    """Say how a command ends that raised this, why, and what to do next."""
    for kind, tell in _TELLERS:
        if isinstance(error, kind):
            return tell(error)
    code = type(error).__name__
    told = "".join(traceback.format_exception(error))
    return Failure(
        Exit.UNFINISHED, code, f"{told}\nThis is a fault in Holdfast itself.", "Please report the lines above."
    )


def _api(error: APIError) -> Failure:
    if error.code in _API:
        end, advice = _API[error.code]
        if error.code == "InvalidSignatureException" and "region" in error.message:
            advice = "Name the server's region with --region; `holdfast serve` tells it when it starts."
        return Failure(end, error.code, error.message, advice)
    if error.code.isdigit() or not error.code.isidentifier():
        message = f"What answers there does not speak the JSON API of ECR and Holdfast (it said {error.message[:200]})."
        return Failure(Exit.UNFINISHED, "NotThisAPI", message, _ADDRESS)
    return Failure(Exit.UNFINISHED, error.code, error.message, _SERVER if error.status >= _LEAST_SERVER_ERROR else None)


def _registry(error: RegistryError) -> Failure:
    code = error.code or (f"HTTP{error.status}" if error.status else type(error).__name__)
    if is_tag_refusal(error):
        return Failure(Exit.REFUSED, code, error.message, None)
    end, advice = _REGISTRY.get(code, (Exit.UNFINISHED, None))
    if advice is None and (error.status or 0) >= _LEAST_SERVER_ERROR:
        advice = _SERVER
    return Failure(end, code, error.message, advice)


def _unreachable(message: str) -> Failure:
    advice = _ADDRESS
    if "certificate" in message.lower():
        advice = "Trust the server's certificate, if it is the right one: AWS_CA_BUNDLE=FILE (PEM)."
    elif "onnection was closed" in message:
        advice = "If the server speaks TLS, its address begins with https://."
    return Failure(Exit.UNFINISHED, "Unreachable", message, advice)


def _housemade(error: errors.HoldfastError) -> Failure:
    code = type(error).__name__
    if isinstance(error, errors.TagHeld):
        return Failure(Exit.REFUSED, code, error.message)
    return Failure(Exit.USAGE if isinstance(error, _USAGE) else Exit.UNFINISHED, code, error.message)


def _unmatched(error: ContentMismatch) -> Failure:
    advice = "The registry, or something on the way to it, gave wrong bytes; nothing of them was kept."
    return Failure(Exit.UNFINISHED, "ContentMismatch", error.message, advice)


def _file(error: OSError) -> Failure:
    where = f"{error.filename}: " if error.filename else ""
    return Failure(Exit.UNFINISHED, type(error).__name__, f"{where}{error.strerror or error}")


_TELLERS: Final[tuple[tuple[type[BaseException], Callable[[Any], Failure]], ...]] = (
    (APIError, _api),
    (APIUnreachable, lambda error: _unreachable(str(error))),
    (CredentialsMissing, lambda error: Failure(Exit.USAGE, "CredentialsMissing", f"{error}.", _KEYS)),
    (CallInvalid, lambda error: Failure(Exit.USAGE, "CallInvalid", str(error))),
    (ContentMismatch, _unmatched),
    (RegistryUnreachable, lambda error: _unreachable(error.message)),
    (RegistryError, _registry),
    (LayoutInvalid, lambda error: Failure(Exit.USAGE, "LayoutInvalid", str(error))),
    (AddressInvalid, lambda error: Failure(Exit.USAGE, "AddressInvalid", str(error))),
    (Unfinished, lambda error: Failure(Exit.UNFINISHED, "Unfinished", error.message, error.next)),
    (errors.HoldfastError, _housemade),
    (OSError, _file),
)
"""Kinds of errors, the narrower first -> how each is told."""
