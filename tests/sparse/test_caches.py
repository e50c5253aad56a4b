"""Fiber caches: the least that any cache can fetch, and machines whose memories are caches, against replays of what they are asked for."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import linprog

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.hardware.architecture import Memory
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_mapping
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import Evaluator
from accelsim.model.stored import StoredEvaluation, evaluate_stored
from accelsim.sparse import reference
from accelsim.sparse.caches import fewest, least_recent_elements, optimal
from accelsim.sparse.nest import nest_of, walked
from accelsim.workload.cascade import Cascade
from tests.share import share
from tests.sparse.nests import problem


def sequence(seed: int, alike: bool = False) -> tuple[Any, Any, int]:
    """Requests, sizes of tiles and the room of a cache; `alike`: all tiles of one size."""
    draw = np.random.default_rng(seed)
    tiles = int(draw.integers(1, 12))
    sizes = np.full(tiles, draw.integers(1, 9)) if alike else draw.integers(1, 30, tiles)
    return draw.integers(0, tiles, int(draw.integers(0, 40))), sizes, int(draw.integers(0, 2 * int(sizes.sum()) // 3 + 2))


def by_linear_program(accesses: list[int], sizes: list[int], room: int) -> int:
    """The least that is fetched: what is kept from each request to the next for its tile is at no time more than there is room for."""
    kept = [
        (at, next((later for later in range(at + 1, len(accesses)) if accesses[later] == tile), -1)) for at, tile in enumerate(accesses)
    ]
    kept = [(begin, end) for begin, end in kept if end > 0]
    asked = sum(sizes[tile] for tile in accesses)
    if not kept:
        return asked
    over = [[float(begin <= gap < end) for begin, end in kept] for gap in range(len(accesses))]
    bounds = [(0, sizes[accesses[begin]]) for begin, _ in kept]
    found = linprog([-1.0] * len(kept), over, [room] * len(accesses), bounds=bounds)
    return asked + round(found.fun)


def by_replay(accesses: list[int], sizes: list[int], room: int) -> list[int]:
    """What each request fetches where single units are held, and those leave that are asked for again latest."""
    held, fetched = Counter[int](), []
    for at, tile in enumerate(accesses):
        fetched.append(sizes[tile] - held[tile])
        rest = accesses[at + 1 :]
        held[tile] = sizes[tile] if tile in rest else 0
        while held.total() > room:
            held[max((each for each in held if held[each]), key=rest.index)] -= 1
    return fetched


def test_the_least_that_any_cache_fetches_is_what_a_linear_program_and_a_replay_say() -> None:
    for seed in range(share(1000, 150, 30)):
        accesses, sizes, room = sequence(seed)
        found = fewest(accesses, sizes, room).tolist()
        listed = accesses.tolist(), sizes.tolist(), room
        assert found == by_replay(*listed), seed
        assert sum(found) == by_linear_program(*listed), seed


def test_no_cache_fetches_less_than_the_least_or_than_each_tile_once() -> None:
    for seed in range(share(20000, 1500, 500)):
        accesses, sizes, room = sequence(seed)
        least, recent = int(fewest(accesses, sizes, room).sum()), least_recent_elements(accesses, sizes, room).fetched
        assert int(sizes[np.unique(accesses)].sum()) <= least <= recent <= int(sizes[accesses].sum()), seed
        assert least >= int(fewest(accesses, sizes, room + 1).sum()), seed
        assert int(fewest(accesses, sizes, int(sizes.sum())).sum()) == int(sizes[np.unique(accesses)].sum())


def test_of_tiles_of_one_size_the_least_is_that_of_whole_tiles() -> None:
    """Rooms that hold so many tiles: Belady's policy over whole tiles, which moves no part of one."""
    for seed in range(share(20000, 1500, 500)):
        accesses, sizes, room = sequence(seed, alike=True)
        tiles = room // int(sizes[0])
        least = fewest(accesses, sizes, tiles * int(sizes[0]))
        assert int(least.sum()) == optimal(accesses, sizes, tiles).fetched, seed
        assert set((least % sizes[0]).tolist()) <= {0}


