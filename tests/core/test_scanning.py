"""When images are scanned: the rules of a registry, as pure functions."""

from __future__ import annotations

import pytest

from holdfast.core.scanning import ScanFrequency, ScanningConfiguration, filter_matches, parse_configuration


@pytest.mark.parametrize(
    ("pattern", "repository", "is_for"),
    [
        ("*", "any/thing", True),
        ("prod", "my/prod-app", True),
        ("prod", "my/dev", False),
        ("prod*", "prod1", True),
        ("prod*", "my/prod", False),
        ("*prod*", "my/prod1", True),
        ("*prod", "my/prod1", False),
    ],
)
def test_filters(pattern: str, repository: str, is_for: bool) -> None:  # noqa: FBT001
    assert filter_matches(pattern, repository) is is_for


def test_continuous_comes_before_on_push() -> None:
    both = parse_configuration("ENHANCED", [("SCAN_ON_PUSH", ["*"]), ("CONTINUOUS_SCAN", ["a*", "*b"])])
    assert both.frequency_for("a/b", scan_on_push=False) == (ScanFrequency.CONTINUOUS_SCAN, ("a*", "*b"))
    assert both.frequency_for("c", scan_on_push=False) == (ScanFrequency.SCAN_ON_PUSH, ("*",))


def test_the_older_setting_counts_for_basic_scanning() -> None:
    assert ScanningConfiguration().frequency_for("a", scan_on_push=True) == (ScanFrequency.SCAN_ON_PUSH, ())
    enhanced = parse_configuration("ENHANCED", [])
    assert enhanced.frequency_for("a", scan_on_push=True) == (ScanFrequency.MANUAL, ())
