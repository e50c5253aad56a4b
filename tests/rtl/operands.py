"""Operands on which the activity of a netlist is measured: an operation a cycle, in 64 independent lanes.

Two kinds. `uniform`: every word is equally likely. `sparse`: a word is 0 one time in three and else the magnitude of a normal number with a
standard deviation of a quarter of the largest word, as activations behind a rectifier; the second operand of a multiply-add is such a
normal number with its sign and never forced to 0, as weights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import TypeAlias

from accelsim.rtl.netlist import LANES
from tests.rtl.hamming import encoded

Words: TypeAlias = dict[str, list[list[int]]]

KINDS = ("uniform", "sparse")
RESET, WARM, COUNTED = 2, 20, 32  # cycles: of the reset, before counting starts, that are counted
CYCLES = WARM + COUNTED
REUSE = 16  # steps of a sum, of a word that stays, of a row


def normal(rng: Random, width: int) -> int:
    """A signed number, far ones cut off."""
    most = (1 << (width - 1)) - 1
    return max(-most, min(most, round(rng.gauss(0.0, most / 4))))


def activation(rng: Random, kind: str, width: int) -> int:
    """A signed word."""
    if kind == "uniform":
        return rng.getrandbits(width) - (1 << (width - 1))
    return 0 if rng.random() < 1 / 3 else abs(normal(rng, width))


def weight(rng: Random, kind: str, width: int) -> int:
    """A signed word."""
    return activation(rng, kind, width) if kind == "uniform" else normal(rng, width)


def fields(rng: Random, kind: str, width: int, count: int) -> int:
    """Words side by side."""
    return sum((activation(rng, kind, width) % (1 << width)) << (place * width) for place in range(count))


def pe_os(rng: Random, kind: str, p: Mapping[str, int], cycle: int) -> dict[str, int]:
    """Sums of REUSE products."""
    place = cycle % REUSE
    return {
        "a_i": activation(rng, kind, p["AW"]), "b_i": weight(rng, kind, p["BW"]), "a_valid_i": 1, "b_valid_i": 1,
        "first_i": place == 0, "last_i": place == REUSE - 1,
    }  # fmt: skip


def pe_ws(rng: Random, kind: str, p: Mapping[str, int], cycle: int) -> dict[str, int]:
    """A weight for REUSE steps, loaded in the one before; from above comes a sum of 8 products."""
    place = cycle % REUSE
    above = sum(activation(rng, kind, p["AW"]) * weight(rng, kind, p["BW"]) for _ in range(8))
    return {
        "a_i": activation(rng, kind, p["AW"]), "v_i": weight(rng, kind, p["BW"]), "p_i": above, "valid_i": 1,
        "first_i": place == 0, "load_i": place == REUSE - 1,
    }  # fmt: skip


def exp_pe(rng: Random, kind: str, p: Mapping[str, int], cycle: int) -> dict[str, int]:
    """Numbers that are not above 0."""
    return {"x_i": -abs(activation(rng, kind, p["XW"])), "valid_i": 1, "ready_i": 1}


def max_pe(rng: Random, kind: str, p: Mapping[str, int], cycle: int) -> dict[str, int]:
    """Rows of REUSE numbers."""
    return {"x_i": activation(rng, kind, p["W"]), "first_i": cycle % REUSE == 0, "valid_i": 1, "ready_i": 1}


def reduction_tree(rng: Random, kind: str, p: Mapping[str, int], cycle: int) -> dict[str, int]:
    """Vectors."""
    return {"word_i": fields(rng, kind, p["W"], p["INPUTS"]), "valid_i": 1, "ready_i": 1}


def scan_unit(rng: Random, kind: str, p: Mapping[str, int], cycle: int) -> dict[str, int]:
    """Vectors of pairs."""
    a, b = (fields(rng, kind, p["W"], p["WIDTH"]) for _ in "ab")
    return {"a_i": a, "b_i": b, "valid_i": 1, "ready_i": 1}


def fifo(rng: Random, kind: str, p: Mapping[str, int], cycle: int) -> dict[str, int]:
    """A word in and a word out."""
    return {"word_i": activation(rng, kind, p["W"]), "valid_i": 1, "ready_i": 1}


def secded_encode(rng: Random, kind: str, p: Mapping[str, int], cycle: int) -> dict[str, int]:
    """Words of as many of 16 bits as there is room for, or one."""
    part = min(16, p["W"])
    return {"data_i": fields(rng, kind, part, p["W"] // part)}


def secded_decode(rng: Random, kind: str, p: Mapping[str, int], cycle: int) -> dict[str, int]:
    """Code words without errors."""
    return {"code_i": encoded(secded_encode(rng, kind, p, cycle)["data_i"], p["W"])}


def operator(rng: Random, kind: str, p: Mapping[str, int], cycle: int) -> dict[str, int]:
    """Two words, and a sum of 8 products of such words."""
    so_far = sum(activation(rng, kind, p["W"]) * weight(rng, kind, p["W"]) for _ in range(8))
    return {"a_i": activation(rng, kind, p["W"]), "b_i": weight(rng, kind, p["W"]), "c_i": so_far}


DRIVERS: dict[str, Callable[[Random, str, Mapping[str, int], int], dict[str, int]]] = {
    each.__name__: each
    for each in (pe_os, pe_ws, exp_pe, max_pe, reduction_tree, scan_unit, fifo, secded_encode, secded_decode, operator)
}


def operands(module: str, parameters: Mapping[str, int], kind: str, widths: Mapping[str, int]) -> Words:
    """Words of each input by cycle and lane, behind a reset; widths: bits of the inputs."""
    rng, words = Random(f"{module} {sorted(parameters.items())} {kind}"), Words()
    for cycle in range(CYCLES):
        for _ in range(LANES):
            now = DRIVERS[module](rng, kind, parameters, cycle) | ({"rst_i": int(cycle < RESET)} if "rst_i" in widths else {})
            for name, word in now.items():
                column = words.setdefault(name, [])
                if len(column) <= cycle:
                    column.append([])
                column[cycle].append(int(word) % (1 << widths[name]))
    return words
