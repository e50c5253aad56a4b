"""The drawings of docs/plots.md are those that its own Python blocks make; `ACCELSIM_REWRITE=1` puts them in."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
import pytest

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE = DOCS / "plots.md"
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHOWN = re.compile(r"\]\(pictures/([\w.-]+)\)")
MADE_WITH = "3.11."
"""The releases of matplotlib that give the same bytes; others may draw the same words in other places."""


def words(picture: bytes) -> list[str]:
    """What an SVG says, in order."""
    return ["".join(each.itertext()).strip() for each in ElementTree.fromstring(picture).iter() if each.tag.endswith("}text")]


@pytest.mark.slow
def test_every_picture_of_the_page_is_what_its_blocks_draw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in BLOCK.findall(text):
        exec(compile(block, PAGE.name, "exec"), namespace)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert sorted(made) == sorted(SHOWN.findall(text))
    if os.environ.get("ACCELSIM_REWRITE"):
        for name, picture in made.items():
            (DOCS / "pictures" / name).write_bytes(picture)
    for name, picture in made.items():
        kept = (DOCS / "pictures" / name).read_bytes()
        if matplotlib.__version__.startswith(MADE_WITH):
            assert kept == picture, name
        elif name.endswith(".svg"):
            assert words(kept) == words(picture), name


def test_every_drawing_has_a_place_on_the_page_and_says_what_it_shows() -> None:
    from accelsim import plots

    text = PAGE.read_text(encoding="utf-8")
    assert [name for name in plots.__all__ if f"plots.{name}" not in text and name != "as_svg" and name != "searches"] == []
    assert all(len(about) > 10 for about in re.findall(r"!\[(.*?)\]", text))


def test_words_of_a_picture_are_found() -> None:
    assert words(b'<svg xmlns="http://www.w3.org/2000/svg"><g><text> a <tspan>b</tspan></text></g></svg>') == ["a b"]
