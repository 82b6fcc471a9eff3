"""The settings: one table from which the flags, the environment, the configuration file and the reference are made.

A setting is taken from, in this order: the command line, the environment (`HOLDFAST_` and the name in upper case), the
configuration file (TOML, the name as key), its default. What cannot be is refused with the name of the setting and of
the place it came from; the server does not start on a guess.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from holdfast.core.errors import ConfigurationInvalid
from holdfast.core.forwarding import networks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from holdfast.core.forwarding import Networks

PREFIX: Final = "HOLDFAST_"
_REGION: Final = "[a-z]{2}(-[a-z]+)+-[0-9]"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of a server, checked."""

    host: str
    port: int
    data: Path
    account_id: str
    region: str
    registries: tuple[tuple[str, str], ...]
    bootstrap_access_key_id: str | None
    bootstrap_secret_access_key: str | None
    tls_cert: Path | None
    tls_key: Path | None
    upstream_ca: Path | None
    create_on_push: str | None
    login: str
    log_level: str
    trusted_proxies: Networks | None
    metrics: str
    tracing: bool
    max_connections: int
    requests_per_second: int
    stranger_requests_per_second: int
    max_uploads: int
    upload_hours: int
    shutdown_seconds: int
    read_only: bool
    ledger_origin: str | None
    ledger_answers: str
    ledger_readers: str
    ledger_policy: Path | None
    reserve_mib: int
    scrub_mib_per_second: int
    scrub_days: int


@dataclass(frozen=True, slots=True)
class Setting:
    """One row of the table."""

    name: str
    default: str | None
    parse: Callable[[str], Any]
    help: str
    secret: bool = False

    @property
    def variable(self) -> str:
        """The name in the environment."""
        return PREFIX + self.name.upper()


def _text(value: str) -> str:
    return value


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", value, re.ASCII) or not least <= int(value) <= most:
            msg = f"a whole number from {least} to {most}"
            raise ValueError(msg)
        return int(value)

    return parse


