"""What an upset changes where it can be written down by hand: one matrix product in three dataflows, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.faults.cones import STALE, UNREAD, Fault, Mapped
from accelsim.faults.reference_mapped import Replay, invert
from accelsim.faults.residency import intervals
from accelsim.faults.wordbits import differs, flipped
from accelsim.hardware.architecture import Architecture
from accelsim.hardware.types import TYPES
from accelsim.mapping.tree import For, Held, Keep, Leaf, Loop, Mapping, Spatial
from accelsim.sim.formats import WRAP, round_to
from accelsim.workload.build import cascade as build
from accelsim.workload.cascade import Cascade
from tests.faults.mapped import agrees, difference
from tests.sim.test_values import line

M, N, K = 5, 4, 3
RNG = np.random.default_rng(3)
A, B = RNG.integers(-128, 128, (M, K)), RNG.integers(-128, 128, (K, N))
Z = A @ B


def product(loops: list[Loop], machine: Architecture | None = None, types: dict[str, Any] | None = None, b: Any = B) -> Mapped:
    """Z = A B under some loops, everything in Main."""
    made = build("product", "Z[m,n] = A[m,k] * B[k,n]", {"m": M, "n": N, "k": K}, types=types or {"default": "int8", "Z": "int32"})
    mapping = Mapping("by hand", (Keep("Main", tuple(map(Held, "ABZ"))), Leaf("Z", "PE", tuple(loops))))
    return Mapped(made, machine or line(), mapping, {"A": A, "B": b}, WRAP)


def change(mapped: Mapped, fault: Fault) -> Any:
    """What a fault adds to Z, modulo 2^32."""
    effect = mapped.inject(fault)
    found = np.zeros(M * N, dtype=np.int64)
    words, values = effect.changed.get("Z", (np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64)))
    found[words] = values - Z.reshape(-1)[words]
    return found.reshape(M, N)


def delta(value: int, bit: int) -> int:
    """The change of an int8 by a flip."""
    weight = -128 if bit == 7 else 1 << bit
    return -weight if value >> bit & 1 else weight


HELD = [For("n", 1), For("k", 1), Keep("Reg", (Held("B"),)), For("m", 1)]  # a weight stays while m turns: step (n K + k) M + m


@pytest.mark.parametrize("bit", range(8))
def test_a_held_weight_changes_the_rows_that_come_after(bit: int) -> None:
    mapped = product(list(HELD))
    for n, k, m in np.ndindex(N, K, M):
        fault = Fault("Reg", "B", (1, 2), (), k * N + n, bit, (n * K + k) * M + m)
        wanted = np.zeros((M, N), dtype=np.int64)
        wanted[m:, n] = delta(int(B[k, n]), bit) * A[m:, k]
        assert np.array_equal(change(mapped, fault), wanted)


def test_an_operand_in_the_outer_memory_strikes_only_what_is_brought_later() -> None:
    # B[k,n] comes to the registers at step (n K + k) M, and A is read straight from Main at every step
    mapped = product(list(HELD))
    n, k = 2, 1
    arrives = (n * K + k) * M
    for step, hit in ((0, 1), (arrives - 1, 1), (arrives, 0), (arrives + 2, 0)):
        wanted = np.zeros((M, N), dtype=np.int64)
        wanted[:, n] = hit * delta(int(B[k, n]), 3) * A[:, k]
        assert np.array_equal(change(mapped, Fault("Main", "B", (0,), (), k * N + n, 3, step)), wanted)
    wanted = np.zeros((M, N), dtype=np.int64)
    wanted[3, 2:] = delta(int(A[3, 1]), 6) * B[1, 2:]  # A[3,1] is read at steps (n K + 1) M + 3
    assert np.array_equal(change(mapped, Fault("Main", "A", (0,), (), 3 * K + 1, 6, (1 * K + 1) * M + 4)), wanted)


def test_a_copy_of_a_word_strikes_its_own_copy_of_the_unit_and_the_source_all_of_them() -> None:
    loops: list[Loop] = [For("m", 1), Spatial("row", "n", 1), Keep("Reg", (Held("A"),)), For("k", 1)]  # step m K + k
    mapped = product(loops)
    d = delta(int(A[2, 1]), 5)
    for copy in range(N):
        wanted = np.zeros((M, N), dtype=np.int64)
        wanted[2, copy] = d * B[1, copy]
        assert np.array_equal(change(mapped, Fault("Reg", "A", (1, 2), (copy,), 2 * K + 1, 5, 2 * K)), wanted)
    wanted = np.zeros((M, N), dtype=np.int64)
    wanted[2] = d * B[1]
    assert np.array_equal(change(mapped, Fault("Main", "A", (0,), (), 2 * K + 1, 5, 2 * K - 1)), wanted)


@pytest.mark.parametrize("bit", [0, 4, 17, 31])
def test_a_struck_sum_is_the_flip_of_its_prefix(bit: int) -> None:
    loops: list[Loop] = [For("m", 1), For("n", 1), Keep("Reg", (Held("Z"),)), For("k", 1)]  # step (m N + n) K + k
    mapped = product(loops)
    for m, n, k in np.ndindex(M, N, K):
        fault = Fault("Reg", "Z", (1, 2), (), m * N + n, bit, (m * N + n) * K + k, partial=True)
        prefix = int(A[m, :k] @ B[:k, n])
        turned = (prefix + 2**31 ^ 1 << bit) - 2**31 - prefix if bit < 31 else 2**31 if prefix < 0 else -(2**31)
        wanted = np.zeros((M, N), dtype=np.int64)
        wanted[m, n] = turned if k else 0
        got = change(mapped, fault)
        assert np.array_equal((got - wanted) % 2**32, np.zeros((M, N)))
        assert (mapped.inject(fault).masked == STALE) == (k == 0)


def test_a_sum_that_has_moved_in_is_not_struck_where_it_was() -> None:
    # k turns outside n: the sum of a tile of n goes to Main and comes back for every k
    loops: list[Loop] = [For("m", 1), For("k", 1), For("n", 2), Keep("Reg", (Held("Z"),))]  # step (m K + k) N + n
    mapped = product(loops)
    away = Fault("Main", "Z", (), (), 0, 4, N - 1, partial=True)  # Z[0,0] while n = 2, 3 of k = 0
    assert mapped.inject(away).masked is None
    assert mapped.inject(replace(away, memory="Reg", keep=(1, 3))).masked == STALE
    here = replace(away, step=N)  # it has come back for k = 1
    assert mapped.inject(here).masked == STALE
    assert mapped.inject(replace(here, memory="Reg", keep=(1, 3))).masked is None


def test_a_result_that_is_complete_is_struck_itself_and_an_operand_read_for_the_last_time_no_longer() -> None:
    mapped = product(list(HELD))
    last = mapped.steps - 1
    wanted = np.zeros((M, N), dtype=np.int64)
    wanted[0, 0] = (Z[0, 0] ^ 4) - Z[0, 0]
    assert np.array_equal(change(mapped, Fault("Main", "Z", (), (), 0, 2, last)), wanted)
    assert mapped.inject(Fault("Main", "A", (0,), (), 0, 2, last)).masked == UNREAD
    assert mapped.inject(Fault("Main", "Z", (), (), 0, 2, 0)).masked == UNREAD  # not there yet


def test_a_product_with_zero_masks() -> None:
    none = product(list(HELD), b=np.zeros((K, N), dtype=np.int64))
    assert none.inject(Fault("Main", "A", (0,), (), 0, 2, 0)).masked == "no difference after Z"


def test_the_share_of_live_bits_is_that_of_a_timeline_drawn_by_hand() -> None:
    # registers hold one weight for M steps, all read in the last of them: all of its time is live
    mapped = product(list(HELD))
    sites = {(site.memory, site.tensor, site.partial): site for site in intervals(mapped).sites()}
    assert sites["Reg", "B", False].bit_steps == sites["Reg", "B", False].live_bit_steps == 8 * N * K * M
    # B[k,n] lies in Main from the beginning to the end and is read once, at step (n K + k) M
    main = sites["Main", "B", False]
    assert main.bit_steps == 8 * K * N * mapped.steps
    assert main.live_bit_steps == 8 * sum((n * K + k) * M for n in range(N) for k in range(K))
    # sums lie in Main: Z[m,n] from its first turn at (n K) M + m to its last at (n K + K - 1) M + m, both open to the left
    assert sites["Main", "Z", True].bit_steps == 32 * M * N * (K - 1) * M


@pytest.mark.parametrize(("reduces", "forwards"), [(True, True), (True, False), (False, False)])
def test_every_upset_of_a_sum_over_copies_is_its_replay_in_whatever_order_copies_are_added_up(reduces: bool, forwards: bool) -> None:
    made = build("sum", "Z[m] = A[m,k]", {"m": 1, "k": 10}, types={"default": "fp16"})
    loops: list[Loop] = [For("k", 5), Spatial("row", "k", 1)]
    mapping = Mapping("by hand", (Keep("Main", (Held("A"), Held("Z"))), Leaf("Z", "PE", tuple(loops))))
    inputs = {"A": np.array([[2048.0, 1, 1, 1, 3, -2048, 1, 0.5, 1, 1]])}
    machine = line(5, reduces, forwards)
    mapped, replay = Mapped(made, machine, mapping, inputs), Replay(made, machine, mapping, inputs)
    golden, every = replay.run(), intervals(mapped)
    for index in range(every.population):
        fault = every.fault(index)
        assert agrees(mapped.inject(fault), difference(made, golden, replay.run(fault))), fault


@given(st.sampled_from(["int8", "int16", "int32", "fp32", "fp16", "bf16", "e4m3", "e5m2"]), st.floats(-1e6, 1e6), st.integers(0, 31))
def test_both_ways_to_invert_a_bit_agree_and_twice_is_not_at_all(name: str, value: float, bit: int) -> None:
    kind = TYPES[name]
    bit %= int(kind.bits)
    word = round_to(np.asarray(value), kind)[()]
    once = flipped(word, kind, bit)
    assert not differs(once, invert(word, kind, bit))
    assert differs(once, word)
    if once == once:
        assert not differs(flipped(once, kind, bit), word)


def refusal(text: str, types: dict[str, Any], loops: tuple[Loop, ...] = (), held: tuple[Held, ...] = (Held("A"), Held("Z"))) -> str:
    """What is said of a sum of A."""
    made: Cascade = build("sum", text, {"m": 2, "k": 4}, types=types)
    mapping = Mapping("by hand", (Keep("Main", (Held("A"), Held("Z"))), Leaf("Z", "PE", (*loops, Keep("Reg", held)))))
    with pytest.raises(InputError) as caught:
        Mapped(made, line(), mapping, {"A": np.ones((2, 4))})
    return str(caught.value)


def test_refusals_say_what_and_how_to_mend_it() -> None:
    text = "Z[m] = A[m,k]"
    assert refusal(text, {"default": "mxfp8"}) == "A is mxfp8, whose words share the bits of their scale; give it a type without blocks"
    half = (Held("A", fraction=Fraction(1, 2)), Held("Z"))
    assert refusal(text, {"default": "fp32"}, held=half) == "a part of A streams through Reg; keep whole tiles"
    said = refusal(text, {"default": "fp32"}, loops=(Spatial("row", "k", 1),))
    assert said == (
        "copies keep parts of the sums of Z, and the order of its fp32 sums matters; "
        "take a mapping that keeps the result above the spatial loops over reduced ranks"
    )


def test_places_bits_and_numbers_that_are_not_there_are_refused() -> None:
    mapped = product(list(HELD))
    for fault, said in (
        (Fault("Reg", "B", (9,), (), 0, 0, 0), "no copy [] of a keep at [9] holds B; take a fault of `sites`"),
        (Fault("Reg", "C", (0,), (), 0, 0, 0), "no copy [] of a keep at [0] holds C; did you mean 'A'?"),
        (Fault("Main", "B", (0,), (), 0, 8, 0), "a word of type int8 has no bit 8; take one of 0 to 7"),
    ):
        with pytest.raises(InputError, match=re.escape(said.split(";")[0])):
            mapped.inject(fault)
    every = intervals(mapped)
    with pytest.raises(InputError, match=f"there is no upset {every.population}; take one of 0 to {every.population - 1}"):
        every.fault(every.population)
    with pytest.raises(InputError, match=r"a clock of \[3\] values; give 61 that do not fall"):
        intervals(mapped, np.zeros(3, dtype=np.int64))
