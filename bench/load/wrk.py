"""``wrk`` for small GETs: a C generator that many know. The Lua script is made for each run.

``wrk`` counts statuses from 400 up and broken connections; exact status, length and bytes of each target are checked
beforehand by the caller, and the mean length afterwards here.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from typing import TYPE_CHECKING

from bench.errors import UnavailableError, WrongAnswerError
from bench.load.job import Load

if TYPE_CHECKING:
    from pathlib import Path

    from bench.load.wire import Origin

SCRIPT = """
local targets = {%(targets)s}
wrk.method = "GET"
%(headers)s
local prepared, count, turn = {}, 0, 0
function init(args)
  for index, target in ipairs(targets) do prepared[index] = wrk.format(nil, target) end
  count = #prepared
end
%(request)s
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\nJSON{"operations":%%d,"bytes":%%d,"micros":%%d,"p50":%%f,"p99":%%f,"connect":%%d,"read":%%d,"write":%%d,' ..
    '"status":%%d,"timeout":%%d}\\n', summary.requests, summary.bytes, summary.duration,
    latency:percentile(50), latency:percentile(99), e.connect, e.read, e.write, e.status, e.timeout))
end
"""
ROTATE = "function request() turn = turn % count + 1; return prepared[turn] end"


def _script(origin: Origin, targets: list[str], headers: dict[str, str]) -> str:
    if origin.authorization:
        headers = {**headers, "Authorization": origin.authorization}
    set_headers = "\n".join(f"wrk.headers[{json.dumps(name)}] = {json.dumps(text)}" for name, text in headers.items())
    quoted = ", ".join(json.dumps(target) for target in targets)
    request = ROTATE if len(targets) > 1 else ""
    return SCRIPT % {"targets": quoted, "headers": set_headers, "request": request}


def find_wrk() -> str:
    """The program's path."""
    found = shutil.which("wrk")
    if found is None:
        message = "wrk is not installed (Debian: apt-get install wrk)"
        raise UnavailableError(message)
    return found


def _cpu_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def run_wrk(
    origin: Origin,
    targets: list[str],
    *,
    headers: dict[str, str],
    length: int,
    connections: int,
    seconds: float,
    scratch: Path,
) -> Load:
    """GET the targets in turn for ``seconds``; each answer's body must be ``length`` bytes (checked as a mean)."""
    script = scratch / "wrk.lua"
    script.write_text(_script(origin, targets, headers), encoding="utf-8")
    threads = min(2, connections)
    argv = [find_wrk(), f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency"]
    argv += ["--timeout", "60s", "-s", str(script), origin.url + targets[0]]
    before = _cpu_seconds()
    finished = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=seconds + 120)
    cpu = _cpu_seconds() - before
    _, found, tail = finished.stdout.rpartition("\nJSON")
    if not found:
        message = f"wrk failed: {finished.stdout[-200:]} {finished.stderr[-200:]}"
        raise WrongAnswerError(message)
    result = json.loads(tail)
    broken = {name: result[name] for name in ("connect", "read", "write", "status", "timeout") if result[name]}
    if broken or not result["operations"]:
        message = f"wrk saw errors {broken} in {result['operations']} requests of {targets[0][:120]}"
        raise WrongAnswerError(message)
    if result["bytes"] < result["operations"] * length:
        message = f"answers are shorter than the {length} bytes expected"
        raise WrongAnswerError(message)
    return Load(
        operations=result["operations"],
        body_bytes=result["operations"] * length,
        seconds=result["micros"] / 1e6,
        p50_ms=result["p50"] / 1000,
        p99_ms=result["p99"] / 1000,
        generator_cpu_seconds=cpu,
    )
