"""What the output of a command stands for: `$(git rev-parse HEAD)`, `$(date +%s)`, `$(cat VERSION)`.

This file alone knows such commands, as a table of patterns over the command's words. It runs nothing.
"""

from __future__ import annotations

import re
from typing import Final

from holdfast.pin.pushes import variables
from holdfast.pin.pushes.tag import Repetition
from holdfast.pin.pushes.variables import Meaning

_DAY: Final = Meaning(Repetition.REUSED, "is a date: two runs on one day push the same tag")
_MINUTE: Final = Meaning(Repetition.RUN, "is the time to the minute: two runs in one minute push the same tag")
_TAG_AND_DISTANCE: Final = Meaning(Repetition.COMMIT, "names the last tag of git, the commits since, and the commit")
_LAST_TAG: Final = Meaning(
    Repetition.REUSED, "is the last tag of git: every commit after it pushes the same tag until the next one"
)
_COUNT: Final = Meaning(Repetition.COMMIT, "counts the commits: it is unique on one branch alone")
_CONTENT: Final = Meaning(Repetition.COMMIT, "is made of the content: it changes when that changes")
_EXACT_TAG: Final = variables.RELEASE_REF
_RANDOM: Final = Meaning(Repetition.RUN, "is random")

_VERSION_FILES: Final = (
    r"VERSION|version|package\.json|pom\.xml|Chart\.yaml|pyproject|setup\.py|Cargo\.toml|build\.gradle|__init__"
)

COMMANDS: Final[tuple[tuple[str, Meaning], ...]] = (
    (r"\bgit\b.*\brev-parse\b.*(--abbrev-ref|--symbolic-full-name)", variables.BRANCH),
    (r"\bgit\b.*\bsymbolic-ref\b", variables.BRANCH),
    (r"\bgit\b.*\bbranch\b", variables.BRANCH),
    (r"\bgit\b.*\brev-parse\b.*--short", variables.SHORT_SHA),
    (r"\bgit\b.*\brev-parse\b.*--show-toplevel", variables.PLACE),
    (r"\bgit\b.*\brev-parse\b", variables.SHA),
    (r"\bgit\b.*\blog\b.*%h", variables.SHORT_SHA),
    (r"\bgit\b.*\b(log|show)\b.*%H", variables.SHA),
    (r"\bgit\b.*\b(log|show)\b.*%(c[tdiI]|a[tdiI])", Meaning(Repetition.COMMIT, "is the time of the commit")),
    (r"\bgit\b.*\bls-(remote|tree|files)\b", variables.SHA),
    (r"\bgit\b.*\brev-list\b.*--count", _COUNT),
    (r"\bgit\b.*\brev-list\b.*--tags", _LAST_TAG),
    (r"\bgit\b.*\brev-list\b", variables.SHA),
    (r"\bgit\b.*\bdescribe\b.*--exact-match", _EXACT_TAG),
    (r"\bgit\b.*\bdescribe\b.*--abbrev[= ]0", _LAST_TAG),
    (r"\bgit\b.*\bdescribe\b", _TAG_AND_DISTANCE),
    (r"\bgit\b.*\btag\b.*--points-at", _EXACT_TAG),
    (r"\bgit\b.*\btag\b", _LAST_TAG),
    (r"\bgit\b.*\b(hash-object|write-tree)\b", _CONTENT),
    (r"\bdate\b.*\+\S*%(s|N|S|T|c|X|r)", variables.NOW),
    (r"\bdate\b.*\+.*%(s|N|S|T|c|X|r)", variables.NOW),
    (r"\bdate\b.*(-I(seconds|ns)|--iso-8601=(seconds|ns)|--rfc-3339=(seconds|ns))", variables.NOW),
    (r"\bdate\b.*\+.*%(M|R)", _MINUTE),
    (r"\bdate\b.*(\+|-I|--iso-8601|--rfc-3339)", _DAY),
    (r"\bdate\b\s*(-u)?\s*$", variables.NOW),
    (r"\b(uuidgen|/proc/sys/kernel/random/uuid|/dev/u?random|openssl rand|mktemp)\b", _RANDOM),
    (r"\b(sha1sum|sha256sum|md5sum|sha512sum|cksum|md5|shasum)\b", _CONTENT),
    (rf"\b(cat|head|tail|grep|awk|sed|jq|yq|cut|xmllint|tomlq|dasel)\b.*({_VERSION_FILES})", variables.FILE_VERSION),
    (r"\b(mvn|mvnw)\b.*\b(project\.version|version)\b", variables.FILE_VERSION),
    (r"\bgradlew?\b.*\b(properties|[pP]rintVersion|[cC]urrentVersion|version)\b", variables.FILE_VERSION),
    (r"\b(node|npm|yarn|pnpm|python3?|ruby|php)\b.*(version|package\.json)", variables.FILE_VERSION),
    (r"\b(poetry|hatch|pdm|uv|cz|bump2version|setuptools_scm|cargo|sbt|bundle)\b.*\bversion\b", variables.FILE_VERSION),
    (r"<\s*\S*(VERSION|version)\S*$", variables.FILE_VERSION),
    (r"\baws\b.*\bsts\b.*\bget-caller-identity\b", variables.PLACE),
    (r"\baws\b.*\b(configure|ec2|ecr)\b", variables.PLACE),
    (r"\bgcloud\b.*\bconfig\b", variables.PLACE),
    (r"\bterraform\b.*\boutput\b", variables.PLACE),
    (r"^\s*(whoami|hostname|uname\b.*|arch|dpkg --print-architecture|id .*|basename .*|dirname .*|pwd)\s*$",
     variables.PLACE),
)  # fmt: skip
"""Pattern over a command's words -> what its output stands for. The first that matches counts."""

_AT_RELEASES: Final = (_LAST_TAG, _TAG_AND_DISTANCE, variables.FILE_VERSION)
_COMPILED: Final = tuple((re.compile(pattern), meaning) for pattern, meaning in COMMANDS)
_LONGEST: Final = 400


def meaning_of(command: str, *, releases_only: bool = False) -> Meaning | None:
    """Return what a command's output stands for, or None if no row knows it.

    `releases_only`: nothing but tags of git start the pipeline, so the last tag and the version in a file are theirs.
    """
    text = " ".join(command[:_LONGEST].split())
    for pattern, meaning in _COMPILED:
        if pattern.search(text):
            return variables.RELEASE_REF if releases_only and meaning in _AT_RELEASES else meaning
    return None
