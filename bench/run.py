"""The command line of the harness: which servers, which cases, how long, and where the report goes.

Exit codes: 0 measured; 2 usage; 3 measured in part (some case ended in an error). A missed goal is shown in the report
and does not change the exit code unless ``--strict`` asks for it (then 1).
"""

from __future__ import annotations

import argparse
import dataclasses
import fnmatch
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

if not __package__:  # run as ``python bench/run.py``: the package's parent is not on the path yet
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from typing import TYPE_CHECKING

from bench import machine
from bench.cases.context import Bench, Case
from bench.cases.table import CASES
from bench.errors import BenchError, UnavailableError
from bench.load.wrk import find_wrk
from bench.payload import Payload
from bench.profiles import FULL, PROFILES, QUICK, Profile
from bench.report.markdown import reading_of, to_markdown
from bench.report.plots import write_plots
from bench.report.result import Result, to_json
from bench.report.terminal import render
from bench.schedule import Schedule
from bench.seed import make_content
from bench.servers import process
from bench.servers.kinds import KINDS, TlsPair
from bench.servers.server import Server, make_certificate, running_server, start_server

if TYPE_CHECKING:
    from collections.abc import Sequence

EXIT_MISSED, EXIT_USAGE, EXIT_PART = 1, 2, 3
PROCESSES = 2
"""Processes of the load generator: with one, it would be the limit before a fast server is."""


def parser() -> argparse.ArgumentParser:
    """All options; the help names every server and every case."""
    kinds = "; ".join(f"{name}: {kind.title}" for name, kind in KINDS.items())
    made = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure container registries side by side, interleaved, and print ratios.",
        epilog=f"Servers: {kinds}. The first server is the one under test. Cases: --list.",
    )
    add = made.add_argument
    add("--subject", default="holdfast", metavar="NAME", help="server under test (default: holdfast; 'none': peers)")
    add("--peers", default="d2", metavar="A,B", help="servers to compare with (default: d2); e.g. d2,d3,zot,nginx")
    add("--url", action="append", default=[], metavar="NAME=URL", help="also measure a running server; repeatable")
    add("--pid", action="append", default=[], metavar="NAME=PID", help="process of a --url server on this machine")
    add("--quick", action="store_true", help="small sizes, about four minutes for two servers")
    add("--profile", choices=sorted(PROFILES), help="a profile by name (default: full)")
    add("--cases", default="*", metavar="GLOB,...", help="only cases whose name matches, e.g. 'upload-*,bind-*'")
    add("--rounds", type=int, metavar="N", help="interleaved rounds (default: the profile's)")
    add("--seconds", type=float, metavar="S", help="seconds of a time-bound run (default: the profile's)")
    add("--scale", type=float, default=1.0, metavar="F", help="multiplies the seeded tags and repositories")
    add("--priority", type=int, default=0, metavar="NICE", help="nice value of servers and generators, e.g. -10 (root)")
    add("--work-dir", type=Path, metavar="DIR", help="where data lies while measuring (default: the temporary folder)")
    add("--json", type=Path, metavar="FILE", help="write everything measured")
    add("--markdown", type=Path, metavar="FILE", help="write the report page, with its plots beside it")
    add("--plots", type=Path, metavar="DIR", help="write the plots there (default: beside --markdown)")
    add("--strict", action="store_true", help="exit 1 when a goal is missed")
    add("--list", action="store_true", help="list the cases with their goals and stop")
    return made


def chosen_profile(options: argparse.Namespace) -> Profile:
    """The profile with the options' changes."""
    profile = PROFILES[options.profile] if options.profile else (QUICK if options.quick else FULL)
    profile = profile.scaled(options.scale)
    if options.rounds:
        profile = dataclasses.replace(profile, rounds=options.rounds)
    if options.seconds:
        profile = dataclasses.replace(profile, seconds=options.seconds)
    return profile


def chosen_cases(patterns: str) -> list[Case]:
    """Cases whose name matches one of the patterns."""
    wanted = [pattern.strip() for pattern in patterns.split(",")]
    return [case for case in CASES if any(fnmatch.fnmatchcase(case.name, pattern) for pattern in wanted)]


def print_cases(profile: Profile) -> None:
    """The table of cases, for ``--list``."""
    for case in CASES:
        goals = "; ".join(goal.text(str(case.unit)) for goal in case.goals)
        print(f"{case.name:26} {case.title_for(profile)} [{case.unit}]  {goals}")


