"""Copies that are served at once, and tiles that stay where they are: by hand, and drawn mappings against the model and the twin."""

from __future__ import annotations

import random
from itertools import product

import pytest

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture, Array, Axis, Memory, Network
from accelsim.mapping.tree import For, Fuse, Leaf, Mapping, Spatial, TreeNode
from accelsim.sim.sharing import meeting
from accelsim.sim.simulation import simulate
from accelsim.sim.tasks import Box, Slot, words
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration
from accelsim.workload.expression import IndexMap
from tests.model.test_evaluation import CLOCK, keep, unit
from tests.share import share
from tests.sim.test_events import agrees

CASES = share(3000, 200, 60)
RATE = 32 * CLOCK  # one word of 32 bits in a cycle


def made(statement: str, shape: dict[str, int], tensors: dict[str, TensorDeclaration] | None = None) -> Cascade:
    return cascade("w", [statement], shape, types={"default": "int32"}, tensors=tensors)


def machine(
    inside: tuple[bool, bool], reduces: tuple[bool, bool] = (True, True), link: Network | None = None, banks: int = 1
) -> Architecture:
    """Two memories of which there is one, and one below each of two arrays. link: of each array. banks: of the second memory."""
    x, y = (Axis(name, 16, shares, ("add",) if adds else ()) for name, shares, adds in zip("xy", inside, reduces, strict=True))
    reg = Array("B", (y,), feeds=(Memory("Reg", read_bits_per_s=RATE, feeds=(unit(),)),), network=link)
    acc = Array("A", (x,), feeds=(Memory("Acc", read_bits_per_s=RATE, feeds=(reg,)),), network=link)
    inside = Memory("In", read_bits_per_s=RATE, banks=banks, feeds=(acc,))
    return Architecture("m", Memory("Out", read_bits_per_s=RATE, feeds=(inside,)), CLOCK)


def reads(noun: Cascade, where: Architecture, *nodes: TreeNode) -> int:
    """Words that In gives of I alone, over Reg or straight to the units; the model and the twin count the same."""
    tensors = keep("Out", *noun.tensors), keep("In", "I")
    mapping = Mapping("by hand", (*tensors, *nodes, Leaf("O", "PE")))
    assert agrees(noun, where, mapping)
    comes = noun.tensors["I"].shape[0]
    return int(simulate(noun, where, mapping).ports["In"]) - comes


PADDED = {"I": TensorDeclaration(shape=(6,), fill=0)}
SUMS = made("O[p] = I[p+r] * F[r]", {"p": 6, "r": 3})
DIAGONALS = Spatial("x", "p", 1), Spatial("y", "r", 1)


@pytest.mark.parametrize(("shares", "words"), [((True, True), 8), ((False, True), 18), ((True, False), 18), ((False, False), 18)])
@pytest.mark.parametrize("held", [(), (keep("Reg", "I"),)], ids=["straight", "held"])
def test_copies_on_a_diagonal_of_a_window_want_the_same_word(shares: tuple[bool, bool], words: int, held: tuple[TreeNode, ...]) -> None:
    """Six times three copies want words 0 to 7; where only one axis serves several, no two that want the same differ in it alone."""
    assert reads(SUMS, machine(shares), *DIAGONALS, *held) == words


def test_copies_meet_one_moment_at_a_time() -> None:
    """Three copies with two p each and three with one r: at the first of two moments the sums are 0 to 6, at the second 1 to 7."""
    assert reads(SUMS, machine((True, True)), Spatial("x", "p", 2), Spatial("y", "r", 1), For("p", 1)) == 7 + 7


def test_copies_that_keep_the_same_window_are_brought_it_at_once() -> None:
    """Three copies with two p each and three with one r: their windows of two words begin at 0 to 6."""
    assert reads(SUMS, machine((True, True)), Spatial("x", "p", 2), Spatial("y", "r", 1), keep("Reg", "I"), For("p", 1)) == 7 * 2


