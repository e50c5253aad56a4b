"""The processor of hw/rtl/npu_top.sv as a machine describes it: its parameters have their one home there."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from accelsim.errors import InputError
from accelsim.hardware.architecture import Architecture, Array, Memory, Unit
from accelsim.hardware.types import TYPES
from accelsim.workload.cascade import Cascade

WORD, COUNT_BITS = 32, 16
COUNTS = 5  # what instructions wait for: loads, drains, firings of array, vector lanes and scan unit
NEST, LOOPS = 4, 6  # loops of a tile that is moved, and of an engine
ARRAY, VECTOR, SCAN, OTHER = range(4)  # engines, as places among the units
_MOST_LANES, _MOST_LATENCY = 32, 256
_MOST_POINTS, _MOST_WORDS = 1 << 20, 1 << 22
_WORDS, _ENTRIES, _STEPS = 1 << 16, 1024, 64  # room of memory, programs and microprograms, so that few processors have to be compiled


@dataclass(frozen=True, slots=True)
class Shape:
    """What the processor is made of. `buffer`, `outer`: memories; `units`: the array's, the lanes' and, if there is one, the scan
    unit's; `scans`: lanes of the latter, 0 if there is none; sizes in words, `latency` in cycles.
    """

    outer: str
    buffer: str
    units: tuple[str, ...]
    rows: int
    columns: int
    lanes: int
    scans: int
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
        arrays = [node for node in buffer.feeds if isinstance(node, Array)]
        if len(buffer.feeds) != len(arrays) or any([*map(type, node.feeds)] != [Unit] for node in arrays):
            raise refuse(f"{buffer.name} has to feed arrays, and each array one unit")
        arrays.sort(key=_kind)
        if [_kind(node) for node in arrays] not in ([ARRAY, VECTOR], [ARRAY, VECTOR, SCAN]):
            rest = "and at most one more, of one axis, whose unit executes scan only"
            raise refuse(f"{buffer.name} has to feed an array of two axes, one of one axis, {rest}")
        units = [unit for node in arrays for unit in node.feeds if isinstance(unit, Unit)]
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
        rows, columns, lanes, *scans = (axis.size for node in arrays for axis in node.axes)
        if max(rows * columns, lanes, *scans) > _MOST_LANES:
            raise refuse(f"an array has more than {_MOST_LANES} copies")
        names = tuple(unit.name for unit in units)
        return cls(root.name, buffer.name, names, rows, columns, lanes, sum(scans), sizes[0], sizes[1], root.latency_cycles)

    def parameters(self, words: int, entries: int, steps: int) -> dict[str, int]:
        """Parameters of hw/rtl/processor_system.sv, with room for so many words in the outer memory, instructions
        and steps."""
        return {
            "W": WORD, "AW": _room(words, _WORDS).bit_length() - 1, "BW": self.buffer_words.bit_length() - 1, "CW": COUNT_BITS,
            "ROWS": self.rows, "COLUMNS": self.columns, "LANES": self.lanes, "SCANS": max(1, self.scans), "LOOPS": LOOPS, "NEST": NEST,
            "LATENCY": self.latency, "STEPS": _room(steps, _STEPS), "ENTRIES": _room(entries, _ENTRIES),
        }  # fmt: skip


def _kind(array: Array) -> int:
    """Which engine an array is, as far as its axes and its unit say."""
    scans = any(isinstance(unit, Unit) and {*unit.operations} == {"scan"} for unit in array.feeds)
    return {1: SCAN if scans else VECTOR, 2: ARRAY}.get(len(array.axes), OTHER)


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
