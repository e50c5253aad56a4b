"""Recorded cases of block-sparse attention and of activations: work and traffic that follow from where a mask is set."""

from __future__ import annotations

import numpy as np
import pytest

from accelsim.sparse.caches import least_recent
from accelsim.sparse.pattern import Pattern
from accelsim.sparse.products import makespan
from tests.sparse.test_cases import case


@pytest.mark.parametrize("name", ["a1_sink_local_causal", "a3_bigbird_bidir"])
def test_attention_over_blocks(name: str) -> None:
    arrays, said = case(name)
    blocks, side, depth = Pattern.of(arrays["mask"]), said["block"], said["d"]
    full = blocks.expanded(side, side)
    exact = full.within(-full.rows, 0) if said["causal"] else full
    counted = {
        "blocks": blocks.nonzeros, "blocks_per_q": blocks.lengths.tolist(), "S": full.rows,
        "row_pairs_minmax": [int(exact.lengths.min()), int(exact.lengths.max())],
        "max_ops_exact": int(np.maximum(0, exact.lengths - 1).sum()), "sum_adds_exact": int(np.maximum(0, exact.lengths - 1).sum()),
        "divs_per_element": exact.nonzeros, "kv_bytes_no_reuse": 2 * blocks.nonzeros * side * depth * 2,
        "kv_bytes_all_reuse": 2 * int((blocks.transposed.lengths > 0).sum()) * side * depth * 2,
        "mask_bits_block": blocks.rows * blocks.width,
    }  # fmt: skip
    for kind, pairs in (("exact", exact.nonzeros), ("blockfull", full.nonzeros)):
        counted |= {f"pairs_{kind}": pairs, f"exps_{kind}": pairs, f"qk_macs_{kind}": pairs * depth, f"pv_macs_{kind}": pairs * depth}
    assert {key: said[key] for key in counted} == counted
    ones = np.ones(blocks.width, np.int64)
    assert {room: least_recent(blocks.columns, ones, int(room)).misses for room in said["kv_block_lru"]} == said["kv_block_lru"]
    for cores in (2, 4):
        assert makespan(blocks.lengths, cores).cyclic == said[f"cyclic_max_blocks_P{cores}"]


def test_channels_that_any_token_needs_are_read() -> None:
    arrays, said = case("f0_ffn_act85")
    for name, active in (("batch4", Pattern.of(arrays["act"])), ("token0", Pattern.of(arrays["act"][:1]))):
        found = said[name]
        wide, hidden, union = found["d"], found["h"], int((active.transposed.lengths > 0).sum())
        counted = {
            "batch": active.rows, "h": active.width, "active": active.nonzeros, "per_token_active": active.lengths.tolist(),
            "union_active": union,
            "up_macs": active.nonzeros * wide, "gated_total_macs": active.rows * wide * hidden + 2 * active.nonzeros * wide,
            "weight_bytes_union": 2 * (wide * hidden + 2 * union * wide), "weight_bytes_dense": 2 * 3 * wide * hidden,
        }  # fmt: skip
        assert {key: found[key] for key in counted} == counted
