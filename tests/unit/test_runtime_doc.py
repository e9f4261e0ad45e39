"""docs/runtime.md: its example runs and prints what the page says."""

import re
from functools import partial
from pathlib import Path

import anyio
import pytest

from tests.unit.test_runtime_size import ROOT, code_lines

TEXT = (ROOT / "docs" / "runtime.md").read_text()
[EXAMPLE] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
[PRINTS] = re.findall(r"It prints `(.*?)`", TEXT)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_its_example_prints_what_it_says(backend, capsys, monkeypatch):
    monkeypatch.setattr(anyio, "run", partial(anyio.run, backend=backend))
    exec(compile(EXAMPLE, "docs/runtime.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out.strip() == PRINTS


def test_its_example_is_short():
    assert code_lines(EXAMPLE) <= 22


def test_it_names_no_test_or_file_that_is_not_there():
    for path in re.findall(r"(?:tests|bench|runtime)/[\w/]*\.py", TEXT):
        assert Path(ROOT, path).is_file(), path
