"""A text is a policy with its rules in order, or ParameterInvalid; a policy decides about each image, with a reason."""

from __future__ import annotations

from holdfast.core.errors import ParameterInvalid
from holdfast.core.lifecycle import Image, evaluate
from holdfast.core.lifecycle_policy import MAX_RULES, parse

_COUNTED = (
    b'{"rules":[{"rulePriority":1,"selection":{"tagStatus":"any","countType":"imageCountMoreThan","countNumber":1},'
    b'"action":{"type":"expire"}}]}'
)
_AGED = (
    b'{"rules":[{"rulePriority":2,"selection":{"tagStatus":"tagged","tagPatternList":["v*"],"countType":'
    b'"sinceImagePulled","countUnit":"days","countNumber":9},"action":{"type":"transition","targetStorageClass":'
    b'"archive"}}]}'
)
SEEDS = (_COUNTED, _AGED)
WORDS = (
    b'"rules"',
    b'"tagStatus"',
    b'"untagged"',
    b'"storageClass":"archive"',
    b'"countUnit":"days"',
    b"[",
    b"{",
    b"1e9",
)
COVERS = ("core/lifecycle_policy.py", "core/lifecycle.py")
PARSERS = ("core.lifecycle_policy.parse",)

_IMAGES = (Image("a", ("v1",), 1), Image("b", (), 2, parents=("a",)), Image("c", ("x",), 3, subject="a"))


def check(data: bytes) -> None:
    """Read a policy, and let it decide about three images."""
    try:
        policy = parse(data.decode("utf-8", "surrogateescape"))
    except ParameterInvalid:
        return
    priorities = [rule.priority for rule in policy.rules]
    assert priorities == sorted(set(priorities))
    assert 1 <= len(priorities) <= MAX_RULES
    decided = evaluate(policy, _IMAGES, 10**16)
    assert [one.image for one in decided] == list(_IMAGES)
    assert all(one.reason for one in decided)