def _matching(pattern: str, meaning: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if not re.fullmatch(pattern, value, re.ASCII):
            raise ValueError(meaning)
        return value

    return parse


def _yes_or_no(value: str) -> bool:
    if value not in {"yes", "no"}:
        msg = "yes or no"
        raise ValueError(msg)
    return value == "yes"


def _places(value: str) -> tuple[tuple[str, str], ...]:
    places = [place.strip() for place in value.split(",") if place.strip()]
    if not all(re.fullmatch(rf"[0-9]{{12}}/{_REGION}", place, re.ASCII) for place in places):
        msg = "a list of ACCOUNT/REGION, such as 111122223333/eu-central-1,111122223333/us-east-1"
        raise ValueError(msg)
    return tuple((account, region) for account, _, region in (place.partition("/") for place in places))


def _one_of(*allowed: str) -> Callable[[str], str]:
    return _matching("|".join(allowed), "one of " + ", ".join(allowed))


TABLE: Final = (
    Setting("host", "127.0.0.1", _text, "Address to listen on."),
    Setting("port", "5000", _whole(0, 65_535), "Port to listen on; 0 picks a free one."),
    Setting("data", "./holdfast-data", Path, "Folder of the database, the blobs and the key; made when missing."),
    Setting(
        "account_id",
        "000000000000",
        _matching("[0-9]{12}", "12 digits"),
        "Account of the default registry, as in ARNs and in registryId.",
    ),
    Setting(
        "region",
        "us-east-1",
        _matching(_REGION, "the name of a region, like eu-central-1"),
        "Region of the default registry.",
    ),
    Setting(
        "registries",
        "",
        _places,
        "Further registries to make at the start, by commas: ACCOUNT/REGION. One that was made once stays.",
    ),
    Setting(
        "bootstrap_access_key_id",
        None,
        _matching("[A-Za-z0-9_-]{4,128}", "4 to 128 letters, digits, '_' and '-'"),
        "Access key id of the first administrator. Unset, the first start makes a pair and prints it once.",
    ),
    Setting(
        "bootstrap_secret_access_key",
        None,
        _matching("[!-~]{8,256}", "8 to 256 printable characters without spaces"),
        "Secret access key of the first administrator.",
        secret=True,
    ),
    Setting("tls_cert", None, Path, "Certificate chain (PEM) to serve TLS with."),
    Setting("tls_key", None, Path, "Private key (PEM) of the certificate."),
    Setting(
        "upstream_ca",
        None,
        Path,
        "Certificates (PEM) to trust instead of the system's when this server speaks to other registries.",
    ),
    Setting(
        "create_on_push",
        None,
        _one_of("MUTABLE", "IMMUTABLE"),
        "Make the repository of a push that is not there and that no creation template is for, with this tag "
        "mutability. Unset, as in ECR, none is made.",
    ),
    Setting(
        "login",
        "basic",
        _one_of("basic", "bearer"),
        "Which way to log in clients are told of; both are understood. ECR says basic, most other registries bearer.",
    ),
    Setting("log_level", "info", _one_of("debug", "info", "warning", "error"), "Least level that is logged."),
    Setting(
        "trusted_proxies",
        None,
        networks,
        "Reverse proxies, as addresses or networks with commas between, whose X-Forwarded-For and X-Forwarded-Proto "
        "are believed. Unset, nobody's are.",
    ),
    Setting(
        "metrics",
        "loopback",
        _one_of("loopback", "authenticated", "open"),
        "Who may read /metrics without logging in: this machine, nobody, everybody. Who logs in needs the right "
        "holdfast:GetMetrics.",
    ),
    Setting("tracing", "no", _yes_or_no, "Leave OpenTelemetry traces (needs holdfast[otel]; see its OTEL_ variables)."),
    Setting("max_connections", "10000", _whole(1, 1_000_000), "Connections at one time; more are closed at once."),
    Setting(
        "requests_per_second",
        "0",
        _whole(0, 1_000_000),
        "Requests a second of one principal, ten seconds' worth at once; more are told to wait. 0: no limit.",
    ),
    Setting(
        "stranger_requests_per_second",
        "200",
        _whole(0, 1_000_000),
        "The same for one address without credentials or with wrong ones (of IPv6, one /64 network).",
    ),
    Setting("max_uploads", "2000", _whole(1, 1_000_000), "Upload sessions that one principal may have open."),
    Setting("upload_hours", "168", _whole(1, 8_760), "Upload sessions begun longer ago are dropped."),
    Setting(
        "shutdown_seconds", "30", _whole(0, 3_600), "How long running requests may go on after a stop was asked for."
    ),
    Setting(
        "read_only",
        "no",
        _yes_or_no,
        "yes: take no pushes and no changes; pulls go on. While the server runs: holdfast read-only.",
    ),
    Setting(
        "ledger_origin",
        None,
        _matching(r"[!-*,-~]{1,200}", "1 to 200 printable characters without spaces and '+'"),
        "Name of the ledger in its checkpoints, by custom an address without scheme; it can never be changed. "
        "Unset: holdfast/ACCOUNT/REGION.",
    ),
    Setting(
        "ledger_answers",
        "published",
        _one_of("published", "committed"),
        "When a push is answered: once its entry is published in the ledger, or once it is durable.",
    ),
    Setting(
        "ledger_readers",
        "right",
        _one_of("right", "logged-in", "public"),
        "Who may read the ledger's files, which name repositories and principals: who has the right "
        "holdfast:ReadLedger, who is logged in, or everybody.",
    ),
    Setting(
        "ledger_policy",
        None,
        Path,
        "Policy (C2SP tlog-policy) with the witnesses, and their addresses, that must cosign what is published.",
    ),
    Setting(
        "reserve_mib",
        "64",
        _whole(0, 1_048_576),
        "Room kept back, in MiB, so that deleting and collecting go on when the disk is full; 0 keeps none.",
    ),
    Setting(
        "scrub_mib_per_second",
        "16",
        _whole(0, 100_000),
        "How fast stored bytes are read again in the background, in MiB a second; 0: only by holdfast scrub.",
    ),
    Setting("scrub_days", "30", _whole(1, 3_650), "How often, in days, a pass over all stored bytes begins."),
)
"""Every setting there is."""


def load(flags: Mapping[str, str | None], environment: Mapping[str, str], file: Path | None = None) -> Settings:
    """Gather and check the settings; raises ConfigurationInvalid."""
    written = _read(file) if file else {}
    values: dict[str, Any] = {}
    for setting in TABLE:
        value, place = setting.default, "its default"
        if setting.name in written:
            value, place = str(written[setting.name]), f"the file {file}"
        if environment.get(setting.variable):
            value, place = environment[setting.variable], f"the variable {setting.variable}"
        if flags.get(setting.name) is not None:
            value, place = flags[setting.name], f"the option --{setting.name.replace('_', '-')}"
        try:
            values[setting.name] = None if value is None else setting.parse(value)
        except ValueError as error:
            shown = "what was given" if setting.secret else repr(value)
            msg = f"The setting {setting.name} must be {error}; {shown} came from {place}."
            raise ConfigurationInvalid(msg) from None
    settings = Settings(**values)
    _check_pairs(settings)
    return settings


def _check_pairs(settings: Settings) -> None:
    for one, other in (("tls_cert", "tls_key"), ("bootstrap_access_key_id", "bootstrap_secret_access_key")):
        if (getattr(settings, one) is None) != (getattr(settings, other) is None):
            msg = f"The settings {one} and {other} go together: give both or neither."
            raise ConfigurationInvalid(msg)


def _read(file: Path) -> dict[str, Any]:
    try:
        written = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        msg = f"The configuration file {file} cannot be read: {error}"
        raise ConfigurationInvalid(msg) from None
    unknown = sorted(set(written) - {setting.name for setting in TABLE})
    if unknown:
        msg = f"The configuration file {file} has settings that do not exist: {', '.join(unknown)}."
        raise ConfigurationInvalid(msg)
    return written


assert {setting.name for setting in TABLE} == {field.name for field in fields(Settings)}  # noqa: S101 - one table
