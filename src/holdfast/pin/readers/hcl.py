"""HCL: Terraform, Nomad jobs, and bake files of buildx. The grammar is tree-sitter's.

This file alone knows which attributes name a container image, and which an image of a machine.

Sources: HCL native syntax specification; the Terraform providers' references (aws, docker, kubernetes, google,
azurerm); Docker docs, "Bake file reference".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import tree_sitter_hcl
from tree_sitter import Language, Parser, Query, QueryCursor

from holdfast.pin.mention import Context, Kind, Mention, Role
from holdfast.pin.readers.helm import image_lines
from holdfast.pin.readers.shell_tools import shell_mentions
from holdfast.pin.readers.yaml_file import image_in
from holdfast.pin.slots import Defaults
from holdfast.pin.source import Excerpt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_sitter import Node

    from holdfast.pin.source import Source

_HCL: Final = Language(tree_sitter_hcl.language())
_QUERY: Final = Query(
    _HCL, "(attribute (identifier) @key (expression)) (object_elem key: (expression) @key) (heredoc_template) @heredoc"
)
_KEYS: Final = re.compile(r"image|image_uri|image_identifier|image_name|(?:container|docker|app|service|task)_image")
_MACHINES: Final = re.compile(
    r"droplet|_instance$|_server|virtual_machine|linode|vultr|openstack|hcloud|libvirt|vsphere|proxmox|_vm|_disk|scale_set"
    r"|launch_|_ami|lightsail_instance|compute_"
)
_NO_CONTAINER_BLOCKS: Final = frozenset({"initialize_params", "boot_disk", "source_image_reference", "disk"})
_BUILDS: Final = re.compile(r"codebuild|cloudbuild")
_REFERENCE: Final = re.compile(r"(?:var|local)\.[\w-]+")
_IN_TEMPLATE: Final = re.compile(r"\$\{\s*((?:var|local)\.[\w-]+|[A-Za-z_]\w*)\s*\}")
_STRING: Final = re.compile(r'"((?:[^"\\$]|\\.|\$(?!\{)|\$\{[^}]*\})*)"')
_HAS_IMAGE: Final = re.compile(r"""["']?image["']?\s*:""")


class _File:
    def __init__(self, source: Source) -> None:
        self.whole = Excerpt.of(source)
        self.text = source.text
        # One byte for each character, so that places are the same.
        root = Parser(_HCL).parse(self.text.encode("ascii", "replace")).root_node
        captures = QueryCursor(_QUERY).captures(root)
        self.keys = sorted(captures.get("key", []), key=lambda one: one.start_byte)
        self.heredocs = sorted(captures.get("heredoc", []), key=lambda one: one.start_byte)
        self.defaults: dict[str, tuple[int, int]] = {}
        """`var.x`, `local.x`, or the bare name in a bake file -> where its text stands."""
        for key in self.keys:
            self._note_default(key)

    def name(self, node: Node) -> str:
        return self.text[node.start_byte : node.end_byte].strip("\"'")

    def blocks(self, node: Node) -> list[list[str]]:
        """Return the blocks round a node, the innermost first: type and labels."""
        found: list[list[str]] = []
        at = node.parent
        while at is not None:
            if at.type == "block":
                found.append([self.name(one) for one in at.children if one.type in {"identifier", "string_lit"}])
            at = at.parent
        return found

    def _note_default(self, key: Node) -> None:
        blocks = self.blocks(key)
        if not blocks or (key.parent is not None and key.parent.type != "attribute"):
            return
        place = self.string(self.value(key))
        if place is None:
            return
        if blocks[0][0] == "variable" and self.name(key) == "default" and len(blocks[0]) > 1:
            self.defaults[f"var.{blocks[0][1]}"] = self.defaults[blocks[0][1]] = place
        elif blocks[0][0] == "locals":
            self.defaults[f"local.{self.name(key)}"] = place

    def value(self, key: Node) -> Node | None:
        """Return the expression that a key is given."""
        parent = key.parent
        others = [one for one in parent.named_children if one.type == "expression"] if parent is not None else []
        return others[-1] if others and others[-1].start_byte > key.start_byte else None

    def string(self, node: Node | None) -> tuple[int, int] | None:
        """Return where the text of a quoted string stands, without its quotes; None for any other expression."""
        if node is None:
            return None
        found = _STRING.fullmatch(self.text, node.start_byte, node.end_byte)
        return found.span(1) if found else None

    def resolve(self, written: str, depth: int = 0) -> str | None:
        """Put in what variables default to."""
        missing = depth > 8  # noqa: PLR2004 - of locals made of locals

        def put(found: re.Match[str]) -> str:
            nonlocal missing
            place = self.defaults.get(found[1])
            value = self.resolve(self.text[slice(*place)], depth + 1) if place and not missing else None
            missing = missing or value is None
            return value or ""

        made = _IN_TEMPLATE.sub(put, written)
        return None if missing or "${" in made or len(made) > 4096 else made  # noqa: PLR2004 - no reference is longer

    def image(
        self, place: tuple[int, int], kind: Kind, where: str, context: Context, role: Role = Role.CONSUMES
    ) -> Iterator[Mention]:
        """Make the mention of a string."""
        yield from image_in(
            self.whole,
            *place,
            kind=kind,
            where=where,
            role=role,
            context=context,
            defaults=Defaults(),
            resolve=self.resolve,
        )

    def images(self, node: Node | None, kind: Kind, where: str, context: Context) -> Iterator[Mention]:
        """Make the mentions of an expression: a string, a variable's default, either branch of a condition."""
        if node is None:
            return
        place = self.string(node)
        written = self.text[node.start_byte : node.end_byte].strip()
        if place is not None:
            yield from self.image(place, kind, where, context)
        elif _REFERENCE.fullmatch(written):
            default = self.defaults.get(written)
            if default is not None and default[0] < default[1]:
                yield from self.image(default, kind, f"{written} (for {where})", context)
        elif node.named_children and node.named_children[0].type == "conditional":
            for branch in node.named_children[0].named_children[1:]:
                yield from self.images(branch, kind, where, context)


def terraform(source: Source) -> list[Mention]:
    """Return the mentions of Terraform or of a Nomad job; raises UnreadableFile."""
    return list(_terraform(_File(source)))


def _terraform(file: _File) -> Iterator[Mention]:
    for key in file.keys:
        blocks = file.blocks(key)
        name = file.name(key)
        kind = blocks[-1][1] if blocks and len(blocks[-1]) > 1 else ""
        if not blocks or blocks[0][0] in _NO_CONTAINER_BLOCKS:
            continue
        where = ".".join([*blocks[-1], *(block[0] for block in reversed(blocks[:-1])), name])
        context = Context.BUILD if _BUILDS.search(kind) else Context.PRODUCTION
        if blocks[-1][0] == "variable":
            place = file.string(file.value(key))
            if name == "default" and "image" in kind and place and re.search(r"[/:]", file.text[slice(*place)]):
                yield from file.image(place, Kind.TERRAFORM_IMAGE, where, context)
        elif _is_image(name, kind):
            yield from file.images(file.value(key), Kind.TERRAFORM_IMAGE, where, context)
    for heredoc in file.heredocs:
        yield from _heredoc(file, heredoc)


def _is_image(name: str, kind: str) -> bool:
    if kind in {"docker_image", "docker_registry_image"}:
        return name == "name"
    return bool(_KEYS.fullmatch(name)) and not _MACHINES.search(kind)


def _heredoc(file: _File, node: Node) -> Iterator[Mention]:
    """What stands in a heredoc is JSON or YAML with images, or a script."""
    first = file.text.find("\n", node.start_byte) + 1
    text = file.whole.piece(first, node.end_byte)
    if _HAS_IMAGE.search(text.text):
        for found in re.finditer(r'"image"\s*:\s*"([^"]*)"', text.text):
            place = (first + found.start(1), first + found.end(1))
            yield from file.image(place, Kind.TERRAFORM_IMAGE, "container definitions", Context.PRODUCTION)
        yield from image_lines(text, Kind.TERRAFORM_IMAGE, Context.PRODUCTION)
    yield from shell_mentions(text, where="heredoc: ", context=Context.PRODUCTION)


def bake(source: Source) -> list[Mention]:
    """Return the mentions of a bake file; raises UnreadableFile."""
    return list(_bake(_File(source)))


def _bake(file: _File) -> Iterator[Mention]:
    for key in file.keys:
        blocks, name = file.blocks(key), file.name(key)
        value = file.value(key)
        if not blocks or blocks[0][0] != "target" or value is None or key.parent is None:
            continue
        where = ".".join([*blocks[0], name])
        if key.parent.type == "attribute" and name in _BAKE_LISTS:
            if re.match(r"[\[{]\s*for\s", file.text[value.start_byte : value.end_byte]):
                continue
            pattern, kind, role = _BAKE_LISTS[name]
            for found in _STRING.finditer(file.text, value.start_byte, value.end_byte):
                inner = re.search(pattern, found[1])
                if inner is not None:
                    place = (found.start(1) + inner.start(1), found.start(1) + inner.end(1))
                    yield from file.image(place, kind, where, Context.BUILD, role)


_BAKE_LISTS: Final[dict[str, tuple[str, Kind, Role]]] = {
    "tags": (r"^(.+)$", Kind.BAKE_TAG, Role.BUILDS),
    "contexts": (r"^docker-image://(.+)$", Kind.BAKE_CONTEXT, Role.CONSUMES),
    "cache-from": (r"^(?:type=registry,(?:.*,)?ref=)?((?![a-z-]+=)[^,]+)", Kind.CACHE_FROM, Role.CONSUMES),
    "cache-to": (r"^(?:type=registry,(?:.*,)?ref=)((?![a-z-]+=)[^,]+)", Kind.CACHE_TO, Role.PUSHES),
}
