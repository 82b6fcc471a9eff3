"""An Authorization header is a name and a password or Unauthenticated, and no made-up text opens a seal."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet

from holdfast.core.errors import Unauthenticated
from holdfast.registry.access import _credentials
from holdfast.registry.seal import Seal, SealBroken

_SEAL = Seal(base64.urlsafe_b64encode(bytes(32)))
_OTHER = Seal(Fernet.generate_key()).seal("login", {"arn": "a"})
SEEDS = (b"Basic YTpi", b"Basic YQ==", b"Bearer " + _OTHER.encode(), b"basic  OjpiOg==", b"Digest x", _OTHER.encode())
WORDS = (b"Basic ", b"Bearer ", b"=", b"==", b":", b"gAAAAA", b"-_", b"+/", b"\xff", b"YWFhYWFhYWE")
COVERS = ("registry/access.py", "registry/seal.py")
PARSERS = ("registry.access._credentials", "registry.seal.Seal.open")


def check(data: bytes) -> None:
    """Read it as a header and as a seal."""
    text = data.decode("latin-1")
    try:
        name, password = _credentials(text)
        assert isinstance(name, str)
        assert isinstance(password, str)
    except Unauthenticated:
        pass
    for sealed in (text, text.rpartition(" ")[2]):
        try:
            _SEAL.open("login", sealed)
        except SealBroken:
            continue
        message = "a made-up seal was opened"
        raise AssertionError(message)
