"""The check of replaced names and phrases finds each kind of them, and nothing else."""

import pytest

from ispvm.supervisor.words import IDENTIFIERS, PHRASES, find_all

PLANTED = {
    "apps/x/variable.py": ("asked = 1\n", "asked"),
    "apps/x/attribute.py": ("row.rest_until = None\n", "rest_until"),
    "apps/x/module_name.py": ("import apps.x.doors\n", "doors"),
    "apps/x/keyword.py": ("run(kept=1)\n", "kept"),
    "apps/x/lookup.py": ('fields = ["rest_until"]\n', "rest_until"),
    "apps/x/text.py": ('label = _("Who took it")\n', "Who took it"),
    "apps/x/label.py": ('label = _("Given up")\n', "Given up"),
    "apps/x/heartbeat.py": ('label = _("heard %(time)s ago")\n', "heard %(time)s ago"),
    "apps/x/glances.py": ("", "glances"),
    "tests/x/test_span.py": ("", "test_span"),
    "templates/variable.html": ("<p>{{ page.lasting }}</p>", "lasting"),
    "templates/tag.html": ("{% if asked.state == 'x' %}{% endif %}", "asked"),
    "templates/translated.html": ('{% translate "Call it off" %}', "Call it off"),
    "templates/text.html": ("<h2>Its life</h2>", "Its life"),
    "templates/label.html": ("<button>Go on</button>", "Go on"),
    "templates/title.html": ('<p title="Yours to overrule">x</p>', "Yours to overrule"),
    "templates/attribute.html": ('<p class="card sheet">x</p>', "sheet"),
    "static/js/chart.js": ("const picture = 1;\n", "picture"),
    "static/css/page.css": (".card .cabinet { margin: 0 }\n", "cabinet"),
    "docs/page.md": ("The list says *No wire is full*.\n", "No wire is full"),
    "docs/code.md": ("See `apps.core.kept` for it.\n", "kept"),
    "README.md": ("Administration in the cabinet.\n", "cabinet"),
}
ALLOWED = {
    "apps/x/dataclass.py": "@dataclass(frozen=True)\nclass A:\n    x: int\n",
    "apps/x/sql.py": 'QUERY = "SELECT 1 FROM a WHERE place = 1"\n',
    "apps/x/prose.py": '"""The row made by somebody who asked, where it was kept."""\n',
    "apps/x/comment.py": "x = 1  # said and told, dark and made\n",
    "apps/x/library.py": "match.span(0)\nfile.tell()\n",
    "apps/x/migrations/0001_initial.py": 'rest_until = "rest_until"\n',
    "templates/elements.html": '<span data-theme="dark">Go on with the work</span>',
    "templates/sentence.html": "<p>Made by an admin; may be changed.</p>",
    "templates/comment.html": "{# asked, kept #}",
    "static/css/theme.css": "@media (prefers-color-scheme: dark) { span { margin: 0 } }\n",
    "static/js/text.js": 'const text = "made where it was kept"; // asked\n',
    "docs/sentence.md": "An incident is given up after a while; see `/webhooks/`.\n",
    "docs/gallery/home-dark.webp": "",
}


def plant(root, name: str, text: str) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize("name", PLANTED)
def test_a_replaced_name_or_phrase_is_found(tmp_path, name):
    text, expected = PLANTED[name]
    plant(tmp_path, name, text)

    hits = find_all(tmp_path)

    assert [(hit.path, hit.text) for hit in hits] == [(name, expected)]


@pytest.mark.parametrize("name", ALLOWED)
def test_ordinary_words_and_names_of_languages_are_allowed(tmp_path, name):
    plant(tmp_path, name, ALLOWED[name])

    assert find_all(tmp_path) == []


@pytest.mark.parametrize("identifier", sorted(IDENTIFIERS))
def test_every_identifier_is_found_in_python(tmp_path, identifier):
    plant(tmp_path, "apps/x.py", f"{identifier} = 1\n")

    assert [hit.text for hit in find_all(tmp_path)] == [identifier]


@pytest.mark.parametrize("phrase", PHRASES)
def test_every_phrase_is_found_in_a_template(tmp_path, phrase):
    plant(tmp_path, "templates/x.html", f"<p>{phrase}</p>")

    assert [hit.text for hit in find_all(tmp_path)] == [phrase]
