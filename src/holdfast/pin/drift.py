"""Running drift: does what runs still have the name that it was started by? Pure: values in, findings out.

This file alone decides when a running image has drifted, and how a list of pods is read. Digests are compared with what
the tag names now and with the images of its index, since some platforms tell the one and some the other.

Sources: Kubernetes API, PodStatus (containerStatuses[].imageID, `docker-pullable://` of old); Amazon ECS API, Container
(imageDigest); AWS Lambda API, FunctionCodeLocation (ResolvedImageUri).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.finding import Finding, InResource, Rule, Severity
from holdfast.core.workload import RunningImage
from holdfast.pin.image import parse_image
from holdfast.pin.knowledge import tag_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from holdfast.pin.image import ImageReference
    from holdfast.pin.knowledge import Knowledge, Known

DRIFTED: Final = Rule(
    "running-drift",
    "What runs is not what its tag names now",
    Severity.HIGH,
    "The next restart, scale-out or node runs another program than the one that runs beside it, unannounced.",
    "docs/pinning.md",
)
MIXED: Final = Rule(
    "running-mixed",
    "Copies of one workload run different images under one name",
    Severity.HIGH,
    "Requests are answered by two programs; which one, is chance.",
    "docs/pinning.md",
)
GONE: Final = Rule(
    "running-gone",
    "What runs has a name that the registry does not have",
    Severity.CRITICAL,
    "It runs until it has to be pulled again: the next restart or scale-out fails.",
    "docs/pinning.md",
)
RULES: Final = (DRIFTED, MIXED, GONE)

MAX_PODS: Final = 200_000

_PIN: Final = "Name the digest that is meant and deploy it: holdfast pin."
_SHORT: Final = len("sha256:") + 12
_IN_IMAGE_ID: Final = re.compile(r"@(sha(?:256:[0-9a-f]{64}|512:[0-9a-f]{128}))$", re.ASCII)
_OWNER_HASH: Final = re.compile(r"-[0-9a-z]{5,10}$", re.ASCII)


class PodsInvalid(ValueError):
    """A document that is no list of pods; the message says why."""


def names(running: Iterable[RunningImage]) -> dict[str, ImageReference]:
    """Return the tags that registries are to be asked for."""
    read = (parse_image(one.image) for one in running)
    return {tag_name(image): image for image in read if image is not None and (image.tag or not image.digest)}


def judge(running: Iterable[RunningImage], knowledge: Knowledge) -> Iterator[Finding]:
    """Give the findings about what runs; what nobody tells, and what registries did not answer, is not judged."""
    for one in running:
        image = parse_image(one.image)
        if image is None:
            continue
        told = knowledge.get(tag_name(image))
        if len(one.digests) > 1:
            listed = ", ".join(digest[:_SHORT] for digest in one.digests)
            fix = "Name the digest that is meant and deploy it: holdfast pin."
            yield _finding(
                MIXED, MIXED.severity, one, f"{one.container} runs {len(one.digests)} images: {listed}.", fix
            )
        if told is None or told.trouble is not None:
            continue
        if told.digest is None and image.digest is None:
            fix = "Push the image again or name one that is there; then pin it."
            yield _finding(GONE, GONE.severity, one, f"{one.container} runs {one.image}, which is not there now.", fix)
            continue
        yield from _drifted(one, image, told)


def _drifted(one: RunningImage, image: ImageReference, told: Known) -> Iterator[Finding]:
    now = {told.digest, *(child.digest for child in told.children)}
    strange = [digest for digest in one.digests if digest not in now]
    if told.digest is None or not strange:
        return
    runs, names_now = strange[0][:_SHORT], told.digest[:_SHORT]
    if image.digest is not None:
        message = f"{one.container} is pinned and runs {runs}; the tag {image.tag} names {names_now} now."
        fix = "Take the new one after a look at it: holdfast pin --update."
        yield _finding(DRIFTED, Severity.LOW, one, message, fix)
        return
    message = f"{one.container} runs {runs}, but {one.image} names {names_now} now."
    yield _finding(
        DRIFTED, DRIFTED.severity, one, message, "Name the digest that is meant and deploy it: holdfast pin."
    )


def _finding(rule: Rule, severity: Severity, one: RunningImage, message: str, fix: str) -> Finding:
    where = InResource(one.workload, one.kind, one.name)
    return Finding(rule.id, severity, where, message, rule.why, fix, f"{one.container}={one.image}")


# --- pods ------------------------------------------------------------------------------------------------------------


def pods(document: Any) -> list[RunningImage]:  # noqa: ANN401 - JSON
    """Read what `kubectl get pods -o json` writes: one record a container of an owner; raises PodsInvalid."""
    if not isinstance(document, dict) or not isinstance(document.get("items", [document]), list):
        msg = "it is no list of pods; make one with: kubectl get pods --all-namespaces -o json"
        raise PodsInvalid(msg)
    items = document.get("items", [document])
    if len(items) > MAX_PODS:
        msg = f"it has more than {MAX_PODS} pods"
        raise PodsInvalid(msg)
    found: dict[tuple[str, str, str], set[str]] = defaultdict(set)
    for item in items:
        if not isinstance(item, dict) or item.get("kind", "Pod") != "Pod":
            msg = "it holds something that is no pod"
            raise PodsInvalid(msg)
        owner = _owner(item)
        running = _running(item)
        for name, image in _containers(item):
            digest = running.get(name)
            found[owner, name, image] |= {digest} if digest else set()
    return [
        RunningImage(f"kubernetes:{owner}", "Kubernetes", owner, name, image, tuple(sorted(digests)))
        for (owner, name, image), digests in sorted(found.items())
    ]


def _owner(pod: dict[str, Any]) -> str:
    """Name who made the pod, as `namespace/Deployment/name`: a ReplicaSet stands for the Deployment above it."""
    metadata = _object(pod.get("metadata"))
    namespace = metadata.get("namespace") or "default"
    owners = [_object(one) for one in _list(metadata.get("ownerReferences"))]
    owner = next((one for one in owners if one.get("controller")), owners[0] if owners else {})
    kind, name = owner.get("kind") or "Pod", owner.get("name") or metadata.get("name") or "?"
    if kind == "ReplicaSet" and _object(metadata.get("labels")).get("pod-template-hash"):
        kind, name = "Deployment", _OWNER_HASH.sub("", str(name))
    return f"{namespace}/{kind}/{name}"


def _containers(pod: dict[str, Any]) -> Iterator[tuple[str, str]]:
    spec = _object(pod.get("spec"))
    for key in ("initContainers", "containers", "ephemeralContainers"):
        for one in map(_object, _list(spec.get(key))):
            if isinstance(one.get("image"), str):
                yield str(one.get("name")), one["image"]


def _running(pod: dict[str, Any]) -> dict[str, str]:
    """Return container -> the digest that it runs; an image that was loaded and never pulled has none."""
    status = _object(pod.get("status"))
    found = {}
    for key in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses"):
        for one in map(_object, _list(status.get(key))):
            match = _IN_IMAGE_ID.search(str(one.get("imageID") or ""))
            if match is not None:
                found[str(one.get("name"))] = match[1]
    return found


def _object(value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return value if isinstance(value, list) else []
