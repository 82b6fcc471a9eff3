"""What runs somewhere: an image as it was named, and the digests of what is running under that name. Pure values."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunningImage:
    """One container of one workload. `digests` are of the images that its copies run; empty where nobody tells."""

    workload: str
    """Unique: an ARN, or `kubernetes:namespace/Kind/name`."""

    kind: str
    name: str
    """For people: the service, the function, the pods' owner."""

    container: str
    image: str
    """As the workload names it."""

    digests: tuple[str, ...] = ()
