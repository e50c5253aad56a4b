"""Double buffer, against two lists: every output in every cycle."""

from __future__ import annotations

from collections import Counter
from typing import Any

import cocotb

from tests.rtl.bench import CASES, next_cycle, parameter, reset, settled, start, stimuli

PARAMETERS = [{"W": 8, "WORDS": 16}, {"W": 1, "WORDS": 1}, {"W": 32, "WORDS": 5}, {"W": 12, "WORDS": 2}]
STRETCH = 20
ODDS = ((0.5, 0.0), (0.0, 0.5), (0.3, 0.3), (1.0, 1.0), (0.6, 0.1), (0.1, 0.6))  # that a bank is handed over, and given back
WRITES, READS = ("write_i", "write_at_i", "write_word_i", "write_done_i"), ("read_i", "read_at_i", "read_done_i")


class Banks:
    """What the two sides see; words that were never written are None."""

    def __init__(self, words: int) -> None:
        self.words: list[list[int | None]] = [[None] * words, [None] * words]
        self.full = [False, False]
        self.writer = self.reader = 0
        self.read: int | None = 0

    def reset(self) -> None:
        """Both banks free; words stay."""
        self.full, self.writer, self.reader, self.read = [False, False], 0, 0, 0

    @property
    def free(self) -> bool:
        """Whether the writer has a bank."""
        return not self.full[self.writer]

    @property
    def filled(self) -> bool:
        """Whether the reader has one."""
        return self.full[self.reader]

    def step(self, write: int, write_at: int, word: int, hand: int, read: int, read_at: int, give: int) -> None:
        """One clock edge."""
        free, filled = self.free, self.filled
        if filled and read:
            self.read = self.words[self.reader][read_at]
        if free and write:
            self.words[self.writer][write_at] = word
        if free and hand:
            self.full[self.writer], self.writer = True, 1 - self.writer
        if filled and give:
            self.full[self.reader], self.reader = False, 1 - self.reader


async def cycle(dut: Any, banks: Banks, write: tuple[int, int, int, int], read: tuple[int, int, int]) -> None:
    """One cycle of both sides."""
    for name, word in zip(WRITES + READS, write + read, strict=True):
        getattr(dut, name).value = word
    await settled(dut)
    assert int(dut.write_free_o.value) == banks.free
    assert int(dut.read_full_o.value) == banks.filled
    assert int(dut.write_bank_o.value) == banks.writer
    assert int(dut.read_bank_o.value) == banks.reader
    assert int(dut.full_o.value) == banks.full[0] + 2 * banks.full[1]
    if banks.read is not None:
        assert int(dut.read_word_o.value) == banks.read
    banks.step(*write, *read)
    await next_cycle(dut)


@cocotb.test()
async def anything(dut: Any) -> None:
    """All inputs random in every cycle, also while a side has no bank, with a reset now and then."""
    rng, width, words = stimuli(), parameter(dut, "W"), parameter(dut, "WORDS")
    banks, met = Banks(words), Counter[str]()
    await start(dut)
    for at in range(60 * CASES):
        hands, gives = ODDS[at // STRETCH % len(ODDS)]
        write = rng.random() < 0.8, rng.randrange(words), rng.getrandbits(width), rng.random() < hands
        read = rng.random() < 0.7, rng.randrange(words), rng.random() < gives
        free, filled = banks.free, banks.filled
        met["both full"] += all(banks.full)
        met["both free"] += not any(banks.full)
        met["both at work"] += free and filled and write[0] and read[0]
        met["both change"] += free and filled and write[3] and read[2]
        met["write refused"] += not free and write[0]
        met["hand-over refused"] += not free and write[3]
        met["read refused"] += not filled and read[0]
        met["return refused"] += not filled and read[2]
        met["last write"] += free and write[0] and write[3]
        met["last read"] += filled and read[0] and read[2]
        await cycle(dut, banks, write, read)
        if at % (7 * STRETCH) == 7 * STRETCH - 1:
            met["reset"] += any(banks.full)
            dut.write_i.value = 0
            await reset(dut)
            banks.reset()
    assert len(met) == 11 and all(met.values()), met


@cocotb.test()
async def one_bank_after_another(dut: Any) -> None:
    """Banks in order from first to last word: each takes as many cycles as it has words, on both sides."""
    rng, width, words = stimuli(), parameter(dut, "W"), parameter(dut, "WORDS")
    banks = Banks(words)
    await start(dut)
    for bank in range(6):
        sent, before = [rng.getrandbits(width) for _ in range(words)], banks.words[1 - banks.writer].copy()
        for at in range(words):
            done = at == words - 1
            assert banks.free and banks.filled == (bank > 0)
            await cycle(dut, banks, (1, at, sent[at], done), (1, at, done))
            if bank:
                assert banks.read == before[at]
        assert banks.words[1 - banks.writer] == sent
