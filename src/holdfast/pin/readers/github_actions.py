"""GitHub Actions: workflows and actions.

This file alone knows where a workflow names images: containers, services, docker:// steps, matrices, scripts, and the
inputs of the actions that build and push.

Sources: GitHub docs, "Workflow syntax", "Metadata syntax"; the READMEs of docker/build-push-action,
docker/metadata-action, docker/setup-buildx-action, docker/setup-qemu-action and
aws-actions/amazon-ecs-render-task-definition.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from holdfast.pin.mention import Context, Kind, Mention, Role
from holdfast.pin.readers.yaml_file import YamlFile, image_in
from holdfast.pin.readers.yaml_nodes import Node, excerpt, get, items, pairs, text_of
from holdfast.pin.slots import Defaults

if TYPE_CHECKING:
    from collections.abc import Iterator

    from holdfast.pin.source import Excerpt, Source

_ENV: Final = re.compile(r"\$\{\{\s*env\.([A-Za-z_]\w*)\s*\}\}")
_MATRIX: Final = re.compile(r"\s*\$\{\{\s*matrix\.([\w-]+(?:\.[\w-]+)*)\s*\}\}\s*")
_DOCKER: Final = "docker://"


def read(source: Source) -> list[Mention]:
    """Return the mentions of a workflow or of an action; raises UnreadableFile."""
    return list(_Workflow(source).mentions())


class _Workflow:
    def __init__(self, source: Source) -> None:
        self.file = YamlFile(source)

    def mentions(self) -> Iterator[Mention]:
        for document in self.file.documents:
            env = self._env(document, {})
            for name, job in pairs(get(document, "jobs")):
                yield from self._job(job, f"jobs.{name}", self._env(job, env))
            runs = get(document, "runs")
            yield from self._docker(get(runs, "image"), "runs.image")
            yield from self._steps(runs, "runs", env)

    def _env(self, node: Node, outer: dict[str, str | None]) -> dict[str, str | None]:
        own = {name: self._resolve(text_of(value) or "", outer) for name, value in pairs(get(node, "env"))}
        return {**outer, **own}

    @staticmethod
    def _resolve(written: str, env: dict[str, str | None]) -> str | None:
        """Put `${{ env.X }}` in; None when anything else is left to be put in."""
        made = _ENV.sub(lambda found: env.get(found[1]) or found.group(), written)
        return None if "${{" in made else made

    def _job(self, job: Node, where: str, env: dict[str, str | None]) -> Iterator[Mention]:
        container = get(job, "container")
        for place, node, kind, context in (
            (f"{where}.container", container, Kind.GITHUB_CONTAINER, Context.BUILD),
            (f"{where}.container.image", get(container, "image"), Kind.GITHUB_CONTAINER, Context.BUILD),
            *(
                (f"{where}.services.{name}.image", get(service, "image"), Kind.GITHUB_SERVICE, Context.TEST)
                for name, service in pairs(get(job, "services"))
            ),
        ):
            yield from self._image(job, node, kind, place, context, env)
        yield from self._steps(job, where, env)

    def _image(
        self, job: Node, node: Node | None, kind: Kind, where: str, context: Context, env: dict[str, str | None]
    ) -> Iterator[Mention]:
        from_matrix = _MATRIX.fullmatch(text_of(node) or "")
        if from_matrix is not None:
            yield from self._matrix(job, from_matrix[1].split("."), f"{where} by matrix", context)
            return
        text = excerpt(self.file.source, node)
        if text is not None:
            yield from self._in(text, kind, where, Role.CONSUMES, context, env)

    def _matrix(self, job: Node, names: list[str], where: str, context: Context) -> Iterator[Mention]:
        matrix = get(job, "strategy", "matrix")
        values = [get(one, *names[1:]) for one in items(get(matrix, names[0]))]
        values += [get(one, *names) for one in items(get(matrix, "include"))]
        for value in values:
            yield from self.file.image(value, kind=Kind.GITHUB_MATRIX, where=where, context=context)

    def _in(
        self,
        text: Excerpt,
        kind: Kind,
        where: str,
        role: Role,
        context: Context,
        env: dict[str, str | None],
        separators: str = r"\n",
    ) -> Iterator[Mention]:
        """Make a mention of each line, or of each element of a list in one line."""
        for found in re.finditer(rf"(?:\$\{{\{{.*?\}}\}}|[^{separators}])+", text.text):
            written = found.group()
            start = found.start() + len(written) - len(written.lstrip())
            yield from image_in(
                text,
                start,
                start + len(written.strip()),
                kind=kind,
                where=where,
                role=role,
                context=context,
                defaults=Defaults(),
                resolve=lambda one: self._resolve(one, env),
            )

    def _docker(self, node: Node | None, where: str) -> Iterator[Mention]:
        text = excerpt(self.file.source, node)
        if text is None or not text.text.startswith(_DOCKER):
            return
        inner = text.piece(len(_DOCKER), len(text.text))
        yield from self._in(inner, Kind.GITHUB_USES, where, Role.CONSUMES, Context.BUILD, {})

    def _steps(self, owner: Node | None, where: str, env: dict[str, str | None]) -> Iterator[Mention]:
        for number, step in enumerate(items(get(owner, "steps"))):
            here = f"{where}.steps[{number}]"
            own = self._env(step, env)
            yield from self._docker(get(step, "uses"), f"{here}.uses")
            yield from self.file.script(get(step, "run"), where=f"{here}.run: ", known=own)
            yield from self._inputs((text_of(get(step, "uses")) or "").partition("@")[0], get(step, "with"), here, own)

    def _inputs(self, action: str, given: Node | None, where: str, env: dict[str, str | None]) -> Iterator[Mention]:
        rows = _INPUTS.get(action.lower(), ())
        if "build-push" in action.lower() and not rows:
            rows = _INPUTS["docker/build-push-action"]
        pushes = (text_of(get(given, "push")) or "false").strip().lower() != "false"
        for name, kind, role, pattern in rows:
            text = excerpt(self.file.source, get(given, name))
            if text is None:
                continue
            asked = Role.BUILDS if role is Role.PUSHES and kind is Kind.GITHUB_BUILD and not pushes else role
            context = Context.PRODUCTION if kind is Kind.GITHUB_ECS else Context.BUILD
            for start, end in _parts(text.text, pattern):
                yield from self._in(
                    text.piece(start, end), kind, f"{where}.with.{name}", asked, context, env, separators=r"\n,"
                )


def _parts(text: str, pattern: str | None) -> Iterator[tuple[int, int]]:
    if pattern is None:
        yield 0, len(text)
        return
    yield from (found.span(1) for found in re.finditer(pattern, text))


_REF: Final = r"(?:type=registry[^\n]*?[,])ref=((?:\$\{\{.*?\}\}|[^,\s])+)"
_INPUTS: Final[dict[str, tuple[tuple[str, Kind, Role, str | None], ...]]] = {
    "docker/build-push-action": (
        ("tags", Kind.GITHUB_BUILD, Role.PUSHES, None),
        ("cache-from", Kind.CACHE_FROM, Role.CONSUMES, _REF),
        ("cache-to", Kind.CACHE_TO, Role.PUSHES, _REF),
        ("build-contexts", Kind.BAKE_CONTEXT, Role.CONSUMES, r"docker-image://(\S+)"),
    ),
    "docker/metadata-action": (
        ("images", Kind.GITHUB_METADATA, Role.PUSHES, r"(?m)^\s*(?:name=)?((?![#;,=])(?:\$\{\{.*?\}\}|[^\s,;])+)"),
    ),
    "docker/setup-buildx-action": (
        ("driver-opts", Kind.GITHUB_USES, Role.CONSUMES, r"(?:^|[\s,])image=((?:\$\{\{.*?\}\}|[^\s,])+)"),
    ),
    "docker/setup-qemu-action": (("image", Kind.GITHUB_USES, Role.CONSUMES, None),),
    "aws-actions/amazon-ecs-render-task-definition": (("image", Kind.GITHUB_ECS, Role.CONSUMES, None),),
    "azure/webapps-deploy": (("images", Kind.GITHUB_ECS, Role.CONSUMES, None),),
    "google-github-actions/deploy-cloudrun": (("image", Kind.GITHUB_ECS, Role.CONSUMES, None),),
    "addnab/docker-run-action": (("image", Kind.GITHUB_USES, Role.CONSUMES, None),),
}
"""Action -> the inputs that name images; a pattern says which part of the input does."""
