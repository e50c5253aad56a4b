"""The measured rows: whole, and within what the cards can do."""

import csv
import math
import re
from pathlib import Path

import pytest

_FILES = sorted((Path(__file__).parent / "measured").glob("*.csv"))
# Dense tensor-core peaks in operations per second (NVIDIA H100 and H200 data sheets: 1979 TFLOP/s bf16 with sparsity is
# 989 dense; fp8 twice that), and the memory's bytes per second.
_PEAK = {"bf16": 989e12, "fp16": 989e12, "fp8 e4m3": 1979e12, "fp32": 67e12}
_MEMORY = {"h100": 3.35e12, "h200": 4.8e12}
_CACHE = 50e6  # bytes that may still lie in the second-level cache although it is overwritten before each call


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8") as file:
        assert file.readline().startswith("# NVIDIA")
        return list(csv.DictReader(file))


def _operations(row: dict[str, str]) -> int:
    """The operations of a row, from its shape."""
    size = {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", row["shape"])}
    match row["operator"]:
        case "copy":
            return 0
        case "matmul":
            return 2 * math.prod(size.values())
        case "matmul 2:4":
            return math.prod(size.values())
        case "softmax":
            return 4 * math.prod(size.values())
        case "attention" | "attention decode" | "attention causal" as which:
            queries = 1 if which.endswith("decode") else size["m"]
            pairs = sum(range(1, size["m"] + 1)) if which.endswith("causal") else queries * size["m"]
            return 4 * size["b"] * size["h"] * pairs * size["d"]
        case "scan":
            return 2 * size["steps"] * size["channels"]
        case "running sum":
            return math.prod(size.values())
    raise AssertionError(row["operator"])


@pytest.mark.parametrize("path", _FILES, ids=lambda path: path.stem)
def test_rows_are_whole_and_possible(path: Path) -> None:
    rows = _rows(path)
    assert len(rows) >= 180
    for row in rows:
        seconds = float(row["seconds"])
        assert 0 < float(row["seconds_p20"]) <= seconds <= float(row["seconds_p80"]), row
        assert int(row["operations"]) == _operations(row), row
        if row["type"] in _PEAK:
            assert int(row["operations"]) / seconds <= _PEAK[row["type"]], row
        assert (int(row["bytes"]) - _CACHE) / seconds <= _MEMORY[path.stem], row
        if row["joules"]:  # a card between 70 W idle and its limit of 700 W (a tenth above, by its own regulation)
            assert 70 <= float(row["joules"]) / float(row["seconds_repeated"]) <= 770, row
