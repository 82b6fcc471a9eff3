"""Let the outside judge of the OCI distribution API judge a registry.

The judge is the conformance program of the OCI distribution specification. This file alone
decides which of its switches are on, how it is built from the version pinned in `go.mod`, and
what counts as green. It knows nothing about Holdfast but how to start it and when it is ready.

    python run.py                                            start Holdfast, judge it, stop it
    python run.py --registry 127.0.0.1:5000 --username U --password P     judge what runs there

Exit codes: 0 no failure and no error; 1 judged and found wanting; 2 usage; 3 no judgement could
be made (no Go toolchain, the build failed, the server did not start, no report was written).

The program's own exit code is not trusted: it ends with 0 when its configuration does not load
or a report cannot be written. Only the report it leaves behind counts, and a report with too few
passes counts as red, so that a run that did nothing cannot look green.
"""

import argparse
import contextlib
import dataclasses
import http.client
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
MODULE = "github.com/opencontainers/distribution-spec/conformance"

EXIT_GREEN = 0
EXIT_WANTING = 1
EXIT_NO_JUDGEMENT = 3

# What a registry that can do everything passes with the switches below: 986 checks, measured with
# the pinned version. A feature that is honestly "unsupported" turns a handful into skips.
MIN_PASSES = 950

BUILD_LIMIT_SECONDS = 600
RUN_LIMIT_SECONDS = 900
READY_LIMIT_SECONDS = 60
STOP_LIMIT_SECONDS = 20
MESSAGE_LIMIT_CHARACTERS = 160
LOG_TAIL_LINES = 20

VERSIONS = {"1.1": ("1.1",), "dev": ("dev",), "both": ("1.1", "dev")}

# Every switch the program has, whatever the version would have chosen. The version only changes
# which of these are on by default.
SWITCHES = (
    "OCI_API_PING",
    "OCI_API_PULL",
    "OCI_API_PUSH",
    "OCI_API_BLOBS_ATOMIC",
    "OCI_API_BLOBS_DELETE",
    "OCI_API_BLOBS_DIGEST_HEADER",
    "OCI_API_BLOBS_MOUNT_ANONYMOUS",
    "OCI_API_BLOBS_UPLOAD_CANCEL",
    "OCI_API_MANIFESTS_ATOMIC",
    "OCI_API_MANIFESTS_DELETE",
    "OCI_API_MANIFESTS_DIGEST_HEADER",
    "OCI_API_MANIFESTS_TAG_PARAM",
    "OCI_API_TAGS_ATOMIC",
    "OCI_API_TAGS_DELETE",
    "OCI_API_TAGS_LIST",
    "OCI_API_REFERRER",
    "OCI_DATA_IMAGE",
    "OCI_DATA_INDEX",
    "OCI_DATA_INDEX_LIST",
    "OCI_DATA_ARTIFACT",
    "OCI_DATA_SUBJECT",
    "OCI_DATA_SUBJECT_MISSING",
    "OCI_DATA_ARTIFACT_LIST",
    "OCI_DATA_SUBJECT_LIST",
    "OCI_DATA_DATA_FIELD",
    "OCI_DATA_NONDISTRIBUTABLE",
    "OCI_DATA_CUSTOM_FIELDS",
    "OCI_DATA_NO_LAYERS",
    "OCI_DATA_EMPTY_BLOB",
    "OCI_DATA_SHA512",
)

# The one switch that is off unless asked for: it pushes manifests whose layers or children were
# never pushed and counts a refusal as a failure. The specification lets a registry refuse them,
# both versions leave it off by default, and Holdfast refuses.
SPARSE_SWITCH = "OCI_DATA_SPARSE"

# The order in which tests are listed. A status that is not here, known or new, is an error, and
# errors come first.
RANKS = {"failure": 1, "skipped": 2, "passed": 3}


class NoJudgementError(Exception):
    """The judge could not do its work; nothing is known about the registry."""


@dataclasses.dataclass(frozen=True)
class Target:
    """A registry on plain HTTP and the login that may push to it."""

    registry: str
    username: str
    password: str


@dataclasses.dataclass(frozen=True)
class Case:
    """One test that did not pass: its name, what became of it, and why."""

    name: str
    status: str
    message: str


