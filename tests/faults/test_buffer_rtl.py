"""Upsets in a double buffer of hw/rtl: words by which reads see them, flags by a model of its registers; and words with a code."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import numpy as np
import pytest

from accelsim.rtl.fast import QUICK, Library
from tests.rtl.runner import RTL
from tests.share import share

pytestmark = [pytest.mark.usefixtures("rtl_tools"), pytest.mark.slow]
WIDTH, WORDS, CYCLES = 8, 8, 80


@dataclass(frozen=True)
class Row:
    """What the sides of the buffer do in a cycle."""

    write: bool
    write_at: int
    word: int
    write_done: bool
    read: bool
    read_at: int
    read_done: bool


@dataclass
class Buffer:
    """Its registers, edge by edge, as hw/rtl/double_buffer.sv says in words."""

    banks: list[list[int]] = field(default_factory=lambda: [[0] * WORDS, [0] * WORDS])
    full: list[int] = field(default_factory=lambda: [0, 0])
    writer: int = 0
    reader: int = 0
    shown: int = 0

    def outputs(self) -> tuple[int, ...]:
        """Before an edge: free, writer's bank, full, reader's bank, the word, both flags."""
        free, full = 1 - self.full[self.writer], self.full[self.reader]
        return free, self.writer, full, self.reader, self.shown, self.full[0] | self.full[1] << 1

    def edge(self, row: Row) -> None:
        """A clock edge."""
        free, full = not self.full[self.writer], bool(self.full[self.reader])
        writer, reader = self.writer, self.reader
        if row.read and full:
            self.shown = self.banks[reader][row.read_at]
        if row.write and free:
            self.banks[writer][row.write_at] = row.word
        if free and row.write_done:
            self.full[writer] = 1
            self.writer = 1 - writer
        if full and row.read_done:
            self.full[reader] = 0
            self.reader = 1 - reader


def rows(rng: Random) -> list[Row]:
    """A writer that fills a bank word by word, and a reader that reads any words of it."""
    return [
        Row(rng.random() < 0.9, rng.randrange(WORDS), rng.getrandbits(WIDTH), rng.random() < 0.15, rng.random() < 0.8,
            rng.randrange(WORDS), rng.random() < 0.15)
        for _ in range(CYCLES)
    ]  # fmt: skip


def driven(some: list[Row]) -> dict[str, Any]:
    """As inputs."""
    names = {"write_i": "write", "write_at_i": "write_at", "write_word_i": "word", "write_done_i": "write_done", "read_i": "read",
             "read_at_i": "read_at", "read_done_i": "read_done"}  # fmt: skip
    return {name: np.array([int(getattr(row, each)) for row in some], np.uint64) for name, each in names.items()}


OUTPUTS = ("write_free_o", "write_bank_o", "read_full_o", "read_bank_o", "read_word_o", "full_o")


class Rtl:
    """The module, one run after another."""

    def __init__(self, module: str, parameters: dict[str, int], registers: list[str]) -> None:
        self.library = Library(RTL, module, parameters, registers, QUICK)

    def run(self, inputs: dict[str, Any], scope: str, name: str, byte: int, mask: int, when: int, clear: list[tuple[str, str, int]]) -> Any:
        """Outputs of every cycle; a byte of a register is changed after the edge of a cycle, memories begin with zeros."""
        instance = self.library.start()
        instance.run({"rst_i": np.ones(2, np.uint64)})
        for each, register, size in clear:
            instance.register(each, register, 8 * size)[:] = 0
        before = instance.run({key: each[: when + 1] for key, each in inputs.items()})
        instance.register(scope, name, 8 * (byte + 1))[byte] ^= mask
        after = instance.run({key: each[when + 1 :] for key, each in inputs.items()})
        return {key: np.concatenate([before[key], after[key]]) for key in before}


BANKS = [(f"g_bank[{bank}]", "words_q", WORDS) for bank in range(2)]


def test_upset_of_a_word_is_seen_by_the_reads_of_it_until_it_is_written_again() -> None:
    """The reads follow from the log of accesses; flags, pointers and the word on the output from the model of the registers."""
    rng = Random(1)
    rtl = Rtl("double_buffer", {"W": WIDTH, "WORDS": WORDS}, ["double_buffer.words_q", "double_buffer.full_q", "double_buffer.write_bank_q",
              "double_buffer.read_bank_q", "double_buffer.read_word_q"])  # fmt: skip
    seen, flags = 0, 0
    for _ in range(share(40, 10, 2)):
        some = rows(rng)
        inputs, golden = driven(some), Buffer()
        said, log = [], []
        for row in some:
            said.append(golden.outputs())
            free, _, full, _, _, _ = golden.outputs()
            log.append((golden.writer if row.write and free else -1, golden.reader if row.read and full else -1))
            golden.edge(row)
        for _ in range(share(60, 60, 20)):
            when, bit = rng.randrange(CYCLES - 1), rng.randrange(WIDTH)
            bank, place = rng.randrange(2), rng.randrange(WORDS)
            expected = [list(each) for each in said]
            alive, struck = True, False
            for cycle in range(when + 1, CYCLES):
                wrote, read = log[cycle]
                if struck:
                    expected[cycle][4] ^= 1 << bit
                if read >= 0:
                    struck = alive and read == bank and some[cycle].read_at == place
                if wrote == bank and some[cycle].write_at == place:
                    alive = False
            found = rtl.run(inputs, f"g_bank[{bank}]", "words_q", place, 1 << bit, when, BANKS)
            assert [[int(found[name][cycle]) for name in OUTPUTS] for cycle in range(CYCLES)] == expected
            seen += expected != [list(each) for each in said]
        for name in ("full_q", "write_bank_q", "read_bank_q", "read_word_q"):
            for _ in range(share(20, 20, 5)):
                when, bit = rng.randrange(CYCLES - 1), rng.randrange({"full_q": 2, "read_word_q": WIDTH}.get(name, 1))
                struck_one, expected = Buffer(), []
                for cycle, row in enumerate(some):
                    expected.append(list(struck_one.outputs()))
                    struck_one.edge(row)
                    if cycle == when:
                        struck_one = flipped(struck_one, name, bit)
                found = rtl.run(inputs, "", name, 0, 1 << bit, when, BANKS)
                assert [[int(found[each][cycle]) for each in OUTPUTS] for cycle in range(CYCLES)] == expected, name
                flags += expected != [list(each) for each in said]
    assert min(seen, flags) > 20, "some corrupt"


def flipped(buffer: Buffer, name: str, bit: int) -> Buffer:
    """With a bit of a register flipped."""
    if name == "full_q":
        return replace(buffer, full=[each ^ (place == bit) for place, each in enumerate(buffer.full)])
    word = {"write_bank_q": "writer", "read_bank_q": "reader", "read_word_q": "shown"}[name]
    return replace(buffer, **{word: getattr(buffer, word) ^ 1 << bit})


def test_one_wrong_bit_of_a_stored_code_word_is_corrected_and_two_are_detected() -> None:
    """Every single bit, and pairs of bits, struck in the memory itself between a write and its read."""
    rtl = Rtl("secded_memory", {"W": WIDTH, "WORDS": WORDS}, ["secded_memory.words_q"])
    rng, bits = Random(2), 13
    inputs = {name: np.zeros(4, np.uint64) for name in ("write_i", "write_address_i", "write_data_i", "read_i", "read_address_i", "flip_i")}
    for mask in [1 << bit for bit in range(bits)] + [1 << one | 1 << other for one in range(bits) for other in range(one)]:
        word, place = rng.getrandbits(WIDTH), rng.randrange(WORDS)
        inputs["write_i"][0], inputs["write_address_i"][0], inputs["write_data_i"][0] = 1, place, word
        inputs["read_i"][2], inputs["read_address_i"][2] = 1, place
        instance = rtl.library.start()
        instance.run({"rst_i": np.ones(2, np.uint64)})
        instance.run({name: each[:2] for name, each in inputs.items()})
        stored = instance.register("", "words_q", 16 * WORDS).view(np.uint16)
        stored[place] ^= mask
        found = instance.run({name: each[2:] for name, each in inputs.items()})
        single = mask.bit_count() == 1
        assert (int(found["single_o"][1]), int(found["double_o"][1])) == (single, not single), bin(mask)
        assert not single or int(found["read_data_o"][1]) == word