def test_at_a_stride_fewer_copies_meet() -> None:
    noun = made("O[p] = I[2*p+r] * F[r]", {"p": 6, "r": 3})
    for held in ((), (keep("Reg", "I"),)):
        assert reads(noun, machine((True, True)), *DIAGONALS, *held) == len({2 * p + r for p in range(6) for r in range(3)})


def test_a_word_that_one_of_several_copies_lacks_is_brought_to_all() -> None:
    """The copies of r want words 1, 0, 0 at p = 0, then 1, 1, 0: the first holds 1 still, the second does not; and so on."""
    noun = made("O[p] = I[(p-r+2)//2] * F[r]", {"p": 6, "r": 3})
    assert reads(noun, machine((True, True)), For("p", 1), Spatial("y", "r", 1), keep("Reg", "I")) == (2 + 1) + (2 + 1) + (2 + 1)


def test_words_outside_the_tensor_are_no_words() -> None:
    noun = made("O[p] = I[p+r-1] * F[r]", {"p": 6, "r": 3}, PADDED)
    for held in ((), (keep("Reg", "I"),)):
        assert reads(noun, machine((True, True)), *DIAGONALS, *held) == 6


def test_a_result_that_an_edge_leaves_alone_stays() -> None:
    """Tiles of 2, 2 and 1 p by turns: the last stays through all three r, the others leave and come back twice."""
    mapping = Mapping("by hand", (
        keep("Out", "I", "F", "O"), For("p", 4), For("r", 1), For("p", 2), keep("In", "O"), For("p", 1), Leaf("O", "PE"),
    ))  # fmt: skip
    noun, where = made("O[p] = I[p,r] * F[r]", {"p": 5, "r": 3}), machine((True, True))
    assert agrees(noun, where, mapping)
    moved = simulate(noun, where, mapping).ports["Out"] - 15 - 15  # I and F come at every point
    assert moved == 4 * 3 + 4 * 2 + 1


def test_a_result_in_copies_that_have_nothing_to_do_stays() -> None:
    """Of four copies two have nothing to do at the edge of p: they still hold their words when r turns."""
    mapping = Mapping("by hand", (
        keep("Out", "I", "F", "O"), For("r", 1), For("p", 4), Spatial("x", "p", 1), keep("Reg", "O"), Leaf("O", "PE"),
    ))  # fmt: skip
    noun, where = made("O[p] = I[p,r] * F[r]", {"p": 6, "r": 3}), machine((True, True))
    assert agrees(noun, where, mapping)
    moved = simulate(noun, where, mapping).ports["Out"] - 18 - 6  # I at every point, F once for all copies of a turn
    assert moved == (2 + 4 * 3) + 4 * 2


def test_tiles_that_begin_elsewhere_may_be_the_same_through_a_remainder() -> None:
    """(2p + r) // 2 % 3 for p of 0 to 1 or 2 to 3 and one r: words 0, 1 / 0, 1 / 1, 2, and then 2, 0 / 2, 0 / 0, 1: three tiles in all."""
    noun = made("O[p] = I[(2*p+r)//2%3] * F[r]", {"p": 4, "r": 3})
    assert reads(noun, machine((True, True)), Spatial("x", "p", 2), Spatial("y", "r", 1), keep("Reg", "I")) == 3 * 2


P, R, SUM = IndexMap((("p", 1),)), IndexMap((("r", 1),)), IndexMap((("p", 1), ("r", 1)))
HALF = IndexMap((("q", 1),), divisor=2)


@pytest.mark.parametrize(
    ("maps", "copied", "tells", "meets"),
    [
        pytest.param([SUM], "pr", [SUM], "pr", id="two ranks of one sum"),
        pytest.param([SUM], "p", [SUM], "", id="one rank of a sum"),
        pytest.param([SUM], "p", [], "p", id="one rank, at the edge of the tensor"),
        pytest.param([SUM, P], "pr", [SUM, P], "", id="p tells copies apart, and then p + r does"),
        pytest.param([SUM, R, HALF], "pqr", [SUM, R, HALF], "q", id="a floor"),
    ],
)
def test_copies_meet_unless_an_index_of_one_of_their_ranks_tells_them_apart(
    maps: list[IndexMap], copied: str, tells: list[IndexMap], meets: str
) -> None:
    assert meeting(maps, set(copied), tells) == set(meets)


