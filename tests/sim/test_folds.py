"""Systolic arrays in the event simulation: the closed form of the array, SCALE-Sim's runs through a machine file, and bad mappings."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import EXITS, FOLDS, Architecture
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial
from accelsim.model.counts import READS, UPDATES
from accelsim.sim import reference_events as reference
from accelsim.sim.lowering import lower
from accelsim.sim.simulation import ARRAY, FILL, Simulation, simulate
from accelsim.sim.systolic import OPERAND, RESULT, Grid, folds_of, times
from accelsim.workload.build import cascade
from tests.sim.test_leaps import are_equal, outcomes

CASES = json.loads((Path(__file__).parent / "cases" / "scalesim.json").read_text())["cases"]
HELD = {"os": "Z", "ws": "B", "is": "A"}


def machine(name: str, rows: int, columns: int, **registers: Any) -> Architecture:
    """A shipped array of another size and other registers, under memories without limits."""
    sizes = {"rows.size": str(rows), "columns.size": str(columns), "SRAM.size": "unlimited"}
    limits = {"DRAM.bandwidth": "unlimited", "SRAM.bandwidth": "unlimited"}
    flags = {f"elements.systolic.{key}": str(value).lower() for key, value in registers.items()}
    return load_architecture(resolve(name, MACHINE), sizes | limits | flags)


def mapping(held: str, rows: int, columns: int, extents: dict[str, int]) -> Mapping:
    """A product in tiles of the array, what stays in it innermost but for the steps."""
    down, across, steps = {"Z": "mnk", "B": "knm", "A": "kmn"}[held]
    high, wide = min(rows, extents[down]), min(columns, extents[across])
    loops = (For(down, high), For(across, wide), Spatial("rows", down, 1), Spatial("columns", across, 1), Keep("Register", (Held(held),)))
    every = tuple(map(Held, "ABZ"))
    return Mapping(held, (Keep("DRAM", every), Keep("SRAM", every), Leaf("Z", "MAC", (*loops, For(steps, 1)))))


def product(m: int, n: int, k: int) -> Any:
    return cascade("product", "Z[m,n] = A[m,k] * B[k,n]", {"m": m, "n": n, "k": k})


def run(held: str, array: Architecture, grid: Grid, m: int, n: int, k: int) -> Simulation:
    return simulate(product(m, n, k), array, mapping(held, grid.rows, grid.columns, {"m": m, "n": n, "k": k}))


@pytest.mark.slow
def test_products_take_the_cycles_of_the_closed_form_on_every_array() -> None:
    rng, seen = random.Random(2), Counter[tuple[Any, ...]]()
    for _ in range(400):
        grid = Grid(rng.randint(1, 6), rng.randint(1, 6), rng.random() < 0.5, rng.choice(EXITS), rng.choice(FOLDS))
        m, n, k = (rng.randint(1, 14) for _ in range(3))
        held = rng.choice("ZBA")
        array = machine("systolic128", grid.rows, grid.columns, shadow=grid.shadow, exit=grid.exit, folds=grid.folds)
        sizes = {"Z": (m, n, k), "B": (k, n, m), "A": (k, m, n)}[held]
        wanted = times(grid, RESULT if held == "Z" else OPERAND, folds_of(*sizes, grid))
        done = run(held, array, grid, m, n, k)
        assert done.cycles == wanted.cycles
        (unit,) = done.units.values()
        assert unit.total == done.cycles
        assert {wait.cause for wait in unit.waits} <= {ARRAY, FILL}
        tasks = lower(done.evaluation.evaluator, done.evaluation.mapping, done.evaluation.counts.lowered.latencies)
        assert [reference.run(each, done.evaluation.evaluator.clock.per_cycle).ticks for each in tasks] == [done.ticks]
        seen[held, grid.shadow, grid.exit, grid.folds] += 1
    assert len(seen) == 24


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(str(case[key]) for key in ("M", "N", "K", "array_rows", "dataflow")))
def test_every_run_of_scale_sim_has_the_same_cycles_and_words_through_a_machine_file(case: dict[str, Any]) -> None:
    grid = Grid(case["array_rows"], case["array_cols"], shadow=False, exit="element", folds="full")
    m, n, k = case["M"], case["N"], case["K"]
    done = run(HELD[case["dataflow"]], machine("scalesim_like", grid.rows, grid.columns), grid, m, n, k)
    assert done.cycles - 1 == case["total_cycles"]
    words = done.evaluation.counts.words
    reads = [words["Z", tensor, "SRAM"][READS] for tensor in "AB"]
    surplus = 0
    if case["dataflow"] == "os":  # it adds the size of the array for every fold instead of multiplying
        surplus = -(-m // grid.rows) * -(-n // grid.columns) * (grid.rows + grid.columns)
    wanted = [case["sram_ifmap_reads"], case["sram_filter_reads"], case["sram_ofmap_writes"]]
    assert [*reads, words["Z", "Z", "SRAM"][UPDATES] + surplus] == wanted


def test_leaps_change_nothing_on_an_array() -> None:
    rng, leapt = random.Random(9), 0
    for _ in range(60):
        rows, columns = rng.randint(1, 5), rng.randint(1, 5)
        overrides = {"rows.size": str(rows), "columns.size": str(columns), "DRAM.bandwidth": rng.choice(["1 GB/s", "9 GB/s", "unlimited"])}
        overrides |= {"SRAM.bandwidth": rng.choice(["4 GB/s", "31 GB/s", "unlimited"])}
        overrides |= {"elements.systolic.shadow": rng.choice(["true", "false"])}
        sizes = {rank: rng.randint(1, 60) for rank in "mnk"}
        array = load_architecture(resolve("systolic128", MACHINE), overrides)
        for with_leaps, without in outcomes(product(**sizes), array, mapping(rng.choice("ZBA"), rows, columns, sizes)):
            assert are_equal(with_leaps, without)
            leapt += with_leaps[-1] < without[-1]
    assert leapt > 10


def test_what_no_systolic_array_does_is_refused_in_words() -> None:
    array = machine("systolic128", 4, 4)
    whole = mapping("Z", 4, 4, {"m": 8, "n": 8, "k": 8})
    leaf = whole.nodes[-1]
    assert isinstance(leaf, Leaf)
    none = Leaf("Z", "MAC", tuple(loop for loop in leaf.loops if not isinstance(loop, Keep)))
    both = Leaf("Z", "MAC", (*leaf.loops[:4], leaf.loops[-1], Keep("Register", (Held("Z"), Held("A")))))
    wrong = Leaf("Z", "MAC", (*leaf.loops[:4], leaf.loops[-1], Keep("Register", (Held("B"),))))
    for changed, said in ((none, "keeps nothing"), (both, "keeps A, Z"), (wrong, "wants reduced ranks on axis rows")):
        with pytest.raises(IllegalMapping, match=said):
            simulate(product(8, 8, 8), array, Mapping("m", (*whole.nodes[:-1], changed)))


BAD = [("exit", "left", "'exit' of a systolic array is 'left'"), ("shadow", "2", "shadow must be true or false")]


@pytest.mark.parametrize(("key", "value", "said"), BAD)
def test_bad_registers_are_refused(key: str, value: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        machine("systolic128", 4, 4, **{key: value})
