"""Tests that the examples of the documentation run and print what their pages say."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("page", ["docs/python.md", "bindings/python/README.md"])
def test_examples_of_pages(page, capsys):
    examples = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)
    assert examples
    exec(compile("\n".join(examples), page, "exec"), {})
    printed = capsys.readouterr().out
    assert printed.startswith("2 of 6 changed, 0 hidden\n")
    if page == "docs/python.md":
        assert "\n[0 2 0]\n[4.0" in printed
        assert printed.endswith("1 of 2 changes are in the smaller half\n")
