"""Reports of scanners, read: Trivy's JSON, Grype's JSON, SARIF 2.1.0 and CycloneDX with vulnerabilities.

This file alone decides what we accept as a report and how its severities become Amazon ECR's. It raises ReportInvalid
and nothing else. What a report does not say stays unsaid: a severity that no scanner gave is UNDEFINED.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from holdfast.core import strict_json
from holdfast.core.errors import ReportInvalid
from holdfast.core.scanning import Severity

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_BYTES: Final = 20 * 1024 * 1024
MAX_FINDINGS: Final = 50_000
"""The largest images in the field have a few thousand."""

MAX_ATTRIBUTE_CHARACTERS: Final = 256
MAX_TEXT_CHARACTERS: Final = 4_096
_DIGEST: Final = re.compile(r"(?:sha256:[a-f0-9]{64}|sha512:[a-f0-9]{128})")
_RANK: Final = {severity: rank for rank, severity in enumerate(Severity)}

_WORDS: Final = {
    "critical": Severity.CRITICAL,
    "high": Severity.HIGH,
    "important": Severity.HIGH,
    "medium": Severity.MEDIUM,
    "moderate": Severity.MEDIUM,
    "low": Severity.LOW,
    "negligible": Severity.INFORMATIONAL,
    "info": Severity.INFORMATIONAL,
    "informational": Severity.INFORMATIONAL,
    "none": Severity.INFORMATIONAL,
}
"""Words of scanners and distributions; what is not here is UNDEFINED."""

_SCORES: Final = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (4.0, Severity.MEDIUM), (0.1, Severity.LOW))
"""The qualitative scale of CVSS v3.1, section 5: least score -> severity."""


@dataclass(frozen=True, slots=True)
class ReportedFinding:
    """One vulnerability in one package, as a scanner told it."""

    name: str
    severity: Severity
    description: str = ""
    uri: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    """In ECR's terms: package_name, package_version, fixed_in_version, CVSS_SCORE, CVSS_VECTOR, ..."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says; findings are ordered gravest first."""

    format: str
    scanner: str
    findings: tuple[ReportedFinding, ...]
    digests: frozenset[str] = field(default_factory=frozenset)
    """Digests by which the report names its image, of a manifest or a config; empty when it names none."""

    made_at: int | None = None
    """When the scanner looked, microseconds since the epoch, where the report says so."""

    source_updated_at: int | None = None
    """When the scanner's data were made, microseconds since the epoch, where the report says so."""

    @property
    def counts(self) -> dict[str, int]:
        """Severity -> number of findings, gravest first."""
        counted = Counter(one.severity for one in self.findings)
        return {str(severity): counted[severity] for severity in Severity if counted[severity]}


def parse(content: bytes) -> Report:
    """Read a report in any of the formats; which one it is is seen from its content."""
    if len(content) > MAX_BYTES:
        msg = f"The report is larger than {MAX_BYTES} bytes."
        raise ReportInvalid(msg)
    try:
        document = strict_json.parse(content.removeprefix(b"\xef\xbb\xbf"))
    except strict_json.StrictJSONError as error:
        msg = f"The report is not JSON: {error}."
        raise ReportInvalid(msg) from None
    if isinstance(document, dict):
        for is_it, read in _FORMATS:
            if is_it(document):
                report = read(document)
                if len(report.findings) > MAX_FINDINGS:
                    msg = f"The report has more than {MAX_FINDINGS} findings."
                    raise ReportInvalid(msg)
                return report
    msg = (
        "The report is of no known format; known are the JSON reports of Trivy (--format json) and Grype (-o json), "
        "SARIF 2.1.0, and CycloneDX JSON with vulnerabilities."
    )
    raise ReportInvalid(msg)


# --- Trivy -----------------------------------------------------------------------------------------------------------


def _trivy(document: dict[str, Any]) -> Report:
    """Source: Trivy documentation, "JSON" report, schema version 2."""
    if _text(document, "ArtifactType") not in {"container_image", ""}:
        msg = f"The Trivy report is about a {_text(document, 'ArtifactType')}, not about a container image."
        raise ReportInvalid(msg)
    meta = _object(document, "Metadata")
    named = [_text(meta, "ImageID"), *map(str, _array(meta, "RepoDigests"))]
    found = [
        ReportedFinding(
            _name(one, "VulnerabilityID"),
            _word(_text(one, "Severity")),
            _long(_text(one, "Description") or _text(one, "Title")),
            _long(_text(one, "PrimaryURL")),
            _attributes(
                package_name=_text(one, "PkgName"),
                package_version=_text(one, "InstalledVersion"),
                fixed_in_version=_text(one, "FixedVersion"),
                file_path=_text(one, "PkgPath"),
                **_trivy_cvss(_object(one, "CVSS"), _text(one, "SeveritySource")),
            ),
        )
        for result in _objects(document, "Results")
        for one in _objects(result, "Vulnerabilities")
    ]
    version = _text(_object(document, "Trivy"), "Version")
    made_at = _moment(_text(document, "CreatedAt"))
    return Report("trivy", f"Trivy {version}".strip(), _ordered(found), _digests(named), made_at)


