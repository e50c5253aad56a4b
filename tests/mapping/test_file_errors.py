"""The whole text of every error of a mapping file and of a printed nest."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.errors import InputError
from accelsim.io.mapping import load_mapping, parse_mapping
from accelsim.mapping.text import parse_nest

LEAF = "{einsum: Z, unit: U}"
FILES = {
    "tree: []\n": "f:1:1: a mapping file needs 'mapping'; write 'mapping: …' at the top",
    "mapping: t\ntres: []\n": "f:2:1: a mapping file has no 'tres'; did you mean 'tree'?",
    "mapping: t\n": "f:1:1: a mapping file needs 'tree'; write 'tree: …' at the top",
    "mapping: t\ntree: []\n": "f:2:7: the tree is empty; write '{einsum: NAME, unit: UNIT}' last",
    "mapping: t\ntree: [5]\n": "f:2:8: a node must be a mapping of keys to values, not 5; write 'key: value' lines",
    "mapping: t\ntree: [for m: 1]\n": "f:2:8: the tree must end in an Einsum or a fuse; write '{einsum: NAME, unit: UNIT}' last",
    f"mapping: t\ntree: [{LEAF}, {LEAF}]\n": (
        "f:2:8: nothing may follow an Einsum or a fuse in the same list; put both into '- fuse sequential: […]'"
    ),
    f"mapping: t\ntree: [fr m: 1, {LEAF}]\n": "f:2:8: a node cannot be 'fr m'; did you mean 'for'?",
    f"mapping: t\ntree: [for m n: 1, {LEAF}]\n": "f:2:8: cannot read 'for m n'; write 'for m: 16'",
    f"mapping: t\ntree: [spatial m: 1, {LEAF}]\n": "f:2:8: cannot read 'spatial m'; write 'spatial col m: 1'",
    f"mapping: t\ntree: [keep: [A], {LEAF}]\n": "f:2:8: cannot read 'keep'; write 'keep MEMORY: [A, B]'",
    f"mapping: t\ntree: [{{for m: 1, for n: 1}}, {LEAF}]\n": (
        "f:2:8: a node has one key, this one has 2; write '- for m: 16' or '- {einsum: NAME, unit: UNIT}'"
    ),
    f"mapping: t\ntree: [for m: 0, {LEAF}]\n": "f:2:15: the tile of 'for m' must be at least 1, not 0",
    f"mapping: t\ntree: [for m: -M, {LEAF}]\n": "f:2:15: the tile of 'for m' must be at least 1; '-M' is -7",
    f"mapping: t\ntree: [for m: M/2, {LEAF}]\n": (
        "f:2:15: the tile of 'for m' must be a whole number; 'M/2' is 7/2; use // or ceil to make it whole"
    ),
    f"mapping: t\ntree: [for m: true, {LEAF}]\n": "f:2:15: the tile of 'for m' must be a whole number, not True",
    f"mapping: t\ntree: [keep B: A, {LEAF}]\n": "f:2:16: 'keep B' must be a list, not 'A'; write '[a, b]' or '- a' lines",
    f"mapping: t\ntree: [keep B: [A B], {LEAF}]\n": "f:2:17: 'A B' is not a tensor; write 'A', or 'A = B' where B overwrites A",
    f"mapping: t\ntree: [keep B: [{{A: {{copie: 2}}}}], {LEAF}]\n": "f:2:22: a kept tensor has no 'copie'; did you mean 'copies'?",
    f"mapping: t\ntree: [keep B: [{{A: {{fraction: 2}}}}], {LEAF}]\n": "f:2:32: fraction must lie between 0 and 1, not 2; write 0.5 or 1/2",
    f"mapping: t\ntree: [keep B: [{{A: {{copies: 0}}}}], {LEAF}]\n": "f:2:30: copies must be at least 1, not 0",
    "mapping: t\ntree: [{einsum: Z}]\n": "f:2:8: an Einsum of a mapping needs a 'unit'; write '{einsum: NAME, unit: UNIT}'",
    "mapping: t\ntree: [{einsum: Z, unt: U}]\n": "f:2:20: an Einsum of a mapping has no 'unt'; did you mean 'unit'?",
    "mapping: t\ntree: [{einsum: Z, unit: U, loops: [{for m: 1, for n: 2}]}]\n": (
        "f:2:37: a loop has one key, this one has 2; write 'for m: 16', 'spatial col m: 1' or 'keep MEMORY: [A]'"
    ),
    f"mapping: t\ntree: [fuse serial: [{LEAF}]]\n": "f:2:8: cannot read 'fuse serial'; did you mean 'sequential'?",
    "mapping: t\ntree: [fuse sequential: []]\n": "f:2:25: 'fuse sequential' has no branches; write '{einsum: NAME, unit: UNIT}' for each",
    f"mapping: t\ntree: [fuse pipelined: [{{stages: [[Z]]}}, {LEAF}]]\n": (
        "f:2:25: a pipelined fuse has no stages; write 'fuse staged' or remove the stages"
    ),
    f"mapping: t\ntree: [fuse staged: [{{stages: [[Z@next]]}}, {LEAF}]]\n": (
        "f:2:33: cannot read 'Z@next' in a stage; write 'RD', or 'RD@prev' for the iteration before"
    ),
    f"mapping: t\ntree: [fuse staged: [for m: 1, {LEAF}]]\n": (
        "f:2:22: a branch must end in an Einsum or a fuse; write '{einsum: NAME, unit: UNIT}' last"
    ),
    f"mapping: t\ntree: [fuse staged: [{{recompute: [T]}}, {{recompute: [T]}}, {LEAF}]]\n": (
        "f:2:40: 'recompute' is given twice; remove one of the two"
    ),
    f"mapping: t\nlet: {{M: 4}}\ntree: [{LEAF}]\n": "f:2:7: 'M' is already the size of rank 'm'; choose another name",
}


@pytest.mark.parametrize("text", FILES)
def test_error_in_a_file_says_where_what_and_how_to_mend_it(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_mapping(text, {"m": 7}, "f")
    assert str(caught.value) == FILES[text]


def test_error_in_a_formula_stands_at_the_tile_and_suggests_a_name() -> None:
    with pytest.raises(InputError, match=r"^f:2:15: the tile of 'for m': .*did you mean 'SEQ'\?$"):
        parse_mapping(f"mapping: t\ntree: [for m: SAQ*4, {LEAF}]\n", {"seq": 7}, "f")


def test_let_names_are_set_from_outside_and_unknown_ones_refused(tmp_path: Path) -> None:
    file = tmp_path / "m.yaml"
    file.write_text("mapping: t\nlet: {P1: 4}\ntree: [for m: P1*2, {einsum: Z, unit: U}]\n")
    assert load_mapping(file, {}, {"let.P1": "3 + 2"}).nodes[0].tile == 10  # type: ignore[union-attr]
    with pytest.raises(InputError) as caught:
        load_mapping(file, {}, {"let.P2": "5"})
    assert str(caught.value) == "--set mapping.let.P2: the mapping has no 'let.P2' to set; did you mean 'let.P1'?"
    with pytest.raises(InputError, match=r"^--set mapping\.let\.P1: 'P1': formula 'x' names an unknown 'x'"):
        load_mapping(file, {}, {"let.P1": "x"})


NESTS = {
    "for m by 1\n": "n:1:1: a nest begins with 'mapping NAME'; write it in the first line",
    "mapping t\nfor m by 1\n": "n:2:1: the nest ends without an Einsum; write 'EINSUM on UNIT' last",
    "mapping t\nfor m by 0\n  Z on U\n": "n:2:1: a tile must be a whole number above 0, not '0'; write 'for m by 16'",
    "mapping t\nfr m by 1\n  Z on U\n": "n:2:1: cannot read 'fr m by 1'; did you mean 'for'?",
    "mapping t\nkeep B: A (copy 2)\nZ on U\n": "n:2:1: cannot read 'copy 2'; write 'copies 2', 'fraction 1/2' or 'layout m p'",
    "mapping t\nkeep B: A B\nZ on U\n": "n:2:1: 'A B' is not a kept tensor; write 'A', 'A = B' or 'A (copies 2)'",
    "mapping t\nZ on U\nY on U\n": "n:3:1: nothing may follow an Einsum or a fuse; put both into a 'fuse sequential'",
    "mapping t\nfuse serial\n  Y on U\n": "n:2:1: cannot read 'fuse serial'; did you mean 'sequential'?",
    "mapping t\nfuse sequential\n": "n:2:1: a fuse has no branches; write its Einsums indented below it",
    'mapping "t\nZ on U\n': 'n:1:1: cannot read "t; close the quotes',
}


@pytest.mark.parametrize("text", NESTS)
def test_error_in_a_nest_says_where_what_and_how_to_mend_it(text: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_nest(text, "n")
    assert str(caught.value) == NESTS[text]
