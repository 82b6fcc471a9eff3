"""What is wrong with a document that is no policy, and how its text stands in a sentence."""

from __future__ import annotations

from typing import Final

_ECHO_CHARACTERS: Final = 64


class PolicyInvalid(Exception):
    """A document that is not a policy, or says what cannot be evaluated here.

    `path` names the place ("Statement[0].Effect"), "" for the document as a whole; `why` is the rest of the sentence.
    """

    def __init__(self, path: str, why: str) -> None:
        self.path = path
        self.why = why
        super().__init__(f"{path or 'The policy'}: {why}")


def expect(condition: bool, path: str, why: str) -> None:  # noqa: FBT001 - reads as a sentence
    """Raise PolicyInvalid unless the condition holds."""
    if not condition:
        raise PolicyInvalid(path, why)


def echo(text: object) -> str:
    """Shorten what stands in the document, and make it printable ASCII, before it stands in a sentence."""
    return ascii(str(text)[:_ECHO_CHARACTERS])[1:-1]
