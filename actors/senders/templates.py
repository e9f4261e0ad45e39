"""Templates: a user's own wording, bounded before it ever runs.

Jinja2 in its immutable sandbox, and of its language only what cannot run away: no call, no
assignment, no multiplication, no loop within a loop, and loops over the notice's own lists alone.
So the work of a template is at most its length times 40, whatever it says. One that fails when a
notice is sent gives way to the built-in wording, which then says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError, nodes
from jinja2.runtime import LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from msgspec.structs import replace

from actors.messages import Notice
from actors.senders.wording import (
    FACTS_MAX,
    TITLE_CHARS_MAX,
    Wording,
    Words,
    clean,
    fit,
    instant,
    mark,
    one_line,
    word,
)

TEXT_CHARS_MAX = 4_000
VALUE_CHARS_MAX = 1_024
REASON_CHARS_MAX = 120

VARIABLES = frozenset(
    {
        "alert_id",
        "at",
        "bot",
        "fact",
        "facts",
        "held",
        "kind",
        "mark",
        "severity",
        "suppressed",
        "text",
        "title",
        "trigger",
        "url",
    }
)
FILTERS = frozenset({"capitalize", "default", "first", "last", "length", "lower", "title", "trim"})
FILTERS |= {"truncate", "upper"}
TESTS = frozenset({"defined", "undefined", "none", "eq", "ne", "in"})
LOOP = frozenset({"first", "index", "index0", "last", "length"})

_HARMLESS = (
    nodes.Template,
    nodes.Output,
    nodes.TemplateData,
    nodes.Const,
    nodes.Name,
    nodes.Tuple,
    nodes.If,
    nodes.CondExpr,
    nodes.Compare,
    nodes.Operand,
    nodes.And,
    nodes.Or,
    nodes.Not,
    nodes.Add,
    nodes.Concat,
    nodes.Getitem,
    nodes.Slice,
    nodes.Keyword,
)
# What a template can stumble over when it runs: a fact that is missing, text added to a number.
_FAILURES = (TemplateError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class BadTemplateError(ValueError):
    """Why a template is refused; one line."""


def compiled(source: str) -> Template:
    """Make a template; raises BadTemplateError naming the line, the variable or the construct."""
    sandbox = _Sandbox(undefined=StrictUndefined, autoescape=False)
    sandbox.globals.clear()
    try:
        tree = sandbox.parse(source)
        check(tree)
        return sandbox.from_string(tree)
    except TemplateSyntaxError as error:
        said = one_line(error.message or "syntax error")
        raise BadTemplateError(f"line {error.lineno}: {said}") from None
    except BadTemplateError:
        raise
    except (RecursionError, MemoryError, SyntaxError, ValueError):
        raise BadTemplateError("is nested too deeply, or holds too long a number") from None


def check(tree: nodes.Template) -> None:
    """Raise BadTemplateError for what is unknown or not bounded, with its line."""
    _walk(tree, VARIABLES, in_loop=False)


def _walk(node: nodes.Node, known: frozenset[str], *, in_loop: bool) -> None:
    """Check one node and what is below it; the depth is the parser's, which is bounded."""
    fault = _fault(node, in_loop=in_loop) or _unknown(node, known)
    if fault:
        raise BadTemplateError(f"line {node.lineno}: {fault}")
    if isinstance(node, nodes.For):
        _walk_loop(node, known)
        return
    for child in node.iter_child_nodes():
        _walk(child, known, in_loop=in_loop)


def _walk_loop(loop: nodes.For, known: frozenset[str]) -> None:
    """Check a loop: its own names are known in its test and its body, and nowhere else."""
    own = known | {name.name for name in loop.target.find_all(nodes.Name)}
    if isinstance(loop.target, nodes.Name):
        own |= {loop.target.name}
    for part, names in (
        ([loop.target, loop.test], own),
        (loop.body, own | {"loop"}),
        (loop.else_, known),
    ):
        for node in part:
            if node is not None:
                _walk(node, names, in_loop=True)


def _unknown(node: nodes.Node, known: frozenset[str]) -> str:
    if not isinstance(node, nodes.Name) or node.name in known:
        return ""
    return f"unknown variable {node.name!r}; there are: {', '.join(sorted(VARIABLES))}"


