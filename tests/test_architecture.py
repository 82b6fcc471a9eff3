"""The arrows of the house: which part may import which. The table is the law; the test reads the source."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent.parent / "src" / "holdfast"

MAY_IMPORT: dict[str, set[str]] = {
    "core": {"core"},
    "store": {"store", "core"},
    "scan": {"scan", "core"},
    "registry": {"registry", "core", "scan", "store"},
    "faces": {"faces", "core", "registry", "store"},
    "client": {"client", "core"},
    "config": {"core"},
    # The adapter of registry's port to other registries: the one file that knows both sides.
    "outbound": {"client", "core", "registry"},
    "witness_server": {"core", "store", "registry", "faces"},
    "wiring": {"client", "config", "core", "store", "registry", "faces", "outbound"},
    "care": {"core", "store", "registry"},
    "govern": {"govern", "core", "client"},
    "audit": {"audit", "core"},
    "pin": {"pin", "core"},
    "cli": {
        "pin",
        "audit",
        "govern",
        "cli",
        "client",
        "config",
        "core",
        "faces",
        "wiring",
        "care",
        "registry",
        "witness_server",
    },
    "__main__": {"cli"},
}
"""Part -> parts of Holdfast it may import."""

ONLY_HERE: dict[str, set[str]] = {
    "apsw": {"store/sqlite.py"},
    "sqlite3": set(),
    "opentelemetry": {"faces/tracing.py"},
    "httptools": {"faces/framing.py", "faces/connection.py"},
    "uvloop": {"cli/serve.py", "cli/demo.py", "cli/witness.py", "faces/server.py"},
    "botocore": {"client/api.py", "client/aws.py"},
    "msgspec": {"govern/documents.py", "faces/service_model.py"},
    "tree_sitter": {"pin/readers/shell.py", "pin/readers/hcl.py", "pin/pushes/shell.py", "pin/creation/terraform.py"},
    "tree_sitter_bash": {"pin/readers/shell.py", "pin/pushes/shell.py"},
    "tree_sitter_hcl": {"pin/readers/hcl.py", "pin/creation/terraform.py"},
    "yaml": {"readers/*", "pin/settings.py", "pin/structure.py", "pin/pushes/yaml_tree.py", "govern/cloudformation.py"},
    "cryptography": {"registry/seal.py", "core/signed_note.py", "faces/certificate.py"},
    "rfc8785": {"core/entry.py"},
    "jwt": {"registry/oidc.py"},
    "re2": {"faces/service_model.py", "faces/service_shapes.py"},
    "prometheus_client": {"faces/operations.py"},
    "click": {"cli/*"},
    "rich": {"cli/*"},
    "urllib3": {"client/issuer.py", "client/oci.py", "client/transport.py", "client/witness.py"},
}
"""Library -> the only files that may know it."""

PURE_MAY_IMPORT = {
    "__future__",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "cryptography",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "enum",
    "functools",
    "hashlib",
    "hmac",
    "ipaddress",
    "itertools",
    "json",
    "re",
    "rfc8785",
    "threading",
    "types",
    "typing",
    "unicodedata",
    "urllib",
    "xml",
    "holdfast",
}
"""What the pure core may import: nothing that does input or output, or reads a clock, chance or the environment."""

FACE_VOCABULARY = {
    "http",
    "blob_answer",
    "limits",
    "framing",
    "connection",
    "sending",
    "service_model",
    "service_shapes",
    "json_call",
    "kept_answers",
    "hosts",
    "ledger_headers",
    "signatures",
}
"""Modules of faces that other faces share; beyond these a face knows no other, but for its own parts."""

STAND_ALONE = Path("audit/command.py")
"""The stand-alone verifier is a command of its own, without the command line of the server."""

OWN_PARTS = {"ecr": {"ecr_operations", "holdfast_operations"}, "tracing": {"oci_call"}, "oci": {"oci_call"}}


def files() -> list[Path]:
    return sorted(path for path in SOURCE.rglob("*.py"))


def imports(path: Path) -> set[str]:
    """Return the dotted names that a file imports, wherever in the file."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            module = node.module or ""
            found |= {module} | {f"{module}.{alias.name}" for alias in node.names if module == "holdfast"}
    return found


