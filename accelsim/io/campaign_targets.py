"""Faults of gates and of streams in campaign files, and checks. The format: docs/faults.md, "Campaign files"."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from accelsim.errors import did_you_mean
from accelsim.faults.firings import Product
from accelsim.faults.requantise import Requantise
from accelsim.io.campaign_keys import placed
from accelsim.io.source import Item
from accelsim.workload.cascade import Cascade

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.gate_target import GateTarget
    from accelsim.faults.stream_target import StreamTarget

    IntArray = NDArray[np.int64]

_RICE, _BITMAP = "rice", "bitmap"


@dataclass(frozen=True)
class Made:
    """What an array makes of an Einsum of some inputs, and how it is judged. `unit`: the name of the array's elements."""

    unit: str
    products: list[Product]
    requantise: Requantise
    decides: IntArray | None
    values: dict[str, Any]


def gates_of(item: Item | None, document: Item, made: Made) -> GateTarget:
    """Faults of gates: of which kind, and in which elements."""
    from accelsim.faults.gate_target import KINDS, GateTarget, module_of
    from accelsim.faults.gates import Circuit
    from accelsim.io.catalogue import root
    from accelsim.rtl.netlist import netlist
    from accelsim.rtl.synthesis import synthesise

    keys = item.only(("kind", "elements"), "faults of gates") if item is not None else {}
    kinds = tuple(KINDS)
    if "kind" in keys:
        kinds = (keys["kind"].name("'kind'"),)
        if kinds[0] not in KINDS:
            raise keys["kind"].error(f"gates have no fault '{kinds[0]}'", did_you_mean(kinds[0], KINDS))
    grid = made.products[0].run.grid
    elements = [(row, column) for row in range(grid.rows) for column in range(grid.columns)]
    if "elements" in keys:
        elements = [element_of(each, grid.rows, grid.columns) for each in keys["elements"].items("elements")]
        if not elements or len(elements) != len({*elements}):
            raise keys["elements"].error("elements with faults are none, or some twice", "name each once, or leave 'elements' out for all")
    module, parameters = module_of(made.products[0])
    circuit = placed(document, lambda _: Circuit(netlist(synthesise(root() / "hw" / "rtl", module, parameters))))
    return GateTarget(made.unit, made.products, made.requantise, circuit, elements, kinds, made.decides)


def streams_of(item: Item | None, document: Item, cascade: Cascade, made: Made) -> StreamTarget:
    """Flips in a compressed operand: of which tensor, by which codec, and how many words are in a stream."""
    import numpy as np

    from accelsim.faults.stream_target import StreamTarget
    from accelsim.faults.streams import Bitmap, Codec, Rice

    keys = item.only(("tensor", "codec", "low", "block"), "faults of streams") if item is not None else {}
    known = list(made.products[0].sources)
    if "tensor" not in keys:
        raise (item or document).error("faults of streams name no tensor", f"write faults: {{tensor: {known[-1] if known else 'NAME'}}}")
    tensor = keys["tensor"].name("'tensor'")
    if tensor not in known:
        raise keys["tensor"].error(f"the array makes no product of '{tensor}'", did_you_mean(tensor, known))
    words, bits = np.asarray(made.values[tensor], np.int64).ravel(), int(cascade.tensors[tensor].final.bits)
    name = keys["codec"].name("'codec'") if "codec" in keys else _RICE
    if name not in (_RICE, _BITMAP):
        raise keys["codec"].error(f"there is no codec '{name}'", did_you_mean(name, (_RICE, _BITMAP)))
    if name == _BITMAP and "low" in keys:
        raise keys["low"].error("a bitmap has no low bits", "leave it out, or write 'codec: rice'")
    if name == _BITMAP:
        codec: Codec = Bitmap(bits)
    else:
        low = keys["low"].integer("'low'", 0) if "low" in keys else None
        codec = Rice.fitted(words, bits) if low is None else placed(keys["low"], lambda _: Rice(low, bits))
    block = keys["block"].integer("'block'", 1) if "block" in keys else words.size
    return placed(item or document, lambda _: StreamTarget(tensor, words, codec, block, made.products, made.requantise, made.decides))


def element_of(item: Item, rows: int, columns: int) -> tuple[int, int]:
    """Row and column of an element of an array of this size."""
    found = [each.integer("an element's place", 0) for each in item.items("an element")]
    if len(found) != 2 or found[0] >= rows or found[1] >= columns:
        raise item.error(f"an array of {rows} x {columns} has no element {found}", "write [row, column], from 0 on")
    return found[0], found[1]


def threshold_of(item: Item) -> float:
    """How far sums may be off before a checksum raises an alarm, in units of roundoff."""
    said = item.only(("threshold",), "checksums").get("threshold", item)
    value = said.value
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise said.error("checksums name no threshold", "write checksums: {threshold: 8}, in units of roundoff")
    return float(value)
