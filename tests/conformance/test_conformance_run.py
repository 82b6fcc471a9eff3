"""The harness is judged by its exit codes, with programs that only pretend to be the judge."""

import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("run.py")
GREEN, WANTING, USAGE, NO_JUDGEMENT = 0, 1, 2, 3

CASE = '<testcase name="OCI Conformance Test/{}" status="{}"><{}>{}</{}></testcase>'
PASSED = CASE.format("ping", "passed", "system-err", "", "system-err")
FAILED = CASE.format("empty/referrers", "failure", "system-out", "wants 200&#xA;more", "system-out")
SKIPPED = CASE.format("mount", "skipped", "system-err", "x: skipping test:\n  api is off", "system-err")
UNDECIDED = CASE.format("head", "error", "system-err", "", "system-err")


def report(*cases: str, numbers: str) -> str:
    """Write a junit file as the conformance program does."""
    suite = f'<testsuite name="OCI Conformance Test" {numbers}>{"".join(cases)}</testsuite>'
    return f"<testsuites>{suite}</testsuites>"


def pretend(folder: Path, junit: str | None, code: int = 0) -> Path:
    """Make a program that leaves this report (or none) and ends with this code."""
    program = folder / "pretender"
    write = f"open(os.environ['OCI_RESULTS_DIR'] + '/junit.xml', 'w').write({junit!r})"
    lines = [f"#!{sys.executable}", "import os, sys", "print('hello from the pretender')"]
    lines += [write] if junit is not None else []
    lines += ["names = [n for n in os.environ if n.startswith('OCI_')]"]
    lines += ["print('OCI_FILTER_TEST' in names, os.environ['OCI_DATA_SPARSE'])"]
    lines += [f"sys.exit({code})"]
    program.write_text("\n".join(lines), encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return program


def harness(
    folder: Path, *arguments: str, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the harness as a user does, with its report in `folder/out`."""
    return subprocess.run(
        [sys.executable, str(RUN), "--output", str(folder / "out"), *arguments],
        env={"PATH": "/nonexistent", "HOME": str(folder), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def judged(folder: Path, junit: str | None, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the harness with a pretender against a registry that is never asked."""
    program = str(pretend(folder, junit, code))
    fixed = ("--registry", "127.0.0.1:9", "--version", "dev", "--program", program)
    return harness(folder, *fixed, *arguments)


def test_enough_passes_and_nothing_else_is_green(tmp_path: Path) -> None:
    """Only passes, and enough of them: 0."""
    done = judged(tmp_path, report(PASSED, numbers='tests="986" failures="0" errors="0"'))
    assert (done.returncode, "986" in done.stdout) == (GREEN, True)


def test_failure_is_red_and_named(tmp_path: Path) -> None:
    """A failed test makes 1 and is listed by name with the first line of its reason."""
    numbers = 'tests="987" failures="1" errors="0"'
    done = judged(tmp_path, report(PASSED, FAILED, numbers=numbers), code=1)
    assert done.returncode == WANTING
    assert "failure  empty/referrers\n           wants 200\n" in done.stdout


def test_failure_of_a_group_is_red(tmp_path: Path) -> None:
    """A failure that only the numbers know, because no test case carries it, counts."""
    done = judged(tmp_path, report(PASSED, numbers='tests="987" failures="1" errors="0"'))
    assert done.returncode == WANTING


def test_case_without_a_result_is_red(tmp_path: Path) -> None:
    """A test that never decided is an error, though the numbers do not count it."""
    numbers = 'tests="986" failures="0" errors="0"'
    done = judged(tmp_path, report(PASSED, UNDECIDED, numbers=numbers))
    assert done.returncode == WANTING


def test_skip_is_listed_and_red_only_on_demand(tmp_path: Path) -> None:
    """A skip is shown with its reason; it is red with --no-skips."""
    junit = report(PASSED, SKIPPED, numbers='tests="987" failures="0" errors="0" skipped="1"')
    done = judged(tmp_path, junit)
    assert (done.returncode, "api is off" in done.stdout) == (GREEN, True)
    assert judged(tmp_path, junit, "--no-skips").returncode == WANTING


def test_run_that_did_nothing_is_not_green(tmp_path: Path) -> None:
    """No failure among too few tests is red."""
    done = judged(tmp_path, report(PASSED, numbers='tests="1" failures="0" errors="0"'))
    assert (done.returncode, "only 1 passes" in done.stdout) == (WANTING, True)


@pytest.mark.parametrize("junit", [None, "", "<testsuites/>", "<broken"])
def test_no_report_is_no_judgement(tmp_path: Path, junit: str | None) -> None:
    """A program that ends with 0 and leaves no report that can be read has said nothing."""
    assert judged(tmp_path, junit).returncode == NO_JUDGEMENT


def test_report_of_an_earlier_run_does_not_count(tmp_path: Path) -> None:
    """A green report that lies in the output folder cannot speak for a program that failed."""
    green = report(PASSED, numbers='tests="986" failures="0" errors="0"')
    assert judged(tmp_path, green).returncode == GREEN
    done = judged(tmp_path, None)
    assert (done.returncode, "hello from the pretender" in done.stderr) == (NO_JUDGEMENT, True)


def test_inherited_variables_turn_nothing_off(tmp_path: Path) -> None:
    """An OCI_ variable of the caller does not reach the program."""
    program = str(pretend(tmp_path, None))
    fixed = ("--registry", "127.0.0.1:9", "--version", "dev", "--program", program)
    caller = {"OCI_FILTER_TEST": "x", "OCI_DATA_SPARSE": "maybe"}
    assert "False false" in harness(tmp_path, *fixed, environment=caller).stderr


def test_missing_toolchain_is_loud(tmp_path: Path) -> None:
    """Without Go and without a built program nothing was checked, and that is said: 3."""
    done = harness(tmp_path, "--registry", "127.0.0.1:9")
    assert (done.returncode, "NO GO TOOLCHAIN" in done.stderr) == (NO_JUDGEMENT, True)


def test_server_that_does_not_start_is_no_judgement(tmp_path: Path) -> None:
    """A server that does not start is no judgement, and its last words are shown."""
    program = str(pretend(tmp_path, None))
    interpreter = tmp_path / "no-holdfast"
    interpreter.write_text("#!/bin/sh\necho last words\nexit 7\n", encoding="utf-8")
    interpreter.chmod(0o755)
    done = harness(tmp_path, "--program", program, "--python", str(interpreter))
    assert (done.returncode, "last words" in done.stderr) == (NO_JUDGEMENT, True)


FAKE_SERVER = """#!{python}
import http.server, os, pathlib, sys
arguments = dict(zip(sys.argv[4::2], sys.argv[5::2]))
class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()
names = sorted(name for name in os.environ if name.startswith("HOLDFAST_"))
pathlib.Path({note!r}).write_text(" ".join([*names, arguments["--port"], arguments["--data"]]))
address = (arguments["--host"], int(arguments["--port"]))
http.server.HTTPServer(address, Ready).serve_forever()
"""


def test_server_is_started_stopped_and_cleaned_up(tmp_path: Path) -> None:
    """The server gets a login and a data folder; afterwards port and folder are gone."""
    note = tmp_path / "note"
    interpreter = tmp_path / "python-with-holdfast"
    interpreter.write_text(FAKE_SERVER.format(python=sys.executable, note=str(note)))
    interpreter.chmod(0o755)
    green = report(PASSED, numbers='tests="986" failures="0" errors="0"')
    program = str(pretend(tmp_path, green))
    caller = {"HOLDFAST_REGION": "elsewhere"}
    fixed = ("--program", program, "--python", str(interpreter))
    done = harness(tmp_path, *fixed, environment=caller)
    *names, port, data = note.read_text(encoding="utf-8").split()
    assert done.returncode == GREEN, done.stderr
    assert names == [
        "HOLDFAST_BOOTSTRAP_ACCESS_KEY_ID",
        "HOLDFAST_BOOTSTRAP_SECRET_ACCESS_KEY",
        "HOLDFAST_CREATE_ON_PUSH",
    ]
    assert not Path(data).exists()
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(port))) != 0


@pytest.mark.parametrize(
    "arguments",
    [
        ("--registry", "http://127.0.0.1:5000"),
        ("--registry", "127.0.0.1:5000", "--username", "u"),
        ("--username", "u", "--password", "p"),
        ("--version", "2.0"),
    ],
)
def test_wrong_use_is_refused(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """Arguments that do not make sense end with 2."""
    assert harness(tmp_path, *arguments).returncode == USAGE
