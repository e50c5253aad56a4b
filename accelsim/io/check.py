"""Whether a file of any kind is right, and what it says when it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from accelsim.errors import InputError
from accelsim.explore.dimension import Axis
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import CAMPAIGN, CONSTRAINTS, DRAM, EVIDENCE, MACHINE, MAPPING, RATES, SWEEP, TECHNOLOGY, WORKLOAD, Kind
from accelsim.io.overrides import Overrides
from accelsim.workload.cascade import Cascade, Model
from accelsim.workload.expression import Call, accesses, names


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that is right: its kind, its name and what it says in words."""

    kind: str
    name: str
    says: str


def check(path: Path, kind: Kind, settings: Overrides, workload: Path | None = None, machine: Path | None = None) -> Checked:
    """What a right file says. A wrong one is an InputError or an IllegalMapping; a mapping needs its workload and machine."""
    if kind is SWEEP:
        return _sweep(path, settings)
    settings.refuse(*_unread(kind, workload, machine))
    if kind is WORKLOAD:
        return _workload(path, settings)
    if kind is MACHINE:
        return _machine(path, settings)
    if kind is TECHNOLOGY:
        from accelsim.io.technology import load_technology

        technology = load_technology(path)
        return Checked(kind.noun, technology.name, f"{len(technology.rows)} rows, each with its source")
    if kind is DRAM:
        return _dram(path)
    if kind is CAMPAIGN:
        return _campaign(path)
    if kind is RATES:
        return _rates(path)
    if kind is EVIDENCE:
        return _evidence(path)
    if workload is None or machine is None:
        raise InputError(f"{path}: a {kind.noun} is right for a workload on a machine", "add --workload NAME and --arch NAME")
    if kind is CONSTRAINTS:
        return _constraints(path, workload, machine, settings)
    return _mapping(path, workload, machine, settings)


def _unread(kind: Kind, workload: Path | None, machine: Path | None) -> tuple[str, ...]:
    read = {WORKLOAD: "workload", MACHINE: "arch", MAPPING: "mapping"}.get(kind)
    known = {read, "workload" if workload else None, "arch" if machine else None}
    return tuple(name for name in ("workload", "arch", "mapping") if name not in known)


def _sweep(path: Path, settings: Overrides) -> Checked:
    """How many points there are, and of what; settings are in place of what the file says."""
    from accelsim.io.sweep import load_sweep

    inside = {"": settings.workload, "arch.": settings.arch, "mapping.": settings.mapping}
    found = load_sweep(path, [f"{part}{name}={value}" for part, each in inside.items() for name, value in each.items()])
    sizes = [f"{axis.name}: {_values(axis)}" for axis in found.axes]
    how = "" if found.search is None else f", chosen by {found.search.how} search"
    many = found.asked if found.search is None else found.search.points
    lines = [f"{many:,} point{'s' * (many != 1)}{how}", *sizes]
    lines += [f"{each.name} = {each.formula}" for each in found.dependents]
    lines += [f"keep {rule.text}" for rule in found.rules]
    each = f", for each {', '.join(found.each)}" if found.each else ""
    return Checked(SWEEP.noun, found.name, "\n".join([*lines, f"the front is of {', '.join(found.front)}{each}"]))


def _values(axis: Axis) -> str:
    """What an axis takes: so many values between its ends, or anything between them."""
    first, last = axis.ends[0], axis.ends[-1]
    if not axis.values:
        return f"from {first} to {last}"
    return f"{len(axis.values)} values, {first} to {last}" if len(axis.values) > 1 else first


def _campaign(path: Path) -> Checked:
    from accelsim.io.campaign import check_campaign

    return Checked(CAMPAIGN.noun, *check_campaign(path))


def _workload(path: Path, settings: Overrides) -> Checked:
    from accelsim.io.workload import load_workload

    found = load_workload(path, settings.workload)
    if isinstance(found, Model):
        lines = [f"{layer.times} x {_cascade(layer.cascade)}" for layer in found.layers]
        return Checked(WORKLOAD.noun, found.name, "\n".join(lines))
    return Checked(WORKLOAD.noun, found.name, "\n".join([_cascade(found), *_notes(found), *_uncounted(found)]))


def _cascade(cascade: Cascade) -> str:
    sizes = ", ".join(f"{rank} {extent}" for rank, extent in cascade.extents.items() if rank.isidentifier())
    inputs = ", ".join(tensor.name for tensor in cascade.tensors.values() if tensor.is_input)
    outputs = ", ".join(tensor.name for tensor in cascade.tensors.values() if tensor.is_output)
    count = cascade.graph.number_of_nodes()
    return f"{cascade.name}: {count} Einsum{'s' * (count != 1)} from {inputs or 'nothing'} to {outputs or 'nothing'}; {sizes}"


def _notes(cascade: Cascade) -> Iterator[str]:
    """Sums that may have been meant otherwise: a sum is outermost, so that a term outside it or a function of it is in every product."""
    for einsum in cascade.einsums:
        inside = einsum.expression
        if not einsum.reduced or einsum.reduce != "add" or not isinstance(inside, Call) or inside.function == "mul":
            continue
        mend = "the sum, write two statements"
        over, parts = " and ".join(einsum.reduced), inside.arguments
        lacking = [part for part in parts if accesses(part) and not set(einsum.reduced) & set(names(part))]
        applied = [part for part in parts if isinstance(part, Call) and part.function == "mul" and set(einsum.reduced) & set(names(part))]
        if inside.function in ("add", "sub") and lacking:
            tensor = accesses(lacking[0])[0].tensor
            yield f"note: {einsum.name} adds {tensor} once for every {over}; to add it to {mend}"
        elif inside.function not in ("add", "sub", "neg") and applied:
            yield f"note: {einsum.name} applies {inside.function} for every {over}, before the sum; to apply it to {mend}"


