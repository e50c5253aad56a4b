"""Gates of the elements of a grid array that are stuck, or slow, all the time while it makes some products."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.faults.firings import Product
from accelsim.faults.gates import SLOW, STUCK, Circuit, GateFault
from accelsim.faults.outcomes import UNKNOWN, Effects, gravest
from accelsim.faults.requantise import Requantise
from accelsim.faults.sums import Sums
from accelsim.faults.target import Grouped, Stratum
from accelsim.jobs.store import digest
from accelsim.sim.systolic import OPERAND

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

KINDS = {"stuck": STUCK, "slow": SLOW}
_CHUNK, _WORDS = 1 << 12, 1 << 23  # faults of a second or so; words of what is looked at, at once


def module_of(product: Product) -> tuple[str, dict[str, int]]:
    """The module of hw/rtl that is an element of the product's array, and its parameters."""
    widths = product.run.widths
    module = "pe_ws" if product.run.stays == OPERAND else "pe_os"
    return module, {"AW": widths.a, "BW": widths.b, "CW": widths.sum}


class GateTarget(Grouped):
    """A stratum is a kind of fault, of KINDS; its faults are those of every line of each of `elements` (row, column), each alone and in all
    products. A class is those of an element that no vector tells apart.

    Faults that reach marks that travel with operands have no closed form: their outcome is not known. `circuit`: that of `module_of`;
    `decides`: as of an ArrayTarget.
    """

    terms = ("gates", "lines", "AVF of all lines")

    def __init__(
        self, block: str, products: list[Product], requantise: Requantise, circuit: Circuit, elements: list[tuple[int, int]],
        kinds: tuple[str, ...] = tuple(KINDS), decides: IntArray | None = None,
    ) -> None:  # fmt: skip
        self.block, self.products, self.circuit, self.elements, self.kinds = block, products, circuit, elements, kinds
        self.sums = Sums(products, requantise, decides)

    @cached_property
    def _faults(self) -> list[list[GateFault]]:
        return [self.circuit.faults(KINDS[kind]) for kind in self.kinds]

    @cached_property
    def _ends(self) -> list[IntArray]:
        """Of each stratum, after how many faults of an element each class ends."""
        import numpy as np

        return [np.cumsum([fault.count for fault in faults]) for faults in self._faults]

    @cached_property
    def strata(self) -> tuple[Stratum, ...]:
        """In the order of the kinds."""
        many, lines = len(self.elements), len(self.circuit.lines)
        return tuple(
            Stratum(self.block, kind, "gates", many * lines, many * int(ends[-1]), many * ends.size)
            for kind, ends in zip(self.kinds, self._ends, strict=True)
        )

    @property
    def noun(self) -> str:
        """Those of single gates."""
        return "faults of gates"

    @property
    def chunk(self) -> int:
        """Those of one element go together."""
        return _CHUNK

    def effects(self, stratum: int, numbers: IntArray) -> Effects:
        """Lines turn inside elements."""
        element, fault = self._decoded(stratum, numbers)
        return self._effects(stratum, element, fault)

    def of_classes(self, stratum: int, numbers: IntArray) -> Effects:
        """The first line of a class stands for all."""
        import numpy as np

        ends = self._ends[stratum]
        element, fault = np.divmod(np.asarray(numbers, np.int64), ends.size)
        count = np.diff(ends, prepend=0)[fault]
        found = self._effects(stratum, element, fault)
        return replace(found, fault=element * ends[-1] + ends[fault] - count, weight=count)

    def groups(self, stratum: int) -> IntArray:
        """By element."""
        import numpy as np

        return np.full(len(self.elements), self._ends[stratum][-1], np.int64)

    def members(self, stratum: int, group: IntArray, places: IntArray) -> IntArray:
        """In their order."""
        return group * int(self._ends[stratum][-1]) + places

    def _decoded(self, stratum: int, numbers: IntArray) -> tuple[IntArray, IntArray]:
        """Element and class of faults."""
        import numpy as np

        ends = self._ends[stratum]
        element, line = np.divmod(np.asarray(numbers, np.int64), ends[-1])
        return element, np.searchsorted(ends, line, side="right")

    def _effects(self, stratum: int, element: IntArray, fault: IntArray) -> Effects:
        import numpy as np

        many = len(self._faults[stratum])
        each, place = np.unique(element * many + fault, return_inverse=True)
        found = np.zeros((len(self.products), each.size, 4), np.int64)
        for number, product in enumerate(self.products):
            run = product.run
            outs = sum(len(bits) for name, bits in self.circuit.net.ports.items() if name.endswith("_o"))
            at_once = max(1, _WORDS // max(outs * (run.cycles + 3 * run.grid.rows), run.product.size))
            for which in np.unique(each // many).tolist():
                mine = np.flatnonzero(each // many == which)
                for start in range(0, mine.size, at_once):
                    some = mine[start : start + at_once]
                    faults = [self._faults[stratum][at] for at in (each[some] % many).tolist()]
                    found[number, some] = self._in_product(number, self.elements[which], faults)
        return gravest(found[:, place])

    def _in_product(self, number: int, element: tuple[int, int], faults: list[GateFault]) -> IntArray:
        """int64[faults, 4]: outcome, outputs that change, largest difference, whether a decision changes."""
        from accelsim.faults.elements import operand_stays, result_stays
        from accelsim.sim.kernels_systolic import FoldTable

        run, tiles = self.products[number].run, self.products[number].run.tiles
        table = FoldTable(*(getattr(tiles, name) for name in FoldTable._fields))
        made = operand_stays if run.stays == OPERAND else result_stays
        results, marks = made(self.circuit, faults, element, (run.grid.rows, run.grid.columns), table, run.a, run.b)
        found = self.sums.judged(number, results)
        found[marks] = UNKNOWN, 0, 0, 0
        return found

    def key_parts(self) -> tuple[object, ...]:
        """The circuit too, and elements with faults."""
        net = self.circuit.net
        tables = (digest(each) for each in (net.tables, net.inputs, net.outputs, net.flops))
        return self.noun, self.strata, *self.sums.key_parts(), tuple(self.elements), self.kinds, *tables

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        """The element and the line: a net as yosys numbers it, or an input of a cell."""
        import numpy as np

        element, fault = (int(np.ravel(each)[0]) for each in self._decoded(stratum, np.array([number])))
        (row, column), line = self.elements[element], self._faults[stratum][fault]
        return {"row": row, "column": column, "kind": line.kind, "net": line.net, "cell": line.cell, "pin": line.pin, "lines": line.count}