def _fault(node: nodes.Node, *, in_loop: bool) -> str:
    match node:
        case nodes.For():
            return _loop_fault(node, in_loop=in_loop)
        case nodes.Filter(name=name):
            return _unless_known("filter", name, FILTERS)
        case nodes.Test(name=name):
            return _unless_known("test", name, TESTS)
        case nodes.Name(name="self"):
            return "unknown variable 'self'"
        case nodes.Getattr(node=nodes.Name(name="loop"), attr=attr):
            return _unless_known("loop attribute", attr, LOOP)
    harmless = isinstance(node, _HARMLESS)
    return "" if harmless else f"{type(node).__name__.lower()} is not allowed in a template"


def _loop_fault(loop: nodes.For, *, in_loop: bool) -> str:
    if loop.recursive or not (isinstance(loop.iter, nodes.Name) and loop.iter.name == "facts"):
        return "a loop must be over facts"
    return "a loop within a loop is not allowed" if in_loop else ""


def _unless_known(what: str, name: str, known: Iterable[str]) -> str:
    return "" if name in known else f"{what} {name!r} is not one of: {', '.join(sorted(known))}"


class _Sandbox(ImmutableSandboxedEnvironment):
    """A second fence behind `check`: no attribute but a loop's, and nothing to call."""

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:  # noqa: ARG002
        return isinstance(obj, LoopContext) and attr in LOOP

    def is_safe_callable(self, obj: Any) -> bool:  # noqa: ARG002
        return False


class Worded:
    """The words of one channel: the user's title, text or both, the built-in ones otherwise.

    `templates` has for "title" and "text" the setting's name, which the note of a failure tells,
    and the source. Raises BadTemplateError.
    """

    def __init__(self, templates: Mapping[str, tuple[str, str]]) -> None:
        self._names = {key: name for key, (name, _) in templates.items()}
        made = {key: compiled(source) for key, (_, source) in templates.items()}
        self._title = made.get("title")
        self._text = made.get("text")

    def __call__(self, notice: Notice) -> Wording:
        """Put a notice into words. A text of one's own stands for the facts as well."""
        wording = word(notice)
        values = variables(wording, notice)
        if self._title is not None:
            wording = self._titled(self._title, wording, values)
        if self._text is not None:
            wording = self._texted(self._text, wording, values)
        return wording

    def _titled(self, template: Template, wording: Wording, values: Mapping[str, Any]) -> Wording:
        try:
            title = one_line(rendered(template, values, TITLE_CHARS_MAX * 4))
        except _FAILURES as error:
            return self._failed("title", wording, error)
        if not title:
            return self._failed("title", wording, ValueError("it is empty"))
        return replace(wording, title=fit(title, TITLE_CHARS_MAX))

    def _texted(self, template: Template, wording: Wording, values: Mapping[str, Any]) -> Wording:
        try:
            text = clean(rendered(template, values, TEXT_CHARS_MAX)).strip()
        except _FAILURES as error:
            return self._failed("text", wording, error)
        return replace(wording, text=fit(text, TEXT_CHARS_MAX), facts=[])

    def _failed(self, key: str, wording: Wording, error: Exception) -> Wording:
        why = fit(one_line(str(error)) or type(error).__name__, REASON_CHARS_MAX)
        note = f"{self._names[key]} failed ({why}): this is the built-in wording"
        return replace(wording, notes=[*wording.notes, note])


def rendered(template: Template, values: Mapping[str, Any], limit: int) -> str:
    """Run a template, and stop it when it has written `limit` characters."""
    parts: list[str] = []
    size = 0
    for part in template.generate(values):
        parts.append(part[: limit + 1])
        size += len(part)
        if size > limit:
            break
    return "".join(parts)


def variables(wording: Wording, notice: Notice) -> dict[str, Any]:
    """Everything that a template may use: plain text and numbers."""
    facts = [(fit(n, VALUE_CHARS_MAX), fit(v, VALUE_CHARS_MAX)) for n, v in wording.facts]
    return {
        "alert_id": one_line(notice.alert_id),
        "at": instant(notice.at),
        "bot": one_line(notice.bot),
        "fact": dict(facts[:FACTS_MAX]),
        "facts": facts[:FACTS_MAX],
        "held": notice.held,
        "kind": notice.kind,
        "mark": mark(notice),
        "severity": notice.severity,
        "suppressed": notice.suppressed,
        "text": fit(wording.text, TEXT_CHARS_MAX),
        "title": fit(one_line(notice.title), TITLE_CHARS_MAX),
        "trigger": one_line(notice.trigger),
        "url": wording.url,
    }


def worded(templates: Mapping[str, tuple[str, str]]) -> Words:
    """Give the words for a channel: the built-in ones where there is no template."""
    return Worded(templates) if templates else word
