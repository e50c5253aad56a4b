"""Shipped organisations as files to change: a product by rows with a fiber cache, one in tiles that are intersected at three levels, and an
outer product in two phases.
"""

from __future__ import annotations

import re
from pathlib import Path

from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, Kind, resolve

# Tiles of 16 and of 8, as in the metrics that are recorded of TeAAL's ExTensor.
TILES = """
mapping: tiles
let: {outer: 16, inner: 8}
tree:
  - keep DRAM: [A, B, Z]
  - for n: min(outer, N)
  - for k: min(outer, K)
  - for m: min(outer, M)
  - keep Shared: [A, B, Z]
  - for m: min(inner, M)
  - for n: min(inner, N)
  - spatial pe k: min(inner, K)
  - keep Local: [A, B]
  - for m: 1
  - for n: 1
  - for k: 1
  - {einsum: Z, unit: MAC}
"""
SHIPPED: dict[str, tuple[str, Kind, str]] = {  # the shipped file that each is, its kind, and what it is called
    "product": ("spmspm", WORKLOAD, "product"), "by-rows": ("gamma", MACHINE, "by-rows"), "rows": ("spmspm-gamma", MAPPING, "by rows"),
    "product-in-tiles": ("spmspm-tiled", WORKLOAD, "product"), "tiled": ("extensor", MACHINE, "tiled"),
    "large-tiles": ("spmspm-extensor", MAPPING, "large tiles"), "outer-product": ("spmspm-outer", WORKLOAD, "outer-product"),
    "phases": ("outerspace", MACHINE, "phases"), "outermost": ("spmspm-outerspace", MAPPING, "phases"),
}  # fmt: skip


def shipped(name: str, kind: Kind, called: str) -> str:
    """The text of a shipped file under another name, without what it says of itself and how many elements are drawn."""
    lines = resolve(name, kind).read_text(encoding="utf-8").splitlines()
    body = next(at for at, line in enumerate(lines) if line.startswith("source: "))
    kept = [f"{kind.key}: {called}"] + [line for line in lines[body:] if not line.startswith("density: ")]
    return "\n".join(kept if kind is MACHINE else [line for line in kept if not line.startswith("source: ")]) + "\n"


def unpriced(text: str) -> str:
    """A machine without its prices, so that memories may have any size."""
    lines = [line for line in text.splitlines() if not line.startswith("technology: ")]
    return re.sub(r"(energy|mac): \w+", r"\1: unpriced", "\n".join(lines)) + "\n"


def write(folder: Path, assign: str = "static") -> None:
    """All files, in a folder."""
    texts = {file: shipped(*which) for file, which in SHIPPED.items()} | {"tiles": TILES.lstrip()}
    texts["tiled"] = unpriced(texts["tiled"])
    texts["by-rows"] = texts["by-rows"].replace("assign: static", f"assign: {assign}")
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