def test_a_part_of_a_tile_is_kept_where_the_whole_has_no_room() -> None:
    """Three tiles of 4, room for 6: of each round trip 4 units of one and 2 of another stay; whole tiles keep 4."""
    assert fewest(np.array([0, 1, 2] * 3), np.array([4, 4, 4]), 6).tolist() == [4, 4, 4, 0, 2, 4, 0, 2, 4]


def test_requests_to_caches_are_the_same_in_kernel_and_twin() -> None:
    """Random nests on which a buffer, or the registers of every copy, are caches: tensor, copy and words of each request, in order."""
    seen = Counter[str]()
    for seed in range(share(3000, 250, 60)):
        cascade, machine, mapping, stored = problem(seed)
        cache = ("Buffer", "Registers")[seed % 2]
        machine = replace(machine, root=cached(machine.root, cache))
        ((path, leaf),) = mapping.paths()
        try:
            nest = nest_of(cascade, machine, path, leaf, stored)
            walk = walked(nest)
        except InputError:
            continue
        sets = {name: frozenset(map(tuple, elements.T.tolist())) for name, elements in stored.items()}
        twin = reference.count(cascade, machine, mapping, sets)["Z"]["requests"]
        mine = []
        for place, number, copy in walk.counts.log.tolist():
            tensor = nest.crossings[number].tensor
            words = walk.tables.elements[place] if place < walk.tables.coordinates.size else stored[tensor].shape[1]
            mine += [(tensor, copy, int(words))] if words else []  # a tensor without elements may be asked for as a whole
        assert renamed(mine) == renamed([(tensor, copy, words) for tensor, _, copy, words in twin]), seed
        seen[cache] += len(mine) > 1
        seen["tensors"] += len({each[0] for each in mine}) > 1
        seen["copies"] += len({each[1] for each in mine}) > 1
    assert all(seen[what] > 2 for what in ("Buffer", "Registers", "tensors", "copies")), seen


def cached(node: Any, name: str) -> Any:
    """A machine of which one memory is a cache."""
    feeds = tuple(cached(each, name) for each in getattr(node, "feeds", ()))
    if isinstance(node, Memory) and node.name == name:
        return replace(node, sparse=replace(node.sparse, replacement="least_recent"), feeds=feeds)
    return replace(node, feeds=feeds) if feeds else node


def renamed(requests: list[tuple[str, Any, int]]) -> list[tuple[str, int, int]]:
    """Copies by the order in which they first ask."""
    names: dict[Any, int] = {}
    return [(tensor, names.setdefault(copy, len(names)), words) for tensor, copy, words in requests]


WORKLOAD = """
workload: product
shape: {{m: {m}, k: {k}, n: {n}}}
type: {{default: fp32}}
format:
  A: {{ranks: {a}, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}}
  B: {{ranks: {b}, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}}
einsums:
  - Z[m,n] = A[m,k] * B[k,n]
"""
MACHINE = """
machine: cached
source: made up
clock: 1 GHz
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 1 B/cycle
  energy: 1 pJ/bit
  intersect: {by: leading, energy: unpriced}
  feeds:
    memory: Cache
    size: 40 B
    bandwidth: unlimited
    energy: 1 pJ/bit
    replacement: least_recent
    intersect: {by: leading, energy: unpriced}
    feeds:
      array: elements
      axes: {pe: {size: 3, multicast: false}}
      feeds:
        memory: Own
        size: 40 B
        bandwidth: unlimited
        energy: 1 pJ/bit
        replacement: least_recent
        intersect: {by: leading, energy: unpriced}
        feeds:
          memory: Registers
          size: unlimited
          bandwidth: unlimited
          energy: 1 pJ/bit
          intersect: {by: leading, energy: unpriced}
          feeds:
            unit: MAC
            executes: {mac: 1 pJ}
            intersect: {by: leading, energy: unpriced}
"""
MAPPING = """
mapping: rows
tree:
  - keep DRAM: [A, B, Z]
  - for m: 3
  - spatial pe m: 1
  - keep Registers: [A, Z]
  - for k: 1
  - keep Registers: [B]
  - for n: 1
  - {einsum: Z, unit: MAC}
"""


