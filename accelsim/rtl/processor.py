"""The processor of hw/rtl/npu_top.sv as a machine describes it: its parameters have their one home there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from accelsim.errors import InputError
from accelsim.hardware.architecture import Architecture, Array, Memory, Unit
from accelsim.hardware.types import TYPES
from accelsim.workload.cascade import Cascade

WORD, COUNT_BITS = 32, 16
NEST, LOOPS = 4, 6  # loops of a tile that is moved, and of an engine
_MOST_LANES, _MOST_LATENCY = 32, 256
_MOST_POINTS, _MOST_WORDS = 1 << 20, 1 << 22
_WORDS, _ENTRIES, _STEPS = 1 << 16, 1024, 64  # room of memory, programs and microprograms, so that few processors have to be compiled


@dataclass(frozen=True, slots=True)
class Shape:
    """What the processor is made of. `buffer`, `outer`: memories; `units`: the array's and the lanes'; sizes in words, `latency` in
    cycles.
    """

    outer: str
    buffer: str
    units: tuple[str, str]
    rows: int
    columns: int
    lanes: int
    outer_words: int
    buffer_words: int
    latency: int

    @classmethod
    def of(cls, machine: Architecture) -> Shape:
        """That of a machine; InputError where it is none of hw/rtl/npu_top.sv."""

        def refuse(what: str) -> InputError:
            return InputError(f"{machine.name} is no machine of hw/rtl/npu_top.sv: {what}", "take a machine like hw/arch/mini.yaml")

        root = machine.root
        buffers = [node for node in root.feeds if isinstance(node, Memory)]
        if len(root.feeds) != 1 or not buffers:
            raise refuse(f"{root.name} has to feed one memory")
        buffer = buffers[0]
        arrays = sorted((node for node in buffer.feeds if isinstance(node, Array)), key=lambda node: -len(node.axes))
        if len(buffer.feeds) != len(arrays) or [len(node.axes) for node in arrays] != [2, 1]:
            raise refuse(f"{buffer.name} has to feed an array of two axes and one of one axis")
        units = [unit for node in arrays for unit in node.feeds if isinstance(unit, Unit)]
        if len(units) != len(arrays) or any(len(node.feeds) != 1 for node in arrays):
            raise refuse("each array has to feed one unit")
        for unit in units:
            if unit.lanes != 1 or unit.pipeline_depth:
                raise refuse(f"{unit.name} has to have one lane and no pipeline")
        if root.direct or any(axis.partials or axis.reduces for node in arrays for axis in node.axes):
            raise refuse(f"{root.name} has to say 'direct: false', all axes 'partials: false' and none that it reduces")
        if any(node.network is not None for node in arrays):
            raise refuse("its arrays have to have no network of their own")
        if buffer.read_bits_per_s is not None or buffer.write_bits_per_s is not None or buffer.latency_cycles:
            raise refuse(f"{buffer.name} has to have an unlimited bandwidth and no latency")
        if root.latency_cycles < 1:
            raise refuse(f"{root.name} has to have a latency of a cycle or more")
        if root.latency_cycles > _MOST_LATENCY:
            raise refuse(f"{root.name} has a latency of {root.latency_cycles} cycles, more than {_MOST_LATENCY}")
        if root.ports != "shared" or root.dram is not None or root.read_bits_per_s != WORD * machine.clock_hz:
            raise refuse(f"{root.name} has to have one port of {WORD // 8} bytes a cycle, and no DRAM behind it")
        sizes = [0 if memory.size_bits is None else memory.size_bits // WORD for memory in (root, buffer)]
        if not all(sizes) or any(size & (size - 1) for size in sizes):
            raise refuse("its memories have to have a power of two of words")
        (rows, columns), (lanes,) = ([axis.size for axis in node.axes] for node in arrays)
        if max(rows * columns, lanes) > _MOST_LANES:
            raise refuse(f"an array has more than {_MOST_LANES} copies")
        names = units[0].name, units[1].name
        return cls(root.name, buffer.name, names, rows, columns, lanes, sizes[0], sizes[1], root.latency_cycles)

    def parameters(self, words: int, entries: int, steps: int) -> dict[str, int]:
        """Parameters of hw/rtl/processor_system.sv, with room for so many words in the outer memory, instructions
        and steps."""
        return {
            "W": WORD, "AW": _room(words, _WORDS).bit_length() - 1, "BW": self.buffer_words.bit_length() - 1, "CW": COUNT_BITS,
            "ROWS": self.rows, "COLUMNS": self.columns, "LANES": self.lanes, "LOOPS": LOOPS, "NEST": NEST, "LATENCY": self.latency,
            "STEPS": _room(steps, _STEPS), "ENTRIES": _room(entries, _ENTRIES),
        }  # fmt: skip


def with_words(cascade: Cascade) -> Cascade:
    """The same cascade with every word in the processor's type."""
    word = TYPES["int32"]
    tensors = {name: replace(tensor, final=word, partial=word) for name, tensor in cascade.tensors.items()}
    return replace(cascade, tensors=tensors)


def refuse_large(cascade: Cascade) -> None:
    """InputError for a cascade of too many points, which are listed one by one, or too many words, which are carried one by one."""
    points = sum(math.prod(cascade.extents[rank] for rank in einsum.ranks) for einsum in cascade.work)
    words = sum(math.prod(tensor.shape) for tensor in cascade.tensors.values())
    for count, what, most in ((points, "points", _MOST_POINTS), (words, "words", _MOST_WORDS)):
        if count > most:
            said = f"{cascade.name} has {count:,} {what}, more than the {most:,} that are run"
            raise InputError(said, "make it smaller, as in --set shape.RANK=8")


def _room(count: int, least: int) -> int:
    """A power of two with room for so many."""
    return max(least, 1 << (count - 1).bit_length())