@dataclasses.dataclass(frozen=True)
class Verdict:
    """The numbers of one run and every test that did not pass."""

    version: str
    passes: int
    failures: int
    errors: int
    skips: int
    disabled: int
    cases: tuple[Case, ...]

    def complaint(self, min_passes: int, *, skips_count: bool) -> str:
        """Say why this run is red; the empty string when it is green."""
        if self.failures or self.errors:
            return "failed"
        if self.passes < min_passes:
            return f"only {self.passes} passes, {min_passes} expected"
        if skips_count and (self.skips or self.disabled):
            return "skipped tests"
        return ""


# --- building the judge ---------------------------------------------------------------------


def pinned_version() -> str:
    """Read the version of the conformance program that `go.mod` pins."""
    text = (HERE / "go.mod").read_text(encoding="utf-8")
    found = re.search(rf"^(?:require )?\s*{re.escape(MODULE)} (\S+)", text, re.MULTILINE)
    if found is None:
        message = f"go.mod does not pin {MODULE}"
        raise NoJudgementError(message)
    return found[1]


def cache_folder(version: str) -> Path:
    """Name the folder outside the repository where the built program is kept."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root) / "holdfast" / f"conformance-{version}"


def build(folder: Path, version: str) -> Path:
    """Return the built program, building it first if this version was never built here."""
    program = folder / "conformance"
    if program.is_file():
        return program
    go = shutil.which("go")
    if go is None:
        message = (
            "NO GO TOOLCHAIN: `go` (1.24 or newer) is not on the PATH, so the OCI conformance "
            "program cannot be built and NOTHING WAS CHECKED"
        )
        raise NoJudgementError(message)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        built = Path(scratch) / "conformance"
        compile_with(go, built, version)
        built.replace(program)  # atomic: a second run at the same time sees all or nothing
    return program


def compile_with(go: str, built: Path, version: str) -> None:
    """Compile the pinned program; `go.sum` in this folder vouches for every module."""
    stamp = f"-X main.Version={version}"
    command = [go, "build", "-mod=readonly", "-buildvcs=false", "-trimpath"]
    command += ["-ldflags", stamp, "-o", str(built), MODULE]
    done = subprocess.run(
        command,
        cwd=HERE,
        env={**os.environ, "GOWORK": "off", "CGO_ENABLED": "0"},
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_SECONDS,
        check=False,
    )
    if done.returncode:
        message = f"THE BUILD OF THE CONFORMANCE PROGRAM FAILED:\n{done.stderr.strip()}"
        raise NoJudgementError(message)


# --- running it -----------------------------------------------------------------------------


def environment(target: Target, version: str, folder: Path, *, sparse: bool) -> dict[str, str]:
    """Build the program's environment; an inherited OCI_ variable must not turn tests off."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OCI_")}
    # New names for every run: nothing that an earlier run left behind can help or hurt, and the
    # first requests meet a repository that does not exist.
    prefix = f"conformance/{version.replace('.', '-')}-{secrets.token_hex(4)}"
    return {
        **inherited,
        **dict.fromkeys(SWITCHES, "true"),
        SPARSE_SWITCH: "true" if sparse else "false",
        "OCI_VERSION": version,
        "OCI_REGISTRY": target.registry,
        "OCI_TLS": "disabled",
        "OCI_USERNAME": target.username,
        "OCI_PASSWORD": target.password,
        "OCI_REPO1": f"{prefix}/one",
        "OCI_REPO2": f"{prefix}/two",
        "OCI_RESULTS_DIR": str(folder),
        "OCI_LOG": "error",
    }


def judge(program: Path, target: Target, version: str, folder: Path, *, sparse: bool) -> Verdict:
    """Run the program once against the registry and read the report that it leaves."""
    folder.mkdir(parents=True, exist_ok=True)
    report = folder / "junit.xml"
    report.unlink(missing_ok=True)  # a report of an earlier run must not speak for this one
    with (folder / "console.txt").open("wb") as console:
        subprocess.run(
            [str(program.resolve())],
            cwd=folder,  # it would read an oci-conformance.yaml lying about elsewhere
            env=environment(target, version, folder, sparse=sparse),
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            timeout=RUN_LIMIT_SECONDS,
            check=False,
        )
    if not report.is_file():
        message = f"NO REPORT for version {version}; it said:\n{tail(folder / 'console.txt')}"
        raise NoJudgementError(message)
    return read_report(report, version)


