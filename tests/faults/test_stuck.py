"""The closed form of stuck bits in a memory is their replay, bit for bit; no two words are in one cell at a time."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.faults.cones import Mapped
from accelsim.faults.residency import intervals
from accelsim.faults.sites import Stuck
from accelsim.faults.stuck import cells_of, stick
from accelsim.faults.wordbits import width
from accelsim.mapping.tree import For, Held, Keep, Loop
from tests.faults.mapped import Case, agrees, seeded_cases
from tests.faults.test_cones import HELD, A, B, K, M, N, Z, product
from tests.model.strategies import recurrent_triples, seeded_triples
from tests.share import share


def drawn(found: Case, rng: np.random.Generator) -> Stuck:
    """A stuck cell of a kind that holds something at some time."""
    site = rng.choice(np.array(intervals(found.mapped).sites(), dtype=object))
    store = next(each for each in found.mapped.stores if (each.address, each.tensor) == (site.keep, site.tensor))
    tensor = found.cascade.tensors[site.tensor]
    many, _ = cells_of(store, tensor.shape)
    together = int(rng.choice((1, 1, 2, 9)))
    ways = max(1, width(tensor.partial if site.partial else tensor.final) - together + 1)
    copy = store.copies[rng.integers(len(store.copies))]
    where = (store.memory, store.tensor, store.address, copy)
    return Stuck(*where, int(rng.integers(many)), int(rng.integers(ways)), bool(rng.integers(2)), site.partial, together)


def check(found: Case, rng: np.random.Generator, number: int) -> Counter[str]:
    """Random stuck cells of a case, by closed form and by replay; returns how many ended how."""
    ended = Counter[str]()
    for _ in range(number):
        fault = drawn(found, rng)
        effect, wanted = stick(found.mapped, fault).effect, found.replayed(fault)
        assert agrees(effect, wanted), (fault, effect, wanted, [einsum.text for einsum in found.cascade.work])
        assert (effect.masked is None) == any(found.cascade.tensors[name].is_output for name in wanted)
        ended["partial" if fault.partial else "complete"] += 1
        ended[("partial " if fault.partial else "") + (effect.masked or "not masked").split(" after ")[0]] += 1
    return ended


@pytest.mark.slow
def test_closed_form_of_stuck_cells_is_their_replay() -> None:
    rng, ended = np.random.default_rng(31), Counter[str]()
    for found in seeded_cases(seeded_triples(31, share(1_200, 60, 20))):
        ended += check(found, rng, 8)
    assert ended["complete"] + ended["partial"] > share(6_000, 300, 90)
    for kind in ("not masked", "partial not masked", "never read again", "no difference"):
        assert ended[kind] > 5, ended


@pytest.mark.slow
def test_closed_form_of_stuck_cells_is_their_replay_in_recurrences() -> None:
    rng, ended = np.random.default_rng(32), Counter[str]()
    for found in seeded_cases(recurrent_triples(32, share(400, 20, 8))):
        ended += check(found, rng, 8)
    assert ended["not masked"] > 10


def test_no_two_words_are_in_one_cell_at_a_time() -> None:
    """Words of every stay by store, copy and cell: each goes before the next one comes."""
    shared = 0
    for found in seeded_cases(seeded_triples(33, share(600, 60, 20))):
        stays = found.mapped.stays
        for number, store in enumerate(found.mapped.stores):
            _, cells = cells_of(store, found.cascade.tensors[store.tensor].shape)
            mine = np.flatnonzero((stays.store == number) & (stays.stop > stays.start))
            place = stays.row[mine] * store.words + cells[stays.word[mine]]
            order = np.lexsort((stays.start[mine], place))
            mine, place = mine[order], place[order]
            next_ = place[1:] == place[:-1]
            assert np.all(stays.stop[mine[:-1]][next_] <= stays.start[mine[1:]][next_])
            shared += int(np.sum(stays.word[mine[1:]][next_] != stays.word[mine[:-1]][next_]))
    assert shared > 100


def word(value: Any, mask: int, one: int, bits: int = 32) -> int:
    """An integer with the bits of a mask all 0, or all 1."""
    raw = int(value) % 2**bits
    raw = raw | mask if one else raw & ~mask
    return raw - 2**bits if raw >> bits - 1 else raw


def changed(mapped: Mapped, fault: Stuck) -> Any:
    """Z with a stuck cell."""
    found = Z.reshape(-1).copy()
    words, values = stick(mapped, fault).effect.changed.get("Z", (np.zeros(0, dtype=np.int64), Z[0, :0]))
    found[words] = values
    return found.reshape(M, N)


@pytest.mark.parametrize("one", [0, 1])
@pytest.mark.parametrize("bit", [0, 3, 7])
def test_every_weight_goes_through_the_one_register_and_one_of_the_memory_through_its_own_cell(bit: int, one: int) -> None:
    mapped = product(list(HELD))
    through = np.vectorize(lambda value: word(value, 1 << bit, one, 8))(B)
    assert np.array_equal(changed(mapped, Stuck("Reg", "B", (1, 2), (), 0, bit, bool(one))), A @ through)
    for cell in range(K * N):
        at = np.unravel_index(cell, (K, N))
        alone = B.copy()
        alone[at] = through[at]
        assert np.array_equal(changed(mapped, Stuck("Main", "B", (0,), (), cell, bit, bool(one))), A @ alone)
    at_home = Z.copy()
    at_home[1, 2] = word(Z[1, 2], 1 << bit, one)
    assert np.array_equal(changed(mapped, Stuck("Main", "Z", (), (), N + 2, bit, bool(one))), at_home)


@pytest.mark.parametrize("one", [0, 1])
@pytest.mark.parametrize("bit", [2, 13, 31])
def test_every_sum_is_struck_between_its_turns_in_the_one_accumulator(bit: int, one: int) -> None:
    loops: list[Loop] = [For("m", 1), For("n", 1), Keep("Reg", (Held("Z"),)), For("k", 1)]
    wanted = np.zeros((M, N), dtype=np.int64)
    for m, n, k in np.ndindex(M, N, K):
        before = word(wanted[m, n], 1 << bit, one) if k else 0
        wanted[m, n] = word(before + A[m, k] * B[k, n], 0, 0)
    assert np.array_equal(changed(product(loops), Stuck("Reg", "Z", (1, 2), (), 0, bit, bool(one), partial=True)), wanted)


def test_what_cannot_be_is_refused_in_one_line() -> None:
    mapped = product(list(HELD))
    for fault, said in (
        (Stuck("Reg", "B", (9,), (), 0, 0, True), "no copy [] of a keep at [9] holds B; take a fault of `sites`"),
        (Stuck("Reg", "B", (1, 2), (), 1, 0, True), "a copy of a keep of B has no cell 1; take one of 0 to 0"),
        (Stuck("Reg", "B", (1, 2), (), 0, 8, True), "a word of type int8 has no bit 8; take one of 0 to 7"),
    ):
        with pytest.raises(InputError) as caught:
            stick(mapped, fault)
        assert str(caught.value) == said
