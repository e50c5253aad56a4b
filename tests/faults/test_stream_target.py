"""Campaigns of flips in a compressed operand: against streams read bit by bit, and products and outputs by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accelsim.cli import main
from accelsim.faults.outcomes import CLAMPED, CORRUPTED, DEAD, DETECTED, HANG, LOGICAL, ROUNDED
from accelsim.faults.stream_target import StreamTarget
from accelsim.faults.streams import Bitmap, Rice
from accelsim.io.campaign import load_campaign
from tests.faults.test_streams import symbols

PRODUCT = """\
campaign: small
workload: matmul
arch: systolic128
in: streams
stationary: Z
set:
  {shape.m: 4, shape.n: 5, shape.k: 6, type.default: int8, type.Z.partial: int32, type.Z.final: int8, arch.rows.size: 3,
   arch.columns.size: 3}
inputs: {seed: 0, ranges: {B: [-9, 9]}}
outputs: {multiplier: 1, shift: 6}
decision: n
"""
LAYER = """\
campaign: small
workload: conv2d
arch: systolic128
in: streams
stationary: F
set: {shape.k: 3, shape.c: 2, shape.p: 3, shape.q: 2, arch.rows.size: 4, arch.columns.size: 2}
inputs: {seed: 0, ranges: {F: [-2, 2]}}
outputs: {multiplier: 1, shift: 6}
"""


def bits_of(stream: bytes) -> list[int]:
    return [byte >> at & 1 for byte in stream for at in range(8)]


def rice(line: list[int], count: int, low: int) -> list[int] | str:
    """Words of a stream, or why there are none."""
    source = iter(line)
    found: list[int] = []
    try:
        reader = symbols(source, low)
        for _ in range(count):
            found.append(next(reader))
            if not -128 <= found[-1] <= 127:
                return "wrong"
    except (StopIteration, RuntimeError):
        return "short"
    return "wrong" if len(list(source)) >= 8 else found


def bitmap(line: list[int], count: int, _: int = 0) -> list[int] | str:
    source = iter(line[count:])
    found = []
    for used in line[:count]:
        word = 0
        for place in range(8 * used):
            bit = next(source, None)
            if bit is None:
                return "short"
            word += bit << place
        found.append(word - 256 if word > 127 else word)
    return "wrong" if len(list(source)) >= 8 else found


@settings(deadline=None)
@given(st.lists(st.integers(-128, 127) | st.just(0), max_size=30).map(lambda each: np.array(each, np.int64)))
def test_words_come_back_from_a_bitmap_which_is_as_long_as_its_words_by_hand(words: np.ndarray) -> None:
    stream = Bitmap().encode(words)
    assert Bitmap().decode(stream, words.size).tolist() == words.tolist() == bitmap(bits_of(stream), words.size)
    assert len(stream) == -(-(words.size + 8 * np.count_nonzero(words)) // 8)


def product(values: dict[str, Any]) -> Any:
    return values["A"] @ values["B"]


def layer(values: dict[str, Any]) -> Any:
    one, other = values["I"], values["F"]
    found = np.zeros((3, 3, 2), np.int64)
    for k, p, q in np.ndindex(found.shape):
        found[k, p, q] = (one[:, p : p + other.shape[2], q : q + other.shape[3]] * other[k]).sum()
    return found


@pytest.mark.parametrize("codec", ["rice", "bitmap"])
@pytest.mark.parametrize(("text", "tensor", "make"), [(PRODUCT, "B", product), (PRODUCT, "A", product), (LAYER, "F", layer)])
def test_outcomes_are_those_of_streams_read_bit_by_bit(
    text: str, tensor: str, make: Callable[[dict[str, Any]], Any], codec: str, tmp_path: Path
) -> None:
    """Values are drawn again as the file says, every output is made anew, and judged one by one."""
    (tmp_path / "small.yaml").write_text(text + f"faults: {{tensor: {tensor}, codec: {codec}, block: 7}}\n")
    target = load_campaign(tmp_path / "small.yaml").target
    assert isinstance(target, StreamTarget)
    rng, values = np.random.default_rng(0), {}
    shapes = {"A": (4, 6), "B": (6, 5)} if make is product else {"I": (2, 5, 4), "F": (3, 2, 3, 3)}
    ends = {"B": (-9, 9), "F": (-2, 2)}
    for name, shape in shapes.items():
        low, high = ends.get(name, (-128, 127))
        values[name] = rng.integers(low, high + 1, shape)
    golden = make(values)
    flat = values[tensor].ravel()
    blocks = [flat[at : at + 7] for at in range(0, flat.size, 7)]
    coder = target.streams[0].codec
    low = coder.low if isinstance(coder, Rice) else 0
    stored = [coder.encode(each) for each in blocks]
    sizes = [8 * len(each) for each in stored]
    assert target.strata[0].population == sum(sizes)
    numbers = np.arange(0, sum(sizes), 1 + sum(sizes) // 300)
    effects, seen = target.effects(0, numbers), set()
    for at, number in enumerate(numbers.tolist()):
        which = next(place for place in range(len(sizes)) if number < sum(sizes[: place + 1]))
        line = bits_of(stored[which])
        line[number - sum(sizes[:which])] ^= 1
        read = (rice if codec == "rice" else bitmap)(line, len(blocks[which]), low)
        if isinstance(read, str):
            expected: tuple[int, int, int, bool] = ((HANG if read == "short" else DETECTED), 0, 0, False)
        else:
            wrong = flat.copy()
            wrong[7 * which : 7 * which + len(read)] = read
            expected = judged(golden, make({**values, tensor: wrong.reshape(shapes[tensor])}), (wrong == flat).all(), make is product)
        assert (int(effects.outcome[at]), int(effects.wrong[at]), int(effects.worst[at]), bool(effects.decided[at])) == expected
        assert target.site(0, number)["first"] == 7 * which
        seen.add(expected[0])
    assert CORRUPTED in seen and seen & {HANG, DETECTED}


def judged(right: Any, wrong: Any, same: bool, decides: bool) -> tuple[int, int, int, bool]:
    golden, after = ([[min(127, max(-128, (int(value) + 32) // 64)) for value in row] for row in each.reshape(len(each), -1)]
                     for each in (right, wrong))  # fmt: skip
    moved = [abs(one - two) for some, others in zip(golden, after, strict=True) for one, two in zip(some, others, strict=True)]
    if any(moved):
        best = [[row.index(max(row)) for row in each] for each in (golden, after)]
        return CORRUPTED, sum(each > 0 for each in moved), max(moved), decides and best[0] != best[1]
    differ = [int(value) for value, other in zip(right.ravel(), wrong.ravel(), strict=True) if value != other]
    held = all(min(127, max(-128, (value + 32) // 64)) in (-128, 127) for value in differ)
    return (DEAD if same else LOGICAL if not differ else CLAMPED if held else ROUNDED), 0, 0, False


BAD = [
    ("", r":1:1: faults of streams name no tensor; write faults: \{tensor: B\}$"),
    ("faults: {tensor: C}", r":12:18: the array makes no product of 'C'; known: A, B$"),
    ("faults: {tensor: B, codec: huffman}", r":12:28: there is no codec 'huffman'; known: bitmap, rice$"),
    ("faults: {tensor: B, codec: bitmap, low: 2}", r":12:41: a bitmap has no low bits; leave it out, or write 'codec: rice'$"),
    ("faults: {tensor: B, low: 9}", r":12:26: no Rice code has 9 low bits of 8; words have 1 to 32 bits, low ones among them$"),
]


@pytest.mark.parametrize(("line", "said"), BAD)
def test_bad_campaign_is_refused_in_one_line(line: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text(PRODUCT + line + "\n")
    assert main(["inject", str(tmp_path / "bad.yaml")]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and re.search(said, error.strip()), error