def part(name: str) -> str | None:
    """Return the part of Holdfast that a dotted name is in, None for what is not Holdfast's."""
    pieces = name.split(".")
    return pieces[1] if pieces[0] == "holdfast" and len(pieces) > 1 else None


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_arrows_point_as_the_table_says(path: Path) -> None:
    relative = path.relative_to(SOURCE)
    here = relative.parts[0].removesuffix(".py")
    if here == "__init__":
        return
    wrong = {name for name in imports(path) if (to := part(name)) is not None and to not in MAY_IMPORT[here]}
    assert not wrong, f"{relative} may not import {wrong}"


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(SOURCE)))
def test_libraries_stay_in_their_one_file(path: Path) -> None:
    relative = str(path.relative_to(SOURCE))
    for library in {name.partition(".")[0] for name in imports(path)} & set(ONLY_HERE):
        allowed = ONLY_HERE[library]
        assert relative in allowed or f"{path.parent.name}/*" in allowed, f"{relative} may not know {library}"


@pytest.mark.parametrize("path", sorted((SOURCE / "core").rglob("*.py")), ids=lambda path: path.name)
def test_the_core_is_pure(path: Path) -> None:
    assert {name.partition(".")[0] for name in imports(path)} <= PURE_MAY_IMPORT


@pytest.mark.parametrize("path", sorted((SOURCE / "core").rglob("*.py")), ids=lambda path: path.name)
def test_the_core_reads_no_clock_and_no_chance(path: Path) -> None:
    calls = {
        ast.unparse(node.func) for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)
    }
    forbidden = {"open", "print", "input", "datetime.now", "datetime.utcnow", "date.today", "time.time"}
    assert not calls & forbidden


@pytest.mark.parametrize("path", sorted((SOURCE / "faces").rglob("*.py")), ids=lambda path: path.name)
def test_faces_do_not_know_each_other(path: Path) -> None:
    here = path.relative_to(SOURCE / "faces").parts[0].removesuffix(".py")
    others = {name.split(".")[2] for name in imports(path) if name.startswith("holdfast.faces.")}
    if here in FACE_VOCABULARY | {"server"}:
        return
    assert others <= FACE_VOCABULARY | OWN_PARTS.get(here, set()) | {here}


@pytest.mark.parametrize("path", sorted((SOURCE / "faces").rglob("*.py")), ids=lambda path: path.name)
def test_faces_and_use_cases_hold_no_sql(path: Path) -> None:
    text = path.read_text("utf-8")
    assert not any(word in text for word in ("SELECT ", "INSERT INTO", "UPDATE ", "DELETE FROM"))


def test_use_cases_hold_no_sql() -> None:
    for path in (SOURCE / "registry").rglob("*.py"):
        assert "SELECT " not in path.read_text("utf-8"), path


def test_only_the_command_line_prints_or_exits() -> None:
    for path in files():
        if path.parent.name == "cli" or path.relative_to(SOURCE) == STAND_ALONE:
            continue
        calls = {
            ast.unparse(node.func)
            for node in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(node, ast.Call)
        }
        assert not calls & {"print", "sys.exit", "exit", "click.echo"}, path


def test_sizes() -> None:
    """About 500 lines a file, 70 a function."""
    for path in files():
        text = path.read_text("utf-8")
        assert text.count("\n") <= 600, f"{path} has {text.count(chr(10))} lines"
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                assert length <= 75, f"{path}:{node.lineno} {node.name} has {length} lines"


@pytest.mark.parametrize(
    "part_of_it", ["core", "store", "registry", "faces", "client", "govern", "scan", "pin", "audit"]
)
def test_the_page_names_every_module(part_of_it: str) -> None:
    page = (SOURCE.parent.parent / "docs" / "architecture.md").read_text("utf-8")
    named = set(re.findall(r"\w+", page))
    modules = {path.stem for path in (SOURCE / part_of_it).glob("*.py")} - {"__init__"}
    assert modules <= named, f"docs/architecture.md does not name {modules - named}"
