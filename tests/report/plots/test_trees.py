"""The drawing says what the tree says, and is the same every time."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.errors import InputError
from accelsim.io.mapping import parse_mapping
from accelsim.mapping.tree import Mapping
from accelsim.report.plots.style import save
from accelsim.report.plots.trees import loop_tree
from tests.mapping.machines import softmax

TREE = """
mapping: scores, then softmax
tree:
  - keep DRAM: [Q, K, A]
  - for p: 3
  - keep Buffer: [{QK: {copies: 2, fraction: 1/3}}, GM = SN]
  - fuse staged:
      - {stages: [[QK, GM@prev], [SN]]}
      - {recompute: [QK]}
      - {einsum: QK, unit: PE, loops: [spatial x m: 2]}
      - [for m: 1, {einsum: GM, unit: V}]
      - {einsum: SN, unit: V, loops: []}
"""


def _mapping() -> Mapping:
    return parse_mapping(TREE, {})


def test_drawing_shows_every_word_of_the_tree(tmp_path: Path) -> None:
    save(loop_tree(_mapping(), softmax()), tmp_path / "nest.svg")
    text = (tmp_path / "nest.svg").read_text()
    words = ["scores, then softmax", "DRAM", "staged", "Q, K, A", "for p by 3", "×2", "Buffer", "1/3 of QK ×2, GM = SN", "x ∥ m by 2"]
    for word in [*words, "on PE", "stage 1: QK, GM of the iteration before", "recomputes QK", "for m by 1", "GM", "on V"]:
        assert f">{word}<" in text or f"· {word}<" in text, word


def test_drawing_is_the_same_every_time(tmp_path: Path) -> None:
    for name in ("one.svg", "two.svg", "one.png", "two.png"):
        save(loop_tree(_mapping()), tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_an_ending_that_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        save(loop_tree(_mapping()), "nest.pmg")
    assert str(caught.value) == "nest.pmg: cannot draw a '.pmg' file; did you mean 'png'?"
