"""Upsets in the registers of a grid array while it makes some products, bits that are stuck all the time, and registers that are late."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from accelsim.faults.firings import Product
from accelsim.faults.outcomes import Effects, gravest
from accelsim.faults.registers import ACROSS, CONTROL, DOWN, Field
from accelsim.faults.requantise import Requantise
from accelsim.faults.target import Confirmable, Stratum
from accelsim.jobs.store import digest

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from accelsim.faults.confirmation import Confirmation
    from accelsim.faults.kernels_cone import Work
    from accelsim.faults.kernels_judge import Groups

    IntArray = NDArray[np.int64]

_CHUNK, _SLOW, _LATE = 1 << 16, 1 << 8, 1 << 12


@dataclass(frozen=True, slots=True)
class Changes:
    """What upsets in one product change. `faults`: places among those that were asked for; elements of the result, flat, from `starts`
    (int64[faults + 1]) on, and by how much sums change there, modulo their width; `outcome`: of the product alone.
    """

    faults: IntArray
    starts: IntArray
    elements: IntArray
    deltas: IntArray
    outcome: IntArray


class ArrayTarget(Confirmable):
    """A stratum is a field of the array's registers. `together`: adjacent bits that flip at once (fields with fewer flip whole); `stuck`:
    they are 0, or 1, in all products; `late`: a register keeps its word at one edge, as if the new one came too late. Both are replayed.

    `decides`: int64[elements of the result], the group that each element is in; a decision is which of its group is largest. None: there
    are no decisions.
    """

    def __init__(
        self, block: str, products: list[Product], requantise: Requantise, fields: tuple[str, ...] = (), together: int = 1,
        decides: IntArray | None = None, stuck: bool = False, late: bool = False,
    ) -> None:  # fmt: skip
        self.stuck, self.late = stuck, late
        self.block, self.products, self.requantise, self.together, self.decides = block, products, requantise, together, decides
        self.registers = products[0].run.registers
        wanted = [each for each in self.registers.fields if not fields or each.name in fields or each.role in fields]
        self.fields = [each for each in wanted if self.registers.count(each)]

    @cached_property
    def strata(self) -> tuple[Stratum, ...]:
        """One for each field."""
        cycles = 2 if self.stuck else sum(product.run.cycles for product in self.products)
        return tuple(
            Stratum(self.block, each.name, each.role, self.registers.count(each) * each.bits, many, many, "flop")
            for each, many in ((each, self._starts(each) * cycles) for each in self.fields)
        )

    @property
    def terms(self) -> tuple[str, str, str]:
        """A register that is late is so as a whole."""
        return "registers", "bits", "AVF of all captures" if self.late else "AVF of all bits"

    @property
    def noun(self) -> str:
        """Bits that flip once, or never; registers that are late once."""
        return "stuck bits" if self.stuck else "late captures" if self.late else "upsets"

    @property
    def chunk(self) -> int:
        """Flags take longer; there are few of them."""
        return _SLOW if self.stuck else _LATE if self.late else _CHUNK

    def _ways(self, field: Field) -> int:
        """In how many places of a register bits flip; it is late as a whole."""
        return 1 if self.late else max(1, field.bits - self.together + 1)

    def _starts(self, field: Field) -> int:
        return self.registers.count(field) * self._ways(field)

    @cached_property
    def _cycles(self) -> IntArray:
        """Of each product; of bits that are stuck, how many values."""
        import numpy as np

        return np.array([2] if self.stuck else [product.run.cycles for product in self.products], np.int64)

    def _decoded(self, stratum: int, numbers: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Product, place among the field's registers, mask and cycle of faults: cycles turn inside bits, and those inside registers."""
        import numpy as np

        field = self.fields[stratum]
        cycles = self._cycles
        ends = np.cumsum(cycles * self._starts(field))
        product = np.searchsorted(ends, numbers, side="right")
        inside = numbers - (ends - cycles * self._starts(field))[product]
        rest, when = np.divmod(inside, cycles[product])
        register, bit = np.divmod(rest, self._ways(field))
        mask = np.int64((1 << min(self.together, field.bits)) - 1)
        return product, register, mask << bit, -1 - when if self.stuck else when

    def groups(self, stratum: int) -> IntArray:
        """By the bit that flips, or is stuck."""
        import numpy as np

        field = self.fields[stratum]
        return np.full(self._ways(field), self.registers.count(field) * int(self._cycles.sum()), np.int64)

    def members(self, stratum: int, group: IntArray, places: IntArray) -> IntArray:
        """Cycles turn inside registers, and those inside products."""
        import numpy as np

        field, cycles = self.fields[stratum], self._cycles
        ends = np.cumsum(cycles * self.registers.count(field))
        product = np.searchsorted(ends, places, side="right")
        register, when = np.divmod(places - (ends - cycles * self.registers.count(field))[product], cycles[product])
        before = ((ends - cycles * self.registers.count(field)) * self._ways(field))[product]
        return np.asarray(before + (register * self._ways(field) + group) * cycles[product] + when, np.int64)

    def effects(self, stratum: int, numbers: IntArray) -> Effects:
        """In closed form for operands and sums; flags and tokens are replayed."""
        import numpy as np

        product, register, mask, when = self._decoded(stratum, np.asarray(numbers, np.int64))
        found = np.zeros((len(product), 4), np.int64)
        if self.stuck:
            each = [self._in_product(number, self.fields[stratum], register, mask, when) for number in range(len(self.products))]
            return gravest(np.stack(each))
        for number in np.unique(product):
            some = np.flatnonzero(product == number)
            found[some] = self._in_product(int(number), self.fields[stratum], register[some], mask[some], when[some])
        return Effects.of(found)

    def _in_product(self, number: int, field: Field, register: IntArray, mask: IntArray, when: IntArray) -> IntArray:
        import numpy as np

        from accelsim.faults.kernels_cone import outcomes

        if self.decides is not None or self.stuck or self.late or field.role == CONTROL:
            return self._changes(number, field, register, mask, when)[2]
        found = np.zeros((len(register), 4), np.int64)
        outcomes(self._works[number], self.requantise.kernel(), self._cones(field, register, mask, when), found)
        return found

    def _cones(self, field: Field, register: IntArray, mask: IntArray, when: IntArray) -> IntArray:
        """Faults as `kernels_cone` takes them."""
        import numpy as np

        row, column = self._elements(field, register)
        return np.stack([np.full_like(row, self.registers.fields.index(field)), row, column, mask, when], axis=1)

    def _changes(
        self, number: int, field: Field, register: IntArray, mask: IntArray, when: IntArray
    ) -> tuple[IntArray, IntArray, IntArray]:
        """Words of a product that change, as `kernels_cone.changes` returns them, and what comes of them: int64[faults, 4]."""
        import numpy as np

        from accelsim.faults.kernels_cone import changes, outcomes
        from accelsim.faults.kernels_judge import judge
        from accelsim.faults.kernels_replay import LATE, replay_all

        run, quantise = self.products[number].run, self.requantise.kernel()
        found, said = np.zeros((len(register), 4), np.int64), np.zeros((len(register), 2), np.int64)
        work = self._works[number]
        replayed = self.stuck or self.late or field.role == CONTROL
        if replayed:
            collected, kept, states, gone = run.golden
            place = register + self.registers.starts[self.registers.fields.index(field)]
            faults = np.stack([place, mask, np.full_like(place, LATE if self.late else field.bits), when], axis=1)
            starts, words, said = replay_all(run.wires, run.streams, collected, kept, states, gone, faults, run.product.ravel())
        else:
            faults = self._cones(field, register, mask, when)
            starts, words = changes(work, faults)
            outcomes(work, quantise, faults, found)
        judge(quantise, run.widths.sum, work.z, work.out, self._groups[number], starts, words, said, replayed, found)
        return starts, words, found

    def changes(self, stratum: int, numbers: IntArray) -> Iterator[Changes]:
        """What some upsets of a stratum change in each product."""
        import numpy as np

        product, register, mask, when = self._decoded(stratum, np.asarray(numbers, np.int64))
        for number in np.unique(product).tolist():
            some = np.flatnonzero(product == number)
            starts, words, found = self._changes(number, self.fields[stratum], register[some], mask[some], when[some])
            elements = self.products[number].elements.ravel()[words[:, 0]]
            yield Changes(some, starts, elements, words[:, 1], found[:, 0])

    def _elements(self, field: Field, register: IntArray) -> tuple[IntArray, IntArray]:
        """Row and column of registers; in a chain one of them is the age."""
        import numpy as np

        if field.where not in {ACROSS, DOWN}:
            return np.divmod(register, self.registers.columns)
        sizes = np.arange(1, max(self.registers.rows, self.registers.columns))
        ends = np.cumsum(sizes)
        lane = np.searchsorted(ends, register, side="right") + 1
        age = register - lane * (lane - 1) // 2
        return (lane, age) if field.where == ACROSS else (age, lane)

    @cached_property
    def _works(self) -> list[Work]:
        return [product.run.work(self.requantise.outputs(product.run.product)) for product in self.products]

    @cached_property
    def _groups(self) -> list[Groups]:
        from accelsim.faults.kernels_judge import Groups

        return [Groups.of(None if self.decides is None else self.decides[product.elements.ravel()]) for product in self.products]

    def key_parts(self) -> tuple[object, ...]:
        """Elements of the products, and what is judged."""
        made = tuple(digest(product.elements) for product in self.products)
        return self.noun, self.strata, made, self.requantise, self.together, None if self.decides is None else digest(self.decides)

    def unrated(self) -> tuple[str, str] | None:
        """Rates are those of upsets of single bits."""
        if self.stuck:
            return "no table has rates of bits that are stuck", "leave out 'rates', or write 'kind: upset'"
        if self.late:
            return "no table has rates of registers that are late", "leave out 'rates', or write 'kind: upset'"
        if self.together > 1:
            return f"rates are of single bits, and {self.together} flip here", "leave out 'rates', or write 'bits: 1'"
        return None

    def confirmed(self, rtl: Path, faults: int, seed: int, tell: Callable[[str], None]) -> Confirmation:
        """Of the first product."""
        from accelsim.faults.confirmation import confirm

        return confirm(self, rtl, faults, seed, tell)

    def site(self, stratum: int, number: int) -> dict[str, Any]:
        """The register by its name in the RTL."""
        import numpy as np

        product, register, mask, when = (int(np.ravel(each)[0]) for each in self._decoded(stratum, np.array([number])))
        field = self.fields[stratum]
        site = self.registers.site(register + self.registers.starts[self.registers.fields.index(field)])
        bits = [bit for bit in range(field.bits) if self.late or mask >> bit & 1]
        scope, name, _, low = self.registers.rtl(site, bits[0])
        shown = f"{scope}.{name}[{low}]" if len(bits) == 1 else f"{scope}.{name}[{low + len(bits) - 1}:{low}]"
        where = {"row": site.row, "column": site.column}
        if self.stuck:
            return {"field": field.name, "register": shown, **where, "bits": bits, "stuck_at": -1 - when}
        kind = {"kind": "late"} if self.late else {}
        return {"product": product, "field": field.name, "register": shown, **where, **kind, "bits": bits, "cycle": when}


