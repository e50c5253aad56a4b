"""Gamma beside TeAAL's on small drawn matrices: what both count, why it differs, and what counting takes.

    python -m tests.benchmarks.peer_teaal PEER_PYTHON SPECIFICATION

PEER_PYTHON has teaal and fibertree, SPECIFICATION is `tests/integration/gamma.yaml` of TeAAL's compiler (docs/sparse.md, "Beside
TeAAL"). Both sides count every case in a process of its own: this file with `here`, or with `there SPECIFICATION`, reads JSON {shape,
cache_bits, A, B} from standard input, a matrix as [rows, columns] of its elements, and writes a row of counts, CPU seconds and 10^6
bytes. TeAAL's code is compiled and run as in its artifact. `lines`: TeAAL's bits derived once more, without its code. 3 minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

Problem = dict[str, Any]
COUNTS = ("products", "additions", "probes", "merge cycles", "A bits", "B bits", "Z bits", "ns")
LINE = 64
WHOLE = 3 * 2**23  # bits of Gamma's cache
NEVER = 1 << 60


def cases() -> dict[str, Problem]:
    """Matrices by what they are."""
    from accelsim.sparse.density import PowerLaw, Uniform
    from accelsim.sparse.pattern import Pattern

    def problem(a: Pattern, b: Pattern, without: tuple[int, int] = (NEVER, NEVER), cache_bits: int = WHOLE) -> Problem:
        """`without`: rows of A and of B whose number plus one is a multiple hold nothing."""
        kept = [(each.row_of + 1) % every != 0 for each, every in zip((a, b), without, strict=True)]
        pairs = [[each.row_of[keep].tolist(), each.columns[keep].tolist()] for each, keep in zip((a, b), kept, strict=True)]
        return {"shape": [a.rows, a.width, b.width], "cache_bits": cache_bits, "A": pairs[0], "B": pairs[1]}

    even = [Uniform(200, 200, 800).draw(seed) for seed in (1, 2)]
    large = [Uniform(600, 600, 3600).draw(seed) for seed in (1, 2)]
    skewed = [PowerLaw(7, 600, (0.57, 0.19, 0.19, 0.05)).draw(seed) for seed in (1, 2)]
    return {
        "200 x 200, 2 %": problem(even[0], even[1]),
        "the same, empty rows": problem(even[0], even[1], without=(5, 3)),
        "the same, cache of 2 KiB": problem(even[0], even[1], cache_bits=2**14),
        "128 x 128, power law": problem(skewed[0], skewed[1]),
        "600 x 600, 1 %": problem(large[0], large[1]),
    }


def here(problem: Problem) -> dict[str, float]:
    """What accelsim counts on its Gamma."""
    import numpy as np

    from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
    from accelsim.io.hardware import load_architecture
    from accelsim.io.mapping import load_mapping
    from accelsim.io.workload import load_workload
    from accelsim.model.evaluation import Evaluator
    from accelsim.model.stored import evaluate_stored
    from accelsim.sparse.pattern import Pattern
    from accelsim.sparse.products import Products
    from accelsim.workload.cascade import Cascade

    before = time.process_time()
    m, k, n = problem["shape"]
    cascade = load_workload(resolve("spmspm", WORKLOAD), {"shape.m": str(m), "shape.k": str(k), "shape.n": str(n)})
    assert isinstance(cascade, Cascade)
    machine = load_architecture(resolve("gamma", MACHINE), {"Cache.size": f"{problem['cache_bits'] // 8} B"})
    mapping = load_mapping(resolve("spmspm-gamma", MAPPING), cascade.extents)
    found = evaluate_stored(Evaluator(cascade, machine), mapping, {name: np.array(problem[name]) for name in "AB"})
    spent = time.process_time() - before
    work, pieces = found.works["Z"], found.evaluation.evaluator.clock.pieces
    bits = [sum(found.evaluation.bits["Z", tensor, "DRAM"]) // pieces for tensor in "ABZ"]
    (a_rows, a_columns), (b_rows, b_columns) = problem["A"], problem["B"]
    pair = Products(Pattern.at(a_rows, a_columns, (m, k)), Pattern.at(b_rows, b_columns, (k, n)))
    counted = (work.effectual, pair.additions, work.meetings[0].steps, work.merging, *bits, float(found.evaluation.cycles))
    return dict(zip(COUNTS, counted, strict=True)) | {"cpu_s": spent}


def there(problem: Problem, specification: Path) -> dict[str, float]:
    """What the simulator that TeAAL makes of its specification counts; the time is that of its slowest component, work spread evenly."""
    from fibertree import Fiber, Metrics, Tensor  # type: ignore[import-not-found]
    from fibertree.model import Compute, Format, Traffic  # type: ignore[import-not-found]
    from fibertree.model.intersect import LeaderFollowerIntersector  # type: ignore[import-not-found]
    from teaal import parse  # type: ignore[import-not-found]
    from teaal.trans.hifiber import HiFiber  # type: ignore[import-not-found]

    before = time.process_time()
    text = specification.read_text(encoding="utf-8")
    assert text.count(f"depth: {WHOLE // LINE}") == 1, "the specification has another cache"
    text = text.replace(f"depth: {WHOLE // LINE}", f"depth: {problem['cache_bits'] // LINE}")
    parts = (parse.Einsum, parse.Mapping, parse.Architecture, parse.Bindings, parse.Format)
    code = str(HiFiber(*(part.from_str(text) for part in parts)))
    known = (Fiber, Metrics, Tensor, Compute, Format, Traffic, LeaderFollowerIntersector)
    names: dict[str, Any] = {each.__name__: each for each in known} | dict(zip("MKN", problem["shape"], strict=True))
    for name, ranks in (("A", "MK"), ("B", "KN")):
        tensor = names[f"{name}_{ranks}"] = Tensor(rank_ids=list(ranks), shape=[names[rank] for rank in ranks])
        for row, column in zip(*problem[name], strict=True):
            element = tensor.getRoot().getPayloadRef(row, column)
            element += 1
        tensor.setFormat(ranks[0], "U")
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        Path("tmp").mkdir()
        exec(code, names)
    first, second = names["metrics"]["T"], names["metrics"]["Z"]
    counted = (
        second["FPMul"]["mul"], second["FPAdd"]["add"], first["Intersect"]["intersect"], second["HighRadixMerger"]["T_MKN"],
        first["MainMemory"]["A"]["read"], first["MainMemory"]["B"]["read"], sum(second["MainMemory"]["Z"].values()),
        names["metrics"]["time"] * 1e9,
    )  # fmt: skip
    return dict(zip(COUNTS, counted, strict=True)) | {"cpu_s": time.process_time() - before}


def lines(problem: Problem) -> dict[str, int]:
    """TeAAL's bits from the elements alone. Coordinates of 32 bits and values of 64 of a fiber begin on a line of 64 each, two pointers lie
    in one. A has pointers to all rows, Z to those that hold something; of B a look-up takes the line where the row stands, or would stand,
    among the rows that hold something, and lines leave the cache that are asked for again latest.
    """
    import numpy as np

    (m, k, n), held = problem["shape"], {}
    for name, shape in (("A", (m, k)), ("B", (k, n))):
        held[name] = np.zeros(shape, np.int64)
        held[name][tuple(problem[name])] = 1
    in_a, in_b, in_z = (each.sum(1).tolist() for each in (held["A"], held["B"], held["A"] @ held["B"] > 0))
    full = [row for row in range(k) if in_b[row]]
    asked: list[tuple[int, ...]] = []
    for row in np.nonzero(held["A"])[1].tolist():
        asked.append((sum(other < row for other in full) // 2,))
        for place in range(in_b[row]):
            asked += [(row, -1, place // 2), (row, place)]
    body = [sum(LINE * (count + -(-count // 2)) for count in counts) for counts in (in_a, in_z)]
    pointers = [-(-m // 2), -(-sum(count > 0 for count in in_z) // 2)]
    a, z = (each + LINE * more for each, more in zip(body, pointers, strict=True))
    return {"A bits": a, "B bits": LINE * latest(asked, problem["cache_bits"] // LINE), "Z bits": z}


def latest(asked: list[tuple[int, ...]], room: int) -> int:
    """Misses where what is asked for again latest leaves, or does not come in."""
    again: dict[tuple[int, ...], int] = {}
    following = [NEVER] * len(asked)
    for at in range(len(asked) - 1, -1, -1):
        following[at], again[asked[at]] = again.get(asked[at], NEVER), at
    held: dict[tuple[int, ...], int] = {}
    misses = 0
    for line, use in zip(asked, following, strict=True):
        misses += line not in held
        held[line] = use
        if len(held) > room:
            del held[max(held, key=held.__getitem__)]
    return misses


def run(command: list[str], problem: Problem) -> dict[str, float]:
    """The row that a side writes, from a process of its own."""
    path = {"PYTHONPATH": str(Path(__file__).parents[2])} if command[-1] == "here" else {}
    done = subprocess.run(command, input=json.dumps(problem), env=os.environ | path, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1]}")
    row: dict[str, float] = json.loads(done.stdout)
    return row


def compare(peer: str, specification: str) -> None:
    """Print what both sides count of every case."""
    ours, theirs = [sys.executable, __file__, "here"], [peer, __file__, "there", specification]
    run(ours, next(iter(cases().values())))  # compiled kernels are kept
    for name, problem in cases().items():
        mine, other, derived = run(ours, problem), run(theirs, problem), lines(problem)
        print(f"\n{name:28}{'here':>12}{'TeAAL':>12}{'here/TeAAL':>12}")
        for what in COUNTS:
            print(f"{what:28}{mine[what]:12,.0f}{other[what]:12,.0f}{mine[what] / other[what]:12.4f}")
        wrong = [what for what, bits in derived.items() if bits != other[what]]
        print(f"TeAAL's bits are {'those of' if not wrong else f'NOT those of ({wrong})'} the lines that it moves")
        for what, key in (("CPU seconds", "cpu_s"), ("the second time", "again_s"), ("MB, peak", "peak_mb")):
            print(f"{what:28}{mine[key]:12.3f}{other[key]:12.3f}{other[key] / mine[key]:11.1f}x")


def main(arguments: list[str]) -> None:
    """One side, or both."""
    if arguments[:1] not in (["here"], ["there"]):
        return compare(*arguments)
    problem = json.load(sys.stdin)
    with open(os.devnull, "w", encoding="utf-8") as nothing, contextlib.redirect_stdout(nothing):
        row, again = (here(problem) if arguments[0] == "here" else there(problem, Path(arguments[1])) for _ in range(2))
    assert all(row[what] == again[what] for what in COUNTS)
    row |= {"again_s": again["cpu_s"], "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6}
    print(json.dumps(row))


if __name__ == "__main__":
    main(sys.argv[1:])
