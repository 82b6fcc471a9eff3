"""What can go wrong with lifecycle policies, storage classes and pull times: members of the family in `errors.py`."""

from __future__ import annotations

from holdfast.core.errors import HoldfastError


class ImageArchived(HoldfastError):
    """A pull of an image that is archived, or being restored."""

    def __init__(self, digest: str, status: str) -> None:
        what = "is being restored; wait until it is active" if status == "ACTIVATING" else "is archived; restore it"
        super().__init__(
            f"Requested image not found: the image '{digest}' {what} (UpdateImageStorageClass).",
            {"digest": digest, "status": status},
        )


class LifecyclePolicyNotFound(HoldfastError):
    """A repository without a lifecycle policy; the sentence is ECR's."""

    def __init__(self, name: str, account_id: str) -> None:
        super().__init__(
            f"Lifecycle policy does not exist for the repository with name '{name}' in the registry with id "
            f"'{account_id}'",
            {"name": name},
        )


class LifecyclePreviewNotFound(HoldfastError):
    """A repository for which no preview was started, or none that this server remembers."""

    def __init__(self, name: str, account_id: str) -> None:
        super().__init__(
            f"Lifecycle policy preview does not exist for the repository with name '{name}' in the registry with id "
            f"'{account_id}'",
            {"name": name},
        )


class LifecycleRunNotFound(HoldfastError):
    """A repository whose lifecycle policy did not run since the server started."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"The lifecycle policy of '{name}' did not run since the server started. Run it: holdfast lifecycle run "
            f"{name}",
            {"name": name},
        )


class ExclusionNotFound(HoldfastError):
    """A principal whose pulls count as any."""

    def __init__(self, principal: str) -> None:
        super().__init__(f"No pull time update exclusion exists for the principal '{principal}'.")


class LifecyclePreviewInProgress(HoldfastError):
    """A preview asked for while one runs."""

    def __init__(self, name: str, account_id: str) -> None:
        super().__init__(
            f"Lifecycle policy preview is already in progress for the repository with name '{name}' in the registry "
            f"with id '{account_id}'",
            {"name": name},
        )


class StorageClassUnsupported(HoldfastError):
    """An image that cannot change its storage class now: an index lists it, or it is being restored."""


class ExclusionExists(HoldfastError):
    """A principal whose pulls do not count already."""

    def __init__(self, principal: str) -> None:
        super().__init__(f"A pull time update exclusion exists already for the principal '{principal}'.")
