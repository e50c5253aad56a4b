"""What a campaign in a processor says in a way of its own."""

from __future__ import annotations

from accelsim.errors import InputError, did_you_mean
from accelsim.faults.processor_target import ProcessorTarget
from accelsim.hardware.architecture import Architecture
from accelsim.io.source import Item
from accelsim.rtl.processor import Shape, with_words
from accelsim.rtl.program import refuse_beyond
from accelsim.workload.cascade import Cascade

_LEAST, _MOST = -128, 127  # of inputs, if nothing is said


def refuse_others(cascade: Cascade, machine: Architecture, keys: dict[str, Item]) -> Cascade:
    """The cascade with words of the processor. InputError where it, or the machine, is none of hw/rtl/npu_top.sv."""
    try:
        Shape.of(machine)
    except InputError as error:
        raise keys["arch"].error(error.what, error.mend) from None
    refuse_beyond(cascade)
    return with_words(cascade)


def processor_faults(item: Item | None) -> tuple[str, ...]:
    """Names of instances or registers that faults are in, none for all."""
    keys = item.only(("in",), "faults in a processor") if item is not None else {}
    return tuple(each.name("registers") for each in keys["in"].items("'in'")) if "in" in keys else ()


def refuse_unknown(item: Item | None, target: ProcessorTarget) -> None:
    """InputError for a name that the elaborated RTL does not have."""
    if item is None:
        return
    known = sorted({name for key in target.groups for name in key})
    for each in item.mapping("faults")["in"].items("'in'") if target.chosen else []:
        if each.value not in known:
            raise each.error(f"the processor has no registers '{each.value}'", did_you_mean(str(each.value), known))


def whole_ranges(cascade: Cascade) -> dict[str, tuple[float, float]]:
    """Least and largest value of every input: a byte, or what its tensor allows."""
    inputs = {name: tensor for name, tensor in cascade.tensors.items() if tensor.is_input}
    return {name: (0, tensor.below - 1) if tensor.below else (_LEAST, _MOST) for name, tensor in inputs.items()}


def whole_inputs(item: Item | None) -> Item | None:
    """The inputs, which are not drawn from a normal distribution."""
    keys = item.mapping("inputs") if item is not None else {}
    if "draw" in keys and keys["draw"].value == "normal":
        raise keys["draw"].error("inputs of a processor are uniform in their ranges", "leave 'draw' out, or write ranges")
    return item
