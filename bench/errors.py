"""What can go wrong while measuring; every one ends as a named entry in the report, never as a number."""

from __future__ import annotations


class BenchError(Exception):
    """The base of all errors this harness raises; it is not raised itself."""


class UnavailableError(BenchError):
    """A server or tool cannot be had on this machine; the text says why and what would help."""


class ServerFailedError(BenchError):
    """A server did not start, did not become ready, or died."""


class WrongAnswerError(BenchError):
    """A server answered other than the case demands (status, length or bytes)."""
