"""Languages: what templates say can be translated and is in the catalog; the catalog that runs is the one read here."""

import ast
import gettext
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.utils import translation

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
#: The admin speaks by Django's own catalogs.
OPERATORS_PAGES = [path for path in TEMPLATES if "admin" not in path.parts]
LANGUAGES = ("ar", "es", "pt")
#: Names, units and signs that are the same in every language.
SAME_EVERYWHERE = {
    "INC",
    "Visual",
    "Monitor",
    "UTC",
    "Ctrl",
    "Enter",
    "RouterOS",
    "GET",
    "POST",
    "ISPVisualMonitor",
}
ENTRY = re.compile(
    r'^(msgid|msgstr(?:\[\d\])?|msgid_plural) ((?:"(?:[^"\\]|\\.)*"\n?)+)', re.MULTILINE
)
TRANS = re.compile(r"""\{%\s*trans(?:late)?\s+("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')""")


def entries(text: str) -> Iterator[dict[str, str]]:
    """The catalog's entries, as the editor of a language reads them."""
    for block in text.split("\n\n"):
        fields = {
            key: "".join(ast.literal_eval(line) for line in quoted.strip().split("\n"))
            for key, quoted in ENTRY.findall(block + "\n")
        }
        if fields.get("msgid"):
            yield fields


def catalog_of(language: str) -> Path:
    return settings.BASE_DIR / "locale" / language / "LC_MESSAGES" / "django.po"


CATALOGED = {
    language: list(entries(catalog_of(language).read_text(encoding="utf-8")))
    for language in LANGUAGES
}
#: Where a page of the frame stands; Spanish and Portuguese have these and the screens of the network.
FRAME = ("base.html", "error_base.html", "error.html", "includes", "console", "incidents")


def messages_of(paths: list[Path]) -> set[str]:
    return {
        ast.literal_eval(quoted)
        for path in paths
        for quoted in TRANS.findall(path.read_text(encoding="utf-8"))
    }


class TestCatalog:
    @pytest.mark.parametrize("language", ["es", "pt"])
    def test_has_the_frame_and_the_screens_of_the_network(self, language):
        msgids = {entry["msgid"] for entry in CATALOGED[language] if entry.get("msgstr")}
        paths = [path for path in OPERATORS_PAGES if {*path.parts} & {*FRAME}]

        waiting = messages_of(paths) - msgids

        assert len(waiting) < len(messages_of(paths)) / 20, sorted(waiting)

    def test_holds_nearly_every_word_of_the_templates(self):
        """New words may wait for their translator, not gather."""
        msgids = {entry["msgid"] for entry in CATALOGED["ar"]}
        used = messages_of(OPERATORS_PAGES)

        waiting = used - msgids

        assert len(waiting) < len(used) / 20, f"run makemessages and translate: {sorted(waiting)}"

    @pytest.mark.parametrize(("language", "number"), [("ar", 0), ("es", 1), ("pt", 1)])
    def test_runs_what_it_says(self, language, number):
        """``number`` is one that takes the language's first form."""
        with catalog_of(language).with_suffix(".mo").open("rb") as compiled:
            runs = gettext.GNUTranslations(compiled)
        plain = [entry for entry in CATALOGED[language] if entry.get("msgstr")]
        plural = [entry for entry in CATALOGED[language] if entry.get("msgstr[0]")]

        assert len(plain) > 300
        assert [e["msgid"] for e in plain if runs.gettext(e["msgid"]) != e["msgstr"]] == []
        for entry in plural:
            msgstr = runs.ngettext(entry["msgid"], entry["msgid_plural"], number)
            assert msgstr == entry["msgstr[0]"]

    @pytest.mark.parametrize("language", LANGUAGES)
    def test_keeps_every_placeholder(self, language):
        holes = re.compile(r"%\(\w+\)[.\d]*[a-z]")
        wrong = [
            entry["msgid"]
            for entry in CATALOGED[language]
            if entry.get("msgstr")
            and sorted(holes.findall(entry["msgstr"])) != sorted(holes.findall(entry["msgid"]))
        ]

        assert wrong == []


def bare_words(source: str) -> set[str]:
    """Words that a reader sees and no language can change."""
    text = re.sub(
        r"\{%\s*(comment|blocktrans(?:late)?)\b.*?\{%\s*end\1\s*%\}", " ", source, flags=re.DOTALL
    )
    text = re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", " ", text, flags=re.DOTALL)
    text = re.sub(
        r"<(script|style|svg|pre|kbd)\b.*?</\1>|<bdi dir=\"ltr\">.*?</bdi>",
        " ",
        text,
        flags=re.DOTALL,
    )
    text = re.sub(r"<[^>]*>|&\w+;|&#\d+;", " ", text, flags=re.DOTALL)
    return {word for word in re.findall(r"[A-Za-z]{2,}", text) if word not in SAME_EVERYWHERE}


@pytest.mark.parametrize(
    "path", OPERATORS_PAGES, ids=lambda path: str(path.relative_to(settings.BASE_DIR))
)
def test_no_word_of_a_template_is_bare(path: Path):
    assert bare_words(path.read_text(encoding="utf-8")) == set()


def test_a_bare_word_is_found():
    assert bare_words('<p>{% trans "Said" %} Unsaid <b title="x">{{ name }}</b></p>') == {"Unsaid"}


@pytest.mark.usefixtures("acme_noc")  # with nobody there, sign-in leads to the set-up page
def test_arabic_turns_the_page_round(client):
    answer = client.get("/sign-in/", headers={"accept-language": "ar"})

    assert b'lang="ar" dir="rtl"' in answer.content
    with translation.override("ar"):
        assert translation.gettext("Sign in") in answer.content.decode()


@pytest.mark.usefixtures("acme_noc")
def test_a_language_without_a_catalog_is_not_promised(client):
    answer = client.get("/sign-in/", headers={"accept-language": "fr"})

    assert b'lang="en" dir="ltr"' in answer.content
