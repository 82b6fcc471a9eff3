"""Whatever a file holds, a reader answers or raises its own error, and ends soon."""

from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.pin.pushes import reading, shell, variables
from holdfast.pin.pushes.passage import Passage

PATHS = (
    ".github/workflows/x.yml",
    ".gitlab-ci.yml",
    "buildspec.yml",
    ".circleci/config.yml",
    "bitbucket-pipelines.yml",
    "azure-pipelines.yml",
    "cloudbuild.yaml",
    "k8s.yaml",
    ".travis.yml",
    "Jenkinsfile",
    "Makefile",
    "x.sh",
)

WORDS = st.sampled_from(
    ["docker", "push", "build", "-t", "--tag", "a/b:", "$X", "${X:-", "}", "$(", ")", "${{", "}}", "'", '"', "\n", "\t",
     "- ", ": ", "jobs", "steps", "run", "script", "uses", "with", "tags", "|", "&a", "*a", "<<", "echo", ">>",
     "$GITHUB_OUTPUT", "=", "if", "then", "fi", "for", "in", "do", "done", "{", "}", "[", "]", "latest", "é", "\\",
     "sh", "docker.build", "(", "images", "github.sha", "&&", "||", "kaniko", "phases", "commands", "    ", "  "]
)  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@settings(max_examples=60, deadline=None)
@given(text=st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=60).map(" ".join), st.lists(WORDS).map("".join)))
def test_only_its_own_error(path: str, text: str) -> None:
    try:
        found = reading.read(path, f"{text}\n# docker push")
    except reading.PipelineUnreadable:
        return
    assert found is not None
    for push in found.pushes:
        assert push.reason
        assert 0 <= push.place <= len(text) + 14
        if push.span is not None:
            assert 0 <= push.span.start <= push.span.end <= len(text) + 14


BOMBS = [
    (".gitlab-ci.yml", "a: &a [x, x]\n" + "".join(f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)}, *{chr(97 + i)}]\n"
                                                  for i in range(24)) + "j: {script: *y}\n# push\n"),
    (".github/workflows/x.yml", "docker: " + "[" * 50_000),
    (".github/workflows/x.yml", "docker: " + "- " * 50_000),
    (".github/workflows/x.yml", "docker:\n" + "".join(" " * i + "a:\n" for i in range(2_000))),
    ("x.sh", "docker push " + "$(" * 20_000),
    ("x.sh", "docker push " + "(" * 20_000),
    ("x.sh", "A=1\n" + "A=$A$A$A$A\n" * 400 + "docker push a:$A"),
    ("x.sh", "f() { f; f; }\nf\ndocker push a"),
    ("x.sh", "docker push a:b\n" * 20_000),
    ("x.sh", "if a; then " * 5_000 + "docker push a"),
    ("Makefile", "A=$(B)$(B)\nB=$(A)$(A)\nx:\n\tdocker push a:$(A)\n"),
    ("Makefile", "A = " + "$(A)" * 20 + "\nx:\n\tdocker push a:$(A)\n"),
    ("Makefile", "".join(f"A{i} = " + f"$(A{i + 1})" * 20 + "\n" for i in range(20)) + "x:\n\tdocker push a:$(A0)\n"),
    (".gitlab-ci.yml", "variables:\n" + "".join(f"  A{i}: " + f"$A{i - 1}" * 20 + "\n" for i in range(20))
     + "j:\n  script: ['docker push a:$A19']\n"),
    ("x.sh", "".join(f"A{i}=" + f"$A{i - 1}" * 20 + "\n" for i in range(20)) + "docker push a:$A19"),
    ("Makefile", "docker: " + "$(" * 50_000),
    ("Jenkinsfile", "docker push\nsh a:"),
    ("Jenkinsfile", "docker push\nsh a: b, c:"),
    ("Jenkinsfile", "docker.build(" * 20_000),
    ("Jenkinsfile", "x = " + "(" * 20_000 + '"docker push"'),
    ("Jenkinsfile", '"""' * 30_000 + "docker push"),
    ("Jenkinsfile", "/*" * 100_000 + "docker push"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "text"), BOMBS, ids=range(len(BOMBS)))
def test_nothing_hangs(path: str, text: str) -> None:
    start = time.perf_counter()
    with contextlib.suppress(reading.PipelineUnreadable):
        reading.read(path, text)
    assert time.perf_counter() - start < 5


@given(st.text(max_size=100), st.integers(0, 100), st.integers(0, 100))
def test_a_passage_knows_its_places(text: str, start: int, end: int) -> None:
    start, end = sorted((min(start, len(text)), min(end, len(text))))
    cut = Passage.whole(f"__{text}", 0).cut(2 + start, 2 + end)
    span = cut.span(0, len(cut.text))
    if cut.text:
        assert span is not None
        assert f"__{text}"[span.start : span.end] == cut.text


def test_a_script_that_is_too_long_is_left_out() -> None:
    script = shell.Script(variables.SHELL)
    script.run(Passage.whole("docker push a:b\n" * 20_000))
    assert script.calls == []
