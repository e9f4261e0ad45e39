"""A user's own wording: what it can say, what stops the start, and what cannot run away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.senders.templates import (
    FILTERS,
    TEXT_CHARS_MAX,
    VARIABLES,
    BadTemplateError,
    compiled,
    worded,
)
from actors.senders.wording import word
from config.settings import SettingsError, load
from sidewatch import channels
from tests.fakes.notices import notice
from tests.settings import HOME, error, from_toml


def say(title="", text="", about=None):
    sources = {"title": ("templates.all.title", title), "text": ("templates.slack.text", text)}
    written = {key: pair for key, pair in sources.items() if pair[1]}
    return worded(written)(about or notice())


def test_it_replaces_the_title_and_leaves_the_rest():
    wording = say(title="{{ severity | upper }} {{ bot }}: {{ title }}")
    assert wording.title == "CRITICAL alpha: Drawdown 12.4 %"
    assert wording.text == word(notice()).text
    assert wording.facts == word(notice()).facts


def test_it_replaces_the_text_with_the_facts_and_leaves_the_closing():
    wording = say(
        text="{{ text }}\n{% for name, value in facts %}{{ loop.index }}. {{ name }}={{ value }}"
        "{% if not loop.last %}; {% endif %}{% endfor %}\n"
        '{{ fact["Peak"] }} {{ fact["Sharpe"] | default("no Sharpe") }}'
    )
    assert wording.text == (
        "The drawdown passed its limit of 10 %.\n"
        "1. Equity=8,760.00 USDT; 2. Peak=10,000.00 USDT\n"
        "10,000.00 USDT no Sharpe"
    )
    assert wording.facts == []
    assert wording.closing == word(notice()).closing


def test_it_knows_every_variable_that_is_documented(root):
    document = (root / "docs" / "templates.md").read_text()
    for name in VARIABLES:
        assert f"`{name}`" in document
        assert say(text=f"{{{{ {name} }}}}").notes == word(notice()).notes
    assert " ".join(sorted(FILTERS)) in document.replace("\n", " ")


@pytest.fixture
def root():
    from tests.settings import ROOT

    return ROOT


def test_it_uses_the_built_in_words_without_a_template():
    assert worded({}) is word


# ---------------------------------------------------------------- at the start


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("{{ title", "line 1: unexpected end of template"),
        ("a\n{% if %}", "line 2: "),
        ("a\n{{ equity }}", "line 2: unknown variable 'equity'; there are: alert_id, at, bot"),
        ("{% for a in facts %}{{ a }}{% endfor %}\n{{ a }}", "line 2: unknown variable 'a'"),
        ("{% for a in facts %}{% else %}\n{{ a }}{% endfor %}", "line 2: unknown variable 'a'"),
        ("{% for a in facts if loop.first %}{% endfor %}", "line 1: unknown variable 'loop'"),
        ("{{ loop.index }}", "line 1: unknown variable 'loop'"),
        ("{{ self }}", "line 1: unknown variable 'self'"),
        ("{{ range(10 ** 9) }}", "line 1: call is not allowed in a template"),
        ("{% for i in range(1000000000) %}{% endfor %}", "line 1: a loop must be over facts"),
        ("{% for a in text %}{% endfor %}", "line 1: a loop must be over facts"),
        (
            "{% for a in facts %}{% for b in facts %}{% endfor %}{% endfor %}",
            "line 1: a loop within a loop is not allowed",
        ),
        (
            "{% for a in facts %}{% if a %}{% for b in facts %}{% endfor %}{% endif %}{% endfor %}",
            "line 1: a loop within a loop is not allowed",
        ),
        ("{% for a in facts recursive %}{{ loop(a) }}{% endfor %}", "line 1: a loop must be"),
        ("{{ 'a' * 1000000000 }}", "line 1: mul is not allowed"),
        ("{{ 2 ** 99999999 }}", "line 1: pow is not allowed"),
        ("{{ '%999999999d' % 1 }}", "line 1: mod is not allowed"),
        ("{{ 1 / 0 }}", "line 1: div is not allowed"),
        ("{{ 5 | round(-999999999) }}", "line 1: filter 'round' is not one of: capitalize"),
        ("{{ text | replace('a', text) }}", "line 1: filter 'replace'"),
        ("{{ text | center(999999999) }}", "line 1: filter 'center'"),
        ("{{ text | attr('__class__') }}", "line 1: filter 'attr'"),
        ("{{ ''.__class__.__mro__ }}", "line 1: getattr is not allowed"),
        ("{{ '{:>999999999}'.format(1) }}", "line 1: call is not allowed"),
        ("{{ loop.__class__ }}", "line 1: loop attribute '__class__'"),
        ("{{ cycler }}", "line 1: unknown variable 'cycler'"),
        ("{% set x = text ~ text %}", "line 1: assign is not allowed"),
        ("{% set x %}{% endset %}", "line 1: assignblock is not allowed"),
        ("{% macro a() %}{% endmacro %}", "line 1: macro is not allowed"),
        ("{% call a() %}{% endcall %}", "line 1: callblock is not allowed"),
        ("{% filter upper %}{% endfilter %}", "line 1: filterblock is not allowed"),
        ("{% with a = 1 %}{% endwith %}", "line 1: with is not allowed"),
        ("{% include 'x' %}", "line 1: include is not allowed"),
        ("{% import 'x' as y %}", "line 1: import is not allowed"),
        ("{% extends 'x' %}", "line 1: extends is not allowed"),
        ("{% block a %}{% endblock %}", "line 1: block is not allowed"),
        ("{{ [text] }}", "line 1: list is not allowed"),
        ("{{ title is callable }}", "line 1: test 'callable'"),
        ("{{ " + "9" * 5_000 + " }}", "is nested too deeply, or holds too long a number"),
        ("{{ " + "(" * 2_000 + "1" + ")" * 2_000 + " }}", "is nested too deeply"),
        ("{{ " + "not " * 2_000 + "1 }}", "is nested too deeply"),
        ("{% if 1 %}" * 150 + "{% endif %}" * 150, "is nested too deeply"),
        ("{% if 1 %}" * 700 + "{% endif %}" * 700, "is nested too deeply"),
    ],
)
def test_it_refuses_what_is_wrong_or_could_run_away(source, reason):
    with pytest.raises(BadTemplateError) as caught:
        compiled(source)
    assert str(caught.value).startswith(reason)
    assert "\n" not in str(caught.value)


def test_it_stops_the_start_and_names_the_setting(tmp_path):
    settings = from_toml(tmp_path, '[templates.slack]\ntext = """\na\n{{ equity }}"""\n')
    with pytest.raises(SettingsError) as caught:
        channels.check(settings)
    assert str(caught.value).startswith(
        "templates.slack.text (SIDEWATCH__TEMPLATES__SLACK__TEXT): line 2: unknown variable 'eq"
    )


def test_it_knows_a_loops_own_names_where_they_are():
    say(text="{% for n, v in facts if n in title %}{{ loop.index }}{{ n }}{{ v }}{% endfor %}")
    say(text="{% for pair in facts %}{{ pair[0] }}{% else %}{{ title }}{% endfor %}")


def test_it_refuses_templates_for_what_is_no_channel():
    text = error({"SIDEWATCH__TEMPLATES__SLAK__TITLE": "x"})
    assert text.startswith("templates.slak (SIDEWATCH__TEMPLATES__SLAK): is no channel; there are")


def test_it_takes_several_lines_for_the_text_alone():
    assert load(None, HOME | {"SIDEWATCH__TEMPLATES__ALL__TEXT": "a\n\tb"}).templates["all"].text
    assert "on one line" in error({"SIDEWATCH__TEMPLATES__ALL__TITLE": "a\nb"})
    assert "printable" in error({"SIDEWATCH__TEMPLATES__ALL__TEXT": "a\x00b"})


def test_it_prefers_a_channels_own_template(tmp_path):
    settings = from_toml(
        tmp_path,
        """
        [templates.all]
        title = "all {{ title }}"
        text = "all {{ text }}"
        [templates.slack]
        title = "slack {{ title }}"
        """,
    )
    channels.check(settings)
    slack, ntfy = (channels.words(settings, name)(notice()) for name in ("slack", "ntfy"))
    assert (slack.title[:6], slack.text[:4]) == ("slack ", "all ")
    assert (ntfy.title[:4], ntfy.text[:4]) == ("all ", "all ")


# ---------------------------------------------------------------- when it is sent


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ('{{ fact["Sharpe"] }}', "'dict object' has no attribute 'Sharpe'"),
        ("{{ title + 1 }}", "can only concatenate str"),
        ("{{ title < 1 }}", "'<' not supported between"),
        ("{{ text['__class__'] }}", "access to attribute '__class__' of 'str' object is unsafe"),
        ("{{ facts[9] }}", "list object has no element 9"),
    ],
)
def test_it_falls_back_to_the_built_in_words_and_says_so(source, why):
    wording = say(text=source)
    assert (wording.text, wording.facts) == (word(notice()).text, word(notice()).facts)
    (note,) = wording.notes[len(word(notice()).notes) :]
    assert note.startswith(f"templates.slack.text failed ({why}")
    assert note.endswith("this is the built-in wording")


def test_it_falls_back_where_a_title_comes_out_empty():
    wording = say(title="{% if severity == 'info' %}x{% endif %}")
    assert wording.title == word(notice()).title
    assert "templates.all.title failed (it is empty)" in wording.notes[-1]


def test_it_lets_one_fail_and_the_other_stand():
    wording = say(title="{{ fact['x'] }}", text="mine")
    assert (wording.title, wording.text) == (word(notice()).title, "mine")


@pytest.mark.parametrize(
    "source",
    [
        "{% for a in facts %}" + "{{ text }}" * 700 + "{% endfor %}",
        "{{ " + "text ~ " * 1_000 + "text }}",
        "{{ " + "text + " * 150 + "text }}",
        "{{ text | upper | title | lower }}" * 200,
        "{{ text }}" * 800,
    ],
)
def test_it_bounds_what_comes_out(source):
    assert len(source) <= 8_192
    wording = say(text=source, about=notice(text="t" * 9_000, facts=[("n", "v" * 5_000)] * 60))
    assert len(wording.text) <= TEXT_CHARS_MAX
    assert wording.text.endswith("…")
    title = say(title=source).title
    assert len(title) <= 256
    assert "\n" not in title


HOSTILE = "a\r\nBcc: x\x00\u202e\ud800<!channel> {{ title }} {% raw %}"


def test_it_renders_no_template_out_of_a_notice():
    wording = say(title="{{ title }}", text="{{ text }}", about=notice(text=HOSTILE))
    assert "{{ title }} {% raw %}" in wording.text
    assert "\x00" not in wording.text
    assert "\u202e" not in wording.text
    wording.text.encode()


def test_it_cleans_what_a_template_itself_says():
    wording = say(title="a{{ '\\u202e' }}\nb \ud800", text="c\u202e\x9b{{ '\\x00' }}")
    assert wording.title == "a b \ufffd"
    assert wording.text == "c"


WORDS = """
{{ }} {% %} {# #} if else endif for in facts endfor title text fact loop.index | upper default
( ) [ ] ~ + * ** 9 'a' "b" , . not and or == is defined set = range x - : %
"""
TOKENS = st.sampled_from([*WORDS.split(), "\n"])


@given(st.lists(TOKENS, max_size=25).map(" ".join) | st.text(max_size=60))
def test_it_either_refuses_or_words_whatever_is_written(source):
    try:
        compiled(source)
    except BadTemplateError:
        return
    wording = say(title=source, text=source)
    assert len(wording.title) <= 256
    assert len(wording.text) <= TEXT_CHARS_MAX
