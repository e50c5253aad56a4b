"""Object, YAML and printed nest convert both ways without loss, on random loop trees."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.io.mapping import dump_mapping, parse_mapping
from accelsim.mapping.text import nest, parse_nest
from accelsim.mapping.tree import For, Fuse, Held, Keep, Leaf, Mapping, Spatial, Stage, TreeNode

# y, n, no and null are words that YAML likes to read as something else; keep, for and on are words of the nest
_TRICKY = ["m", "m0", "y", "n", "no", "null", "True", "RM.1", "keep", "for", "on", "e1", "A_b"]
NAMES = st.one_of(st.sampled_from(_TRICKY), st.from_regex(r"[A-Za-z_][A-Za-z0-9_.]{0,5}", fullmatch=True))
TILES = st.integers(1, 2**40)
SHARES = st.fractions(0, 1, max_denominator=64)
HELD = st.builds(Held, NAMES, st.integers(1, 5), SHARES, st.lists(NAMES, max_size=3).map(tuple), st.lists(NAMES, max_size=2).map(tuple))
LOOPS = st.one_of(
    st.builds(For, NAMES, TILES),
    st.builds(For, NAMES, TILES, of=NAMES),
    st.builds(Spatial, NAMES, NAMES, TILES),
    st.builds(Keep, NAMES, st.lists(HELD, max_size=3).map(tuple)),
)
LEAVES = st.builds(Leaf, NAMES, NAMES, st.lists(LOOPS, max_size=3).map(tuple))
STAGES = st.builds(Stage, st.lists(NAMES, min_size=1, max_size=2).map(tuple), st.lists(NAMES, max_size=2).map(tuple))


def _with_loops(ends: st.SearchStrategy[TreeNode]) -> st.SearchStrategy[tuple[TreeNode, ...]]:
    return st.tuples(st.lists(LOOPS, max_size=4), ends).map(lambda pair: (*pair[0], pair[1]))


def _fuses(ends: st.SearchStrategy[TreeNode]) -> st.SearchStrategy[TreeNode]:
    branches = st.lists(_with_loops(ends), min_size=1, max_size=3).map(tuple)
    recompute = st.lists(NAMES, max_size=2).map(tuple)
    staged = st.builds(Fuse, st.just("staged"), branches, st.lists(STAGES, max_size=3).map(tuple), recompute)
    return staged | st.builds(Fuse, st.sampled_from(["sequential", "pipelined"]), branches, st.just(()), recompute)


TREES = _with_loops(st.recursive(LEAVES, _fuses, max_leaves=6))
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20).map(str.strip).filter(bool)
SIZES = st.lists(st.tuples(NAMES, st.integers(1, 9999)), max_size=2, unique_by=lambda each: each[0]).map(tuple)
MAPPINGS = st.builds(Mapping, TEXTS, TREES, st.just("") | TEXTS, st.just("") | TEXTS, SIZES)


@given(MAPPINGS)
@pytest.mark.slow
def test_yaml_of_a_mapping_reads_back_as_the_same_mapping(mapping: Mapping) -> None:
    text = dump_mapping(mapping)
    assert parse_mapping(text, {}) == mapping
    assert dump_mapping(parse_mapping(text, {})) == text


@given(MAPPINGS)
def test_nest_of_a_mapping_reads_back_as_the_same_mapping(mapping: Mapping) -> None:
    text = nest(mapping)
    assert parse_nest(text) == mapping
    assert nest(parse_nest(text)) == text


DESIGN = """\
mapping: attention on spatial
tree:
  - keep DRAM: [Q, K, V, AV]
  - for b: 1
  - for p: 4096
  - keep L3: [Q, {RM: {copies: 2}}, {RD: {fraction: 1/3, layout: [m1, p]}}, 'QK = SN = A']
  - for m1: 1
  - fuse staged:
      - {stages: [[QK, RD@prev], [LM]]}
      - {recompute: [RM]}
      - {einsum: QK, unit: PE2D, loops: [for e: 1, spatial col p: 1, keep REG2D: [Q]]}
      - - for p: 256
        - fuse sequential:
            - {einsum: LM, unit: PE2D}
            - - for f: 1
              - {einsum: RD, unit: PE1D}
"""

NEST = """\
mapping attention on spatial
keep DRAM: Q, K, V, AV
for b by 1
  for p by 4096
    keep L3: Q, RM (copies 2), RD (fraction 1/3, layout m1 p), QK = SN = A
    for m1 by 1
      fuse staged stages QK RD@prev | LM ; recompute RM
        QK on PE2D
          for e by 1
            spatial col p by 1
              keep REG2D: Q
        for p by 256
          fuse sequential
            LM on PE2D
            for f by 1
              RD on PE1D
"""


def test_yaml_and_nest_are_printed_as_a_person_would_write_them() -> None:
    mapping = parse_mapping(DESIGN, {})
    assert dump_mapping(mapping) == DESIGN
    assert nest(mapping) == NEST
    assert parse_nest(NEST) == mapping


def test_nodes_remember_where_they_stand() -> None:
    mapping = parse_mapping(DESIGN, {}, "a.yaml")
    assert str(mapping.nodes[0].place) == "a.yaml:3:5"
    fuse = mapping.nodes[-1]
    assert isinstance(fuse, Fuse)
    assert str(fuse.branches[0][0].place) == "a.yaml:11:9"
    assert fuse.stages == (Stage(("QK",), ("RD",)), Stage(("LM",)))


def test_tiles_are_formulas_over_rank_sizes_and_let_names() -> None:
    text = "mapping: t\nlet: {P1: 4, T: P1*2}\ntree: [for p: P1*256, for m: T + M//2, {einsum: Z, unit: U}]\n"
    mapping = parse_mapping(text, {"m": 100, "p": 4096})
    assert mapping.nodes[:2] == (For("p", 1024), For("m", 58))


def test_fraction_is_exact() -> None:
    for written, share in (("0.1", Fraction(1, 10)), ("1/3", Fraction(1, 3)), ("1e-05", Fraction(1, 100000)), ("1", Fraction(1))):
        text = f"mapping: t\ntree:\n- keep B: [{{A: {{fraction: {written}}}}}]\n- {{einsum: Z, unit: U}}\n"
        keep = parse_mapping(text, {}).nodes[0]
        assert isinstance(keep, Keep) and keep.held[0].fraction == share


@pytest.mark.parametrize("tile, comment", [(4, "2 trips, the last of 3"), (7, "1 trip"), (1, "7 trips")])
def test_nest_states_trips_when_the_cascade_is_known(tile: int, comment: str) -> None:
    from accelsim.workload.cascade import Cascade

    cascade = Cascade("c", (), {"m": 7}, {}, {})
    mapping = Mapping("t", (For("m", tile), Leaf("Z", "U")))
    line = nest(mapping, cascade).splitlines()[1]
    assert line.split("#")[1].strip() == comment
    assert parse_nest(nest(mapping, cascade)) == mapping


def test_nest_states_copies_of_what_the_loops_above_leave() -> None:
    from accelsim.workload.cascade import Cascade

    cascade = Cascade("c", (), {"m": 12}, {}, {})
    text = nest(Mapping("t", (For("m", 6), Spatial("col", "m", 2), Leaf("Z", "U"))), cascade)
    assert text.splitlines()[2].split("#")[1].strip() == "3 copies"
