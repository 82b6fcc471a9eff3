"""A text is a lifecycle policy that expires no image with a held tag, or it is refused with ParameterInvalid."""

from __future__ import annotations

from holdfast.core.errors import ParameterInvalid
from holdfast.core.lifecycle import Image, Outcome, evaluate
from holdfast.core.lifecycle_policy import parse

SEEDS = (
    (
        b'{"rules":[{"rulePriority":1,"selection":{"tagStatus":"untagged","countType":"imageCountMoreThan","countNumber":1},'
        b'"action":{"type":"expire"}}]}'
    ),
    (
        b'{"rules":[{"rulePriority":2,"description":"d","selection":{"tagStatus":"tagged","tagPatternList":["v*"],'
        b'"countType":"sinceImagePushed","countUnit":"days","countNumber":14},"action":{"type":"expire"}}]}'
    ),
    b'{"rules":[]}',
)
WORDS = (
    b'"tagStatus":"any"', b'"tagPrefixList":["a"]', b'"tagPatternList":["*"]', b'"countNumber":1', b'"countNumber":0',
    b'"sinceImagePulled"', b'"rulePriority":1', b'"action":{"type":"transition"}', b'"storageClass":"archive"', b"****",
)  # fmt: skip
COVERS = ("core/lifecycle_policy.py", "core/lifecycle.py")
PARSERS = ("core.lifecycle_policy.parse",)

_DAY = 86_400 * 1_000_000
_IMAGES = (
    Image("sha256:a", ("v1", "latest"), 10 * _DAY, is_held=True),
    Image("sha256:b", (), 20 * _DAY, parents=("sha256:d",)),
    Image("sha256:c", ("v2",), 30 * _DAY, pulled_at=40 * _DAY),
    Image("sha256:d", ("ix",), 30 * _DAY),
    Image("sha256:e", (), 5 * _DAY, subject="sha256:a"),
)


def check(data: bytes) -> None:
    """Read it and ask what it does."""
    try:
        policy = parse(data.decode("utf-8", "surrogateescape"))
    except ParameterInvalid as error:
        assert error.message.isprintable()
        return
    decisions = {one.image.digest: one for one in evaluate(policy, _IMAGES, 1_000 * _DAY)}
    assert set(decisions) == {one.digest for one in _IMAGES}
    for kept in ("sha256:a", "sha256:e"):
        assert decisions[kept].outcome is not Outcome.EXPIRE
    if decisions["sha256:d"].outcome is not Outcome.EXPIRE:
        assert decisions["sha256:b"].outcome is not Outcome.EXPIRE
