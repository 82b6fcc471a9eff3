"""When images are scanned, and how grave a finding is: a registry's scanning rules and Amazon ECR's scale.

This file alone decides which repositories a rule is for and which rules may stand together. It knows no scanner.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from holdfast.core.errors import InputInvalid
from holdfast.core.mutability import matches

if TYPE_CHECKING:
    from collections.abc import Sequence


class Severity(StrEnum):
    """How grave a finding is, gravest first. Source: Amazon ECR API, FindingSeverity."""

    CRITICAL = "CRITICAL"
    HIGH = "HIGH"
    MEDIUM = "MEDIUM"
    LOW = "LOW"
    INFORMATIONAL = "INFORMATIONAL"
    UNDEFINED = "UNDEFINED"


class ScanType(StrEnum):
    """What kind of scanning a registry has."""

    BASIC = "BASIC"
    ENHANCED = "ENHANCED"


class ScanFrequency(StrEnum):
    """When images are scanned."""

    CONTINUOUS_SCAN = "CONTINUOUS_SCAN"
    SCAN_ON_PUSH = "SCAN_ON_PUSH"
    MANUAL = "MANUAL"


class ScanStatus(StrEnum):
    """Where the scan of an image stands, of ECR's list what Holdfast tells."""

    COMPLETE = "COMPLETE"
    UNSUPPORTED_IMAGE = "UNSUPPORTED_IMAGE"


SCAN_QUOTA_SECONDS: Final = 24 * 3600
"""An image is scanned at most once in this time. Source: Amazon ECR API, StartImageScan."""

IMAGE_CONFIGS: Final = frozenset(
    {"application/vnd.oci.image.config.v1+json", "application/vnd.docker.container.image.v1+json"}
)
"""Media types of the config of what a scanner can look into: a container image, and no chart or signature."""

_ALLOWED: Final = {
    ScanType.BASIC: (ScanFrequency.SCAN_ON_PUSH, ScanFrequency.MANUAL),
    ScanType.ENHANCED: (ScanFrequency.CONTINUOUS_SCAN, ScanFrequency.SCAN_ON_PUSH),
}
"""Source: Amazon ECR API, RegistryScanningRule."""


@dataclass(frozen=True, slots=True)
class ScanningRule:
    """How often the repositories whose names match a filter are scanned."""

    frequency: ScanFrequency
    filters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ScanningConfiguration:
    """A registry's scanning; make one with `parse_configuration` where the values come from outside."""

    scan_type: ScanType = ScanType.BASIC
    rules: tuple[ScanningRule, ...] = ()

    def frequency_for(self, repository: str, *, scan_on_push: bool) -> tuple[ScanFrequency, tuple[str, ...]]:
        """Say when a repository's images are scanned, and which filters say so.

        Continuous scanning comes before scanning on push (Amazon ECR user guide, "Using filters"). `scan_on_push` is
        the repository's own, older setting; it counts for basic scanning.
        """
        for frequency in ScanFrequency:
            applied = tuple(
                pattern
                for rule in self.rules
                if rule.frequency is frequency
                for pattern in rule.filters
                if filter_matches(pattern, repository)
            )
            if applied and frequency is not ScanFrequency.MANUAL:
                return frequency, applied
        if scan_on_push and self.scan_type is ScanType.BASIC:
            return ScanFrequency.SCAN_ON_PUSH, ()
        return ScanFrequency.MANUAL, ()


def parse_configuration(scan_type: str, rules: Sequence[tuple[str, Sequence[str]]]) -> ScanningConfiguration:
    """Check that rules may stand together, as ECR does; raises InputInvalid with ECR's sentence."""
    kind = ScanType(scan_type)
    parsed = tuple(ScanningRule(ScanFrequency(frequency), tuple(filters)) for frequency, filters in rules)
    frequencies = [rule.frequency for rule in parsed]
    for frequency in frequencies:
        if frequency not in _ALLOWED[kind]:
            msg = f"Invalid scan frequency for scanType {kind}: {frequency}"
            raise InputInvalid(msg)
    twice = [frequency for frequency in dict.fromkeys(frequencies) if frequencies.count(frequency) > 1]
    if twice:
        msg = f"Invalid input. Contains duplicate scan frequencies: [{', '.join(twice)}]"
        raise InputInvalid(msg)
    return ScanningConfiguration(kind, parsed)


def filter_matches(pattern: str, repository: str) -> bool:
    """Whether a scanning filter is for a repository: without `*`, its name must contain the text.

    Source: Amazon ECR user guide, "Filters to choose which repositories are scanned".
    """
    return matches(pattern, repository) if "*" in pattern else pattern in repository
