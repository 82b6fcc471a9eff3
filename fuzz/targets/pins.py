"""Whatever a file holds, pinned it has changed in nothing but digests, and unpinned it is as it was, byte for byte."""

from __future__ import annotations

from holdfast.pin.consumers import consumed
from holdfast.pin.knowledge import Known, tag_name
from holdfast.pin.lint import examine
from holdfast.pin.pinning import Aim, plan
from holdfast.pin.settings import Settings

_PATHS = (b"Dockerfile", b"compose.yaml", b"deploy/app.yaml", b"chart/values.yaml", b"task-definition.json", b"run.sh")
SEEDS = (
    b"Dockerfile\nARG A=b:1\nFROM $A AS x\nFROM c\nCOPY --from=d:2 /a /b\n",
    b"compose.yaml\nservices:\n  a:\n    image: 'b:1' # c\n  d: {image: e}\n",
    b"deploy/app.yaml\napiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: b:1}]}\n",
    b"chart/values.yaml\nimage:\n  repository: a/b\n  tag: '1'\n",
    b'task-definition.json\n{"containerDefinitions": [{"name": "a", "image": "b:1"}]}',
    b"run.sh\ndocker run a:1 x\r\n",
)
WORDS = (
    *_PATHS,
    b"image: ",
    b"FROM ",
    b"--from=",
    b"@sha256:" + b"a" * 64,
    b"${A:-b}",
    b"&x ",
    b"*x",
    b"\xff",
    b"\r\n",
    b"---\n",
    b"{{ .Values.a }}",
)
COVERS = ("pin/rewrite.py", "pin/pinning.py", "pin/structure.py")
PARSERS = ()

_DIGEST = "sha256:" + "3f" * 32


def check(data: bytes) -> None:
    """Take the first line for the path and the rest for the file."""
    first, _, content = data.partition(b"\n")
    path = (first if first in _PATHS else _PATHS[len(data) % len(_PATHS)]).decode()
    case = examine(path, content, Settings(), lambda _name: None).case
    if case is None or not case.mentions:
        return
    known = {tag_name(read.image): Known(_DIGEST) for _, read in consumed(case) if read.image is not None}
    made = plan(case, Aim.PIN, known).rewritten
    assert made.after.count(_DIGEST.encode()) >= content.count(_DIGEST.encode())
    pinned = examine(path, made.after, Settings(), lambda _name: None).case
    assert pinned is not None
    undone = plan(pinned, Aim.UNPIN, {}, records=made.records)
    assert undone.rewritten.after == content or undone.left, (made.after, undone.rewritten.after)
