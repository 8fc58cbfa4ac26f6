"""Checks that names and texts replaced by standard terms do not come back. A step of `run.py check`.

Identifiers are compared with the tokens of Python and JavaScript, with template variables, attribute values and CSS
classes, with code spans of the documentation, and with file names. Page phrases are compared with the text of
templates, with string literals, and with the documentation.

Not reported, by rule:
- words in prose and in SQL: identifiers are looked up in tokens, never in comments, and in strings only as a whole;
- Python's own names: ``frozen=True``, ``file.tell()``, ``match.span()``, ``numpy.where()``;
- HTML's and CSS's own names: the element ``span``, the color scheme ``dark``;
- ordinary words as part of a sentence: of ``WHOLE_TEXTS``, only complete labels are reported;
- migrations, whose names are history, and this module with its tests.
"""

import io
import re
import sys
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

from ispvm.supervisor.paths import PROJECT

IDENTIFIERS = frozenset(
    [
        "Chapter",
        "carry_on",
        "close_the_recovered",
        "settle_the_unspoken",
        "tell",
        "telling",
        "told_as",
        "frozen",
        "Ears",
        "heard_all_since",
        "DEAF_AFTER",
        "turns",
        "well_since",
        "Trouble",
        "Suspects",
        "wounded",
        "dark",
        "eyes",
        "ground",
        "sunk",
        "bell",
        "ring",
        "rearm",
        "_bury",
        "_blame",
        "rest_until",
        "doors",
        "Door",
        "cabinet",
        "asked",
        "said",
        "kept",
        "made",
        "called",
        "sheet",
        "MARK",
        "harmless",
        "living",
        "span",
        "glances",
        "picture",
        "lasting",
        "Happening",
        "Findings",
        "retell",
        "forget_told",
        "set_out",
        "come_back",
        "is_owed",
        "spend_code",
        "place",
        "where",
        "Theatre",
        "Plot",
        "Scene",
        "Historian",
        "Blow",
        "stays",
        "let_through",
        "covering",
    ]
)
#: Reported wherever they are part of a text.
PHRASES = (
    "Wait for an owner",
    "nobody yet",
    "Nobody's",
    "Who took it",
    "Who is hit",
    "consequences held",
    "Root, never hidden",
    "Sign of the cause itself",
    "weakens, does not overturn",
    "nobody is told",
    "critical is told",
    "Tell of critical incidents all the same",
    "Its life",
    "As last read",
    "What it says of itself",
    "Yours to overrule",
    "The same again",
    "It speaks",
    "Two hosts use its identity",
    "Call it off",
    "No window is so.",
    "Nothing else is called so.",
    "No wire is full",
    "the wider the fuller",
    "How what it hit went",
    "How it hangs together",
    "Somebody or something was faster",
    "Answered, but not with 2xx",
    "Incident verbs",
    "Forget view",
    "is in trouble",
    "is silent: its region is blind",
)
#: Ordinary words: reported only as a complete text, such as a label or heading.
WHOLE_TEXTS = frozenset(
    """
    Mine|Go on|Go in|Leave|Good for|May|Begins with|Made|Ends|Behind|wire|Nearer|Farther|Given up|cabinet|Cabinet
    """.strip().split("|")
)
HEARD_AGO = re.compile(r"\bheard \S+(?: \S+)? ago\b")

ROOTS = ("apps", "agent", "ispvm", "tests", "docs", "templates", "static")
ROOT_FILES = ("run.py", "manage.py", "README.md", "CONTRIBUTING.md", "SECURITY.md")
SKIPPED_FOLDERS = frozenset({"migrations", "node_modules", "__pycache__", "vendor"})
#: The list itself and its tests.
OWN_FILES = frozenset({"ispvm/supervisor/words.py", "tests/supervisor/test_words.py"})

