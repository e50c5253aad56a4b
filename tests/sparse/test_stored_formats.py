"""Pointers, masks, coordinates and lines of formats in nests over stored elements."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.errors import AccelsimError
from accelsim.sparse.pattern import Pattern
from tests.share import share
from tests.sparse.designs import write
from tests.sparse.evaluating import AGAIN, elements, evaluated, moved
from tests.sparse.test_cases import products


def test_pointers_that_are_looked_up_in_vain_are_read(tmp_path: Path) -> None:
    """Two rows of A ask for rows 0, 1 and 2 of B, of which row 0 holds one element: a line of 64 bits for its coordinate and one for it."""
    write(tmp_path)
    a, b = [(row, k) for row in (0, 1) for k in (0, 1, 2)], [(0, 5)]
    assert moved(tmp_path, "by-rows", "rows", a, b)["B", "DRAM"][0] == 3 * 32 + 128  # a cache fetches each once
    assert moved(tmp_path, "by-rows", "rows", a, b)["B", "Cache"][0] == 2 * (3 * 32 + 128)
    path = tmp_path / "rows.yaml"
    path.write_text(path.read_text().replace("  - keep Cache: [B]\n", ""))
    assert moved(tmp_path, "by-rows", "rows", a, b)["B", "DRAM"][0] == 2 * (3 * 32 + 128)
    machine = tmp_path / "by-rows.yaml"
    machine.write_text(machine.read_text().replace("by: leading", "by: two_finger"))  # goes through all 64 places
    assert moved(tmp_path, "by-rows", "rows", a, b)["B", "DRAM"][0] == 2 * (64 * 32 + 128)


@pytest.mark.parametrize("keeps", ["", "  - keep Shared: [Z]\n", "  - keep Shared: [Z]\n  - for m: 8\n  - keep Local: [Z]\n"])
def test_pointers_of_a_result_are_written_once_at_its_home(keeps: str, tmp_path: Path) -> None:
    """64 pointers of 32 bits at DRAM, however Z is kept below; with every word 96 bits. Two products make two elements of Z."""
    write(tmp_path)
    (tmp_path / "kept.yaml").write_text(
        f"mapping: kept\ntree:\n  - keep DRAM: [A, B, Z]\n{keeps}  - keep Local: [A, B]\n  - {{einsum: Z, unit: MAC}}\n"
    )
    found = moved(tmp_path, "tiled", "kept", [(0, 0), (9, 1)], [(0, 5), (1, 7)])
    assert found["Z", "DRAM"][2] == 64 * 32 + 2 * 96
    assert all(row[1] <= 2 * 96 for (tensor, memory), row in found.items() if tensor == "Z" and memory != "DRAM")


def test_formats_of_nests_have_a_pointer_less_than_those_of_matrices() -> None:
    """A fiber ends where the next begins, and the end of all needs no pointer; an empty row has no mask."""
    from accelsim.sparse import formats
    from accelsim.sparse.fibers import Fibers, Level
    from accelsim.sparse.storage import sizes
    from accelsim.workload.storage import NAMED, Storage
    from tests.sparse.test_random import pair

    widths = formats.Widths(8, 16, 32)
    for seed in range(share(1000, 60, 20)):
        for pattern in (Pattern.of(each) for each in pair(seed)):
            levels = [Level(0, 1, pattern.rows), Level(1, 1, pattern.width)]
            tree = Fibers.of(elements(pattern), levels, (pattern.rows, pattern.width))
            for name, other in (("csr", formats.csr), ("dcsr", formats.dcsr), ("bitmask", formats.bitmask_by_rows)):
                storage = Storage(NAMED[name], coordinate_bits=16, pointer_bits=32)
                whole = sizes(storage, tree, levels, (pattern.rows, pattern.width), 8).whole
                no_mask = pattern.width * int((pattern.lengths == 0).sum()) if name == "bitmask" else 0
                assert whole == other(pattern, widths) - 32 - no_mask, (seed, name)


def test_without_pointers_every_row_has_a_mask() -> None:
    """One mask of all, as in a file: nothing else says which rows are empty. Also where a row is gone through by several loops."""
    from accelsim.sparse import formats
    from accelsim.sparse.fibers import Fibers, Level
    from accelsim.sparse.storage import sizes
    from accelsim.workload.storage import NAMED, Storage
    from tests.sparse.test_random import pair

    for seed in range(share(1000, 60, 20)):
        for pattern in (Pattern.of(each) for each in pair(seed)):
            shape, inside = (pattern.rows, pattern.width), Level(1, 1, pattern.width)
            for tile in (1, 3, pattern.rows):
                levels = [Level(0, tile, -(-pattern.rows // tile)), Level(0, 1, tile), inside]
                tree = Fibers.of(elements(pattern), levels, shape)
                whole = sizes(Storage(NAMED["bitmask"], pointer_bits=0), tree, levels, shape, 8).whole
                assert whole == formats.bitmask(pattern, formats.Widths(8, 16, 32)), (seed, tile)


def with_lines(folder: Path) -> None:
    """The files of `write`, with fibers of Z on lines."""
    write(folder)
    path = folder / "product.yaml"
    line = next(each for each in path.read_text().splitlines() if each.startswith("  Z: {"))
    path.write_text(path.read_text().replace(line, line.replace("}", ", line: 64 bit}")))


def test_fibers_of_a_result_that_leaves_once_begin_on_lines(tmp_path: Path) -> None:
    """Rows of C as SciPy has them: values of 64 bits, coordinates of 32 in lines of 64, and a pointer of 32 for every row, in lines too."""
    with_lines(tmp_path)
    for name in ("c01_uniform64", "c06_empty_fibres"):
        pair, _ = products(name)
        found = evaluated(tmp_path, "by-rows", "rows", pair)
        rows = pair.c.lengths.tolist()
        wanted = sum(64 * many + -(-32 * many // 64) * 64 for many in rows) + -(-32 * len(rows) // 64) * 64
        _, filled, updated = found.evaluation.bits["Z", "Z", "DRAM"]
        assert (filled + updated) // found.evaluation.evaluator.clock.pieces == wanted
        assert found.whole["Z"] == (wanted, 32 * sum(rows))
        assert any(many % 2 for many in rows)  # or lines would change nothing


def test_lines_of_a_result_that_comes_back_are_refused(tmp_path: Path) -> None:
    with_lines(tmp_path)
    (tmp_path / "rows.yaml").write_text(AGAIN.lstrip().replace("KEEPER", "Registers"))
    pair, _ = products("c01_uniform64")
    with pytest.raises(AccelsimError) as error:
        evaluated(tmp_path, "by-rows", "rows", pair)
    said = "fibers of Z begin on lines, and words of it leave more than once, so that where fibers end is not counted; keep Z so that"
    assert said in str(error.value) and len(str(error.value).splitlines()) == 1
