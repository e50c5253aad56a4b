"""Units that sort the lists of a result, by insertion or in queues: kernel and twin, figures by hand, and what a machine may say."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.errors import AccelsimError, InputError
from accelsim.hardware.architecture import Sparsity, Unit
from accelsim.io.hardware import load_architecture
from accelsim.sparse import kernels, reference
from accelsim.sparse.nest import nest_of, walked
from tests.share import share
from tests.sparse.designs import write
from tests.sparse.evaluating import run
from tests.sparse.nests import dealt, problem
from tests.sparse.test_nest import difference

Lists = list[list[tuple[int, ...]]]


def sorting(node: Any, sort: str, queues: int) -> Any:
    """A machine whose units sort."""
    if isinstance(node, Unit):
        return replace(node, sparse=Sparsity(node.sparse.intersect, sort=sort, queues=queues))
    return replace(node, feeds=tuple(sorting(each, sort, queues) for each in node.feeds))


def test_kernel_and_twin_sort_alike() -> None:
    """Random nests and nests whose turns are dealt out; some sort and some do not, as what is made needs no order."""
    differing, sorted_by = {}, Counter[str]()
    for seed in range(share(6000, 300, 90)):
        sort, queues = (("insertion", 0), ("queues", 2), ("queues", 3), ("queues", 9))[seed % 4]
        cascade, machine, mapping, stored = dealt(seed) if seed % 3 == 0 else problem(seed)
        made = cascade, replace(machine, root=sorting(machine.root, sort, queues)), mapping, stored
        ((path, leaf),) = mapping.paths()
        ticks = ((1, 1), (3, 2), (1, 5))[seed % 5 % 3]
        try:
            nest = nest_of(cascade, made[1], path, leaf, stored)
            counts = walked(nest, ticks).counts
        except InputError:
            continue
        if found := difference(nest, counts, made, ticks):
            differing[seed] = found
        sorted_by[sort + "ed" * bool(counts.draining.sum())] += int(counts.merging.sum() > 0)
    assert not differing
    assert sorted_by["insertion"] > 4 and sorted_by["queuesed"] > 8 and not sorted_by["queues"], sorted_by


def rows_of(lists: Lists) -> Any:
    """Lists of words as the kernel has them."""
    return np.array([(number, word) for number, words in enumerate(lists) for (word,) in words], np.int64).reshape(-1, 2)


# Lists, compares, cycles of filling three queues (two lists and a free one) and of emptying them, by hand.
BY_HAND = {
    # 1; then 2 behind 1: two compares; 1 out, its successor 3 behind 2: two; 2 out, 4 behind 3: two; 3 and 4 out
    "in turn": ([[1, 3], [2, 4]], 7, 4, 4),
    # 1; 5 behind 1: two; 2 and 3 each before 5: one each; 6 alone: one
    "one after the other": ([[1, 2, 3], [5, 6]], 6, 5, 5),
    # 1 and the later 1, which goes out first: one each; the later 2 behind the 1 that is left: two; the other 2 behind that: two
    "the same": ([[1, 2], [1, 2]], 6, 4, 2),
    # 1, 4 and 4 of the later list, both behind 1: 1 + 2 + 2; 2 and 3 before all: 2; 7 behind the other 4, and 9 behind 7: 2 + 2
    # the third list joins the shortest queue, that of 4 and 9: of its 4 and 7 one is there, and 9 takes a cycle more
    "three lists": ([[1, 2, 3], [4, 9], [4, 7]], 11, 8, 6),
    "one list": ([[1, 2, 3]], 0, 3, 3),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_sorting_takes_what_a_hand_counts(name: str) -> None:
    words, compares, filling, draining = BY_HAND[name]
    lists = [[(word,) for word in each] for each in words]
    if len(lists) > 1:
        assert kernels._inserted(rows_of(lists), len(lists)) == compares
    assert reference._inserted(lists) == compares
    assert kernels._queued(rows_of(lists), 3) == (filling, draining)
    assert reference._filled(lists, 3) == filling


def test_sorters_of_random_lists() -> None:
    """Kernel and twin, and bounds: an element takes a compare at least and one for each list at most; queues take every element once at
    least, and fewer cycles the more there are.
    """
    for seed in range(share(5000, 300, 100)):
        draw = np.random.default_rng(seed)
        lists = [[(int(word),) for word in np.sort(draw.integers(0, 20, int(draw.integers(1, 8))))] for _ in range(draw.integers(2, 9))]
        elements, many = sum(len(each) for each in lists), len(lists)
        compares = kernels._inserted(rows_of(lists), many)
        assert compares == reference._inserted(lists)
        assert elements <= compares <= many * elements
        last = None
        for queues in (2, 3, 5, many + 1):
            filling, draining = kernels._queued(rows_of(lists), queues)
            assert filling == reference._filled(lists, queues) >= elements
            assert draining == len({word for each in lists for word in each})
            last = filling
        assert last == elements  # a queue for every list


def test_the_busiest_copy_and_the_energy_of_sorting_count(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Compares take longer than all else here, and every one its energy."""
    write(tmp_path)
    machine = tmp_path / "by-rows.yaml"
    text = machine.read_text().replace("bandwidth: 128 GiB/s", "bandwidth: unlimited")
    found = {}
    for sort in ("merge: {radix: 64, energy: 2 pJ}", "sort: {by: insertion, energy: 2 pJ}", "sort: {by: queues, queues: 4, energy: 2 pJ}"):
        machine.write_text(text.replace("merge: {radix: 64, energy: unpriced}", sort))
        files = [
            tmp_path / "product.yaml",
            "--arch",
            machine,
            "--mapping",
            tmp_path / "rows.yaml",
            "--set",
            "density.A=0.2",
            "--set",
            "density.B=0.2",
        ]
        code, out = run(capsys, "evaluate", *files, "--json", "-")
        assert code == 0, out
        document = json.loads(out)
        work = document["stored"]["Z"]
        assert document["components"]["MAC"]["energy_pj"] == 2 * (work["merging_cycles"] + work["draining_cycles"])
        found[work["sorted_by"]] = document["latency"]["cycles"], work["merging_cycles"]
        _, out = run(capsys, "evaluate", *files)
        assert ("Z sorted" in out) == bool(work["sorted_by"]) and ("Z out of queues" in out) == bool(work["draining_cycles"])
    assert list(found) == ["", "insertion", "queues"]
    assert found["insertion"][0] > found["queues"][0] > 0 and found["insertion"][1] > found[""][1]