_FILE_OBJECTS = frozenset({"file", "stream", "handle", "source"})
_TEMPLATE_CODE = re.compile(r"\{[{%](.*?)[%}]\}", re.DOTALL)
_TEMPLATE_COMMENT = re.compile(r"\{#.*?#\}|\{% *comment.*?endcomment *%\}", re.DOTALL)
_LITERAL = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'")
_TRANSLATED = re.compile(r"\{% *(?:trans|translate) +(\"[^\"]*\"|'[^']*')")
_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_JS_IGNORED = re.compile(
    r"/\*.*?\*/|//[^\n]*|`(?:[^`\\]|\\.)*`|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'", re.DOTALL
)
_CSS_CLASS = re.compile(r"[.#]([A-Za-z_][\w-]*)")
_CODE_SPAN = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True)
class Hit:
    """A replaced name or phrase, and its location."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def find_all(root: Path = PROJECT) -> list[Hit]:
    """All hits below ``root``, sorted."""
    hits: set[Hit] = set()
    for path in _files(root):
        name = path.relative_to(root).as_posix()
        if name in OWN_FILES:
            continue
        hits.update(Hit(name, 0, part) for part in _in_file_name(name))
        find = _FINDERS.get(path.suffix)
        if find is not None:
            text = path.read_text(encoding="utf-8")
            hits.update(Hit(name, line, found_text) for line, found_text in find(text))
    return sorted(hits, key=lambda hit: (hit.path, hit.line, hit.text))


def find_in_python(text: str) -> Iterator[tuple[int, str]]:
    tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    for index, token in enumerate(tokens):
        if token.type == tokenize.NAME and token.string in IDENTIFIERS:
            if not _is_python_name(tokens, index):
                yield token.start[0], token.string
        elif token.type == tokenize.STRING:
            content = _content(token.string)
            if content in IDENTIFIERS and "_" in content:
                yield token.start[0], content
            for phrase in _phrases(content):
                yield token.start[0], phrase


def find_in_template(text: str) -> Iterator[tuple[int, str]]:
    text = _TEMPLATE_COMMENT.sub(lambda match: "\n" * match[0].count("\n"), text)
    for match in _TEMPLATE_CODE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        code = _LITERAL.sub("", match[1])
        # "dark": Django's admin names its blocks of the dark colour scheme so.
        yield from ((line, word) for word in _WORD.findall(code) if word in IDENTIFIERS - {"dark"})
    for match in _TRANSLATED.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        yield from ((line, phrase) for phrase in _phrases(match[1][1:-1]))
    parser = _TemplateParser()
    parser.feed(_TEMPLATE_CODE.sub(lambda match: "\n" * match[0].count("\n"), text))
    yield from parser.hits


def find_in_script(text: str) -> Iterator[tuple[int, str]]:
    for match in _JS_IGNORED.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match[0][0] in "\"'`":
            yield from ((line, phrase) for phrase in _phrases(match[0][1:-1]))
    code = _JS_IGNORED.sub(lambda match: "\n" * match[0].count("\n"), text)
    for number, row in enumerate(code.splitlines(), start=1):
        yield from ((number, word) for word in _WORD.findall(row) if word in IDENTIFIERS - {"span"})


def find_in_style(text: str) -> Iterator[tuple[int, str]]:
    for number, row in enumerate(text.splitlines(), start=1):
        for name in _CSS_CLASS.findall(row):
            yield from ((number, part) for part in name.split("-") if part in IDENTIFIERS)


def find_in_document(text: str) -> Iterator[tuple[int, str]]:
    for number, row in enumerate(text.splitlines(), start=1):
        yield from ((number, phrase) for phrase in _phrases(row, is_prose=True))
        for span_text in _CODE_SPAN.findall(row):
            parts = re.split(r"[./:()\[\]]+", span_text)
            yield from ((number, part) for part in parts if part in IDENTIFIERS)
        if re.search(r"\b[Cc]abinet\b", row):
            yield number, "cabinet"


_FINDERS = {
    ".py": find_in_python,
    ".html": find_in_template,
    ".txt": find_in_template,
    ".js": find_in_script,
    ".mjs": find_in_script,
    ".css": find_in_style,
    ".md": find_in_document,
}


class _TemplateParser(HTMLParser):
    """Text nodes and attribute values."""

    def __init__(self) -> None:
        super().__init__()
        self.hits: list[tuple[int, str]] = []

    def handle_data(self, data: str) -> None:
        line = self.getpos()[0]
        self.hits += [(line, phrase) for phrase in _phrases(data)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        line = self.getpos()[0]
        for name, value in attrs:
            if name in {"class", "id", "name", "for"}:
                words = re.split(r"[\s-]+", value or "")
                self.hits += [(line, word) for word in words if word in IDENTIFIERS - {"dark"}]
            if name in {"title", "alt", "placeholder", "aria-label"}:
                self.hits += [(line, phrase) for phrase in _phrases(value or "")]


def _phrases(text: str, *, is_prose: bool = False) -> Iterator[str]:
    flat = " ".join(text.split())
    yield from (phrase for phrase in PHRASES if phrase in flat)
    if not is_prose and flat in WHOLE_TEXTS:
        yield flat
    if not is_prose and (heard := HEARD_AGO.search(flat)):
        yield heard[0]


def _is_python_name(tokens: list[tokenize.TokenInfo], index: int) -> bool:
    """Whether the token is a name of Python or its libraries, not one of ours."""
    name = tokens[index].string
    before = [token.string for token in tokens[max(0, index - 2) : index]]
    after = [token.string for token in tokens[index + 1 : index + 3]]
    if name == "frozen":
        return after in (["=", "True"], ["=", "False"])
    if name == "tell":
        is_file = len(before) > 1 and before[0].strip("_") in _FILE_OBJECTS
        return is_file and before[1] == "." and after == ["(", ")"]
    if name == "span":
        return before[-1:] == ["."] and after[:1] == ["("]
    return name == "where" and before in (["np", "."], ["numpy", "."])


def _content(literal: str) -> str:
    """The text of a string literal without prefix and quotes."""
    match = re.fullmatch(r"[A-Za-z]*(\"\"\"|'''|\"|')(.*)\1", literal, re.DOTALL)
    return match[2] if match else literal


def _in_file_name(name: str) -> list[str]:
    """Identifiers among the parts of a path; test modules without their prefix."""
    parts = re.split(r"[/.\-]", name)
    return [part for part in parts if part.removeprefix("test_") in IDENTIFIERS - {"dark"}]


def _files(root: Path) -> Iterator[Path]:
    yield from (root / name for name in ROOT_FILES if (root / name).is_file())
    for folder in ROOTS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not SKIPPED_FOLDERS.intersection(path.relative_to(root).parts):
                yield path


def main() -> int:
    hits = find_all()
    for hit in hits:
        print(hit)
    print(f"{len(hits)} replaced names or phrases.")
    return 1 if hits else 0


if __name__ == "__main__":
    sys.exit(main())
