"""What differs between two images, as their manifests and configurations tell: layers, environment, entry point.

This file alone decides what is compared. Both are JSON that was hashed before; what has another form than an image
differs only in its digest. Source: OCI image specification 1.1, "Image Configuration".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_COMPARED: Final = ("Entrypoint", "Cmd", "User", "WorkingDir", "StopSignal", "ExposedPorts", "Volumes", "Labels")
_PLATFORM: Final = ("architecture", "os", "variant")


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs; None for what one side does not have."""

    what: str
    before: Any
    after: Any

    def sentence(self) -> str:
        """Say it."""
        if self.before is None:
            return f"{self.what}: added {_said(self.after)}"
        if self.after is None:
            return f"{self.what}: removed {_said(self.before)}"
        return f"{self.what}: {_said(self.before)} -> {_said(self.after)}"

    def document(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"what": self.what, "before": self.before, "after": self.after}


def differences(before: Any, after: Any, config_before: Any = None, config_after: Any = None) -> list[Difference]:  # noqa: ANN401 - JSON
    """Compare two manifests, and their configurations if they have any."""
    one, two = _object(before), _object(after)
    found = _single("media type", one.get("mediaType"), two.get("mediaType"))
    found += _listed("layer", _layers(one), _layers(two))
    found += _listed("image of the index", _children(one), _children(two))
    left, right = _object(config_before), _object(config_after)
    for name in _PLATFORM:
        found += _single(name, left.get(name), right.get(name))
    ran, runs = _object(left.get("config")), _object(right.get("config"))
    for name in _COMPARED:
        found += _single(name, ran.get(name), runs.get(name))
    return found + _mapped("environment", _environment(ran), _environment(runs))


def package_differences(before: Any, after: Any) -> list[Difference]:  # noqa: ANN401 - JSON
    """Compare the packages that two reports of a scanner name: those with findings, for it does not tell the others.

    Each is `imageScanFindings` of ECR's DescribeImageScanFindings.
    """
    return _mapped("package with findings", _packages(before), _packages(after))


def config_digest(manifest: Any) -> str | None:  # noqa: ANN401 - JSON
    """Return where the configuration of an image is."""
    digest = _object(_object(manifest).get("config")).get("digest")
    return digest if isinstance(digest, str) else None


def _object(value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    return value if isinstance(value, dict) else {}


def _items(value: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return value if isinstance(value, list) else []


def _layers(manifest: dict[str, Any]) -> list[str]:
    listed = manifest.get("layers")
    return [f"{_object(one).get('digest')} ({_object(one).get('size')} bytes)" for one in _items(listed)]


def _children(manifest: dict[str, Any]) -> list[str]:
    listed = manifest.get("manifests")
    return [str(_object(one).get("digest")) for one in _items(listed)]


def _environment(config: dict[str, Any]) -> dict[str, str]:
    listed = config.get("Env")
    pairs = [str(one).partition("=") for one in _items(listed)]
    return {name: value for name, _, value in pairs}


def _packages(report: Any) -> dict[str, str]:  # noqa: ANN401 - JSON
    found: dict[str, set[str]] = {}
    for one in _items(_object(report).get("findings")):
        told = {
            str(_object(pair).get("key")): str(_object(pair).get("value")) for pair in _items(one.get("attributes"))
        }
        if "package_name" in told:
            found.setdefault(told["package_name"], set()).add(told.get("package_version", "of no version"))
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def _single(what: str, before: Any, after: Any) -> list[Difference]:  # noqa: ANN401 - JSON
    return [Difference(what, before, after)] if before != after else []


def _listed(what: str, before: list[str], after: list[str]) -> list[Difference]:
    gone = [Difference(what, one, None) for one in before if one not in after]
    return gone + [Difference(what, None, one) for one in after if one not in before]


def _mapped(what: str, before: dict[str, str], after: dict[str, str]) -> list[Difference]:
    names = sorted(before.keys() | after.keys())
    return [
        Difference(f"{what} {name}", before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    ]


def _said(value: Any) -> str:  # noqa: ANN401 - JSON
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
