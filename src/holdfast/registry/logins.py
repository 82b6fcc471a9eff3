"""Failed log-ins, counted: guessing is slowed down before a password is looked at."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from holdfast.core.errors import TooManyLogins

MAX_FAILURES_PER_NAME: Final = 10
"""Failed log-ins of one name from one address in a window: a person mistypes less often, a guesser needs millions."""

MAX_FAILURES_PER_SOURCE: Final = 100
"""Failed log-ins from one address in a window, whatever the name: many people may share an address."""

WINDOW_SECONDS: Final = 60
MAX_REMEMBERED: Final = 10_000
"""Names and addresses remembered; one more forgets the oldest."""

_MICROSECONDS: Final = 1_000_000


class FailedLogins:
    """Counts failed log-ins by address and by name from an address; times are microseconds since the epoch."""

    def __init__(self) -> None:
        self._failures: OrderedDict[tuple[str, str], list[int]] = OrderedDict()

    def check(self, source: str, name: str, now: int) -> None:
        """Raise TooManyLogins when this name, or this address, has failed too often."""
        if not self._failures:
            return
        for key, most in (((source, name), MAX_FAILURES_PER_NAME), ((source, ""), MAX_FAILURES_PER_SOURCE)):
            failures = self._failures.get(key)
            if failures is None:
                continue
            window = now - WINDOW_SECONDS * _MICROSECONDS
            failures[:] = [at for at in failures if at > window]
            if len(failures) >= most:
                wait = failures[-most] - window
                raise TooManyLogins(max(1, -(-wait // _MICROSECONDS)))

    def note(self, source: str, name: str, now: int) -> None:
        """Count a failed log-in."""
        for key in ((source, name), (source, "")):
            if key not in self._failures and len(self._failures) >= MAX_REMEMBERED:
                self._failures.popitem(last=False)
            self._failures.setdefault(key, []).append(now)
