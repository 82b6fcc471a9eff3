"""A migration changes what it says and not a byte more; git takes its patch; pipelines push unique tags afterwards."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.pin.migration import explanation, patch, pipelines, pointer
from holdfast.pin.migration.plan import migrate
from holdfast.pin.pushes import reading
from holdfast.pin.pushes.tag import Repetition

WORKFLOW = """\
on: {push: {branches: [main], tags: ['v*']}}
jobs:
  a:
    runs-on: ubuntu-latest
    steps:
      - uses: docker/metadata-action@v5
        id: meta
        with:
          images: ghcr.io/acme/api   # keep me
          tags: |
            type=ref,event=branch
            type=semver,pattern={{version}}
            type=semver,pattern={{major}}.{{minor}}
            type=raw,value=latest,enable={{is_default_branch}}
      - uses: docker/build-push-action@v6
        with:
          push: true
          tags: ${{ steps.meta.outputs.tags }}
"""

DEFAULTS = WORKFLOW.replace(
    WORKFLOW[WORKFLOW.index("          tags: |") : WORKFLOW.index("      - uses: docker/b")], ""
)


def mended(path: str, text: str) -> str:
    found = pipelines.mend(path, text)
    assert found is not None
    assert not found.left, found.left
    return found.after


def verdicts(path: str, text: str) -> set[Repetition]:
    found = reading.read(path, text)
    assert found is not None
    return {push.verdict for push in found.pushes}


@pytest.mark.parametrize("text", [WORKFLOW, DEFAULTS, WORKFLOW.replace("\n", "\r\n")])
def test_rules_of_metadata_action_are_mended(text: str) -> None:
    after = mended(".github/workflows/x.yml", text)
    assert verdicts(".github/workflows/x.yml", after) == {Repetition.COMMIT, Repetition.RELEASE}
    assert "type=sha,format=long" in after
    assert "latest=false" in after
    assert "# keep me" in after
    assert ("\r\n" in after) is ("\r\n" in text)
    assert after.count("\n") == after.count("\r\n") or "\r\n" not in text


SINGLE = [
    (
        ".github/workflows/x.yml",
        (
            "jobs:\n  a:\n    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          push: true\n"
            "          tags: |\n            q.io/a:${{ github.sha }}\n            q.io/a:latest\n"
        ),
        "            q.io/a:latest\n",
        "",
    ),
    (
        ".github/workflows/x.yml",
        (
            "jobs:\n  a:\n    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          push: true\n"
            "          tags: |\n            q.io/a:latest\n            q.io/a:${{ github.sha }}\n"
        ),
        "            q.io/a:latest\n",
        "",
    ),
    (
        ".github/workflows/x.yml",
        (
            "jobs:\n  a:\n    steps:\n      - uses: docker/build-push-action@v6\n        with:\n          push: true\n"
            "          tags: q.io/a:latest,q.io/a:${{ github.sha }}\n"
        ),
        "q.io/a:latest,",
        "",
    ),
    (
        ".gitlab-ci.yml",
        (
            "j:\n  script:\n    - docker push q.io/a:$CI_COMMIT_SHA\n    - docker tag x q.io/a:latest # why\n"
            "    - docker push q.io/a:latest\n"
        ),
        "",
        "",
    ),
    (".gitlab-ci.yml", "j:\n  script:\n    - docker push q.io/a:latest\n", "latest", "${CI_COMMIT_SHA}"),
    (
        ".github/workflows/x.yml",
        (
            "env: {TAG: latest}\njobs:\n  a:\n    steps:\n      - run: docker push q.io/a:$TAG\n"
            "      - run: docker push q.io/b:$TAG\n"
        ),
        "",
        "",
    ),
    (
        "x.sh",
        (
            "docker build -t q.io/a:latest .\ndocker tag x q.io/a:$GITHUB_SHA\ndocker push q.io/a:$GITHUB_SHA\n"
            "docker push q.io/a:latest\n"
        ),
        "",
        "",
    ),
    ("cloudbuild.yaml", "images:\n- gcr.io/p/a:$COMMIT_SHA\n- gcr.io/p/a:latest\n", "- gcr.io/p/a:latest\n", ""),
]


@pytest.mark.parametrize(("path", "text", "gone", "come"), SINGLE, ids=range(len(SINGLE)))
def test_the_smallest_change(path: str, text: str, gone: str, come: str) -> None:
    found = pipelines.mend(path, text)
    assert found is not None
    if gone:
        assert found.after == text.replace(gone, come)
    if not found.left:
        assert Repetition.REUSED not in verdicts(path, found.after)


LEFT = [
    ("x.sh", "docker push 'q.io/a:latest'\n"),
    ("x.sh", "docker push q.io/a\n"),
    ("buildspec.yml", "env: {variables: {T: dev}}\nphases: {build: {commands: ['docker push $R:$T']}}\n"),
]


@pytest.mark.parametrize(("path", "text"), LEFT)
def test_what_cannot_be_proven_is_left(path: str, text: str) -> None:
    found = pipelines.mend(path, text)
    assert found is not None
    assert found.after == text
    assert found.left


def repository(folder: Path, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        goal = folder / name
        goal.parent.mkdir(parents=True, exist_ok=True)
        goal.write_bytes(content)
    subprocess.run(["git", "init", "-q", "."], cwd=folder, check=True)


def test_git_applies_the_patch(tmp_path: Path) -> None:
    files = {
        ".github/workflows/a b.yml": WORKFLOW.encode(),
        ".gitlab-ci.yml": "# é\r\nj:\r\n  script:\r\n    - docker push q.io/a:latest".encode(),
        "deploy.sh": b"# \xff is no UTF-8\ndocker push q.io/web:staging\nkubectl set image d/w w=q.io/web:staging\n",
        "untouched.sh": b"docker pull q.io/a:latest\n",
    }
    repository(tmp_path, files)
    migration = migrate(files, has_pointer=False, resolved={})
    ran = subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=migration.patch(), capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for name in migration.changed:
        assert (tmp_path / name).read_bytes() == migration.after[name]
    assert (tmp_path / "untouched.sh").read_bytes() == files["untouched.sh"]
    pointed = (tmp_path / pointer.PATH).read_text()
    assert "staging:\n  web: q.io/web@sha256:FILL-IN\n" in pointed
    assert b"$(yq '.staging.[\"web\"]' deploy/images.yaml)" in (tmp_path / "deploy.sh").read_bytes()


def test_the_explanation_names_every_change() -> None:
    files = {".gitlab-ci.yml": b"j:\n  script:\n    - docker push q.io/a:latest\n    - docker push 'q.io/b:dev'\n"}
    migration = migrate(files, has_pointer=False, resolved={})
    text = explanation.render(migration)
    for word in ("`.gitlab-ci.yml:3`", "q.io/a:latest", "Left to a person", "`.gitlab-ci.yml:4`", pointer.PATH):
        assert word in text


def test_a_pointer_file_that_is_there_stays() -> None:
    files = {".gitlab-ci.yml": b"j:\n  script:\n    - docker push q.io/a:latest\n"}
    migration = migrate(files, has_pointer=True, resolved={})
    assert pointer.PATH not in migration.after
    assert migration.notes


def test_corpus_is_mended_with_proof(tmp_path: Path) -> None:
    corpus = Path(__file__).parent.parent / "corpus" / "pushes"
    files = {
        path.relative_to(corpus).as_posix(): path.read_bytes()
        for path in sorted(corpus.rglob("*"))
        if path.is_file() and path.name not in {"labels.toml", "README.md"}
    }
    migration = migrate(files, has_pointer=False, resolved={})
    assert sum(len(one.done) for one in migration.pipelines) >= 15
    repository(tmp_path, files)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=migration.patch(), check=True)
    for name in migration.changed:
        assert (tmp_path / name).read_bytes() == migration.after[name]
    again = migrate({name: migration.after.get(name, files[name]) for name in files}, has_pointer=True, resolved={})
    assert not again.changed, "what is mended stays as it is"


LINES = st.lists(st.sampled_from([b"a\n", b"b\r\n", b"\xff\n", b"\x0c\n", b"c", b"\n", b"+x\n", b"- y\n"]), max_size=12)


@settings(max_examples=25, deadline=None)
@given(before=LINES, after=LINES)
def test_patches_of_any_bytes(
    tmp_path_factory: pytest.TempPathFactory, before: list[bytes], after: list[bytes]
) -> None:
    folder = tmp_path_factory.mktemp("patch")
    old, new = b"".join(before), b"".join(after)
    if old == new or not new or not old:
        return
    repository(folder, {"f": old})
    ran = subprocess.run(
        ["git", "apply", "-"], cwd=folder, input=patch.of_file("f", old, new), capture_output=True, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert (folder / "f").read_bytes() == new
