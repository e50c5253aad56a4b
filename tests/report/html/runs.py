"""Results for pages: a product on the shipped two-level machine of round numbers, whose limits can be read from its file."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from accelsim.cli import main

MAPPING = """
mapping: tiles
tree:
  - keep MainMemory: [A, B, Z]
  - for m: 16
  - for n: 16
  - keep GlobalBuffer: [A, B, Z]
  - {einsum: Z, unit: MAC}
"""
SIZES = [word for size in ("m=64", "n=64", "k=32") for word in ("--set", f"shape.{size}")]
MODEL = """
workload: two-layers
shape: {m: 8}
layers:
  - {name: first, shape: {k: 4, n: 6}, einsums: ['Y[m,n] = X[m,k] * W[k,n]']}
  - {name: second, times: 2, shape: {n: 6, o: 5}, einsums: ['Z[m,o] = Y[m,n] * V[n,o]']}
"""
SWEEP = """
sweep: products
arch: simple
workload: matmul
set: {shape.m: 32, shape.n: 32}
vary:
  shape.k: [16, 32]
  arch.MainMemory.bandwidth: [100 GB/s, 200 GB/s, 400 GB/s]
  arch.GlobalBuffer.size: [1 MiB, 1 B]
keep: [latency_s <= 500 ns]
front: [latency_s, arch.MainMemory.bandwidth]
each: [shape.k]
"""
KINDS = ("evaluation", "faster", "simulation", "front", "compare", "model", "model-simulation", "stored", "explanation", "exploration")


def command(*arguments: str) -> None:
    """Run one command that must succeed, quietly."""
    assert main([*arguments, "-q"]) == 0


def results(folder: Path) -> dict[str, Path]:
    """JSON of small runs of every kind that one cascade has, and a trace."""
    mapping = folder / "tiles.yaml"
    mapping.write_text(MAPPING, encoding="utf-8")
    found = {name: folder / f"{name}.json" for name in (*KINDS, "trace")}
    product = ["matmul", "--arch", "simple", *SIZES]
    given = [*product, "--mapping", str(mapping)]
    command("evaluate", *given, "--json", str(found["evaluation"]))
    command("evaluate", *given, "--set", "arch.GlobalBuffer.bandwidth='16 TB/s'", "--json", str(found["faster"]))
    command("simulate", *given, "--json", str(found["simulation"]), "--trace", str(found["trace"]))
    command("explain", *given, "--json", str(found["explanation"]))
    command("explore", str(sweep(folder)), "--json", str(found["exploration"]))
    command("map", *product, "--pareto", "latency,energy", "--json", str(found["front"]))
    command("map", *product, "--compare", "--time-limit", "0.05", "--workers", "1", "--json", str(found["compare"]))
    model = folder / "two-layers.yaml"
    model.write_text(MODEL, encoding="utf-8")
    command("map", str(model), "--arch", "simple", "--workers", "1", "--json", str(found["model"]), "-o", str(folder))
    command("simulate", str(model), "--arch", "simple", "--mapping", str(folder), "--json", str(found["model-simulation"]))
    elements = [word for rank in "mnk" for word in ("--set", f"shape.{rank}=32")]
    command("evaluate", "spmspm", "--arch", "gamma", "--mapping", "spmspm-gamma", *elements, "--json", str(found["stored"]))
    return found


def sweep(folder: Path) -> Path:
    """A sweep file: two products, by the bandwidth that binds them and the size of the buffer, with a front for each."""
    path = folder / "products.yaml"
    path.write_text(SWEEP, encoding="utf-8")
    return path


def read(path: Path) -> Any:
    """A JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


class Outline(HTMLParser):
    """What a page is made of: the ids of its elements, where its links lead, what it would load, and whether every tag is closed."""

    VOID = frozenset({"meta", "input", "br", "link", "line", "rect", "circle", "path"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.handlers: list[str] = []
        self.open: list[str] = []
        self.faults: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.ids += [given["id"] or ""] if "id" in given else []
        self.links += [given["href"] or ""] if tag == "a" else []
        self.loads += [f"{tag} {key} {given[key]}" for key in ("src", "href", "srcset", "data", "action") if key in given and tag != "a"]
        self.handlers += [key for key in given if key.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self.faults.append(f"<{tag}/>")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}>")
