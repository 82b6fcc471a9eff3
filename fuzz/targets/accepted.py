"""A settings file, a baseline, a lock file and a list of pods are read, or refused by the error of their own."""

from __future__ import annotations

import contextlib
import json

from holdfast.pin import acceptance, drift, lockfile, settings

_D = b"sha256:" + b"3f" * 32
SEEDS = (
    b"ignore:\n- {rules: [image-latest], paths: ['a/*'], reason: b, until: 2027-01-31}\nexclude: [c]\n",
    b"severities: {image-latest: off, image-gone: low}\ncontexts: [{paths: [a], context: test}]\n",
    b'{"version": 1, "findings": [{"fingerprint": "a"}]}',
    b'{"version": 1, "images": {"a:1": {"digest": "%b"}}, "files": {"a": [{"where": "b", "before": "c", "after": "d"}]'
    b"}}" % _D,
    b'{"items": [{"kind": "Pod", "spec": {"containers": [{"name": "a", "image": "b"}]}, "status": '
    b'{"containerStatuses": [{"name": "a", "imageID": "b@%b"}]}}]}' % _D,
    b"# holdfast: ignore[image-latest, *] why\nFROM a\n",
)
WORDS = (
    b"ignore:",
    b"reason: x",
    b"&a",
    b"*a",
    b"holdfast: ignore[",
    b"]",
    b'"items"',
    b'"version": 1',
    b"null",
    b"\xff",
)
COVERS = ("pin/settings.py", "pin/acceptance.py", "pin/lockfile.py", "pin/drift.py")
PARSERS = ("pin.settings.parse", "pin.lockfile.parse")


def check(data: bytes) -> None:
    """Give it to each of them."""
    with contextlib.suppress(settings.SettingsInvalid):
        settings.parse(data)
    with contextlib.suppress(acceptance.BaselineInvalid):
        acceptance.read_baseline(data)
    with contextlib.suppress(lockfile.LockInvalid):
        lock = lockfile.parse(data)
        assert lockfile.parse(lockfile.render(lock).encode()).images == lock.images
    with contextlib.suppress(ValueError, RecursionError):
        document = json.loads(data)
        with contextlib.suppress(drift.PodsInvalid):
            assert all(one.workload.startswith("kubernetes:") for one in drift.pods(document))
    for comment in acceptance.comments(data):
        assert data[comment.span.start : comment.span.end].count(b"\n") == 0
        assert b"holdfast:" in data[comment.span.start : comment.span.end]
