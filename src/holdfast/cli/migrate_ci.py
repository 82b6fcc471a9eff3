"""`holdfast migrate-ci`: the whole change of a repository off movable tags, as one patch with words for people."""

from __future__ import annotations

import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from holdfast.cli.asking import Asking, asked, asking_options, learn, registries
from holdfast.cli.connection import json_option
from holdfast.cli.examining import Job, examined, in_order, read_settings
from holdfast.cli.exits import Exit, Unfinished
from holdfast.cli.output import Output, plain
from holdfast.cli.source_tree import OutsideTree, SourceTree
from holdfast.cli.teaching import TeachingCommand
from holdfast.client.resolving import Question
from holdfast.pin.image import parse_image
from holdfast.pin.knowledge import tag_name
from holdfast.pin.mention import Context
from holdfast.pin.migration import explanation, pointer
from holdfast.pin.migration.plan import Migration, mend, migrate, to_mend
from holdfast.pin.pinning import Aim, plan
from holdfast.pin.pushers import PIPELINES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from holdfast.cli.in_workers import Failed
    from holdfast.pin.case import Case


@click.command(
    "migrate-ci",
    cls=TeachingCommand,
    short_help="Propose unique tags, a pointer file and pinned manifests as one patch.",
    sections={
        "Examples": (
            "holdfast migrate-ci --offline > retire-latest.patch && git apply retire-latest.patch",
            "holdfast migrate-ci . --explanation pull-request.md --write",
        ),
        "Read on": ("docs/retire-latest.md: a guide for each CI system",),
    },
)
@click.argument("path", required=False, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--write", is_flag=True, help="Change the files, instead of printing the patch.")
@click.option("--offline", is_flag=True, help="Ask no registry: manifests are not pinned, digests are left to fill in.")
@click.option(
    "--explanation",
    "explained",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the words for the pull request, in Markdown, to a file.",
)
@click.option("--config", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="For .holdfast.yaml.")
@asking_options
@json_option
def migrate_ci(
    path: Path | None,
    explained: Path | None,
    config: Path | None,
    endpoint: str | None,
    profile: str | None,
    plain_http: tuple[str, ...],
    *,
    write: bool,
    offline: bool,
    as_json: bool,
) -> int:
    """Propose the change of the repository at PATH (here, without one) that retires movable tags.

    Pipelines push tags of the commit, deploy/images.yaml says what runs where, manifests name digests. The patch goes
    to standard output, for `git apply`; nothing else of a file changes, and each edit is proven by reading the file
    again. What cannot be proven is told, for a person. Ends with 1 when something is left to a person.
    """
    given = [path or Path()]
    tree = SourceTree.above(given)
    settings = read_settings(tree, config)
    done = examined(Job(tree, settings, keep=True), given)
    cases = [one.examined.case for one in done if one.examined.case is not None]
    migration = _mended({case.path: case.data for case in cases}, has_pointer=tree.neighbour(pointer.PATH) is not None)
    if not offline:
        _ask(migration, cases, Asking(endpoint, profile, plain_http))
    if explained is not None:
        explained.write_text(explanation.render(migration), "utf-8")
    failed = _write(tree, migration) if write else {}
    _tell(Output(as_json=as_json), migration, failed, write=write)
    if failed:
        raise Unfinished(f"{len(failed)} files were not changed: " + "; ".join(f"{n}: {w}" for n, w in failed.items()))
    return Exit.FOUND if any(one.left for one in migration.pipelines) else Exit.DONE


def _mended(files: dict[str, bytes], *, has_pointer: bool) -> Migration:
    """Mend every pipeline in a process of its own, under the limit of time that reading has."""
    names = to_mend(files)
    failed: list[str] = []

    def give_up(number: int, why: Failed) -> None:
        failed.append(f"{names[number]} is left as it is: {why.reason}")

    mended = in_order(
        lambda number: mend(names[number], files[names[number]]), len(names), give_up, "mending pipelines"
    )
    found = {name: one for name, one in zip(names, mended, strict=True) if one is not None}
    migration = migrate(files, has_pointer=has_pointer, resolved={}, mended_files=found)
    migration.notes += failed
    return migration


def _ask(migration: Migration, cases: Sequence[Case], how: Asking) -> None:
    """Ask registries: for the digests of manifests in production, and for those that moved tags name now."""
    manifests = [
        replace(case, mentions=tuple(one for one in case.mentions if one.context is Context.PRODUCTION))
        for case in cases
        if not PIPELINES.search(case.path) or case.path.endswith((".yaml", ".yml", ".json"))
    ]
    manifests = [case for case in manifests if case.mentions and case.path not in migration.after]
    with registries(how) as resolver:
        knowledge = learn(manifests, resolver)
        for case in manifests:
            made = plan(case, Aim.PIN, knowledge)
            if made.changes:
                migration.before[case.path] = case.data
                migration.after[case.path] = made.rewritten.after
                migration.pins.append((case.path, len(made.changes)))
            migration.notes += [f"{one.path}: {one.name}: {one.reason}" for one in made.left if one.is_failure]
        if migration.pointer is None:
            return
        wanted: dict[str, str] = {}
        questions: dict[str, Question] = {}
        for step in (step for one in migration.pipelines for step in one.done):
            image = parse_image(step.image) if step.literal and re.fullmatch(r"[\w./:-]+", step.image) else None
            if image is not None:
                wanted[step.repository] = tag_name(image)
                questions[tag_name(image)] = Question(image.registry, image.repository, image.tag or "latest", False)  # noqa: FBT003
        answers = asked(questions, resolver, "asking what the old tags name")
    resolved = {
        repository: f"{repository}@{answers[name].digest}"
        for repository, name in wanted.items()
        if answers[name].digest is not None
    }
    migration.pointer = pointer.render(migration.entries, resolved)
    migration.after[pointer.PATH] = migration.pointer.encode("utf-8", "surrogateescape")


def _write(tree: SourceTree, migration: Migration) -> dict[str, str]:
    """Change the files, each whole or not at all; return what went wrong with which."""
    failed: dict[str, str] = {}
    for name in migration.changed:
        before = migration.before[name]
        try:
            if before is None:
                goal = tree.path(name)
                if not goal.parent.resolve().is_relative_to(tree.root):
                    failed[name] = "its folder leads out of the tree"
                    continue
                goal.parent.mkdir(parents=True, exist_ok=True)
                with goal.open("xb") as file:
                    file.write(migration.after[name])
            elif tree.read(name) != before:
                failed[name] = "it changed while it was worked on; run the command again"
            else:
                tree.replace(name, migration.after[name])
        except (OSError, OutsideTree) as error:
            failed[name] = str(error)
    return failed


def _tell(out: Output, migration: Migration, failed: dict[str, str], *, write: bool) -> None:
    left = [step for one in migration.pipelines for step in one.left]
    done = [step for one in migration.pipelines for step in one.done]
    if out.as_json:
        out.result(_document(migration, failed, write=write))
        return
    if not write:
        sys.stdout.buffer.write(migration.patch())
        sys.stdout.flush()
    for step in left:
        click.echo(plain(f"{step.path}:{step.line}: {step.image} is left to a person. {step.what}"), err=True)
    for note in migration.notes:
        click.echo(plain(note), err=True)
    verb = "changed" if write else "would change"
    pins = sum(count for _, count in migration.pins)
    click.echo(
        f"{len(migration.changed) - len(failed)} files {verb}: {len(done)} pushes mended, "
        f"{len(left)} left to a person, {pins} images pinned.",
        err=True,
    )


def _document(migration: Migration, failed: dict[str, str], *, write: bool) -> dict[str, Any]:
    def steps(kind: str) -> list[dict[str, Any]]:
        return [
            {"path": step.path, "line": step.line, "image": step.image, "what": step.what}
            for one in migration.pipelines
            for step in getattr(one, kind)
        ]

    return {
        "changed": migration.changed,
        "written": write,
        "failed": failed,
        "pushes": steps("done"),
        "left": steps("left"),
        "pointer": migration.entries,
        "pins": [{"path": path, "images": count} for path, count in migration.pins],
        "deployments": [
            {"path": one.path, "line": one.line, "text": one.text, "reads": one.read_from}
            for one in migration.deployments
        ],
        "notes": migration.notes,
        "patch": migration.patch().decode("utf-8", "replace"),
        "explanation": explanation.render(migration),
    }
