"""Pages are sent without the indentation of their templates."""

import pytest
from django.template.loader import get_template

from apps.pages.template_loader import Loader, strip_indentation


@pytest.mark.parametrize(
    ("source", "sent"),
    [
        ("<p>\n    a\n    <b>b</b>\n</p>\n", "<p>\na\n<b>b</b>\n</p>\n"),
        ("<p>\n\n\n  a</p>", "<p>\na</p>"),
        ("<i>a</i>\n  <i>b</i>", "<i>a</i>\n<i>b</i>"),
        ("  <p>", "  <p>"),
        ("a\n  <pre>x\n  y</pre>\n  b", "a\n<pre>x\n  y</pre>\nb"),
        ("<textarea rows=2>\n  x\n</textarea>\n  <p>", "<textarea rows=2>\n  x\n</textarea>\n<p>"),
        ("<PRE>\n  x</PRE>\n  <presenter>\n  y", "<PRE>\n  x</PRE>\n<presenter>\ny"),
        ("<pre>a\n  b</pre>\n  c\n  <pre>d\n  e</pre>", "<pre>a\n  b</pre>\nc\n<pre>d\n  e</pre>"),
    ],
)
def test_only_the_indentation_is_removed(source, sent):
    assert strip_indentation(source) == sent


def test_pages_are_loaded_so():
    assert "\n " not in get_template("base.html").template.source


def test_text_mails_keep_their_layout(tmp_path):
    (tmp_path / "a.txt").write_text("a\n  b\n")
    (tmp_path / "a.html").write_text("a\n  b\n")
    loader = Loader(get_template("base.html").template.engine, [tmp_path])

    assert loader.get_template("a.txt").source == "a\n  b\n"
    assert loader.get_template("a.html").source == "a\nb\n"
