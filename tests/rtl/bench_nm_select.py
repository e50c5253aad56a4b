"""Selector of structured sparsity: what indices name, with gaps and back-pressure."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import cocotb

from tests.rtl.bench import CASES, next_cycle, pack, parameter, settled, start, stimuli
from tests.rtl.pace import Pace

PARAMETERS = [
    {"N": 2, "M": 4, "W": 8, "IW": 2},
    {"N": 1, "M": 1, "W": 1, "IW": 1},
    {"N": 3, "M": 5, "W": 4, "IW": 3},
    {"N": 4, "M": 4, "W": 5, "IW": 4},
]
WORDS = "activations", "weights", "indices"


def group(rng: Random, n: int, m: int, width: int, index: int) -> dict[str, list[int]]:
    """Random words; indices in rising order, any in range, or any that their bits can say."""
    kind = rng.choice(("rising", "in range", "any"))
    if kind == "rising":
        indices = sorted(rng.sample(range(m), n))
    else:
        indices = [rng.randrange(m if kind == "in range" else 1 << index) for _ in range(n)]
    words = ([rng.getrandbits(width) for _ in range(count)] for count in (m, n))
    return dict(zip(WORDS, (*words, indices), strict=True))


@cocotb.test()
async def groups(dut: Any) -> None:
    """Every output in every cycle."""
    rng, met = stimuli(), Counter[str]()
    n, m, width, index = (parameter(dut, name) for name in ("N", "M", "W", "IW"))
    widths = dict(zip(WORDS, (width, width, index), strict=True))
    offers, takes = Pace(rng), Pace(rng)
    await start(dut)
    offered, held, was = False, (0, 0, 0), None
    valid, sent, taken = False, 0, 0
    words = group(rng, n, m, width, index)
    for _ in range(40 * CASES):
        if not offered:
            offered, words = offers.now(), group(rng, n, m, width, index)
        ready = takes.now()
        dut.valid_i.value, dut.ready_i.value = offered, ready
        for name, each in words.items():
            getattr(dut, f"{name}_i").value = pack(each, widths[name])
        await settled(dut)
        found = int(dut.activations_o.value), int(dut.weights_o.value), int(dut.outside_o.value)
        assert int(dut.valid_o.value) == valid
        assert int(dut.ready_o.value) == (not valid or ready)
        assert found == held
        assert was is None or (valid and found == was), "a word changed before it was taken"
        was = found if valid and not ready else None
        moves = offered and (not valid or ready)
        met["stalled"] += offered and valid and not ready
        met["back to back"] += moves and valid
        met["empty and ready"] += not offered and not valid and ready
        met["filled while not ready"] += moves and not ready
        if moves:
            inside = [each < m for each in words["indices"]]
            chosen = [words["activations"][each] if each < m else 0 for each in words["indices"]]
            held = pack(chosen, width), pack(words["weights"], width), pack((not each for each in inside), 1)
            met["outside"] += not all(inside)
            met["one twice"] += len(set(words["indices"])) < n
        sent, taken = sent + moves, taken + (valid and ready)
        valid = moves or (valid and not ready)
        offered = offered and not moves
        await next_cycle(dut)
    assert sent == taken + valid
    corners = ["stalled", "back to back", "empty and ready", "filled while not ready"]
    corners += ["outside"] if m < 1 << index else []
    corners += ["one twice"] if n > 1 else []
    assert all(met[each] for each in corners), met
