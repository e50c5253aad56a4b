"""What docs/dram.md says of the shipped tables, and what it says its Python prints."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

from accelsim.io.catalogue import DRAM, shipped
from accelsim.io.dram import load_dram

PAGE = (Path(__file__).parents[2] / "docs" / "dram.md").read_text(encoding="utf-8")


def test_page_shows_the_shipped_tables() -> None:
    columns = ("tCL", "tRCD", "tRP", "tRC", "tFAW", "tRFC")
    rows = {}
    for name, path in shipped(DRAM).items():
        found = load_dram(path)
        rows[name] = [f"{found.clock_hz / 10**6} MHz", *(str(getattr(found.timings, each)) for each in columns)]
    assert f"| table | cycles of | {' | '.join(columns)} | figures from |" in PAGE
    shown = [row.split(" | ") for row in re.findall(r"^\| `(\w+` \| .* MHz \| .*) \|$", PAGE, re.MULTILINE)]
    assert {name.rstrip("`"): cells[:7] for name, *cells in shown} == rows


def test_python_of_the_page_prints_what_the_page_says() -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(compile(block, "dram.md", "exec"), {})
    assert f"prints `{out.getvalue().strip()}`" in PAGE