def _trivy_cvss(scores: dict[str, Any], preferred: str) -> dict[str, str]:
    """Take one source's score: the one that the severity is of, else the first by name that has one."""
    for source in (preferred, *sorted(scores)):
        one = scores.get(source)
        if isinstance(one, dict):
            for score, vector in (("V40Score", "V40Vector"), ("V3Score", "V3Vector"), ("V2Score", "V2Vector")):
                if isinstance(one.get(score), int | float):
                    return {"CVSS_SCORE": str(one[score]), "CVSS_VECTOR": _text(one, vector)}
    return {}


# --- Grype -----------------------------------------------------------------------------------------------------------


def _grype(document: dict[str, Any]) -> Report:
    """Source: Grype's JSON output (`grype -o json`)."""
    source = _object(document, "source")
    if _text(source, "type") not in {"image", ""}:
        msg = f"The Grype report is about a {_text(source, 'type')}, not about a container image."
        raise ReportInvalid(msg)
    target = source.get("target") if isinstance(source.get("target"), dict) else {}
    assert isinstance(target, dict)  # noqa: S101 - told to mypy
    named = [
        _text(target, "manifestDigest"),
        _text(target, "imageID"),
        *map(str, _array(target, "repoDigests")),
    ]
    found = [_grype_finding(one) for one in _objects(document, "matches")]
    descriptor = _object(document, "descriptor")
    data = _object(descriptor, "db")
    built = _text(data, "built") or _text(_object(data, "status"), "built")
    scanner = f"Grype {_text(descriptor, 'version')}".strip()
    made_at = _moment(_text(descriptor, "timestamp"))
    return Report("grype", scanner, _ordered(found), _digests(named), made_at, _moment(built))


def _grype_finding(match: dict[str, Any]) -> ReportedFinding:
    told = _object(match, "vulnerability")
    package = _object(match, "artifact")
    scores: list[dict[str, Any]] = _objects(told, "cvss")
    for related in _objects(match, "relatedVulnerabilities"):
        scores += _objects(related, "cvss")
    score = scores[0] if scores else {}
    base = _object(score, "metrics").get("baseScore")
    return ReportedFinding(
        _name(told, "id"),
        _word(_text(told, "severity")),
        _long(_text(told, "description")),
        _long(_text(told, "dataSource")),
        _attributes(
            package_name=_text(package, "name"),
            package_version=_text(package, "version"),
            fixed_in_version=", ".join(map(str, _array(_object(told, "fix"), "versions"))),
            CVSS_SCORE=str(base) if isinstance(base, int | float) else "",
            CVSS_VECTOR=_text(score, "vector"),
        ),
    )


# --- SARIF -----------------------------------------------------------------------------------------------------------


def _sarif(document: dict[str, Any]) -> Report:
    """Source: OASIS SARIF 2.1.0; `security-severity` is the property that code scanning tools agreed on."""
    runs = _objects(document, "runs")
    if not runs:
        msg = "The SARIF report has no run: nothing was looked at."
        raise ReportInvalid(msg)
    found: list[ReportedFinding] = []
    scanners = []
    for run in runs:
        driver = _object(_object(run, "tool"), "driver")
        scanners.append(f"{_text(driver, 'name')} {_text(driver, 'version')}".strip())
        for invocation in _objects(run, "invocations"):
            if invocation.get("executionSuccessful") is False:
                msg = "The SARIF report is of a scan that failed; what it does not list may be there all the same."
                raise ReportInvalid(msg)
        rules = {_text(rule, "id"): rule for rule in _objects(driver, "rules")}
        for result in _objects(run, "results"):
            identity = _text(result, "ruleId") or _text(_object(result, "rule"), "id")
            found.append(_sarif_finding(identity, result, rules.get(identity, {})))
    return Report("sarif", ", ".join(scanners), _ordered(found))


def _sarif_finding(identity: str, result: dict[str, Any], rule: dict[str, Any]) -> ReportedFinding:
    if not identity:
        msg = "A result of the SARIF report has no ruleId."
        raise ReportInvalid(msg)
    text = _text(_object(rule, "fullDescription"), "text") or _text(_object(result, "message"), "text")
    score = _object(rule, "properties").get("security-severity")
    severity = _score(score)
    told = "" if severity is Severity.UNDEFINED else str(score)
    places = _objects(result, "locations")
    place = _object(_object(places[0], "physicalLocation"), "artifactLocation") if places else {}
    return ReportedFinding(
        identity[:MAX_ATTRIBUTE_CHARACTERS],
        severity,
        _long(text),
        _long(_text(rule, "helpUri")),
        _attributes(CVSS_SCORE=told, file_path=_text(place, "uri")),
    )


