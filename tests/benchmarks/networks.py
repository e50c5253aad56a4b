"""Layers of networks on a systolic array, beside SCALE-Sim: cycles and CPU seconds, layer by layer.

python -m tests.benchmarks.networks [--network resnet18|bert] [--peer] [--dataflow ws] [--size 128]

accelsim runs each layer twice: as an event simulation of the machine `scalesim_like` (SCALE-Sim's array as data), CPU seconds from
cascade to result, and by the array's closed form (`accelsim.sim.systolic`), in one process, after a first run. With --peer,
ACCELSIM_SCALESIM_PYTHON names a Python that has scalesim==3.0.0 and numpy below 2. `own`: cycles of the same tiles on `systolic128`, whose
registers hide what they can.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial
from accelsim.sim.simulation import simulate
from accelsim.sim.systolic import OPERAND, RESULT, Grid, folds_of, times
from accelsim.workload.build import cascade

Size = tuple[int, int, int]
PEER = Path(__file__).with_name("peer_scalesim.py")
PEER_PYTHON = "ACCELSIM_SCALESIM_PYTHON"
ROLES = {"os": ("Z", "mnk"), "ws": ("B", "knm"), "is": ("A", "kmn")}  # what stays, and the ranks down, across and in time
FREE = {"DRAM.bandwidth": "unlimited", "SRAM.bandwidth": "unlimited", "SRAM.size": "unlimited"}


def resnet18() -> dict[str, tuple[int, Size]]:
    """How often each product occurs, and M, N, K: convolutions of ResNet-18 (arXiv 1512.03385) at 224 x 224 as matrix products."""
    layers = {"conv1": (1, (112 * 112, 64, 147)), "stage1": (4, (56 * 56, 64, 576))}
    for stage, (side, wide) in enumerate(((28, 128), (14, 256), (7, 512)), 2):
        layers[f"stage{stage} first"] = (1, (side * side, wide, 9 * wide // 2))
        layers[f"stage{stage}"] = (3, (side * side, wide, 9 * wide))
        layers[f"stage{stage} shortcut"] = (1, (side * side, wide, wide // 2))
    return layers | {"classes": (1, (1, 1000, 512))}


def bert(tokens: int = 512) -> dict[str, tuple[int, Size]]:
    """The same for BERT-base (arXiv 1810.04805): 12 layers, 12 heads of 64, 768 wide, 3,072 within."""
    return {
        "Q, K, V, O": (12 * 4, (tokens, 768, 768)), "scores": (12 * 12, (tokens, tokens, 64)), "values": (12 * 12, (tokens, 64, tokens)),
        "up": (12, (tokens, 3072, 768)), "down": (12, (tokens, 768, 3072)),
    }  # fmt: skip


def mapping(dataflow: str, size: Size, side: int) -> Mapping:
    """A product in tiles of the array."""
    held, (down, across, steps) = ROLES[dataflow]
    extents = dict(zip("mnk", size, strict=True))
    tiles = (For(down, min(side, extents[down])), For(across, min(side, extents[across])))
    loops = (*tiles, Spatial("rows", down, 1), Spatial("columns", across, 1), Keep("Register", (Held(held),)), For(steps, 1))
    every = tuple(map(Held, "ABZ"))
    return Mapping(dataflow, (Keep("DRAM", every), Keep("SRAM", every), Leaf("Z", "MAC", loops)))


def machine(name: str, side: int) -> Architecture:
    return load_architecture(resolve(name, MACHINE), FREE | {"rows.size": str(side), "columns.size": str(side)})


def ours(size: Size, dataflow: str, side: int, where: Architecture) -> tuple[int, float]:
    """Cycles of a layer, and CPU seconds."""
    before = time.process_time()
    work = cascade("product", "Z[m,n] = A[m,k] * B[k,n]", dict(zip("mnk", size, strict=True)))
    cycles = simulate(work, where, mapping(dataflow, size, side)).cycles
    return cycles, time.process_time() - before


def closed(size: Size, dataflow: str, side: int) -> tuple[int, float]:
    """The same by the closed form of the array."""
    before = time.process_time()
    m, n, k = size
    grid = Grid(side, side, shadow=False, exit="element", folds="full")
    sizes = {"os": (m, n, k), "ws": (k, n, m), "is": (k, m, n)}[dataflow]
    cycles = times(grid, RESULT if dataflow == "os" else OPERAND, folds_of(*sizes, grid)).cycles
    return cycles, time.process_time() - before


def theirs(sizes: list[Size], dataflow: str, side: int) -> list[dict[str, float]]:
    asked = json.dumps({"rows": side, "columns": side, "dataflow": dataflow, "layers": sizes})
    done = subprocess.run([os.environ[PEER_PYTHON], str(PEER)], input=asked, capture_output=True, text=True, check=True)
    rows: list[dict[str, float]] = json.loads(done.stdout)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="resnet18", choices=("resnet18", "bert"))
    parser.add_argument("--dataflow", default="ws", choices=tuple(ROLES))
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--peer", action="store_true")
    asked = parser.parse_args()
    if asked.peer and PEER_PYTHON not in os.environ:
        sys.exit(f"{PEER_PYTHON} names no Python that has scalesim; python3 -m venv peer && peer/bin/pip install scalesim==3.0.0 'numpy<2'")
    layers = {"resnet18": resnet18, "bert": bert}[asked.network]()
    serial, own = machine("scalesim_like", asked.size), machine("systolic128", asked.size)
    ours((8, 8, 8), asked.dataflow, 8, machine("systolic128", 8))  # loads the kernel
    closed((8, 8, 8), asked.dataflow, 8)
    peer: list[Any] = theirs([size for _, size in layers.values()], asked.dataflow, asked.size) if asked.peer else [None] * len(layers)
    table = Table("layer", "times", "M, N, K", "cycles", "error", "events CPU s", "faster", "closed form CPU s", "faster")
    table.add_column("SCALE-Sim CPU s")
    table.add_column("own")
    total = [0.0] * 5  # cycles, seconds of events, of the closed form, of SCALE-Sim, and cycles with all registers
    for (name, (many, size)), row in zip(layers.items(), peer, strict=True):
        cycles, events = ours(size, asked.dataflow, asked.size, serial)
        same, form = closed(size, asked.dataflow, asked.size)
        assert cycles == same
        better, _ = ours(size, asked.dataflow, asked.size, own)
        spent = row["cpu_s"] if row else 0.0
        each = (many * cycles, many * events, many * form, many * spent, many * better)
        total = [sum(pair) for pair in zip(total, each, strict=True)]
        error = f"{cycles / row['cycles'] - 1:.2%}" if row else ""
        table.add_row(name, str(many), ", ".join(map(str, size)), f"{cycles:,}", error, *shown(events, form, spent), f"{better:,}")
    table.add_row("all", "", "", f"{total[0]:,.0f}", "", *shown(*total[1:4]), f"{total[4]:,.0f}")
    Console(width=170).print(table)


def shown(events: float, form: float, spent: float) -> tuple[str, ...]:
    """Seconds of both ways of ours, how many times as fast each is, and SCALE-Sim's seconds."""
    faster = [f"{spent / mine:,.0f}" if spent else "" for mine in (events, form)]
    return f"{events:.4f}", faster[0], f"{form:.6f}", faster[1], f"{spent:.2f}" if spent else ""


if __name__ == "__main__":
    main()
