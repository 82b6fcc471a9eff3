"""Jenkinsfiles: Groovy, read tolerantly, to pushes.

This file alone knows pipelines of Jenkins: `sh` steps, `environment`, `def`, and the calls of the Docker Pipeline
plugin (`docker.build`, `docker.image`, `.push`). It is no Groovy parser: it reads words, strings and marks, and passes
over what it does not know. Sources: Jenkins "Using Docker with Pipeline", "Using a Jenkinsfile"; Groovy "Syntax",
strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from holdfast.pin.pushes import references, substitutions, variables
from holdfast.pin.pushes.following import Findings
from holdfast.pin.pushes.passage import Passage, Span
from holdfast.pin.pushes.placeholders import Placeholders
from holdfast.pin.pushes.push import Push
from holdfast.pin.pushes.shell import Script
from holdfast.pin.pushes.tag import EMPTY, Part, Repetition, Values, concatenate, literal, shown, union, unknown
from holdfast.pin.pushes.templating import template

MAX_CHARACTERS: Final = 400_000
_TOKEN: Final = re.compile(
    r"(?P<comment>//[^\n]*|/\*.*?\*/)"
    r"|(?P<string>\"\"\"(?:\\.|(?!\"\"\").)*\"\"\"|'''(?:\\.|(?!''').)*'''|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*')"
    r"|(?P<name>[A-Za-z_]\w*(?:\??\.[A-Za-z_]\w*)*)"
    r"|(?P<number>\d[\w.]*)"
    r"|(?P<mark>==|!=|=~|\?:|&&|\|\||\+=|[-+=(){}\[\]?:,;.])",
    re.DOTALL,
)
_INTERPOLATION: Final = re.compile(r"\$\{([^{}]*)\}|\$([A-Za-z_][\w.]*)")
_IN_SCRIPT: Final = re.compile(r"(?<!\\)\$(?:\{\s*([A-Za-z_][\w.]*)[^{}]*\}|([A-Za-z_]\w*))")
_DECLARATIVE: Final = re.compile(r"^\s*pipeline\s*\{", re.MULTILINE)
_MAX_TOKENS: Final = 60_000
_BRANCHES: Final = re.compile(r"\bbuildingTag\s*\(|\btag\s+['\"]")


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    end: int


class Reader:
    """One Jenkinsfile."""

    def __init__(self, text: str) -> None:
        self._text = text
        # In scripted pipelines nothing sets GIT_COMMIT in the environment, so that an edit may not use it.
        self.findings = Findings("jenkins" if _DECLARATIVE.search(text) else "jenkins-scripted")
        self._names: dict[str, Values] = {}
        self._images: dict[str, Values] = {}
        self._known = variables.in_shell(variables.JENKINS)
        self._tokens: list[_Token] = []
        self._at = 0

    def read(self) -> Findings:
        """Read it from its beginning to its end, following assignments in their order."""
        for match in _TOKEN.finditer(self._text[:MAX_CHARACTERS]):
            if match.lastgroup != "comment":
                self._tokens.append(_Token(match.lastgroup or "", match.group(), match.start(), match.end()))
            if len(self._tokens) >= _MAX_TOKENS:
                break
        while self._at < len(self._tokens):
            self._statement()
        return self.findings

    def _peek(self, ahead: int = 0) -> _Token:
        place = self._at + ahead
        return self._tokens[place] if place < len(self._tokens) else _Token("", "", len(self._text), len(self._text))

    def _statement(self) -> None:
        token = self._peek()
        self._at += 1
        if token.kind != "name":
            return
        following = self._peek()
        if token.text in {"def", "String", "final"} and following.kind == "name":
            return
        if following.text == "=" and token.text not in {"if", "when"}:
            self._at += 1
            self._assign(token.text)
        elif token.text in {"sh", "bat", "powershell"}:
            self._shell()
        elif token.text.startswith("docker.") or token.text.endswith(".push") or token.text == "customImage":
            self._at -= 1
            self._docker(token)
        elif token.text in {"defaultValue", "name"} and following.text == ":":
            self._parameter(token.text)

    def _parameter(self, key: str) -> None:
        """Read `string(name: 'TAG', defaultValue: 'latest')`, in either order."""
        self._at += 1
        values = self._expression()
        if key == "name":
            self._names["?name"] = values
        elif "?name" in self._names:
            name = shown(self._names.pop("?name")[0])
            self._names[f"params.{name}"] = union(values, (unknown(f"params.{name}", "is what somebody enters"),))

    def _assign(self, name: str) -> None:
        key = name.removeprefix("env.").removeprefix("this.")
        if self._peek().text.startswith("docker."):
            token = self._peek()
            self._images[key] = self._docker(token)
            return
        values = self._expression()
        old = self._names.get(key)
        # Assigned again in another branch: both may hold.
        self._names[key] = values if old is None or old == EMPTY else union(old, values)

    # Expressions

    def _expression(self) -> Values:
        """Read what is added up: strings, names, calls of `sh`; everything else is unknown."""
        parts = [self._operand()]
        while self._peek().text in {"+", "?", ":", "?:", "||"}:
            mark = self._peek().text
            if mark == ":" and len(parts) == 1:
                break
            self._at += 1
            if mark == "+":
                parts.append(self._operand())
            elif mark == "?":
                parts = [self._operand()]
            else:
                parts = [union(concatenate(parts), self._operand())]
        return concatenate(parts)

    def _operand(self) -> Values:
        token = self._peek()
        if token.kind == "string":
            self._at += 1
            values = self._string(token)
            return self._after(values)
        if token.kind == "number":
            self._at += 1
            return (literal(token.text),)
        if token.text == "(":
            self._at += 1
            values = self._expression()
            self._at += self._peek().text == ")"
            return self._after(values)
        if token.kind != "name":
            return (unknown("...", "is not followed"),)
        self._at += 1
        if token.text == "sh":
            return self._after(self._shell())
        values = self._name(token.text, Span(token.start, token.end))
        return self._after(values)

    def _after(self, values: Values) -> Values:
        """Pass over what is done to a value (`.trim()`, `.take(7)`, `[0..6]`): it stays as unique as it is."""
        while self._peek().text in {".", "(", "["} or (self._peek().kind == "name" and self._peek().text[0] == "."):
            if self._peek().text == ".":
                self._at += 1
                if self._peek().kind == "name":
                    if self._peek().text == "GIT_COMMIT":
                        values = ((variables.SHA.part("checkout(scm).GIT_COMMIT"),),)
                    self._at += 1
                continue
            self._skip()
        return values

    def _skip(self) -> None:
        """Pass over one pair of brackets."""
        closing = {"(": ")", "[": "]", "{": "}"}
        stack = [closing.get(self._peek().text, "")]
        self._at += 1
        while stack and self._at < len(self._tokens):
            text = self._peek().text
            if text in closing:
                stack.append(closing[text])
            elif text == stack[-1]:
                stack.pop()
            self._at += 1

    def _name(self, name: str, span: Span | None) -> Values:
        key = name.replace("?.", ".")
        base = re.sub(r"\.(trim|take|substring|toLowerCase|toString|replace\w*|tokenize|split)$", "", key)
        for candidate in (base, base.removeprefix("env."), base.partition(".")[0]):
            if candidate in self._names:
                return self._names[candidate]
        plain = base.removeprefix("env.")
        if plain in {"currentBuild.number", "currentBuild.id"}:
            return ((variables.RUN.part(name),),)
        if plain in {"scm.GIT_COMMIT", "checkout.GIT_COMMIT"} or plain.endswith(".GIT_COMMIT"):
            return ((variables.SHA.part(name),),)
        meaning = variables.JENKINS.get(plain) or (self._known.get(plain) if "." not in plain else None)
        if meaning is not None:
            return ((replace(meaning.part(f"${{{key}}}"), span=span, setting="groovy"),),)
        if "currentTimeMillis" in key or plain.startswith(("new Date", "Date")):
            return ((variables.NOW.part(name),),)
        if plain.startswith("pom.") or "version" in plain.lower().rpartition(".")[2]:
            return ((Part(f"${{{name}}}", Repetition.UNKNOWN, "is a version that is not set here", literal=False),),)
        return ((Part(f"${{{name}}}", Repetition.UNKNOWN, "is not set in this file", literal=False, span=span),),)

    def _quoted(self, token: _Token) -> tuple[Passage, bool]:
        """Return what stands in a string's quotes, and whether Groovy puts variables into it."""
        quotes = 3 if token.text[:3] in {'"""', "'''"} else 1
        body = self._text[token.start + quotes : token.end - quotes]
        return Passage.whole(body, token.start + quotes), token.text[0] == '"'

    def _string(self, token: _Token) -> Values:
        passage, interpolated = self._quoted(token)
        if not interpolated:
            return ((Part(passage.text, span=passage.span(0, len(passage.text)), setting="groovy-raw"),),)
        return template(passage, _INTERPOLATION, self._interpolated, "groovy")

    def _interpolated(self, expression: str, span: Span | None) -> Values:
        name = re.match(r"\s*([A-Za-z_][\w.]*)", expression)
        if name is None:
            return (unknown(f"${{{expression.strip()}}}", "is not followed"),)
        values = self._name(name.group(1), span)
        return tuple(
            tuple(replace(part, span=span) if part.setting == "groovy" and not part.literal else part for part in text)
            for text in values
        )

    # Calls

    def _shell_call(self) -> tuple[_Token | None, bool]:
        """Pass over what follows `sh`; return the script's string, and whether the call returns what it says."""
        if self._peek().kind == "string":
            return self._take(), False
        if self._peek().text != "(" and self._peek(1).text != ":":
            return None, False
        start = self._at
        if self._peek().text == "(":
            self._skip()
        else:
            while self._peek(1).text == ":" or self._peek().text in {":", ","} or self._peek(-1).text == ":":
                self._at += 1
        found: _Token | None = None
        returns = False
        for at in range(start, min(self._at, len(self._tokens))):
            token = self._tokens[at]
            label = self._tokens[at - 2].text if self._tokens[at - 1].text == ":" else ""
            if token.kind == "string" and label in {"", "script"}:
                found = found or token
            returns = returns or token.text == "returnStdout"
        return found, returns

    def _shell(self) -> Values:
        """Read `sh '...'`, `sh(script: "...", returnStdout: true)`; follow the script."""
        found, returns = self._shell_call()
        if found is None:
            return (unknown("sh(...)", "is a script that is not written here"),)
        passage, interpolated = self._quoted(found)
        if returns:
            meaning = substitutions.meaning_of(passage.text)
            if meaning is not None:
                return ((meaning.part(f"sh({' '.join(passage.text.split())[:60]})"),),)
        placeholders = Placeholders()
        if interpolated:
            passage = placeholders.put(passage, _IN_SCRIPT, self._interpolated)
        script = Script(self._known, self._names, placeholders)
        self.findings.follow(script, passage)
        return (unknown("sh(...)", "is what a script says"),)

    def _docker(self, token: _Token) -> Values:
        """Read a chain: `docker.build("x").push("y")`, `app.push()`."""
        first, _, rest = token.text.partition(".")
        self._at += 1
        image: Values = self._images.get(first, EMPTY)
        method = rest
        if first == "docker" and rest in {"build", "image"}:
            image = self._first_argument() or EMPTY
            method = ""
            while self._peek().text == ".":
                method = self._peek(1).text
                self._at += 2
                if method == "push":
                    break
        if method == "push" or method.endswith(".push"):
            self._push(image, token.start)
        return image

    def _first_argument(self) -> Values | None:
        """Read the first argument of a call, pass over the rest; None if there is none."""
        if self._peek().text != "(":
            return self._expression() if self._peek().kind in {"string", "name"} else None
        start = self._at
        self._at += 1
        values = None if self._peek().text == ")" else self._expression()
        end = self._at
        self._at = start
        self._skip()
        self._at = max(self._at, end)
        return values

    def _take(self) -> _Token:
        self._at += 1
        return self._tokens[self._at - 1]

    def _push(self, image: Values, place: int) -> None:
        tags = self._first_argument()
        for reference in image:
            if tags is None:
                if shown(reference):
                    self.findings.add(references.pushes(reference, "docker.push()", place))
                else:
                    tag = unknown("image", "has a tag that is given where it was built")
                    self.findings.add([Push((), tag, "docker.push()", place)])
                continue
            repository = references.repository_of(reference)
            self.findings.add([Push(repository, tag, "docker.push()", place, references.span_of(tag)) for tag in tags])


def read(text: str) -> Findings:
    """Read a Jenkinsfile."""
    return Reader(text).read()