def read_report(report: Path, version: str) -> Verdict:
    """Turn a junit file into a verdict, trusting the worse of its numbers and its tests."""
    try:
        suite = ET.parse(report).getroot().find("testsuite")  # noqa: S314 -- written by our build
    except ET.ParseError as broken:
        message = f"the report {report} cannot be read: {broken}"
        raise NoJudgementError(message) from broken
    if suite is None:
        message = f"the report {report} holds no test suite"
        raise NoJudgementError(message)
    cases = tuple(map(read_case, suite.iter("testcase")))
    statuses = Counter(case.status for case in cases)
    total, failures, errors, skips, disabled = (
        int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped", "disabled")
    )
    return Verdict(
        version=version,
        passes=total - failures - errors - skips - disabled,
        failures=max(failures, statuses["failure"]),
        errors=max(errors, sum(case.status not in RANKS for case in cases)),
        skips=skips,
        disabled=disabled,
        cases=tuple(case for case in cases if case.status != "passed"),
    )


def read_case(element: ET.Element) -> Case:
    """Take from one test case its short name, its status and the first line of its reason."""
    _suite, _slash, name = element.get("name", "?").partition("/")
    reason = element.findtext("system-out") or skip_reason(element.findtext("system-err") or "")
    first_line = reason.strip().partition("\n")[0]
    return Case(name, element.get("status", "none"), first_line[:MESSAGE_LIMIT_CHARACTERS])


def skip_reason(transcript: str) -> str:
    """Find why a test was skipped in its transcript, where the program writes it last."""
    return transcript.rpartition("skipping test:\n")[2] if "skipping test:" in transcript else ""


# --- saying what was found ------------------------------------------------------------------


def say(text: str) -> None:
    """Print one line now, so that a pipe sees progress as it happens."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def render_table(verdicts: Sequence[Verdict], complaints: Sequence[str]) -> str:
    """Render one line of numbers for each version."""
    row = "{:<8}{:>8}{:>10}{:>8}{:>7}{:>10}   {}"
    lines = [row.format("version", "passes", "failures", "errors", "skips", "disabled", "verdict")]
    lines += [
        row.format(
            verdict.version,
            verdict.passes,
            verdict.failures,
            verdict.errors,
            verdict.skips,
            verdict.disabled,
            f"RED: {complaint}" if complaint else "green",
        )
        for verdict, complaint in zip(verdicts, complaints, strict=True)
    ]
    return "\n".join(lines)


def render_cases(verdict: Verdict) -> str:
    """List every test that did not pass, the worst first, tests of one name as one."""
    groups: dict[tuple[int, str], list[Case]] = {}
    for case in verdict.cases:
        groups.setdefault((RANKS.get(case.status, 0), case.name), []).append(case)
    lines = [f"\nnot passed in version {verdict.version}:"] if groups else []
    for (_rank, name), (first, *others) in sorted(groups.items()):
        times = f" (x{len(others) + 1})" if others else ""
        lines.append(f"  {first.status:<8} {name}{times}")
        lines += [f"           {first.message}"] if first.message else []
    return "\n".join(lines)


def tail(path: Path) -> str:
    """Return the last lines of a log, for a message about what went wrong."""
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return "\n".join(lines[-LOG_TAIL_LINES:])


# --- Holdfast as the registry ---------------------------------------------------------------


@contextlib.contextmanager
def holdfast(python: str, output: Path) -> Iterator[Target]:
    """Run a new Holdfast on a free loopback port with its data in a folder that goes away."""
    port = free_port()
    target = Target(
        registry=f"127.0.0.1:{port}",
        username=f"AKIA{secrets.token_hex(8).upper()}",
        password=secrets.token_urlsafe(30),
    )
    listen = ("--host", "127.0.0.1", "--port", str(port))
    log = output / "holdfast.log"
    with tempfile.TemporaryDirectory(prefix="holdfast-conformance-") as data:
        with log.open("wb") as stream:
            server = subprocess.Popen(
                [python, "-m", "holdfast", "serve", *listen, "--data", data],
                env=server_environment(target),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_until_ready(server, port, log)
            yield target
            if server.poll() is not None:
                message = f"Holdfast died during the run ({server.returncode}):\n{tail(log)}"
                raise NoJudgementError(message)
        finally:
            stop(server)


def server_environment(target: Target) -> dict[str, str]:
    """Build the server's environment: a known first login, repositories created by a push."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("HOLDFAST_")}
    return {
        **inherited,
        "HOLDFAST_BOOTSTRAP_ACCESS_KEY_ID": target.username,
        "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY": target.password,
        "HOLDFAST_CREATE_ON_PUSH": "MUTABLE",  # MUTABLE: the program re-uses tag names by design
    }


