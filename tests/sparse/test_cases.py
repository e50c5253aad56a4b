"""Every count of the recorded cases: small matrices whose counts two programs without common code agree on.

Sources: uniform, rectangular, banded and other random matrices of small non-zero integers, and Zachary's karate club (W. Zachary 1977, by
networkx); counts by definitions of docs/sparse.md.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from accelsim.sparse import formats, intersection
from accelsim.sparse.caches import least_recent, least_recent_elements, optimal
from accelsim.sparse.formats import FORMATS, Widths
from accelsim.sparse.pattern import Pattern
from accelsim.sparse.products import Products, folds, makespan, merge, tile_pairs

CASES = Path(__file__).with_name("cases")
MATRICES = sorted(path.stem for path in CASES.glob("c*.json"))
WIDTHS = {"v64i32p32": Widths(64, 32, 32), "v16i16p32": Widths(16, 16, 32), "v8i8p16": Widths(8, 8, 16)}
NAMES = {name: name.replace(" by bytes", "_rowbytes").replace(" by rows", "_rowptr") for name in FORMATS} | {"bitmask": "bitmask_flat"}
MEETINGS = {
    "inner_all_nonempty_pairs": intersection.inner,
    "inner_C_pairs_only": lambda products: intersection.inner(products, only_c=True),
    "gustavson_row_vs_Brows": intersection.by_rows,
    "outer_Acols_vs_Brows": intersection.outer,
}


def case(name: str) -> tuple[Any, dict[str, Any]]:
    return np.load(CASES / f"{name}.npz"), json.loads((CASES / f"{name}.json").read_text())


def matrix(arrays: Any, letter: str) -> Any:
    parts = (arrays[f"{letter}_{part}"] for part in ("data", "indices", "indptr"))
    return sparse.csr_array(tuple(parts), shape=tuple(arrays[f"{letter}_shape"]))


def products(name: str) -> tuple[Products, dict[str, Any]]:
    arrays, said = case(name)
    return Products(*(Pattern.of(matrix(arrays, letter)) for letter in "AB")), said


def format_bits(pattern: Pattern, name: str) -> dict[str, int]:
    """Bits in every format of the recorded cases, by its name there, with widths by theirs."""
    widths = WIDTHS[name]
    bits = {NAMES[each]: formats.size(pattern, each, widths) for each in FORMATS}
    bits["csr_metadata"] = bits["csr"] - pattern.nonzeros * widths.value
    for length in (2, 4, 5, 8):
        flat = bits[f"rle{length}_flat"] = formats.run_length(pattern, widths, length)
        bits[f"rle{length}_flat_pad_entries"] = flat // (length + widths.value) - pattern.nonzeros
        by_rows = bits[f"rle{length}_row"] = formats.run_length_by_rows(pattern, widths, length)
        coded = by_rows - (pattern.rows + 1) * widths.pointer
        bits[f"rle{length}_row_pad_entries"] = coded // (length + widths.value) - pattern.nonzeros
    for block in (2, 4, 8, 16):
        bits[f"bcsr{block}"] = formats.blocks(pattern, widths, block)
        bits[f"bcsr{block}_nonempty_blocks"] = pattern.tiles(block, block)[0].nonzeros
    return bits


@pytest.mark.parametrize("name", MATRICES)
def test_work_is_counted(name: str) -> None:
    made, said = products(name)
    assert (made.a.nonzeros, made.b.nonzeros, made.c.nonzeros) == (said["nnzA"], said["nnzB"], said["nnzC_structural"])
    work = made.multiplications, made.dense_multiplications, made.additions
    assert work == (said["effectual_mults"], said["dense_mults"], said["adds"])
    assert made.by_row.tolist() == said["row_mults"]
    assert made.fan_in.tolist() == said["row_merge_fanin"]
    assert made.c.lengths.tolist() == said["row_nnzC"]
    assert int(made.fan_in.sum()) == said["outer_linked_list_fibres"]
    active = made.active
    assert active.size == said["outer_k_active"]
    assert int(made.a.transposed.lengths[active].sum()) == said["outer_reads"]["A_elems"]
    assert int(made.b.lengths[active].sum()) == said["outer_reads"]["B_elems"]
    for radix, found in said["merge"].items():
        assert asdict(merge(made, int(radix.removeprefix("radix")))) == {"cycles": found["cycles"], "passes": found["max_passes"]}


@pytest.mark.parametrize("name", MATRICES)
def test_fibers_meet(name: str) -> None:
    made, said = products(name)
    for kind, found in said["isect"].items():
        steps = MEETINGS[kind](made)
        named = {"leader_follower_A": steps.leading, "leader_follower_B": steps.following}
        assert {key: named.get(key, getattr(steps, key, None)) for key in found} == found, kind
    every = intersection.inner(made)
    assert (every.leading, every.following) == tuple(said["inner_reads_nocache"][f"{letter}_elems"] for letter in "AB")


@pytest.mark.parametrize("name", MATRICES)
def test_formats_take_their_bits(name: str) -> None:
    made, said = products(name)
    sides = {"A": made.a, "B": made.b, "C": made.c}
    seen = 0
    for widths, of_side in said["format_bits"].items():
        for side, found in of_side.items():
            letter, _, order = side.partition("_")
            pattern = sides[letter] if order == "rowmajor" else sides[letter].transposed
            bits = format_bits(pattern, widths)
            assert {key: bits.get(key) for key in found} == found, side
            seen += len(found)
    assert seen > 300


@pytest.mark.parametrize("name", MATRICES)
def test_rows_are_read_again_from_caches(name: str) -> None:
    made, said = products(name)
    found, lengths = said["gustavson_B_reuse"], made.b.lengths
    assert (made.a.nonzeros, made.accesses.size) == (found["accesses_all"], found["accesses_nonempty"])
    touched = np.unique(made.accesses)
    assert (touched.size, int(lengths[touched].sum())) == (found["unique_rows"], found["unique_elements"])
    assert int(lengths[made.accesses].sum()) == found["elements_no_reuse"]
    for kind, policy in (("lru_rows", least_recent), ("opt_rows", optimal), ("lru_elements", least_recent_elements)):
        for room, reuse in found[kind].items():
            counted = policy(made.accesses, lengths, int(room))
            assert {"hits": counted.hits, "misses": counted.misses, "elements_fetched": counted.fetched} == reuse, (kind, room)


@pytest.mark.parametrize("name", MATRICES)
def test_work_is_shared_out(name: str) -> None:
    made, said = products(name)
    for units, found in said["pe_balance"].items():
        shared = makespan(made.by_row, int(units))
        assert asdict(shared) == {
            "cyclic": found["cyclic_max"], "block": found["block_max"], "dynamic": found["dynamic_makespan"], "ideal": found["ideal"],
        }  # fmt: skip
    for side, found in said["uniform_shape_tiles"].items():
        size = int(side)
        pairs, (a, a_counts), (b, b_counts) = tile_pairs(made, size, size, size), made.a.tiles(size, size), made.b.tiles(size, size)
        counted = {
            "nonempty_A_tiles": a.nonzeros, "nonempty_B_tiles": b.nonzeros, "tile_triples": pairs.triples,
            "max_A_tile": int(a_counts.max(initial=0)), "max_B_tile": int(b_counts.max(initial=0)),
            "A_tile_hist": {str(value): int(count) for value, count in zip(*np.unique(a_counts, return_counts=True), strict=True)},
            "A_elems_loaded_no_reuse": pairs.a_loaded, "B_elems_loaded_no_reuse": pairs.b_loaded,
        }  # fmt: skip
        assert counted == found
    for room, found in said["sigma_like_A_stationary"].items():
        each = folds(made.a, int(room))
        assert each.columns.tolist() == found["distinct_k_per_fold"]
        assert each.rows.tolist() == found["distinct_m_per_fold"]
        assert int(each.columns.sum()) * made.b.width == found["streamed_B_dense_elems"]
        assert each.columns.size == found["folds"]


@pytest.mark.parametrize("name", MATRICES)
def test_the_recorded_product_is_that_of_the_arrays(name: str) -> None:
    arrays, said = case(name)
    made = (matrix(arrays, "A").astype(np.int64) @ matrix(arrays, "B").astype(np.int64)).toarray()
    m, n = np.indices(made.shape)
    weighed = int((made * (31 * m + 7 * n + 1)).sum())
    assert (int(made.sum()), int(np.abs(made).sum()), weighed) == tuple(said["checksum"][key] for key in ("sumC", "sum_abs", "wsum"))