ROWS = "O[p] = I[p,r] * F[r]"
MASKED = made("O[m,n] = I[m,k] * F[k,n] where k <= m", {"m": 5, "k": 5, "n": 3})
ALL, NONE = (True, True), (False, False)


LATER = "which is not simulated yet"
REFUSED = {
    "a result at a sum": (
        made("O[p+r] = I[p] * F[r]", {"p": 5, "r": 3}), machine(ALL), (),
        f"O adds to O at a sum, // or % of ranks, {LATER}; give the result a rank of its own, and read at differences of ranks",
    ),
    "a result that comes back to a copy with less": (
        made(ROWS, {"p": 8, "r": 3}), machine(ALL), (For("r", 1), Spatial("x", "p", 3), For("p", 1), keep("Reg", "O")),
        f"tiles of O may stay at edges in copies with less of p than others, and come back, {LATER}; let its tiles divide each other",
    ),
    "parts of a result that come back": (
        made(ROWS, {"p": 9, "r": 3}), machine(ALL, NONE), (For("p", 5), For("r", 2), For("p", 3), Spatial("x", "r", 1), keep("Reg", "O")),
        f"tiles of O may stay at edges in copies that send parts of their own, and come back, {LATER}; let its tiles divide each other",
    ),
    "copies of copies": (
        made(ROWS, {"p": 9, "r": 3}), machine(NONE), (For("r", 1), Spatial("x", "p", 5), Spatial("y", "p", 2), keep("Reg", "F")),
        f"copies of copies share out uneven parts of p, {LATER}; let the tiles of p divide each other",
    ),
    "copies in turns of which the last has fewer": (
        made(ROWS, {"p": 6, "r": 3}), machine(NONE), (Spatial("x", "p", 4), For("p", 1), For("r", 2), keep("Reg", "F")),
        f"copies take turns over their own, uneven parts of p, {LATER}; let the tiles of p divide each other",
    ),
    "windows that share a rank and reach outside": (
        made("O[p,q] = I[p+q-1,q+r-1] * F[r]", {"p": 4, "q": 4, "r": 3}, {"I": TensorDeclaration(shape=(4, 4), fill=0)}), machine(ALL), (),
        "O reads outside I at a // or %, or at several indices with a rank in common, which straight out of In is not simulated yet; "
        "put a keep below",
    ),
    "copies of copies in turns": (
        made(ROWS, {"p": 2, "r": 4}), machine(ALL),
        (For("p", 1), Spatial("x", "r", 3), For("r", 2), Spatial("y", "r", 1), keep("Reg", "F")),
        f"copies of copies take turns over uneven parts of r, {LATER}; let the tiles of r divide each other",
    ),
    "a condition": (
        MASKED, machine(ALL), (For("k", 1), For("m", 3), Spatial("x", "m", 1), keep("Reg", "F")),
        f"copies share out uneven parts of m, on which O has a condition, {LATER}; let the tiles of m divide each other",
    ),
    "several indices with a rank in common": (
        made("O[p] = I[p+r,p//2] * F[r]", {"p": 6, "r": 3}), machine(ALL), DIAGONALS,
        f"copies of O share words at several indices with a rank in common that reach outside, or go by // or %, {LATER}; "
        "put a keep below the copies",
    ),
    "turns over shared words": (
        SUMS, machine(ALL), (Spatial("x", "p", 2), For("p", 1), keep("Acc", "F"), keep("Reg", "I")),
        f"copies take turns over their own parts of p, words of which others share, {LATER}; "
        "put the loop over p outside the copies, or a keep between",
    ),
    "shared windows in banks": (
        SUMS, machine(ALL, banks=2), DIAGONALS,
        "copies share windows of I, or some hold less of it at an edge, which with banks is not simulated yet; "
        "map it otherwise, or leave out 'banks'",
    ),
    "a result that stays, and banks": (
        made(ROWS, {"p": 5, "r": 3}), machine(ALL, banks=2), (For("p", 4), For("r", 1), For("p", 2), keep("Reg", "O")),
        "tiles of O stay at edges, which with banks is not simulated yet; map it otherwise, or leave out 'banks'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_simulated_is_refused_in_one_sentence(case: str) -> None:
    noun, where, nodes, said = REFUSED[case]
    mapping = Mapping("refused", (keep("Out", *noun.tensors), keep("In", "I", "O"), *nodes, Leaf("O", "PE")))
    with pytest.raises(IllegalMapping) as refused:
        simulate(noun, where, mapping)
    assert str(refused.value) == said


def test_copies_of_what_consumers_demand_turn_by_turn_are_refused() -> None:
    noun = cascade("w", ["T[w] = I[w] * F[a]", "O[q] = T[q+t] * G[t]"], {"w": 6, "q": 6, "t": 1, "a": 1}, types={"default": "int32"})
    fuse = Fuse("staged", ((Spatial("x", "w", 3), keep("Reg", "F"), Leaf("T", "PE")), (Leaf("O", "PE"),)))
    with pytest.raises(IllegalMapping) as refused:
        simulate(noun, machine(NONE), Mapping("refused", (keep("Out", *(set(noun.tensors) - {"T"})), keep("In", "T"), For("q", 2), fuse)))
    said = f"copies of T share out what its consumers demand of w, each for all their turns, {LATER}; leave w to turns in time"
    assert str(refused.value) == said


def test_a_sum_that_is_made_again_is_another_one() -> None:
    """T is made again for each of five p, in turns of r around those of u: complete sums leave, though the next take their place."""
    shape = {"p": 5, "s": 2, "r": 2, "u": 6}
    noun = cascade("w", ["T[u] = I[u,r] * F[r]", "O[p] = T[p+s] * H[s]"], shape, types={"default": "int32"})
    maker = (For("r", 1), For("u", 2), keep("Reg", "T"), Leaf("T", "PE"))
    fuse = Fuse("pipelined", (maker, (Leaf("O", "PE"),)), recompute=("T",))
    nodes = keep("Out", *(set(noun.tensors) - {"T"})), For("p", 1), keep("Out", "T"), fuse
    assert agrees(noun, machine(ALL), Mapping("again", nodes))


def test_a_rank_that_is_cut_into_parts_is_no_sum_of_others() -> None:
    noun = made("O[4*m+n] = I[m,k] * F[k,n]", {"m": 3, "k": 2, "n": 4})
    mapping = Mapping("parts", (keep("Out", *noun.tensors), For("m", 2), For("k", 1), keep("Reg", "O"), Leaf("O", "PE")))
    assert agrees(noun, machine(ALL), mapping)


def test_an_intermediate_inside_its_home_that_is_read_at_other_indices_is_refused() -> None:
    noun = cascade("w", ["T[m] = A[m] * A[m]", "O[p] = T[p+r] * F[r]"], {"m": 8, "p": 6, "r": 3}, types={"default": "int32"})
    fuse = Fuse("sequential", ((Leaf("T", "PE"),), (Leaf("O", "PE"),)))
    with pytest.raises(IllegalMapping) as refused:
        simulate(noun, machine(ALL), Mapping("refused", (keep("Out", *noun.tensors), keep("In", "T"), fuse)))
    assert str(refused.value) == (
        f"In keeps T inside its home for O, which reads it at other indices than it is made at, {LATER}; keep T in In alone"
    )


STATEMENTS = [
    ("O[p] = I[p+r] * F[r]", {"p": 6, "r": 3}, {}),
    ("O[p] = I[2*p+r] * F[r]", {"p": 6, "r": 3}, {}),
    ("O[p] = I[p-r+2] * F[r]", {"p": 6, "r": 3}, {}),
    ("O[p] = I[p+r-1] * F[r]", {"p": 6, "r": 3}, PADDED),
    ("O[p] = I[p//2,r] * F[r]", {"p": 7, "r": 4}, {}),
    ("O[p] = I[(p-r+2)//2] * F[r]", {"p": 6, "r": 3}, {}),
    ("O[p,r] = I[p%3] * F[r]", {"p": 7, "r": 4}, {}),
    ("O[p] = I[(2*p+r)//2%3] * F[r]", {"p": 7, "r": 4}, {}),
    ("O[p,q] = I[p+r,q+s] * F[r,s]", {"p": 4, "r": 3, "q": 4, "s": 2}, {}),
    ("O[p] = I[p+r,p+q] * F[r,q]", {"p": 5, "r": 3, "q": 2}, {}),
    ("O[m,n] = I[m,k] * F[k,n]", {"m": 7, "k": 5, "n": 6}, {}),
    ("O[m,n] = I[m,k] * F[k,n] where k <= m", {"m": 5, "k": 5, "n": 3}, {}),
    ("O[m,n] = I[m,k] * F[k,n] where k + m >= 5", {"m": 5, "k": 7, "n": 2}, {}),
    ("O[p] = I[p,r] * F[r]", {"p": 9, "r": 23}, {}),
    ("O[p] = I[p+r-2] * F[r]", {"p": 40, "r": 3}, {"I": TensorDeclaration(shape=(37,), fill=0)}),
]


def drawn(rng: random.Random) -> tuple[Cascade, Architecture, Mapping]:
    """An Einsum whose ranks loops in time and copies cut, evenly or not, on a machine whose axes serve several copies at once, or not."""
    statement, shape, tensors = rng.choice(STATEMENTS)
    noun, left, nodes = made(statement, shape, tensors), dict(shape), list[TreeNode]()

    def loops(most: int) -> None:
        for rank in rng.choices(list(shape), k=rng.randint(0, most)):
            if left[rank] > 1:
                left[rank] = rng.randint(1, left[rank])
                nodes.append(For(rank, left[rank]))

    def copies(axis: str) -> None:
        free = 16
        for rank in rng.choices(list(shape), k=rng.randint(0, 2)):
            tile = rng.choice([1, rng.randint(1, left[rank])])
            if tile < left[rank] and -(-left[rank] // tile) <= free:
                free //= -(-left[rank] // tile)
                nodes.append(Spatial(axis, rank, tile))
                left[rank] = tile

    def kept(memory: str, often: float) -> None:
        tensors = [tensor for tensor in noun.tensors if rng.random() < often]
        nodes.extend([keep(memory, *tensors)] if tensors else [])

    loops(2)
    kept("In", 0.7)
    loops(2)
    copies("x")
    loops(1)
    kept("Acc", 0.3)
    loops(2)
    copies("y")
    loops(1)
    kept("Reg", 0.3)
    loops(2)
    flags = [(rng.random() < 0.8, rng.random() < 0.7) for _ in range(2)]
    link = Network(RATE, RATE, rng.choice(["shared", "separate"])) if rng.random() < 0.3 else None
    return noun, machine(*flags, link), Mapping("drawn", (keep("Out", *noun.tensors), *nodes, Leaf("O", "PE")))


@pytest.mark.slow
def test_drawn_mappings_move_what_the_model_counts() -> None:
    rng = random.Random(7)
    assert sum(agrees(*drawn(rng)) for _ in range(CASES)) > 0.8 * CASES


def test_words_of_a_tile_are_those_that_its_points_have() -> None:
    """Against the points one by one; a tile whose coordinates leave no gaps is counted by its ends."""
    rng = random.Random(1)
    for _ in range(500):
        sizes = {rank: rng.randint(1, 5) for rank in "abc"[: rng.randint(1, 3)]}
        terms = tuple((rank, rng.choice([-3, -2, -1, 1, 1, 2, 3, 4])) for rank in sizes)
        index = IndexMap(terms, rng.randint(-3, 4), rng.choice([1, 1, 2, 3]), rng.choice([0, 0, 3]))
        low, high, found = rng.randint(0, 2), rng.randint(3, 12), set[int]()
        for point in product(*map(range, sizes.values())):
            value = (index.offset + sum(factor * place for (_, factor), place in zip(terms, point, strict=True))) // index.divisor
            found.add(value % index.modulus if index.modulus else value)
        box = Box(((index, low, high),), {rank: Slot(size, ()) for rank, size in sizes.items()})
        assert words(box) == sum(low <= value < high for value in found)
