"""Blocks of results for a mapping that leaves their sizes open: of all that a machine's buffers hold, the one with the fewest cycles."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path

import yaml

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture
from accelsim.io.mapping import load_fitting
from accelsim.mapping.legality import is_legal
from accelsim.sim.simulation import Simulation, simulate
from accelsim.workload.cascade import Cascade

LARGEST = {"BK": 128, "BP": 32, "BQ": 64}  # ethos-u-vela 5.2.0, architecture_features.py, ofm_block_max
RANKS = {"BK": ("k", "c"), "BP": ("p",), "BQ": ("q",)}  # depthwise layers have no k


def sizes(extent: int, granule: int, largest: int) -> list[int]:
    """Granules doubled until they pass the extent or the largest block; the extent itself if it is no larger."""
    found = [granule << step for step in range(8) if granule << step < min(extent, largest + 1)]
    return [*found, extent] if extent <= largest else found


def settings(cascade: Cascade, machine: Architecture, names: set[str]) -> Iterator[dict[str, str]]:
    """Every choice of block, with the sizes of the machine's micro-block."""
    micro = {"DEPTH": "z", "HEIGHT": "y", "WIDTH": "x"}
    fixed = {name: machine.axes[axis][1].size for name, axis in micro.items()}
    granules = {"BK": fixed["DEPTH"], "BP": fixed["HEIGHT"], "BQ": fixed["WIDTH"]}
    open_names = [name for name in RANKS if name in names]
    choices = []
    for name in open_names:
        extent = next(cascade.extents[rank] for rank in RANKS[name] if rank in cascade.extents)
        choices.append(sizes(extent, granules[name], LARGEST[name]))
    for chosen in product(*choices):
        values = dict(zip(open_names, chosen, strict=True)) | {name: size for name, size in fixed.items() if name in names}
        yield {name: str(value) for name, value in values.items()}


def best(cascade: Cascade, machine: Architecture, file: Path) -> Simulation:
    """The simulation of the block with the fewest simulated cycles; ties go to less energy."""
    names = set(yaml.safe_load(file.read_text(encoding="utf-8"))["let"])
    found: list[Simulation] = []
    for chosen in settings(cascade, machine, names):
        mapping = load_fitting(file, cascade, {f"let.{name}": value for name, value in chosen.items()})[0]
        if is_legal(cascade, machine, mapping):
            found.append(simulate(cascade, machine, mapping))
    if not found:
        raise IllegalMapping(f"no block of {file.name} fits {machine.name}", "shrink its smallest")
    return min(found, key=lambda one: (one.cycles, one.energy.value))
