"""The examples of docs/api.md, run as a reader types them, and what the page says of the public names."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import accelsim

PAGE = Path(__file__).parent.parent / "docs" / "api.md"
REFERENCE = PAGE.parent / "site" / "reference.md"


def test_examples_print_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```pycon\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 3
    test = doctest.DocTestParser().get_doctest("\n".join(blocks), {}, PAGE.name, str(PAGE), 0)
    out: list[str] = []
    failed = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test, out=out.append)
    assert failed.failed == 0, "".join(out)
    assert failed.attempted > 15


def test_page_names_every_verb_and_type() -> None:
    text = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`(\w+)(?:\(|`)", text))
    assert set(accelsim.__all__) - {"__version__"} <= named


def test_reference_shows_the_module_of_verbs_and_every_public_type() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    assert "automodule:: accelsim.verbs" in text
    types = {name for name in accelsim.__all__ if isinstance(getattr(accelsim, name), type)} - {"Campaign"}
    assert all(re.search(rf"\b{name}\b", text) for name in types)
