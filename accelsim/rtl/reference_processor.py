"""The processor of hw/rtl in Python, register by register and edge by edge: a twin of the RTL that shares nothing with it but names.

Registers are lists of words: those of a memory, or the equal parts that a register of the RTL is put together from, low ones first. `parts`
has them by the scope that they have in the elaborated RTL, so that a bit of either is a bit of the other. Reads outside of a memory give 0
and writes outside of it are lost, as in compiled RTL. Source: headers of hw/rtl/npu_*.sv, address_generator.sv, fifo.sv.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from accelsim.rtl.cosim import BUFFER, OUTER, PROGRAMS, STEPS, host_writes
from accelsim.rtl.processor import COUNTS
from accelsim.rtl.program import Program
from accelsim.rtl.reference_lane import lane, scan_lane, signed

State = dict[str, dict[str, list[int]]]
STREAMS = 4  # addresses of a, b, c and the result
_FLAGS = COUNTS


class Part:
    """Registers of an instance: `held`, the words of each by name, and `width`, bits of a word."""

    def __init__(self, **registers: tuple[int, int]) -> None:
        self.width = {name: width for name, (_, width) in registers.items()}
        self.held = {name: [0] * words for name, (words, _) in registers.items()}

    def flip(self, name: str, word: int, bit: int) -> None:
        """Flip a bit of a word of a memory; of a register, word 0 is all of it."""
        further, bit = divmod(bit, self.width[name])
        self.held[name][word + further] ^= 1 << bit

    def put(self, name: str, word: int, value: int) -> None:
        """Write a word; one that is not there is lost."""
        if word < len(self.held[name]):
            self.held[name][word] = value & ((1 << self.width[name]) - 1)

    def set(self, **values: int) -> None:
        """Write registers of one word."""
        for name, value in values.items():
            self.put(name, 0, value)

    def at(self, name: str, word: int = 0) -> int:
        """A word; 0 of one that is not there."""
        held = self.held[name]
        return held[word] if word < len(held) else 0


class Generator(Part):
    """hw/rtl/address_generator.sv."""

    def __init__(self, loops: int, bits: int, count_bits: int) -> None:
        super().__init__(
            valid_q=(1, 1), strides_q=(loops, bits), at_q=(loops, bits), final_q=(loops, count_bits), index_q=(loops, count_bits)
        )
        self.loops = loops

    @property
    def valid(self) -> bool:
        """Whether there is an address."""
        return bool(self.at("valid_q"))

    @property
    def address(self) -> int:
        """That of the innermost loop."""
        return self.at("at_q")

    @property
    def last(self) -> bool:
        """Whether every loop is in its last trip."""
        return self.held["index_q"] == self.held["final_q"]

    def ready(self, goes: bool) -> bool:
        """Whether it takes a nest."""
        return not self.valid or (goes and self.last)

    def edge(self, start: bool, goes: bool, base: int, trips: Sequence[int], strides: Sequence[int]) -> None:
        """A nest begins, if it is ready; or the innermost loop that has a trip left steps, and those inside it begin anew."""
        if start and self.ready(goes):
            self.set(valid_q=1)
            for loop in range(self.loops):
                for name, value in (("strides_q", strides[loop]), ("at_q", base), ("final_q", trips[loop] - 1), ("index_q", 0)):
                    self.put(name, loop, value)
            return
        if not (self.valid and goes):
            return
        index, final, done = self.held["index_q"], self.held["final_q"], self.last
        steps = next((loop for loop in range(self.loops) if index[loop] != final[loop]), self.loops - 1)
        further = self.at("at_q", steps) + self.at("strides_q", steps)
        for loop in range(steps + 1):
            self.put("at_q", loop, further)
            self.put("index_q", loop, 0 if index[loop] == final[loop] else index[loop] + 1)
        if done:
            self.set(valid_q=0)


class Queue(Part):
    """hw/rtl/fifo.sv, of more than one word."""

    def __init__(self, bits: int, depth: int) -> None:
        super().__init__(
            words_q=(depth, bits),
            count_q=(1, depth.bit_length()),
            head_q=(1, (depth - 1).bit_length()),
            tail_q=(1, (depth - 1).bit_length()),
        )
        self.depth = depth

    @property
    def word(self) -> int:
        """The oldest."""
        return self.at("words_q", self.at("head_q"))

    def ready(self, leaves: bool) -> bool:
        """Whether it takes a word."""
        return self.at("count_q") != self.depth or leaves

    def edge(self, comes: bool, word: int, wanted: bool) -> None:
        """A word comes, and the oldest leaves."""
        enters, leaves = comes and self.ready(wanted), bool(self.at("count_q")) and wanted
        head, tail = self.at("head_q"), self.at("tail_q")
        if enters:
            self.put("words_q", tail, word)
            self.set(tail_q=0 if tail == self.depth - 1 else tail + 1)
        if leaves:
            self.set(head_q=0 if head == self.depth - 1 else head + 1)
        self.set(count_q=self.at("count_q") + enters - leaves)


class Instructions(Part):
    """hw/rtl/npu_program.sv."""

    def __init__(self, fields: int, entries: int, count: int) -> None:
        super().__init__(
            words_q=(fields * entries, 32), taken_q=(1, entries.bit_length()), from_q=(1, (fields * entries - 1).bit_length())
        )  # fmt: skip
        self.fields, self.count = fields, count

    @property
    def valid(self) -> bool:
        """Whether one is left."""
        return self.at("taken_q") < self.count

    def now(self) -> list[int]:
        """The fields of the next one; addresses wrap."""
        start, places = self.at("from_q"), 1 << self.width["from_q"]
        return [self.at("words_q", (start + field) % places) for field in range(self.fields)]

    def edge(self, taken: bool) -> None:
        """One is taken."""
        if taken:
            self.set(taken_q=self.at("taken_q") + 1, from_q=self.at("from_q") + self.fields)


class Engine(Part):
    """hw/rtl/npu_engine.sv with the lanes of one kind."""

    def __init__(self, parameters: dict[str, int], lanes: int, scans: bool) -> None:
        bits, loops, steps = parameters["BW"], parameters["LOOPS"], (parameters["STEPS"] - 1).bit_length()
        super().__init__(
            begins_q=(1, 1), counts_q=(1, 1), reduces_q=(1, loops), first_step_q=(1, steps), final_step_q=(1, steps), in_use_q=(1, lanes),
            apart_q=(1, bits), offsets_q=(4 * lanes, bits), step_q=(1, steps), held_q=(1, 8),
        )  # fmt: skip
        self.loops, self.lanes, self.scans, self.bits, self.word = loops, lanes, scans, bits, parameters["W"]
        self.streams = [Generator(loops, bits, parameters["CW"]) for _ in range(STREAMS)]
        self.kept = [] if scans else [Part(kept_q=(4, self.word)) for _ in range(lanes)]
        self.steps = Part(low_q=(parameters["STEPS"], 32), high_q=(parameters["STEPS"], 27))
        self.fields = COUNTS + 9 + 4 * lanes + 5 * loops

    def ends(self) -> tuple[bool, bool, bool]:
        """Whether a step, a point and the instruction end in this cycle."""
        held = self.steps.at("high_q", self.at("step_q")) >> 15 & 0xFF
        step = self.streams[0].valid and self.at("held_q") == held
        point = step and self.at("step_q") == self.at("final_step_q")
        return step, point, point and self.streams[0].last and bool(self.at("counts_q"))

    def writes(self, buffer: list[int]) -> dict[int, int]:
        """Words of the buffer after a step that ends, and what its lanes keep of it."""
        found: dict[int, int] = {}
        step, point, _ = self.ends()
        if not step:
            return found
        now = self.at("step_q")
        low, high = self.steps.at("low_q", now), self.steps.at("high_q", now)
        reduces, index = self.at("reduces_q"), self.streams[0].held["index_q"]
        first = bool(self.at("begins_q")) and not any(reduces >> loop & 1 and index[loop] for loop in range(self.loops))
        places, offsets = (1 << self.bits) - 1, self.held["offsets_q"]
        for number in range(self.lanes):
            a, b, c, y = ((stream.address + offsets[4 * number + at]) & places for at, stream in enumerate(self.streams))
            chosen = buffer[(c + buffer[b] * self.at("apart_q")) & places]
            if self.scans:
                value = scan_lane(low, high, buffer[a], buffer[b], chosen, self.word)
            else:
                kept = self.kept[number]
                value = lane(low, high, kept.held["kept_q"], buffer[a], buffer[b], chosen, buffer[y], first, self.word)
                kept.put("kept_q", high >> 12 & 3, value)
            if point and self.at("in_use_q") >> number & 1:
                found[y] = value
        return found

    def edge(self, able: bool, instruction: list[int]) -> bool:
        """Whether it takes the instruction."""
        step, point, _ = self.ends()
        takes, busy = able and self.streams[0].ready(point), self.streams[0].valid
        trips = instruction[-5 * self.loops : -4 * self.loops]
        for at, stream in enumerate(self.streams):
            start = len(instruction) - (4 - at) * self.loops
            stream.edge(able, point, instruction[COUNTS + 5 + at], trips, instruction[start : start + self.loops])
        flags, first = instruction[_FLAGS], instruction[COUNTS + 1]
        self.set(
            held_q=self.at("held_q") + 1 if busy and not step else 0,
            step_q=first if takes else self.at("first_step_q") if point else self.at("step_q") + step,
        )
        if takes:
            final, in_use, apart = first + instruction[COUNTS + 2] - 1, instruction[COUNTS + 3], instruction[COUNTS + 4]
            self.set(begins_q=flags, counts_q=flags >> 1, reduces_q=flags >> 8, first_step_q=first, final_step_q=final)
            self.set(in_use_q=in_use, apart_q=apart)
            for each in range(4 * self.lanes):
                self.put("offsets_q", each, instruction[COUNTS + 9 + each])
        return takes


class Mover(Part):
    """hw/rtl/npu_mover.sv."""

    def __init__(self, parameters: dict[str, int], depth: int) -> None:
        super().__init__(loads_q=(1, 1), counts_q=(1, 1))
        self.loops, self.bits = parameters["NEST"], parameters["BW"]
        self.outer = Generator(self.loops, parameters["AW"], parameters["CW"])
        self.inner = Generator(self.loops, self.bits, parameters["CW"])
        self.flight = Queue(self.bits + 1, depth)
        self.fields = COUNTS + 3 + 3 * self.loops

    @property
    def busy(self) -> bool:
        """Whether something is on its way."""
        return self.outer.valid or bool(self.flight.at("count_q"))

    def goes(self, answer: bool) -> bool:
        """Whether a word is asked for, or leaves."""
        return self.outer.valid and self.flight.ready(answer)

    def edge(self, able: bool, instruction: list[int], answer: bool) -> bool:
        """Whether it takes the instruction."""
        goes = self.goes(answer)
        takes = able and self.outer.ready(goes)
        ends = self.inner.last and bool(self.at("counts_q"))
        self.flight.edge(goes and bool(self.at("loads_q")), ends << self.bits | self.inner.address, answer)
        trips, far, near = (instruction[COUNTS + 3 + at * self.loops :][: self.loops] for at in range(3))
        self.outer.edge(able, goes, instruction[COUNTS + 1], trips, far)
        self.inner.edge(able, goes, instruction[COUNTS + 2], trips, near)
        if takes:
            self.set(loads_q=instruction[_FLAGS], counts_q=instruction[_FLAGS] >> 1)
        return takes


class Processor:
    """hw/rtl/processor_system.sv with a program, loaded. `parts`: registers by scope."""

    def __init__(self, program: Program, inputs: dict[str, Any]) -> None:
        parameters = program.parameters
        self.latency, self.word, entries = parameters["LATENCY"], parameters["W"], parameters["ENTRIES"]
        lanes = parameters["ROWS"] * parameters["COLUMNS"], parameters["LANES"], parameters["SCANS"]
        self.mover = Mover(parameters, self.latency + 1)
        self.engines = [Engine(parameters, many, unit == len(lanes) - 1) for unit, many in enumerate(lanes)]
        counts = [*map(len, program.engines), *[0] * len(lanes)]
        fields = [self.mover.fields, *(engine.fields for engine in self.engines)]
        self.programs = [Instructions(each, entries, count) for each, count in zip(fields, counts, strict=False)]
        self.memory = Part(
            words_q=(1 << parameters["AW"], self.word), valid_q=(self.latency, 1), word_q=(self.latency, self.word)
        )  # fmt: skip
        self.top = Part(buffer_q=(1 << parameters["BW"], self.word), done_q=(COUNTS, parameters["CW"]))
        self.parts: dict[str, Part] = {"": self.memory, "u_top": self.top, **_named(self)}
        for space, addresses, words in host_writes(program, inputs):
            for address, word in zip(addresses.tolist(), words.tolist(), strict=True):
                self._write(space, address, word)
        self.memory.held["word_q"] = [self.memory.at("words_q")] * self.latency

    def _write(self, space: int, address: int, word: int) -> None:
        if space in STEPS:
            self.engines[space - STEPS[0]].steps.put("high_q" if address & 1 else "low_q", address >> 1, word)
        elif space in PROGRAMS:
            self.programs[space - PROGRAMS[0]].put("words_q", address, word)
        else:
            part, name = {OUTER: (self.memory, "words_q"), BUFFER: (self.top, "buffer_q")}[space]
            part.put(name, address, word)

    @property
    def busy(self) -> bool:
        """Whether an instruction is left, or anything is at work."""
        return any(each.valid for each in self.programs) or self.mover.busy or any(each.streams[0].valid for each in self.engines)

    def edge(self) -> list[bool]:
        """A clock edge; which counts rise with it."""
        mover, memory, buffer = self.mover, self.memory, self.top.held["buffer_q"]
        answer, answered = bool(memory.at("valid_q", self.latency - 1)), memory.at("word_q", self.latency - 1)
        goes, loads = mover.goes(answer), bool(mover.at("loads_q"))
        comes, tag = answer and bool(mover.flight.at("count_q")), mover.flight.word
        drained = goes and not loads and mover.inner.last and bool(mover.at("counts_q"))
        rises = [comes and bool(tag >> mover.bits), drained, *(engine.ends()[2] for engine in self.engines)]
        counted = (1 << self.top.width["done_q"]) - 1
        done = [count + rise & counted for count, rise in zip(self.top.held["done_q"], rises, strict=True)]
        address, leaving = mover.outer.address, buffer[mover.inner.address]
        written = {tag & ((1 << mover.bits) - 1): answered} if comes else {}
        for engine in self.engines:
            written |= engine.writes(buffer)
        asked = memory.at("words_q", address)
        for number, program in enumerate(self.programs):
            instruction = program.now() if program.valid else [0] * program.fields
            able = program.valid and all(count >= field & counted for count, field in zip(done, instruction, strict=False))
            takes = self.engines[number - 1].edge(able, instruction) if number else mover.edge(able, instruction, answer)
            program.edge(takes)
        memory.held["valid_q"] = [int(goes and loads), *memory.held["valid_q"][:-1]]
        memory.held["word_q"] = [asked, *memory.held["word_q"][:-1]]
        if goes and not loads:
            memory.put("words_q", address, leaving)
        for place, word in written.items():
            self.top.put("buffer_q", place, word)
        self.top.held["done_q"] = done
        return rises

    def words(self) -> list[int]:
        """The outer memory, with signs."""
        return [signed(word, self.word) for word in self.memory.held["words_q"]]

    def state(self) -> State:
        """All registers, by scope and name."""
        return {scope: {name: list(words) for name, words in part.held.items()} for scope, part in self.parts.items()}

    def restore(self, state: State) -> None:
        """Go back to a state."""
        for scope, part in self.parts.items():
            part.held = {name: list(words) for name, words in state[scope].items()}

    def run(self, start: int, limit: int) -> tuple[int, list[int]]:
        """Edge by edge from a cycle on: the first in which it is idle, -1 if not before the limit, and how often counts rose."""
        counts = [0] * COUNTS
        for cycle in range(start, limit):
            if not self.busy:
                return cycle, counts
            counts = [count + rise for count, rise in zip(counts, self.edge(), strict=True)]
        return -1, counts


def _named(processor: Processor) -> dict[str, Part]:
    """Parts below hw/rtl/npu_top.sv by scope."""
    mover = processor.mover
    found: dict[str, Part] = {
        "u_top.u_mover": mover, "u_top.u_mover.u_outer": mover.outer, "u_top.u_mover.u_inner": mover.inner,
        "u_top.u_mover.u_flight": mover.flight, "u_top.u_mover.u_flight.g_many": mover.flight,
        "u_top.u_mover_program": processor.programs[0],
    }  # fmt: skip
    for unit, engine in enumerate(processor.engines):
        scope = f"u_top.g_unit[{unit}]"
        found |= {scope: engine.steps, f"{scope}.u_program": processor.programs[1 + unit], f"{scope}.u_engine": engine}
        found |= {f"{scope}.u_engine.g_stream[{at}].u_addresses": stream for at, stream in enumerate(engine.streams)}
        found |= {f"{scope}.u_engine.g_lane[{number}].g_computes.u_lane": kept for number, kept in enumerate(engine.kept)}
    return found
