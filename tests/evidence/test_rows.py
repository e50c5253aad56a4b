"""Files of evidence beside figures that are worked out here from sizes alone, without the files' formulas and accelsim's counts."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from math import isclose
from pathlib import Path
from typing import Any

import pytest
import yaml

from accelsim.cli import main
from accelsim.io.catalogue import EVIDENCE, shipped
from accelsim.io.evidence import load_evidence

FILES = {name: path for name, path in shipped(EVIDENCE).items() if "checked:" in path.read_text(encoding="utf-8")}
Row = dict[str, Any]


def given(path: Path) -> dict[str, Any]:
    """A file without the rows that need a search for a mapping; those are in the page of all rows."""
    document: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    searched = [name for name, run in document["runs"].items() if "arch" in run and "mapping" not in run]
    asks = {row["name"]: str(row.get("value", "")) for row in document["rows"]}
    constants = {name: str(formula) for name, formula in document.get("let", {}).items()}
    needs = [*searched, *(name for name, formula in constants.items() if any(f"{run}." in formula for run in searched))]
    document["rows"] = [row for row in document["rows"] if not any(re.search(rf"\b{name}\b", asks[row["name"]]) for name in needs)]
    return document


@cache
def rows(folder: Path, path: Path) -> dict[str, Row]:
    """The rows of a file by name, as `accelsim reproduce --json` has them."""
    out, file = folder / f"{path.stem}.json", folder / path.name
    file.write_text(yaml.safe_dump(given(path), sort_keys=False, width=10_000), encoding="utf-8")
    main(["reproduce", str(file), "--json", str(out), "-q", "--workers", "1"])
    (document,) = json.loads(out.read_text(encoding="utf-8"))["evidence"]
    return {row["name"]: row for row in document["rows"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows")


def behind(windows: list[tuple[int, int]], kernel: int, stride: int, before: int) -> list[tuple[int, int]]:
    """What windows of a side see of the `before` points of the layer before."""
    margin = kernel // 2
    return [(max(0, first * stride - margin), min(before, (last - 1) * stride - margin + kernel)) for first, last in windows]


def patches() -> float:
    """Multiply-adds that 4 x 4 patches make twice in the stem and four blocks of MobileNetV2, over all."""
    stem = [(32 * 27, 3, 2, 224, 112)]  # products a point, kernel, stride, points of a side before and after
    blocks, channels, side = [], 32, 112
    for expansion, width, times, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for step in (stride, *[1] * (times - 1)):
            wide, after = channels * expansion, side // step
            block = [(channels * wide, 1, 1, side, side)] if expansion > 1 else []
            blocks.append([*block, (wide * 9, 3, step, side, after), (wide * width, 1, 1, after, after)])
            channels, side = width, after
    head = [(320 * 1280, 1, 1, 7, 7), (1280 * 1000, 1, 1, 1, 1)]
    total = sum(products * after**2 for block in [stem, *blocks, head] for products, _, _, _, after in block)
    early = [stem[0], *(layer for block in blocks[:4] for layer in block)]
    windows = [(7 * patch, 7 * patch + 7) for patch in range(4)]
    twice = 0.0
    for products, kernel, stride, before, after in reversed(early):
        seen = sum(last - first for first, last in windows)
        twice += products * (seen**2 - after**2)
        windows = behind(windows, kernel, stride, before)
    return twice / total


def palm() -> float:
    d, heads, width, middle, words = 18432, 48, 256, 73728, 256000
    return (118 * (d + d * heads * width * 2 + 2 * d * width + 3 * d * middle) + words * d + d) / 1e9


def scan_words() -> int:
    steps, inner, state = 2048, 5120, 16
    return 3 * steps * inner + 2 * steps * state + inner * state + inner


EXPECTED: dict[tuple[str, str], Callable[[], list[float]]] = {
    ("scaling-inference", "parameters"): lambda: [palm()],
    ("scaling-inference", "share of peak, from the paper's times"): lambda: [
        2e9 * palm() * tokens / (seconds * 64 * 275e12)
        for seconds, tokens in ((85.2, 512 * 2048), (6, 512 * 64), (0.29, 2048), (1.82, 64**2))
    ],
    ("step-3", "operations, DeepSeek-V3, values over the 512 of the latent"): lambda: [2 * 61 * 128 * (576 + 512) * 32768],
    ("step-3", "bytes of keys and values"): lambda: [2 * 256 * 61 * 32768, 2 * 4 * 128 * 94 * 32768],
    ("memory-wall", "forward GFLOP"): lambda: [
        2 * layers * (12 * width**2 * tokens + 2 * width * tokens**2) / 1e9
        for layers, width, tokens in (
            (12, 768, 512), (24, 1024, 512), (48, 1600, 1024), (72, 3072, 1024), (78, 4256, 1024), (96, 12288, 2048),
        )
    ],
    ("mamba", "words of a scan that keeps its state on chip"): lambda: [scan_words()],
    ("mamba", "words of a scan through memory over those of a fused one"): lambda: [1 + 6 * 2048 * 5120 * 16 / scan_words()],
    ("flash-attention", "accesses of standard attention, 4 N d + 4 N^2"): lambda: [4 * n * 64 + 4 * n**2 for n in (1024, 2048)],
    ("sparse-attention", "Double Sparsity, a sixteenth of channels and tokens"): lambda: [1 / (1 / 128 + 1 / 16)],
    ("activation-sparsity", "products that half of the activations leave"): lambda: [2 / 3],
    ("number-formats", "bits of a word of MXFP4"): lambda: [4 + 8 / 32],
    ("mcunet-v2", "more multiply-adds with 4 x 4 patches"): lambda: [patches()],
    ("mcunet-v2", "first of two convolutions, patches of 3 x 3 of 5 x 5 points"): lambda: [
        sum((h + 2) * (w + 2) for h in (3, 2) for w in (3, 2)) / 7**2
    ],
    ("super-resolution", "multiply-adds for an image"): lambda: [13520 * p * q / 1e9 for p, q in ((360, 640), (1080, 1920))],
    ("parallel-scans", "pairs combined by a Kogge-Stone network"): lambda: [
        sum(t >= 2**s for s in range(steps.bit_length() - 1) for t in range(steps)) for steps in (64, 256, 2048)
    ],
    ("two-pass-softmax", "transfers of two passes"): lambda: [3],
    ("long-convolutions", "complex products of a transform of order 2"): lambda: [2 * b**3 for b in (32, 64, 128)],
    ("structured-training", "products of a step with 2:8 weights over those of a dense one"): lambda: [(1 + 2 / 4) / 3],
}  # fmt: skip


@pytest.mark.parametrize(("name", "row"), EXPECTED, ids=[f"{name}: {row}" for name, row in EXPECTED])
def test_figure_of_accelsim_is_that_of_sizes_alone(name: str, row: str, folder: Path) -> None:
    found = [figure["value"] for figure in rows(folder, FILES[name])[row]["figures"]]
    assert len(found) == len(EXPECTED[name, row]())
    for ours, expected in zip(found, EXPECTED[name, row](), strict=True):
        assert isclose(ours, expected, rel_tol=2e-8)


@pytest.mark.parametrize("name", FILES)
def test_every_row_is_within_its_tolerance(name: str, folder: Path) -> None:
    found = rows(folder, FILES[name])
    assert {row["status"] for row in found.values()} <= {"within", "not reproduced", "beside"}


@pytest.mark.parametrize("name", FILES)
def test_a_row_says_where_its_figure_stands_and_whether_it_was_looked_up(name: str) -> None:
    for row in load_evidence(FILES[name]).rows:
        if row.published:
            assert row.source, row.name
            assert row.checked in ("yes", "recalled"), row.name


@pytest.mark.parametrize("name", FILES)
def test_no_tolerance_forgives_a_wrong_figure(name: str) -> None:
    """A figure to two digits is known to 5 %; a row that forgives more would agree with anything."""
    for row in load_evidence(FILES[name]).rows:
        if row.tolerance is not None and row.kind != "validation":
            assert row.tolerance.amount <= 0.05, row.name


@pytest.mark.parametrize(("name", "right", "wrong"), [
    ("step-3", "layers: 61, kv: 1.02e+9", "layers: 60, kv: 1.02e+9"),
    ("scaling-inference", "seconds: 6.0", "seconds: 6.4"),
    ("two-pass-softmax", "published: 3\n", "published: 4\n"),
    ("mcunet-v2", "published: 172", "published: 170"),
])  # fmt: skip
def test_a_row_that_drifts_is_off(name: str, right: str, wrong: str, tmp_path: Path) -> None:
    text = FILES[name].read_text(encoding="utf-8")
    assert right in text
    changed = tmp_path / FILES[name].name
    changed.write_text(text.replace(right, wrong), encoding="utf-8")
    assert main(["reproduce", str(changed), "-q", "--workers", "1"]) == 1


def test_patches_see_what_the_file_says_of_them() -> None:
    """By hand: behind a stride of two, 7 points see 15, and 14 at the first edge, where the margin lies outside."""
    assert behind([(0, 7), (7, 14), (14, 21), (21, 28)], 3, 2, 56) == [(0, 14), (13, 28), (27, 42), (41, 56)]
    assert round(patches(), 3) == 0.093
