"""The processor of hw/rtl beside the simulator: the same mapping on both, every word and every firing compared."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from accelsim.errors import InputError
from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import Mapping
from accelsim.model.evaluation import Evaluator
from accelsim.rtl.fast import QUICK, Instance, Library
from accelsim.rtl.processor import COUNTS
from accelsim.rtl.program import DRAINS, FIRST_UNIT, LOADS, Phase, Program, export
from accelsim.sim.values import execute
from accelsim.workload.cascade import Cascade

MODULE = "processor_system"
OUTER, PROGRAMS, STEPS, BUFFER = 0, (1, 2, 3, 4), (5, 6, 7), 8  # spaces of the host port
SLACK = 64  # cycles that the processor may take longer


@dataclass(frozen=True, slots=True)
class Row:
    """A task on both: firings, words or points; cycles from its first work to its last end on the simulator and on the processor, and how
    many of its firings start or end in another cycle.
    """

    task: str
    kind: str
    firings: int
    start: int
    end: int
    rtl_start: int
    rtl_end: int
    off: int


@dataclass(frozen=True)
class Cosimulation:
    """What both did. `cycles`, `rtl_cycles`: of the whole run; `wrong`: by output, words that differ, of how many."""

    program: Program
    rows: tuple[Row, ...]
    cycles: int
    rtl_cycles: int
    wrong: dict[str, tuple[int, int]]

    @property
    def agrees(self) -> bool:
        """Whether all words and all cycles are the same."""
        return self.cycles == self.rtl_cycles and not any(row.off for row in self.rows) and not any(bad for bad, _ in self.wrong.values())


def random_words(cascade: Cascade, seed: int) -> dict[str, Any]:
    """Whole numbers from -128 to 127 for every input; of those that choose, the ones that their tensor allows."""
    import numpy as np

    rng = np.random.default_rng(seed)
    limits = {name: (0, tensor.below) if tensor.below else (-128, 128) for name, tensor in cascade.tensors.items() if tensor.is_input}
    return {name: rng.integers(*each, cascade.tensors[name].shape) for name, each in limits.items()}


def cosimulate(
    cascade: Cascade, machine: Architecture, mapping: Mapping, inputs: dict[str, Any], rtl: Path, effort: str = QUICK,
    tell: Callable[[str], None] = lambda _: None, waves: Path | None = None,
) -> Cosimulation:  # fmt: skip
    """Run a mapping on the simulator and on the RTL in a folder. Inputs: whole numbers of 32 bits by tensor. effort: see `Library`.
    waves: a file for the signals of the run, see `Instance.recorded`.

    IllegalMapping where the processor cannot do what the mapping asks for, InputError where Verilator or a compiler is missing.
    """
    from accelsim.sim.simulation import simulate

    tell("simulating")
    evaluator = Evaluator(cascade, machine)
    program = export(evaluator, mapping)
    cycles = simulate(cascade, machine, mapping).cycles
    if cycles != program.cycles:
        raise InputError(f"the simulator takes {cycles} cycles, its twin {program.cycles}", "please report this")
    values = execute(cascade, machine, mapping, inputs)
    tell("running the RTL (compiled first, if it is new)")
    ran = run(program, inputs, rtl, effort, waves)
    return Cosimulation(program, tuple(_rows(program, ran)), cycles, ran.cycles, _wrong(program, ran, values))


@dataclass(frozen=True)
class Ran:
    """What the processor did: by engine the cycle in which each instruction is at work first, by count the cycles after which it rises,
    cycles in all, and the outer memory afterwards.
    """

    taken: tuple[Any, ...]
    done: tuple[Any, ...]
    cycles: int
    memory: Any


def run(program: Program, inputs: dict[str, Any], rtl: Path, effort: str = QUICK, waves: Path | None = None) -> Ran:
    """Run a program on the RTL, compiled by Verilator. waves: a file for its signals, from the first instruction on."""
    import numpy as np

    parameters = program.parameters
    library = Library(rtl, MODULE, parameters, effort=effort, waves=waves is not None)
    processor = library.start()
    load(processor, program, inputs)
    running = {"run_i": np.ones(program.cycles + SLACK, np.uint64), "count_i": counts(program)}
    with processor.recorded(waves) if waves is not None else nullcontext():
        found = processor.run(running)
    memory = processor.run({"host_address_i": np.arange(max(1, program.words), dtype=np.uint64)})["host_word_o"]
    taken = tuple(np.flatnonzero(found["taken_o"] >> np.uint64(engine) & np.uint64(1)) for engine in range(len(program.engines)))
    done = tuple(np.flatnonzero(found["done_o"] >> np.uint64(counter) & np.uint64(1)) for counter in range(COUNTS))
    if found["busy_o"][-1]:
        raise InputError(f"the RTL is not through after {program.cycles + SLACK} cycles", "please report this")
    return Ran(taken, done, max(int(each[-1]) for each in done if len(each)), memory.astype(np.uint32).view(np.int32))


def load(processor: Instance, program: Program, inputs: dict[str, Any]) -> None:
    """Reset a `processor_system`, and write programs and inputs through its host port."""
    import numpy as np

    processor.run({"rst_i": np.ones(2, np.uint64)})
    for space, addresses, words in host_writes(program, inputs):
        processor.run({"host_valid_i": 1, "host_space_i": space, "host_address_i": addresses, "host_word_i": words})


def counts(program: Program) -> int:
    """What `count_i` says: instructions of every engine, side by side."""
    width = program.parameters["ENTRIES"].bit_length()
    return sum(len(engine) << (number * width) for number, engine in enumerate(program.engines))


def tensor_words(program: Program, name: str) -> int:
    """Words of a tensor."""
    count = 1
    for extent in program.cascade.tensors[name].shape:
        count *= extent
    return count


def host_writes(program: Program, inputs: dict[str, Any]) -> list[tuple[int, Any, Any]]:
    """What is written through the host port: spaces, addresses and words."""
    import numpy as np

    found: list[tuple[int, Any, Any]] = []
    for name, place in program.places.items():
        if name in inputs:
            words = np.asarray(inputs[name]).astype(np.int64).reshape(-1) & 0xFFFFFFFF
            found.append((OUTER, np.arange(place, place + len(words)), words))
    found.append((OUTER, *_pairs(program.initial)))
    for space, engine in zip(PROGRAMS, program.engines, strict=False):
        words = np.array(engine, np.int64).reshape(-1) & 0xFFFFFFFF
        found.append((space, np.arange(len(words)), words))
    for space, steps in zip(STEPS, program.steps, strict=False):
        words = np.array([part for step in steps for part in (step.word() & 0xFFFFFFFF, step.word() >> 32)], np.int64)
        found.append((space, np.arange(len(words)), words))
    found.append((BUFFER, *_pairs(program.presets)))
    return [(space, addresses.astype(np.uint64), words.astype(np.uint64)) for space, addresses, words in found if len(words)]


def _pairs(words: dict[int, int]) -> tuple[Any, Any]:
    """Addresses and words, which may be none."""
    import numpy as np

    pairs = np.array(sorted(words.items()), np.int64).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1] & 0xFFFFFFFF


def _rows(program: Program, ran: Ran) -> list[Row]:
    """Every task on both."""
    by_task: dict[tuple[str, int], list[Phase]] = {}
    for phase in program.phases:
        by_task.setdefault((phase.task, phase.counter), []).append(phase)
    found = []
    for (task, counter), phases in by_task.items():
        engine = max(0, counter - FIRST_UNIT + 1)
        starts = [
            int(ran.taken[engine][phase.instructions[0]]) if _is_there(ran.taken[engine], phase.instructions[0]) else -1 for phase in phases
        ]
        ends = [int(ran.done[counter][phase.number - 1]) if _is_there(ran.done[counter], phase.number - 1) else -1 for phase in phases]
        expected = [phase.start if counter >= FIRST_UNIT else phase.served for phase in phases]
        off = sum((start, end) != (wanted, phase.end) for start, end, wanted, phase in zip(starts, ends, expected, phases, strict=True))
        kind = {LOADS: "load", DRAINS: "drain"}.get(counter, program.shape.units[max(0, counter - FIRST_UNIT)])
        found.append(Row(task, kind, len(phases), min(expected), max(phase.end for phase in phases), min(starts), max(ends), off))
    return found


def _is_there(found: Any, number: int) -> bool:
    return 0 <= number < len(found)


def _wrong(program: Program, ran: Ran, values: dict[str, Any]) -> dict[str, tuple[int, int]]:
    """Words of every output that differ."""
    import numpy as np

    found = {}
    for name, expected in values.items():
        place, size = program.places[name], tensor_words(program, name)
        got = ran.memory[place : place + size].astype(np.int64)
        found[name] = int(np.count_nonzero(got != np.asarray(expected).reshape(-1).astype(np.int64))), size
    return found