def evaluated(
    folder: Path, stored: dict[str, Any], mapping: str, b: str = "csr", policy: str = "least_recent", size: int = 40
) -> StoredEvaluation:
    """The product of two masks."""
    (m, k), n = stored["A"].shape, stored["B"].shape[1]
    for name, text in (("w", WORKLOAD.format(m=m, k=k, n=n, a="csr", b=b)), ("a", MACHINE.replace("least_recent", policy)), ("t", mapping)):
        (folder / f"{name}.yaml").write_text(text.lstrip(), encoding="utf-8")
    cascade = load_workload(folder / "w.yaml")
    assert isinstance(cascade, Cascade)
    machine = load_architecture(folder / "a.yaml", {"Cache.size": f"{size} B", "Own.size": f"{size} B"})
    elements = {name: np.stack(np.nonzero(held)).astype(np.int64) for name, held in stored.items()}
    return evaluate_stored(Evaluator(cascade, machine), load_mapping(folder / "t.yaml", cascade.extents), elements)


def replayed(requests: list[tuple[Any, int]], room: int) -> dict[str, tuple[int, int]]:
    """A cache of whole tiles, of which the least recently used leaves: by the first letter of each its misses and the bits they fetch."""
    held, misses, bits = list[tuple[Any, int]](), Counter[str](), Counter[str]()
    for tile, size in requests:
        if (tile, size) in held:
            held.remove((tile, size))
        else:
            misses[tile[0]] += 1
            bits[tile[0]] += size
            if size > room:
                continue
        held.append((tile, size))
        while sum(each for _, each in held) > room:
            held.pop(0)
    return {letter: (misses[letter], bits[letter]) for letter in misses}


def requests(stored: dict[str, Any]) -> list[tuple[int, tuple[str, int], int]]:
    """Copy, tile and bits of each request: rows of A in turn, and for each the rows of B that it meets, but for one that the copy has."""
    found, last = [], dict[int, int]()
    for m, row in enumerate(stored["A"]):
        if row.any():
            found.append((m % 3, ("A", m), 96 * int(row.sum())))
        for k in (int(k) for k in np.flatnonzero(row) if stored["B"][k].any()):
            if last.get(m % 3) != k:
                found.append((m % 3, ("B", k), 96 * int(stored["B"][k].sum())))
            last[m % 3] = k
    return found


def pair(seed: int) -> dict[str, Any]:
    draw = np.random.default_rng(seed)
    return {"A": draw.random((9, 8)) < 0.4, "B": draw.random((8, 7)) < draw.choice([0.2, 0.5])}


