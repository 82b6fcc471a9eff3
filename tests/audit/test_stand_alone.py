"""The verifier as an auditor installs it: in a place of its own, with what it needs and nothing of the server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from forged_ledger import POLICY, SIGNER, Forged, Writer, publish
from holdfast.audit import pack
from holdfast.core.merkle import inclusion_proof
from holdfast.core.signed_note import KeyKind, Signer
from holdfast.core.tiles import TileReader
from holdfast.core.tlog_proof import TlogProof

PROJECT = Path(__file__).parents[2]
MAKER = Signer.from_seed("somebody.example", KeyKind.ED25519, b"m" * 32)
START = 1_700_000_000_000_000 // 86_400_000_000 * 86_400_000_000


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install `verifier/` as pip does, and beside it what it says it needs: nothing else can be imported there."""
    root = tmp_path_factory.mktemp("verifier")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--no-build-isolation", "--target", root, PROJECT / "verifier"], check=True)
    needed = tomllib.loads((PROJECT / "verifier" / "pyproject.toml").read_text())["project"]["dependencies"]
    # The native half of cryptography brings these two on CPython.
    for name in [*(one.partition(">")[0] for one in needed), "cffi", "pycparser"]:
        for file in metadata.files(name) or ():
            goal = root / file
            if ".." not in file.parts and file.parts[0] not in {"bin", "holdfast"}:
                goal.parent.mkdir(parents=True, exist_ok=True)
                goal.symlink_to(Path(str(file.locate())).resolve())
    return root


def run(installed: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the verifier with the standard library and its own place alone: -S leaves the site's packages out."""
    command = [sys.executable, "-S", "-W", "error", "-m", "holdfast.audit.command", *map(str, arguments)]
    return subprocess.run(
        command,
        env={"PYTHONPATH": str(installed), "PATH": os.environ["PATH"]},
        cwd=installed,
        text=True,
        capture_output=True,
        check=False,
        timeout=60,
    )


@pytest.fixture
def contents() -> list[bytes]:
    writer = Writer()
    writer.created()
    writer.named("a", None)
    writer.named("b", None, tag="v2")
    return writer.contents


@pytest.fixture
def forged(contents: list[bytes]) -> Forged:
    return publish(contents)


@pytest.fixture
def bundle(forged: Forged, tmp_path: Path) -> Path:
    for path, content in forged.files.items():
        (tmp_path / "bundle" / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "bundle" / path).write_bytes(content)
    return tmp_path / "bundle"


def test_nothing_of_the_server_comes_with_it(installed: Path) -> None:
    here = {path.name for path in (installed / "holdfast").iterdir()} - {"__pycache__"}
    assert here == {"__init__.py", "audit", "core", "py.typed"}
    found = (
        "from importlib.util import find_spec; print(*map(find_spec, ('click', 'apsw', 'botocore', 'urllib3', 'rich')))"
    )
    ran = subprocess.run(
        [sys.executable, "-S", "-c", found],
        env={"PYTHONPATH": str(installed)},
        text=True,
        capture_output=True,
        check=True,
    )
    assert set(ran.stdout.split()) == {"None"}, "libraries of the server can be imported: this would prove nothing"


def test_it_audits_an_export(installed: Path, bundle: Path) -> None:
    ran = run(installed, "audit", bundle, "--key", SIGNER.verifier)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert "The root was built anew from every entry" in ran.stdout
    tile = bundle / "tile" / "0" / "000.p" / "3"
    tile.write_bytes(bytes(96))
    ran = run(installed, "audit", bundle, "--key", SIGNER.verifier, "--json")
    assert ran.returncode == 1
    assert {one["code"] for one in json.loads(ran.stdout)["findings"]} == {"tile-differs"}


def test_it_verifies_receipts_and_consistency(
    installed: Path, contents: list[bytes], forged: Forged, bundle: Path, tmp_path: Path
) -> None:
    reader = TileReader(3, lambda tile: forged.fetch(tile.path))
    receipt = tmp_path / "r.tlog-proof"
    receipt.write_bytes(TlogProof(2, tuple(inclusion_proof(2, 3, reader)), forged.note, contents[2]).encode())
    ran = run(installed, "receipt", receipt, "--key", SIGNER.verifier)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    assert "demo/app:v2" in ran.stdout
    ran = run(installed, "consistency", receipt, "--bundle", bundle, "--key", SIGNER.verifier)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    stranger = Signer.from_seed(SIGNER.verifier.name, KeyKind.ED25519, b"x" * 32).verifier
    assert run(installed, "receipt", receipt, "--key", stranger).returncode == 1
    assert run(installed, "consistency", receipt, "--bundle", bundle, "--key", stranger).returncode == 1
    assert run(installed, "audit", bundle, "--key", stranger).returncode == 1


def test_it_verifies_an_evidence_pack(installed: Path, forged: Forged, tmp_path: Path) -> None:
    root = tmp_path / "pack"
    pack.make(forged.fetch, forged.note, POLICY, root, (START, START + 86_400_000_000), MAKER, START)
    ran = run(installed, "pack", root, "--signer", MAKER.verifier, "--key", SIGNER.verifier)
    assert ran.returncode == 0, ran.stderr + ran.stdout
    (root / "report.html").write_text("all is well")
    assert run(installed, "pack", root, "--signer", MAKER.verifier, "--key", SIGNER.verifier).returncode == 1


def test_usage_and_files_that_are_not_there_have_codes_of_their_own(installed: Path, bundle: Path) -> None:
    assert run(installed, "audit", bundle).returncode == 2
    assert run(installed, "audit", bundle, "--key", "nonsense").returncode == 2
    assert run(installed, "pack", bundle, "--key", SIGNER.verifier).returncode == 2
    assert run(installed, "receipt", bundle / "none", "--key", SIGNER.verifier).returncode == 3
    assert run(installed, "audit", bundle / "none", "--key", SIGNER.verifier).returncode == 3