def _uncounted(cascade: Cascade) -> Iterator[str]:
    """Why a cascade that can be run cannot be mapped, if so; where elements are stored, counting goes by them."""
    from accelsim.model.analysis import analyse

    if any(tensor.storage is not None for tensor in cascade.tensors.values()):
        return
    try:
        for einsum in cascade.work:
            analyse(cascade, einsum, box=False)
    except InputError as refusal:
        yield f"note: it can be run, and has bounds and passes, but cannot be mapped: {refusal.what}"


def _machine(path: Path, settings: Overrides) -> Checked:
    from accelsim.hardware.describe import describe
    from accelsim.io.hardware import load_architecture

    found = load_architecture(path, settings.arch)
    return Checked(MACHINE.noun, found.name, describe(found))


def _dram(path: Path) -> Checked:
    from accelsim.io.dram import load_dram
    from accelsim.units import show_frequency, show_rate, show_size

    found = load_dram(path)
    size, row = show_size(8 * found.bursts * found.burst_bytes), show_size(found.columns * found.bus_bits)
    sizes = (found.channels, "channel"), (found.ranks, "rank"), (found.groups, "bank group"), (found.banks, "bank")
    parts = " of ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in sizes)
    lines = [f"{size}: {parts} of {found.rows} rows of {row}"]
    burst = f"bursts of {found.burst_bytes} B in {found.burst_cycles} cycles of {show_frequency(found.clock_hz)}"
    lines.append(f"{burst}, at most {show_rate(8 * found.peak_bytes_per_s)}")
    times = [(name, getattr(found.timings, name)) for name in found.timings.__slots__]
    shown = [f"{name} {cycles} ({float(cycles / found.clock_hz * 10**9):.4g} ns)" for name, cycles in times if cycles]
    lines += [", ".join(shown[at : at + 4]) for at in range(0, len(shown), 4)]
    return Checked(DRAM.noun, found.name, "\n".join(lines))


def _rates(path: Path) -> Checked:
    from accelsim.io.rates import load_rates

    found = load_rates(path)
    shown = [(f"{row.cell}, {row.fault} faults", row.fit) for row in found.rows]
    lines = [f"{what}: {fit.value:.4g} FIT/bit, between {fit.low:.4g} and {fit.high:.4g}" for what, fit in shown]
    return Checked(RATES.noun, found.name, "\n".join(lines))


def _evidence(path: Path) -> Checked:
    from accelsim.io.evidence import load_evidence

    found = load_evidence(path)
    parts = (len(found.rows), "row"), (len(found.cases), "case"), (len(found.runs), "run")
    says = ", ".join(f"{count} {noun}{'s' * (count != 1)}" for count, noun in parts)
    return Checked(EVIDENCE.noun, found.name, f"{found.title}: {says}")



def _mapping(path: Path, workload: Path, machine: Path, settings: Overrides) -> Checked:
    from accelsim.io.hardware import load_architecture
    from accelsim.io.layers import layer_of
    from accelsim.io.mapping import load_fitting
    from accelsim.io.workload import load_workload
    from accelsim.mapping.holding import by_size
    from accelsim.mapping.legality import check as legal
    from accelsim.mapping.occupancy import occupancy

    found = load_workload(workload, settings.workload)
    cascade = layer_of(found, path) if isinstance(found, Model) else found
    architecture: Architecture = load_architecture(machine, settings.arch)
    mapping, cascade = load_fitting(path, cascade, settings.mapping)
    some = any(each.storage is not None and not each.storage.all_elements for each in cascade.tensors.values())
    legal(cascade, architecture, mapping, room=not some)  # what stored elements do not fit into is counted, not refused
    held = occupancy(cascade, architecture, by_size(mapping, cascade.extents))
    lines = [f"legal for {cascade.name} on {architecture.name}; at its fullest" + (", if every element is stored" if some else "")]
    for name, bits in held.items():
        size = architecture.memories[name].size_bits
        lines.append(f"  {name} holds {_size(bits)}" + (f" of {_size(size)}" if size is not None else ""))
    return Checked(MAPPING.noun, mapping.name, "\n".join(lines))


def _constraints(path: Path, workload: Path, machine: Path, settings: Overrides) -> Checked:
    from accelsim.io.constraints import load_constraints
    from accelsim.io.hardware import load_architecture
    from accelsim.io.workload import load_workload
    from accelsim.mapper.splits import refuse_open

    found, architecture = load_workload(workload, settings.workload), load_architecture(machine, settings.arch)
    if isinstance(found, Model):
        raise InputError(f"{path}: {found.name} is a model, and constraints are for one cascade", "name a workload of one cascade")
    refuse_open(found, str(path))
    rules = load_constraints(path, found, architecture).rules()
    many = f"{len(rules)} rule{'s' * (len(rules) != 1)}"
    return Checked(CONSTRAINTS.noun, path.name, f"{many} for {found.name} on {architecture.name}; whether they leave a mapping, `map` says")


def _size(bits: float) -> str:
    from accelsim.report.figures import byte_size

    return byte_size(float(bits) / 8)
