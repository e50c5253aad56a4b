"""Recorded cases of structured matrices: what they take to store, and on an array of which every unit picks its operand of a block.

Definitions: docs/sparse.md; times of an array by its closed form (`accelsim.sim.systolic`), folds in full size one after the other.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from accelsim.hardware.architecture import Architecture, Memory, Operation, Sparsity, Unit
from accelsim.mapping.tree import Fuse, Held, Keep, Leaf, Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import evaluate_stored
from accelsim.sim.systolic import OPERAND, RESULT, Grid, folds_of, times
from accelsim.sparse import formats
from accelsim.sparse.density import Structured
from accelsim.sparse.formats import Widths
from accelsim.sparse.pattern import Pattern
from accelsim.workload.build import cascade as build
from tests.sparse.test_cases import case, format_bits, matrix


def weights(name: str) -> tuple[Pattern, dict[str, Any]]:
    arrays, said = case(name)
    return Pattern.of(matrix(arrays, "W")), said


def held(pattern: Pattern, of: int) -> dict[str, int]:
    """Blocks of a row by the non-zeros that they hold."""
    counts = pattern.tiles(1, of)[1]
    empty = pattern.rows * pattern.width // of - counts.size
    return {str(key): many for key, many in sorted(Counter(counts.tolist() + [0] * empty).items())}


@pytest.mark.parametrize("name", ["n0_2of4", "n4_upto4of8"])
def test_blocks_shorten_what_is_summed(name: str) -> None:
    pattern, said = weights(name)
    kept, of = said["n"], said["m"]
    assert (pattern.rows, pattern.width, pattern.nonzeros) == (said["Mw"], said["K"], said["nnz"])
    assert held(pattern, of) == said["block_hist"]
    assert formats.fullest(pattern, of) == kept
    for size, found in said["arrays"].items():
        rows, columns = map(int, size.split("x"))
        short = -(-said["K"] // of) * kept
        counted = {"Kc": short}
        for label, long in (("dense", said["K"]), ("structured", short)):
            element, edge = (Grid(rows, columns, shadow=False, exit=way, folds="full") for way in ("element", "edge"))
            stays, ends = folds_of(long, said["Mw"], said["T"], edge), folds_of(said["Mw"], said["T"], long, edge)
            loaded = times(edge, OPERAND, stays).cycles
            counted |= {
                f"macs_{label}": said["Mw"] * long * said["T"],
                f"ideal_cycles_{label}": -(-said["Mw"] * long * said["T"] // (rows * columns)),
                f"ws_tiles_{label}": stays.rows.size,
                f"ws_cycles_{label}": loaded,
                f"ws_cycles_noload_{label}": loaded - stays.rows.size * rows,
                f"os_cycles_{label}": times(element, RESULT, ends).cycles,
                f"os_cycles_drain_{label}": times(edge, RESULT, ends).cycles,
            }
        for value in (8, 16):
            widths = Widths(value, 0, 0)
            counted |= {
                f"weight_bits_v{value}_offsets": formats.structured(pattern, widths, kept, of),
                f"weight_bits_v{value}_bitmap": formats.structured_bitmask(pattern, widths, kept, of),
                f"weight_bits_v{value}_dense": formats.dense(pattern, widths),
            }
        assert counted == found


def test_blocks_of_fewer_take_their_own_time() -> None:
    """Time-unrolled blocks take a step for each non-zero, and one where there is none."""
    pattern, said = weights("n4_upto4of8")
    counts = pattern.tiles(1, 8)[1]
    blocks = pattern.rows * pattern.width // 8
    assert int(counts.sum()) + blocks - counts.size == said["s2ta_like"]["slots"]
    assert blocks * said["n"] == said["s2ta_like"]["slots_fixed4"]


def test_two_levels_of_structure() -> None:
    pattern, said = weights("n5_hss_2of4_2of4")
    assert (pattern.nonzeros, pattern.density) == (said["nnz"], said["density"])
    assert held(pattern, 4) == said["block4_hist"]
    places = said["metadata_bits"]
    assert formats.structured_twice(pattern, Widths(0, 0, 0), (2, 4), (2, 4)) == places["rank1_offsets"] + places["rank0_offsets"]
    assert -(-said["Mw"] * said["effective_K"] * said["T"] // 64) == said["ideal_cycles_64macs"]


def test_tiles_that_are_loaded_sparse() -> None:
    pattern, said = weights("n0_2of4")
    found, half = said["flash_llm"], Widths(16, 16, 32)
    tiles, counts = pattern.tiles(*found["tile"])
    assert (tiles.nonzeros, counts.tolist()) == (found["tiles"], found["tile_nnz"])
    assert formats.tiled(pattern, half, *found["tile"]) == 8 * found["tiled_csl_bytes"]
    assert formats.dense(pattern, half) == 8 * found["dense_fp16_bytes"]
    assert formats.csr(pattern, Widths(16, 32, 32)) == 8 * found["csr_fp16_bytes"]
    assert formats.bitmask(pattern, half) == 8 * found["bitmask_fp16_bytes"]
    assert pattern.nonzeros * said["T"] == found["useful_macs"]
    assert int(np.max(counts)) == found["max_tile_nnz"]


def test_formats_of_a_structured_matrix_take_their_bits() -> None:
    pattern, said = weights("n0_2of4")
    for widths, found in said["format_bits"].items():
        bits = format_bits(pattern, widths)
        assert {key: bits.get(key) for key in found} == found


def test_a_training_step_with_weights_of_2_in_8_has_half_the_operations() -> None:
    """SAT: two of three products take a quarter of theirs, 3 / (1 + 2/4) = 2: the operations that the walk issues, whatever is drawn."""
    cascade = build(
        "step", ["Y[b,o] = X[b,i] * W[o,i]", "D[b,i] = E[b,o] * V[i,o]", "G[o,i] = E[b,o] * X[b,i]"], {"b": 5, "i": 24, "o": 16}
    )
    unit = Unit("U", {"mac": Operation("mac")}, sparse=Sparsity(intersect="leading"))
    machine = Architecture("array", Memory("DRAM", feeds=(unit,)), Fraction(10**9))
    branches = tuple((Leaf(name, "U"),) for name in "YDG")
    mapping = Mapping("step", (Keep("DRAM", tuple(Held(name) for name in "XWEVYDG")), Fuse("sequential", branches)))
    weights_ = {name: Structured(*shape, 2, 8).draw(3) for name, shape in (("W", (16, 24)), ("V", (24, 16)))}
    stored = {name: np.stack([each.row_of, each.columns]) for name, each in weights_.items()}
    works = evaluate_stored(Evaluator(cascade, machine), mapping, stored).works
    assert sum(work.dense for work in works.values()) == 2 * sum(work.issued for work in works.values())
    assert all(work.idle == 0 for work in works.values())


def test_the_published_gain_of_a_training_step_lies_between_those_of_two_arrays() -> None:
    """SAT reports 1.75 over dense; on 32 x 32 elements, fills and drains of folds apart, results or operands staying; without them 2."""
    from tests.benchmarks.sparse_published import LAYERS, step

    cycles = sum(step(*layer) for layer in LAYERS)
    ideal, ends, stays = cycles[:, 0] / cycles[:, 1]
    assert ideal == 2 and ends < 1.75 < stays < 2