def free_port() -> int:
    """Ask the kernel for a loopback port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def wait_until_ready(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    """Return when /readyz answers 200; give up when the server ends or takes too long."""
    deadline = time.monotonic() + READY_LIMIT_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            message = f"Holdfast ended with {server.returncode} before it was ready:\n{tail(log)}"
            raise NoJudgementError(message)
        if answers_ready(port):
            return
        time.sleep(0.1)
    message = f"Holdfast was not ready within {READY_LIMIT_SECONDS} s:\n{tail(log)}"
    raise NoJudgementError(message)


def answers_ready(port: int) -> bool:
    """Ask /readyz once, past any proxy that the environment names."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server politely, then firmly."""
    server.terminate()
    try:
        server.wait(STOP_LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


# --- the command ----------------------------------------------------------------------------


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Judge a registry with the OCI distribution conformance program.",
        epilog="Exit codes: 0 green, 1 red, 2 usage, 3 no judgement could be made.",
    )
    option = parser.add_argument
    option("--registry", metavar="HOST:PORT", help="judge what runs there (default: Holdfast)")
    option("--username", default="", help="login for --registry")
    option("--password", default="", help="password for --registry")
    option("--version", choices=VERSIONS, default="both", help="default: %(default)s")
    option("--output", type=Path, metavar="DIR", help="keep reports here (default: temporary)")
    option("--python", default=sys.executable, help="interpreter that has Holdfast")
    option("--program", type=Path, help="a built conformance program to use as it is")
    option("--min-passes", type=int, default=MIN_PASSES, help="default: %(default)s")
    option("--sparse", action="store_true", help="also want manifests with missing parts taken")
    option("--no-skips", action="store_true", help="a skipped test is red too")
    options = parser.parse_args(arguments)
    if bool(options.username) != bool(options.password):
        parser.error("--username and --password go together")
    if options.registry is None and options.username:
        parser.error("--username is for --registry; a Holdfast started here gets a new login")
    if options.registry is not None and "/" in options.registry:
        parser.error("--registry is HOST:PORT, without scheme or path")
    return options


def judge_all(options: argparse.Namespace, output: Path) -> int:
    """Get the program, run every wanted version, say what was found, and return the exit code."""
    version = pinned_version()
    program = options.program or build(cache_folder(version), version)
    say(f"judge: {MODULE} {options.program or version}")
    if not options.sparse:
        say(f"off by choice: {SPARSE_SWITCH} (manifests with missing parts may be refused)")
    target = Target(options.registry or "", options.username, options.password)
    serving = contextlib.nullcontext(target)
    verdicts: list[Verdict] = []
    with serving if options.registry else holdfast(options.python, output) as found:
        for each in VERSIONS[options.version]:
            say(f"running version {each} against {found.registry} ...")
            verdicts.append(judge(program, found, each, output / each, sparse=options.sparse))
    complaints = [verdict.complaint(options.min_passes, skips_count=options.no_skips) for verdict in verdicts]
    say("\n".join([*filter(None, map(render_cases, verdicts)), ""]))
    say(render_table(verdicts, complaints))
    return EXIT_WANTING if any(complaints) else EXIT_GREEN


def main(arguments: Sequence[str]) -> int:
    """Judge, keep the reports where they were asked for or where they are needed."""
    options = parse(arguments)
    output = options.output or Path(tempfile.mkdtemp(prefix="holdfast-conformance-report-"))
    output = output.resolve()
    output.mkdir(parents=True, exist_ok=True)
    try:
        code = judge_all(options, output)
    except (NoJudgementError, OSError, subprocess.TimeoutExpired) as reason:
        sys.stderr.write(f"\n*** OCI conformance: no judgement. {reason}\n")
        code = EXIT_NO_JUDGEMENT
    if options.output is None and (code == EXIT_GREEN or not any(output.iterdir())):
        shutil.rmtree(output)
    else:
        say(f"reports: {output} (report.html, junit.xml, console.txt in a folder per version)")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