@pytest.mark.parametrize("seed", range(share(40, 12, 4)))
def test_a_cache_of_two_tensors_holds_what_was_asked_for_last_of_both(seed: int, tmp_path: Path) -> None:
    stored, size = pair(seed), (24, 60, 120, 500)[seed % 4]
    found = evaluated(tmp_path, stored, MAPPING.replace("  - for m: 3\n", "  - keep Cache: [A, B]\n  - for m: 3\n"), size=size)
    asked = [(tile, bits) for _, tile, bits in requests(stored)]
    wanted = replayed(asked, 8 * size)
    assert {name: (each.misses, each.fetched_bits) for (_, name), each in found.works["Z"].cached.items()} == wanted
    pieces, met = found.evaluation.evaluator.clock.pieces, np.unique(np.nonzero(stored["A"])[1]).size
    read = {name: found.evaluation.bits["Z", name, "DRAM"][0] // pieces for name in "AB"}
    assert read == {"A": wanted["A"][1] + 32 * 9, "B": wanted["B"][1] + 32 * met}  # and pointers of rows


@pytest.mark.parametrize("seed", range(share(40, 12, 4)))
@pytest.mark.parametrize("policy", ["least_recent", "optimal"])
def test_every_copy_of_a_cache_holds_what_it_was_asked_for(policy: str, seed: int, tmp_path: Path) -> None:
    """Rows of A go to three copies in turn, each with a cache of rows of B; coordinates and pointers of rows come once to each."""
    stored, size = pair(seed), (24, 60, 120, 500)[seed % 4]
    mapping = MAPPING.replace("  - keep Registers: [A, Z]\n", "  - keep Own: [B]\n  - keep Registers: [A, Z]\n")
    found = evaluated(tmp_path, stored, mapping, "dcsr", policy, size)
    asked = [[(tile, bits) for mine, tile, bits in requests(stored) if mine == copy and tile[0] == "B"] for copy in range(3)]
    fetched = [replayed(each, 8 * size).get("B", (0, 0))[1] for each in asked]
    if policy == "optimal":
        fetched = [sum(by_replay([tile[1] for tile, _ in each], [96 * int(row.sum()) for row in stored["B"]], 8 * size)) for each in asked]
    led = 64 * int(stored["B"].any(axis=1).sum())
    wanted = [bits + led * bool(each) for bits, each in zip(fetched, asked, strict=True)]
    evaluation = found.evaluation
    pieces = evaluation.evaluator.clock.pieces
    assert found.works["Z"].cached["Own", "B"].fetched_bits == sum(fetched)
    assert evaluation.bits["Z", "B", "DRAM"][0] == sum(wanted) * pieces == evaluation.bits["Z", "B", "Own"][1]


def test_two_caches_of_two_tensors_do_not_see_each_other(tmp_path: Path) -> None:
    stored = pair(3)
    both = MAPPING.replace("  - for m: 3\n", "  - keep Cache: [A]\n  - for m: 3\n").replace(
        "  - keep Reg", "  - keep Own: [B]\n  - keep Reg", 1
    )
    found = evaluated(tmp_path, stored, both, "dcsr").works["Z"].cached
    apart = [
        evaluated(tmp_path, stored, text, "dcsr").works["Z"].cached
        for text in (both.replace("  - keep Own: [B]\n", ""), both.replace("  - keep Cache: [A]\n", ""))
    ]
    assert found == apart[0] | apart[1] and len(found) == 2


@pytest.mark.parametrize(
    ("written", "instead", "b", "said"),
    [
        (
            "for m: 3",
            "keep Cache: [Z]\n  - for m: 3",
            "csr",
            "Cache is a cache that keeps Z, and only stored operands of Z are counted in caches",
        ),
        (
            "keep Registers: [A, Z]",
            "keep Own: [B]\n  - keep Registers: [A, Z]",
            "csr",
            "in several copies, and which of them fetches a pointer",
        ),
        ("keep Registers: [B]", "keep Own: [B]", "csr", "Own is a cache, and is not asked for tiles of B as a memory keeps them"),
        (
            "for m: 3\n  - spatial pe m: 1",
            "keep Cache: [B]\n  - for m: 3\n  - spatial pe m: 1\n  - keep Own: [B]",
            "csr",
            "Own and Cache are caches one behind the other",
        ),
    ],
)
def test_requests_that_are_not_told_apart_are_refused(written: str, instead: str, b: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        evaluated(tmp_path, pair(0), MAPPING.replace(written, instead), b)
    assert said in str(error.value) and len(str(error.value).splitlines()) == 1


def test_a_report_says_that_the_least_is_no_machine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mapping = MAPPING.replace("  - for m: 3\n", "  - keep Cache: [B]\n  - for m: 3\n")
    found = evaluated(tmp_path, pair(1), mapping, policy="optimal").works["Z"].cached["Cache", "B"]
    recent = evaluated(tmp_path, pair(1), mapping).works["Z"].cached["Cache", "B"]
    assert found.fetched_bits < recent.fetched_bits and found.asked_bits == recent.asked_bits
    for name, text in (("a", MACHINE.replace("least_recent", "optimal")), ("t", mapping)):
        (tmp_path / f"{name}.yaml").write_text(text.lstrip(), encoding="utf-8")
    files = [str(tmp_path / f"{name}.yaml") for name in "wat"]
    settings = ["--set", "density.A=0.4", "--set", "density.B=0.4"]
    assert main(["evaluate", files[0], "--arch", files[1], "--mapping", files[2], *settings]) == 0
    said = capsys.readouterr().out
    assert "Cache, cache of B" in said and " fetched " in said and "a bound, no machine" in said