@pytest.mark.parametrize(
    ("sort", "message"),
    [
        ("sort: {by: insertion}", "a sorter has no 'energy'; write sort: {by: insertion, energy: unpriced}"),
        ("sort: {by: bubbles, energy: unpriced}", "'by' is 'bubbles'; write insertion or queues"),
        ("sort: {by: queues, energy: unpriced}", "a sorter by queues does not say how many queues; write sort: {by: queues, queues: 10,"),
        ("sort: {by: insertion, queues: 3, energy: unpriced}", "a sorter by insertion has no queues; write sort:"),
        ("sort: {by: queues, queues: 1, energy: unpriced}", "queues"),
        ("merge: {radix: 2, energy: unpriced}\n          sort: {by: insertion, energy: unpriced}", "the unit merges lists and sorts them;"),
    ],
)
def test_what_a_sorter_is_not_is_refused(sort: str, message: str, tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "by-rows.yaml"
    path.write_text(path.read_text().replace("merge: {radix: 64, energy: unpriced}", sort))
    with pytest.raises(AccelsimError) as error:
        load_architecture(path)
    assert message in str(error.value) and "by-rows.yaml:" in str(error.value)


def test_statistics_know_no_sorting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, "static")
    machine = tmp_path / "by-rows.yaml"
    text = machine.read_text().replace("merge: {radix: 64, energy: unpriced}", "sort: {by: insertion, energy: unpriced}")
    machine.write_text(text.replace("    replacement: least_recent\n", ""))
    files = [str(tmp_path / name) for name in ("product.yaml", "by-rows.yaml", "rows.yaml")]
    settings = ["--set", "density.A=0.1", "--set", "density.B=0.1", "--statistics"]
    assert main(["evaluate", files[0], "--arch", files[1], "--mapping", files[2], *settings]) == 2
    said = capsys.readouterr().err
    assert "merges parts of Z" in said and "or 'sort'" in said