# --- CycloneDX -------------------------------------------------------------------------------------------------------


def _cyclonedx(document: dict[str, Any]) -> Report:
    """Source: CycloneDX 1.4 to 1.6, "vulnerabilities"."""
    if "vulnerabilities" not in document:
        msg = "The CycloneDX document lists components and no vulnerabilities: nobody looked for any."
        raise ReportInvalid(msg)
    meta = _object(document, "metadata")
    about = _object(meta, "component")
    components = {_text(one, "bom-ref"): one for one in _objects(document, "components")}
    found = []
    for one in _objects(document, "vulnerabilities"):
        ratings = _objects(one, "ratings")
        severity = min((_word(_text(rating, "severity")) for rating in ratings), key=_RANK.__getitem__, default=None)
        scores = [rating for rating in ratings if isinstance(rating.get("score"), int | float)]
        source = _object(one, "source")
        cvss = {"CVSS_SCORE": str(scores[0]["score"]), "CVSS_VECTOR": _text(scores[0], "vector")} if scores else {}
        for affected in _objects(one, "affects") or [{}]:
            package = components.get(_text(affected, "ref"), {})
            found.append(
                ReportedFinding(
                    _name(one, "id"),
                    severity or Severity.UNDEFINED,
                    _long(_text(one, "description")),
                    _long(_text(source, "url")),
                    _attributes(
                        package_name=_text(package, "name") or _text(affected, "ref"),
                        package_version=_text(package, "version"),
                        **cvss,
                    ),
                )
            )
    tools = meta.get("tools")
    listed = _objects(tools, "components") if isinstance(tools, dict) else _objects(meta, "tools")
    scanner = ", ".join(f"{_text(tool, 'name')} {_text(tool, 'version')}".strip() for tool in listed)
    named = [_text(about, "bom-ref"), _text(about, "purl").replace("%3A", ":"), _text(about, "version")]
    return Report("cyclonedx", scanner, _ordered(found), _digests(named), _moment(_text(meta, "timestamp")))


_FORMATS: Final[tuple[tuple[Callable[[dict[str, Any]], bool], Callable[[dict[str, Any]], Report]], ...]] = (
    (lambda document: document.get("SchemaVersion") == 2 and "ArtifactName" in document, _trivy),  # noqa: PLR2004
    (lambda document: isinstance(document.get("matches"), list) and "descriptor" in document, _grype),
    (lambda document: str(document.get("version")).startswith("2.1") and "runs" in document, _sarif),
    (lambda document: document.get("bomFormat") == "CycloneDX", _cyclonedx),
)
"""How a format is known -> how it is read."""


# --- reading ---------------------------------------------------------------------------------------------------------


def _text(document: dict[str, Any], key: str) -> str:
    value = document.get(key)
    return value if isinstance(value, str) else ""


def _object(document: dict[str, Any], key: str) -> dict[str, Any]:
    value = document.get(key)
    return value if isinstance(value, dict) else {}


def _array(document: dict[str, Any], key: str) -> list[Any]:
    """Return a list, an empty one when it is absent or null; anything else would be findings that we do not see."""
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        msg = f"The field {key} of the report is not a list."
        raise ReportInvalid(msg)
    return value


def _objects(document: dict[str, Any], key: str) -> list[dict[str, Any]]:
    values = _array(document, key)
    if not all(isinstance(one, dict) for one in values):
        msg = f"The field {key} of the report holds something other than objects."
        raise ReportInvalid(msg)
    return list(values)


def _name(document: dict[str, Any], key: str) -> str:
    name = _text(document, key)
    if not name:
        msg = f"A finding of the report has no {key}."
        raise ReportInvalid(msg)
    return name[:MAX_ATTRIBUTE_CHARACTERS]


def _attributes(**values: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, value[:MAX_ATTRIBUTE_CHARACTERS]) for key, value in values.items() if value)


def _long(text: str) -> str:
    return text[:MAX_TEXT_CHARACTERS]


def _word(text: str) -> Severity:
    return _WORDS.get(text.lower(), Severity.UNDEFINED)


def _score(value: object) -> Severity:
    try:
        score = float(value) if isinstance(value, int | float | str) else -1.0
    except ValueError:
        return Severity.UNDEFINED
    return next((severity for least, severity in _SCORES if least <= score <= 10), Severity.UNDEFINED)  # noqa: PLR2004


def _ordered(findings: list[ReportedFinding]) -> tuple[ReportedFinding, ...]:
    return tuple(sorted(set(findings), key=lambda one: (_RANK[one.severity], one.name, one.attributes)))


def _digests(texts: list[str]) -> frozenset[str]:
    return frozenset(found for text in texts for found in _DIGEST.findall(text))


def _moment(text: str) -> int | None:
    """Read an RFC 3339 time as microseconds since the epoch; None for what is not one."""
    try:
        moment = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
    except ValueError:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return int(moment.timestamp() * 1_000_000)
    except (OverflowError, ValueError):
        return None
