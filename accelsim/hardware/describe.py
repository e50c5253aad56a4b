"""A machine as a tree of text lines, one per node."""

from __future__ import annotations

from fractions import Fraction

from accelsim.hardware.architecture import Architecture, Array, Memory, Network, Node, Quantity, Systolic, Unit
from accelsim.hardware.block import Content, content
from accelsim.units import UNLIMITED, show_frequency, show_rate, show_scaled, show_size


def describe(architecture: Architecture) -> str:
    """The tree of a machine: sizes, bandwidths, axes and primitives of every node, with energy per access and per operation."""
    header = f"{architecture.name}, {show_frequency(architecture.clock_hz)}"
    if architecture.technology:
        header += f", {architecture.technology}"
    if architecture.launch_s:
        header += f", {show_scaled(float(architecture.launch_s))}s before each part"
    lines = [header]

    def visit(node: Node, lead: str, last: bool) -> None:
        lines.append(f"{lead}{'└─ ' if last else '├─ '}{_line(node)}{_blocks(node, architecture.copies(node.name))}")
        children = () if isinstance(node, Unit) else node.feeds
        below = lead + ("   " if last else "│  ")
        for index, child in enumerate(children):
            visit(child, below, index == len(children) - 1)

    visit(architecture.root, "", True)
    if architecture.contents:
        lines.append(f"in RTL: {_content(sum(architecture.contents.values(), Content()))}")
    return "\n".join(lines)


def _line(node: Node) -> str:
    if isinstance(node, Memory):
        return f"{node.name}: {_memory(node)}"
    if isinstance(node, Array):
        axes = [f"{axis.name} {axis.size}" + (f" (reduces {', '.join(axis.reduces)})" if axis.reduces else "") for axis in node.axes]
        more = (_systolic(node.systolic) if node.systolic else "") + (_network(node.network) if node.network else "")
        return f"{node.name}: {' x '.join(axes)}{more}"
    return f"{node.name}: {_unit(node)}"


def _blocks(node: Node, copies: int) -> str:
    """What a copy is made of in RTL, and how many copies there are."""
    if not node.blocks:
        return ""
    named = " + ".join((f"{block.count} x " if block.count > 1 else "") + str(block) for block in node.blocks)
    return f"; {f'each of {copies:,} ' if copies > 1 else ''}in RTL {named}: {_content(content(node.blocks))}"


def _content(found: Content) -> str:
    parts = (found.flops, "flip-flops"), (found.memory_bits, "memory bits"), (found.gates, "gates"), (found.gate_equivalents, "GE")
    return ", ".join(f"{count:,.10g} {noun}" for count, noun in parts if count) or "nothing"


def _systolic(registers: Systolic) -> str:
    second = "second registers" if registers.shadow else "no second registers"
    return f", systolic: {second}, results leave by the {registers.exit}, tiles take their {registers.folds} time"


def _network(network: Network) -> str:
    price = f"{_energy(network.energy_pj)} per bit" if network.energy_pj else "unpriced"
    if network.ports == "separate":
        return f", network down {show_rate(network.down_bits_per_s)}, up {show_rate(network.up_bits_per_s)}, {price}"
    return f", network {show_rate(network.down_bits_per_s)}, {price}"


def _memory(memory: Memory) -> str:
    parts = [UNLIMITED if memory.size_bits is None else show_size(memory.size_bits)]
    read, write = (None if rate is None else rate / memory.sustained for rate in (memory.read_bits_per_s, memory.write_bits_per_s))
    share = _sustained(memory.sustained)
    if memory.ports == "separate":
        parts.append(f"read {show_rate(read)}, write {show_rate(write)}{share}")
    elif read is not None:
        parts.append(f"{show_rate(read)}{share}")
    per = "bit" if memory.access_bits is None else show_size(memory.access_bits)
    prices = [price if price else "unpriced" for price in (_energy(memory.read_pj), _energy(memory.write_pj))]
    shown = prices[0] if prices[0] == prices[1] else f"{prices[0]} read, {prices[1]} write"
    parts.append(shown if shown == "unpriced" else f"{shown} per {per}")
    return ", ".join(parts)


def _unit(unit: Unit) -> str:
    lanes = f"{unit.lanes} lanes, " if unit.lanes > 1 else ""
    cycles = {name: operation.cycles * unit.sustained for name, operation in unit.operations.items()}
    primitives = [name + (f" ({each} cycles)" if each != 1 else "") for name, each in cycles.items()]
    return lanes + ", ".join(primitives) + _sustained(unit.sustained)


def _sustained(share: Fraction) -> str:
    return "" if share == 1 else f" of which {float(share):.3g} sustained"


def _energy(quantity: Quantity | None) -> str:
    if quantity is None:
        return ""
    return f"{show_scaled(quantity.value * 1e-12)}J" if quantity.value >= 1000 else f"{quantity.value:.4g} pJ"
