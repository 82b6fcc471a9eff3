"""Our own trouble: what the disk, the database, the system or the settings refuse. `errors` has all."""

from __future__ import annotations

from typing import ClassVar, Self

from holdfast.core.failure import HoldfastError


class StorageFull(HoldfastError):
    """No room left; reads go on."""

    fault: ClassVar[str] = "server"

    def __init__(self) -> None:
        super().__init__("The registry's disk is full. Nothing was stored; try again once the operator made room.")


class TooManyFiles(HoldfastError):
    """The system gives the server no more open files for now, as under a crowd of connections; it passes by itself."""

    fault: ClassVar[str] = "operator"

    def __init__(self) -> None:
        super().__init__(
            "The server has as many files open as the system lets it. Nothing was changed; try again. Its operator can "
            "raise the limit (LimitNOFILE, ulimit -n) or lower max_connections."
        )
        self.retry_after_seconds = 5


class ReadOnly(HoldfastError):
    """No changes are taken for now; pulls go on."""

    fault: ClassVar[str] = "operator"

    @classmethod
    def of_the_disk(cls) -> Self:
        """Return what is told to whoever finds that the system made the file system read-only."""
        return cls("The registry's disk takes no writes any more. Nothing was changed; pulls go on.")


class StorageFailed(HoldfastError):
    """The disk or the database refused to do its work; writing has stopped."""

    fault: ClassVar[str] = "server"


class GuardRefused(HoldfastError):
    """A trigger or key of the database refused a change that would break a promise: a bug of ours, caught in time."""

    fault: ClassVar[str] = "server"


class DatabaseBusy(HoldfastError):
    """Another program holds the database's write lock for too long."""

    fault: ClassVar[str] = "operator"

    def __init__(self) -> None:
        super().__init__("Another program holds the registry's database. Nothing was stored; try again.")


class BlobCorrupt(HoldfastError):
    """Bytes on disk that do not hash to their name; never served to their end."""

    fault: ClassVar[str] = "server"

    def __init__(self, digest: str) -> None:
        super().__init__(f"The stored bytes of '{digest}' are damaged and were set aside.", {"digest": digest})


class ConfigurationInvalid(HoldfastError):
    """A setting that cannot be; the server does not start."""

    fault: ClassVar[str] = "operator"
