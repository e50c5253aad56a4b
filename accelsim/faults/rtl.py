"""The same upset in RTL: a grid array of hw/rtl through Verilator, one register's bits inverted after a clock edge."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.faults.grid import GridRun
from accelsim.faults.kernels_array import STUCK_AT_0, STUCK_AT_1
from accelsim.rtl.fast import QUICK, Instance, Library
from accelsim.sim.systolic import RESULT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    IntArray = NDArray[np.int64]

_RESET = 2


class GridRtl:
    """A run's product on the RTL of its array. InputError where Verilator is missing."""

    def __init__(self, run: GridRun, rtl: Path, effort: str = QUICK) -> None:
        self.run, self.module = run, module_of(run)
        names = sorted({(field.where, field.rtl) for field in run.registers.fields})
        owner = {"element": "pe_os" if run.stays == RESULT else "pe_ws", "across": "delay_line", "down": "delay_line"}
        registers = sorted({f"{owner.get(where, self.module)}.{name}" for where, name in names})
        self.library = Library(rtl, self.module, parameters(run), registers, effort)
        self.inputs = driven(run)

    def raw(self, place: int, mask: int | None, when: int) -> IntArray:
        """int64[cycles, 2 * columns]: the word at each column's end before each edge, and whether one leaves. Bits of the register at a
        place of a state flip after the edge of a cycle, or are stuck, as in `kernels_replay.replay`; mask 0: none does; None: all keep what
        they held before that edge.
        """
        import numpy as np

        instance = self.library.start()
        instance.run({"rst_i": np.ones(_RESET, np.uint64)})
        cycles = self.run.streams.flags.shape[0]
        cuts = [0, when + 1, cycles] if when >= 0 else list(range(cycles + 1))
        if mask is None:
            cuts = [0, when, when + 1, cycles]
        parts, held = [], 0
        if when < 0 and mask is not None:
            self._strike(instance, place, mask, when)
        for start, end in pairwise(cuts):
            if start < end:
                parts.append(instance.run({name: each[start:end] for name, each in self.inputs.items()}))
            if mask is None:
                if end == when:
                    held = self._word(instance, place)
                elif end == when + 1:
                    self._strike(instance, place, held ^ self._word(instance, place), when)
            elif end < cycles:
                self._strike(instance, place, mask, when)
        found = np.zeros((cycles, 2 * self.run.grid.columns), np.int64)
        columns, bits = self.run.grid.columns, self.run.widths.sum
        words = np.concatenate([_bits(part["z_o"], columns * bits) for part in parts])
        left = 64 - bits
        for column in range(columns):
            word = sum(words[:, column * bits + bit].astype(np.int64) << bit for bit in range(bits))
            found[:, column] = (np.asarray(word) << left) >> left
        found[:, columns:] = np.concatenate([_bits(part["z_valid_o"], columns) for part in parts])
        return found

    def _word(self, instance: Instance, place: int) -> int:
        """The bits of a register, as a number from 0."""
        site, found = self.run.registers.site(place), 0
        for bit in range(site.field.bits):
            scope, name, width, at = self.run.registers.rtl(site, bit)
            found |= (int(instance.register(scope, name, width)[at // 8]) >> at % 8 & 1) << bit
        return found

    def _strike(self, instance: Instance, place: int, mask: int, when: int) -> None:
        site = self.run.registers.site(place)
        for bit in range(site.field.bits):
            if mask >> bit & 1:
                scope, name, width, at = self.run.registers.rtl(site, bit)
                held, one = instance.register(scope, name, width), 1 << at % 8
                before = int(held[at // 8])
                held[at // 8] = before & ~one if when == STUCK_AT_0 else before | one if when == STUCK_AT_1 else before ^ one


def module_of(run: GridRun) -> str:
    """The module of its array."""
    return "systolic_os" if run.stays == RESULT else "systolic_ws"


def parameters(run: GridRun) -> dict[str, int]:
    """Those of the module."""
    widths = run.widths
    return {"ROWS": run.grid.rows, "COLS": run.grid.columns, "AW": widths.a, "BW": widths.b, "CW": widths.sum}


def driven(run: GridRun) -> dict[str, Any]:
    """Inputs of the module in every cycle, as `Instance.run` takes them."""
    import numpy as np

    streams, widths = run.streams, run.widths
    flags = {"valid_i": streams.flags[:, 0], "first_i": streams.flags[:, 1]}
    if run.stays == RESULT:
        flags |= {"last_i": streams.flags[:, 2]}
        lanes = {"rows_i": (streams.rows, 1), "cols_i": (streams.columns, 1), "a_i": (streams.a, widths.a), "b_i": (streams.b, widths.b)}
    else:
        flags |= {"load_first_i": streams.flags[:, 2]}
        lanes = {"load_i": (streams.columns, 1), "a_i": (streams.a, widths.a), "w_i": (streams.b, widths.b)}
    return {
        **{name: each.astype(np.uint64) for name, each in flags.items()},
        **{name: _packed(words, bits) for name, (words, bits) in lanes.items()},
    }


def _packed(words: IntArray, bits: int) -> Any:
    """Words of each cycle side by side, the first in the low bits: uint64[cycles], or uint32[cycles, words] above 64 bits."""
    import numpy as np

    each = (words[:, :, None] >> np.arange(bits)) & 1
    line = each.reshape(len(words), -1)
    size = 64 if line.shape[1] <= 64 else 32
    line = np.pad(line, ((0, 0), (0, -line.shape[1] % size)))
    packed = np.packbits(line.astype(np.uint8), axis=1, bitorder="little")
    return packed.view(np.uint64)[:, 0] if size == 64 else packed.view(np.uint32)


def _bits(found: Any, width: int) -> Any:
    """uint8[cycles, width] of an output."""
    import numpy as np

    line = np.ascontiguousarray(found).view(np.uint8).reshape(len(found), -1)
    return np.unpackbits(line, axis=1, bitorder="little")[:, :width]


def replayed(run: GridRun, faults: Sequence[tuple[int, int | None, int]]) -> list[IntArray]:
    """What `GridRtl.raw` should say of some faults (place, mask, cycle), from the registers of the simulator."""
    import numpy as np

    from accelsim.faults.kernels_replay import LATE, replay

    collected, _, _, _ = run.golden
    first, states, gone = np.zeros(1, np.int64), np.zeros((1, run.registers.size), np.int64), np.zeros((1, run.grid.columns), np.int64)
    found, changed = [], np.zeros((max(1, int(collected.many.sum())), 2), np.int64)
    for place, mask, when in faults:
        raw = np.zeros((run.streams.flags.shape[0], 2 * run.grid.columns), np.int64)
        bits = LATE if mask is None else run.registers.site(place).field.bits
        replay(run.wires, run.streams, collected, first, states, gone, place, mask or 0, bits, when, changed, raw)
        found.append(raw)
    return found
