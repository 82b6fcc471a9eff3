"""Repositories that code creates: which of them hold their tags, through variables, modules and filters."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from holdfast.pin.lint import examine, judge
from holdfast.pin.settings import Settings

if TYPE_CHECKING:
    from holdfast.core.finding import Finding

TODAY = dt.date(2026, 11, 23)


def found(files: dict[str, str]) -> list[Finding]:
    given = {path: text.encode() for path, text in files.items()}
    return [
        finding
        for path, data in given.items()
        for finding in judge(examine(path, data, Settings(), given.get), {}, Settings(), TODAY)
        if finding.rule.startswith("repository-")
    ]


def mended(files: dict[str, str]) -> str:
    """Return the one file with the edits of its findings."""
    ((_, text),) = files.items()
    content = text.encode()
    for finding in sorted(found(files), key=lambda one: -one.edits[0].span.start):
        edit = finding.edits[0]
        assert content[edit.span.start : edit.span.end].decode() == edit.before
        content = content[: edit.span.start] + edit.after.encode() + content[edit.span.end :]
    return content.decode()


RESOURCE = 'resource "aws_ecr_repository" "a" {{\n  name = "a"\n  {}\n}}\n'

TERRAFORM = [
    ("", 1),
    ('image_tag_mutability = "MUTABLE"', 1),
    ('image_tag_mutability = "IMMUTABLE"', 0),
    ("image_tag_mutability = var.mode", 0),
    ('image_tag_mutability = var.safe ? "IMMUTABLE" : "MUTABLE"', 1),
    ('image_tag_mutability = "MUTABLE_WITH_EXCLUSION"', 1),
]


@pytest.mark.parametrize(("argument", "count"), TERRAFORM)
def test_resources_of_terraform(argument: str, count: int) -> None:
    assert len(found({"x.tf": RESOURCE.format(argument)})) == count


def test_a_variable_has_the_default_that_the_folder_gives() -> None:
    files = {
        "ecr/main.tf": RESOURCE.format("image_tag_mutability = var.mode"),
        "ecr/variables.tf": 'variable "mode" {\n  default = "MUTABLE"\n}\n',
    }
    (finding,) = found(files)
    assert "unless var.mode is set" in finding.message
    files["ecr/variables.tf"] = 'variable "mode" {\n  default = "IMMUTABLE"\n}\n'
    assert found(files) == []


def test_a_local_module_is_looked_into() -> None:
    files = {
        "main.tf": 'module "a" {\n  source = "./modules/ecr"\n  mode = "MUTABLE"\n}\n',
        "modules/ecr/main.tf": RESOURCE.format("image_tag_mutability = var.mode"),
        "modules/ecr/variables.tf": 'variable "mode" {\n  default = "IMMUTABLE"\n}\n',
    }
    (finding,) = found(files)
    assert finding.subject == "module.a"
    files["main.tf"] = files["main.tf"].replace("MUTABLE", "IMMUTABLE")
    assert found(files) == []


def test_the_best_known_module_holds_by_default() -> None:
    module = 'module "a" {{\n  source = "terraform-aws-modules/ecr/aws"\n  {}\n}}\n'
    assert found({"x.tf": module.format("")}) == []
    assert len(found({"x.tf": module.format('repository_image_tag_mutability = "MUTABLE"')})) == 1


def test_filters_are_graded() -> None:
    text = RESOURCE.format(
        'image_tag_mutability = "IMMUTABLE_WITH_EXCLUSION"\n  image_tag_mutability_exclusion_filter {\n'
        '    filter = "%s"\n    filter_type = "WILDCARD"\n  }'
    )
    assert [one.rule for one in found({"x.tf": text % "cache-*"})] == ["repository-exclusion"]
    assert [one.rule for one in found({"x.tf": text % "*"})] == ["repository-mutable"]


TEMPLATE = """\
Parameters:
  M:
    Default: MUTABLE
Resources:
  A:
    Type: AWS::ECR::Repository
    Properties:
      RepositoryName: a
{}"""

TEMPLATES = [
    ("", 1),
    ("      ImageTagMutability: MUTABLE\n", 1),
    ("      ImageTagMutability: !Ref M\n", 1),
    ("      ImageTagMutability: IMMUTABLE\n", 0),
    ("      ImageTagMutability: !If [x, IMMUTABLE, MUTABLE]\n", 0),
]  # fmt: skip


@pytest.mark.parametrize(("line", "count"), TEMPLATES)
def test_templates(line: str, count: int) -> None:
    assert len(found({"x.yaml": TEMPLATE.format(line)})) == count


PROGRAMS = [
    ("a.ts", "new ecr.Repository(this, 'A', {})", 1),
    ("a.ts", "new ecr.Repository(this, 'A', { imageTagMutability: ecr.TagMutability.IMMUTABLE })", 0),
    ("a.ts", "new ecr.Repository(this, 'A', { imageTagMutability: TagMutability.MUTABLE })", 1),
    ("a.ts", "new ecr.Repository(this, 'A', { ...props })", 0),
    ("a.py", 'ecr.Repository(self, "A", image_tag_mutability=ecr.TagMutability.IMMUTABLE)', 0),
    ("a.py", 'ecr.Repository(self, "A (x")', 1),
    ("a.ts", 'new aws.ecr.Repository("a", { imageTagMutability: "IMMUTABLE" })', 0),
]


@pytest.mark.parametrize(("path", "text", "count"), PROGRAMS)
def test_programs(path: str, text: str, count: int) -> None:
    assert len(found({path: text})) == count


def test_a_script_that_creates() -> None:
    assert len(found({"x.sh": "aws ecr create-repository --repository-name a\n"})) == 1
    held = "aws ecr create-repository --repository-name a --image-tag-mutability IMMUTABLE\n"
    assert found({"x.sh": held}) == []


EDITS = [
    ("x.tf", RESOURCE.format("")),
    ("x.tf", RESOURCE.format('image_tag_mutability = "MUTABLE" # why')),
    ("x.tf", "# é\r\n" + RESOURCE.format("").replace("\n", "\r\n")),
    ("x.yaml", TEMPLATE.format("")),
    ("x.yaml", TEMPLATE.format("      ImageTagMutability: 'MUTABLE' # why\n")),
    (
        "x.json",
        '{\n "Resources": {\n  "A": {\n   "Type": "AWS::ECR::Repository",\n   "Properties": {\n    "X": 1\n}}}}',
    ),
    ("x.ts", "new ecr.Repository(this, 'A', { imageTagMutability: TagMutability.MUTABLE })"),
]


@pytest.mark.parametrize(("path", "text"), EDITS)
def test_an_edit_makes_it_hold(path: str, text: str) -> None:
    after = mended({path: text})
    assert "IMMUTABLE" in after
    assert found({path: after}) == []
    assert after.count("\r\n") == text.count("\r\n") + ("\r\n" in text)
