"""What the runtime may weigh, and that nothing of ours runs beside its tree."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# The four parts that docs/runtime.md counts; what they stand on comes on top.
PARTS = {
    "mailbox": ("mailbox", "ref"),
    "actor": ("actor", "incarnation", "slot", "linked"),
    "supervisor": ("supervisor", "child", "restart", "admin"),
    "status": ("status",),
}
BELOW = ("clock", "timers", "spec", "watch", "system")
PARTS_MAX, WHOLE_MAX = 1_500, 2_000
MARKS = {
    tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
    tokenize.ENDMARKER,
}  # fmt: skip
# Tasks that are not actors': each in a group that the function which starts them waits for.
STARTERS = {"web/live.py", "web/trial.py", "sidewatch/serve.py"}


def docstrings(tree):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            yield from range(node.body[0].lineno, node.body[0].end_lineno + 1)


def code_lines(text):
    """Count lines with code on them: no blank line, no comment, no docstring."""
    lines = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in MARKS:
            lines.update(range(token.start[0], token.end[0] + 1))
    return len(lines - set(docstrings(ast.parse(text))))


def test_it_counts_code_alone():
    text = (
        '"""Promise."""\n\nx = 1  # one\n# none\ndef f(\n    a,\n):\n    """Do."""\n    return a\n'
    )
    assert code_lines(text) == 5


def test_it_knows_every_file_of_the_runtime():
    files = {path.stem for path in (ROOT / "runtime").glob("*.py")} - {"__init__"}
    assert files == {name for names in PARTS.values() for name in names} | set(BELOW)


def test_its_parts_have_at_most_1500_lines_and_the_whole_2000():
    lines = {path.stem: code_lines(path.read_text()) for path in (ROOT / "runtime").glob("*.py")}
    assert sum(lines[name] for names in PARTS.values() for name in names) <= PARTS_MAX
    assert sum(lines.values()) <= WHOLE_MAX


@pytest.mark.parametrize("folder", ["actors", "web", "sidewatch", "config"])
def test_no_task_starts_where_nobody_waits_for_it(folder):
    starts = {"start_soon", "create_task", "ensure_future", "spawn", "spawn_system_task"}
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in starts:
                found.add(path.relative_to(ROOT).as_posix())
    assert found <= STARTERS