def tell(text: str) -> None:
    """Progress goes to standard error, a line at a time, so that the report can be piped."""
    print(text, file=sys.stderr, flush=True)


def open_servers(
    options: argparse.Namespace, work: Path, certificate: TlsPair | None, stack: ExitStack
) -> tuple[list[Server], dict[str, str]]:
    """Start what is to be started; servers in order, and the missing ones with the reason."""
    names = [] if options.subject == "none" else [options.subject]
    names += [name for name in options.peers.split(",") if name and name not in names]
    pids = {name: int(pid) for name, _, pid in (text.partition("=") for text in options.pid)}
    running = [running_server(text, pids.get(text.partition("=")[0])) for text in options.url]
    servers: list[Server] = [server for server in running if server.name == options.subject]
    missing: dict[str, str] = {}
    for name in names:
        if name in {server.name for server in running}:
            continue
        try:
            if name not in KINDS:
                raise UnavailableError(f"unknown server {name!r}; known: {', '.join(KINDS)}")
            tell(f"starting {name}")
            server = start_server(name, work, certificate)
        except BenchError as error:
            missing[name] = str(error)
            tell(f"{name} is missing: {error}")
            continue
        stack.callback(server.close)
        servers.append(server)
    return servers + [server for server in running if server not in servers], missing


def measure(options: argparse.Namespace, cases: list[Case], stack: ExitStack) -> Result:
    """Start the servers, run the cases, stop the servers."""
    profile = chosen_profile(options)
    begun = time.perf_counter()
    if options.priority:
        stack.callback(process.prefer, os.getpid(), os.getpriority(os.PRIO_PROCESS, 0))
        process.prefer(os.getpid(), options.priority)
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=options.work_dir)).resolve()
    stack.callback(shutil.rmtree, work, ignore_errors=True)
    scratch = work / "harness"
    scratch.mkdir()
    described = machine.describe(work)
    try:
        certificate = make_certificate(scratch)
    except UnavailableError as error:
        tell(str(error))
        certificate = None
    servers, missing = open_servers(options, work, certificate, stack)
    if not servers:
        message = "no server could be started; nothing to measure"
        raise UnavailableError(message)
    tell("drawing random bytes")
    largest = max(profile.large_blob_mib, profile.upload_mib, profile.parallel_upload_mib, profile.medium_blob_mib)
    payload = Payload(scratch / "random", largest)
    content = make_content(secrets.token_hex(4), payload, profile)
    bench = Bench(profile, payload, content, scratch, PROCESSES)
    results = Schedule(bench, servers, cases, tell).run()
    command = "python -m bench " + " ".join(sys.argv[1:])
    return Result(described, profile, command, servers, missing, results, time.perf_counter() - begun)


def write_reports(options: argparse.Namespace, result: Result) -> None:
    """The terminal's tables, and the files that were asked for."""
    render(result)
    plots: list[Path] = []
    folder = options.plots or (options.markdown.parent if options.markdown else None)
    if folder:
        stem = options.markdown.stem if options.markdown else "bench"
        try:
            plots = write_plots(result, folder, stem)
        except UnavailableError as error:
            tell(str(error))
    if options.json:
        options.json.write_text(to_json(result), encoding="utf-8")
    if options.markdown:
        relative = [Path(os.path.relpath(plot, options.markdown.parent)) for plot in plots]
        before = options.markdown.read_text("utf-8") if options.markdown.exists() else ""
        options.markdown.write_text(to_markdown(result, relative, reading_of(before)), encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, measure, report; servers are stopped whatever happens."""
    options = parser().parse_args(argv)
    if options.list:
        print_cases(chosen_profile(options))
        return 0
    cases = chosen_cases(options.cases)
    if not cases:
        tell(f"no case matches {options.cases!r}; see --list")
        return EXIT_USAGE
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(EXIT_PART))
    try:
        find_wrk()
        with ExitStack() as stack:
            result = measure(options, cases, stack)
    except BenchError as error:
        tell(f"error: {error}")
        return EXIT_USAGE
    except KeyboardInterrupt:
        tell("interrupted; all servers are stopped")
        return EXIT_PART
    write_reports(options, result)
    if result.failed:
        return EXIT_PART
    names = result.server_names
    missed = any(item.verdict == "MISSED" for case in result.cases for item in case.judgements(result.subject, names))
    return EXIT_MISSED if missed and options.strict else 0


if __name__ == "__main__":
    sys.exit(main())
