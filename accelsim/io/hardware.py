"""Machines from YAML: a tree of memories, arrays and units with units in text, prices by name and nothing left unread."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from accelsim.errors import InputError, Place, did_you_mean, nearest
from accelsim.formula import evaluate
from accelsim.hardware.architecture import (
    ASSIGNMENTS,
    EXITS,
    FETCHES,
    FOLDS,
    INTERSECTIONS,
    REPLACEMENTS,
    SORTS,
    Architecture,
    Array,
    Axis,
    Memory,
    Network,
    Node,
    Operation,
    Quantity,
    Sparsity,
    Systolic,
    Unit,
)
from accelsim.hardware.block import Block, content
from accelsim.hardware.technology import Technology, combined
from accelsim.hardware.types import TYPES
from accelsim.io import blocks, prices
from accelsim.io.catalogue import MACHINE, refuse_other
from accelsim.io.dram import controlled
from accelsim.io.hardware_overrides import overridden, spelled_out
from accelsim.io.source import Item, load
from accelsim.io.values import Values, checked_name, name_of, words
from accelsim.units import is_unlimited

MOST_COPIES = 2**40
_MACHINE_KEYS = {"machine", "about", "source", "clock", "technology", "synthesis", "word", "let", "launch", "tree"}
_POWER_KEYS = {"static_power", "clock_power", "area", "rtl"}
_MEMORY_KEYS = {"memory", "size", "bandwidth", "read_bandwidth", "write_bandwidth", "access", "energy", "interface_energy", "feeds"}
_MEMORY_KEYS |= {"background_power", "banks", "latency", "direct", "dram", "intersect", "replacement", "fetch", "sustained"} | _POWER_KEYS
_ARRAY_KEYS = {"array", "axes", "feeds", "systolic", "network"} | _POWER_KEYS
_NETWORK_KEYS = {"bandwidth", "down", "up", "energy"}
_SYSTOLIC_KEYS = {"shadow", "exit", "folds"}
_PLANE = 2  # axes of a systolic array
_AXIS_KEYS = {"size", "multicast", "reduces", "broadcasts", "forwards", "reduction_latency", "partials", "assign"}
_UNIT_KEYS = {"unit", "executes", "lanes", "pipeline", "intersect", "merge", "sort", "gates", "sustained"} | _POWER_KEYS
_OPERATION_KEYS = {"cycles", "energy", "types"}


def load_architecture(path: Path | str, overrides: Mapping[str, str] | None = None) -> Architecture:
    """The machine in a YAML file, after settings such as `{'L3.size': '8 MiB', 'clock': '1 GHz', 'col.size': '128', 'let.pe': '128'}`."""
    document = load(Path(path))
    refuse_other(document, MACHINE)
    return architecture(document, overrides)


def architecture(document: Item, overrides: Mapping[str, str] | None = None) -> Architecture:
    """The machine in a document; InputError with the place for anything unknown, missing, unused or without a unit."""
    document.only(_MACHINE_KEYS, "a machine")
    document = overridden(spelled_out(document), overrides or {})
    keys = document.only(_MACHINE_KEYS, "a machine")
    for key in ("machine", "clock", "tree"):
        if key not in keys:
            raise document.error(f"a machine needs '{key}'", f"add '{key}:'")
    reader = _Reader(keys, document.place.file)
    root = reader.node(keys["tree"], 1)
    if not isinstance(root, Memory):
        raise keys["tree"].error(f"the outermost node is {root.name}, not a memory", "start the tree with 'memory: DRAM'")
    launch = reader.values.seconds(keys["launch"], "launch") if "launch" in keys else Fraction(0)
    reader.values.refuse_unused(keys)
    if "synthesis" in keys and not reader.counted:
        raise keys["synthesis"].error("no node states its modules", "add 'rtl:' to one, or remove 'synthesis'")
    made = Architecture(
        name=name_of(keys["machine"], "machine"),
        root=root,
        clock_hz=reader.values.clock_hz,
        technology=reader.technology.name if reader.technology else "",
        source=reader.source,
        about=words(keys["about"], "about") if "about" in keys else "",
        launch_s=launch,
    )
    for memory in made.memories.values():
        if memory.dram is not None and memory is not made.root:
            raise InputError(f"{memory.name} is not the outermost memory, which alone may be a DRAM", "remove 'dram'", memory.place)
    return made


def _refuse_faster(item: Item, peak: Fraction, *bandwidths: Fraction | None) -> None:
    """A memory is no faster than the DRAM that it is made of."""
    if any(each is None or each > peak for each in bandwidths):
        gigabytes = float(peak / 8 / 10**9)
        mend = f"write a bandwidth of at most {gigabytes:.4g} GB/s, or more 'channels'"
        raise item.error("the bandwidth of the memory is beyond that of its DRAM", mend)


class _Reader:
    """Reads the nodes of one machine; holds what they share: names, clock, technology, and where each name was given."""

    def __init__(self, keys: Mapping[str, Item], file: str) -> None:
        self.source = words(keys["source"], "source") if "source" in keys else file
        self.values = Values(keys)
        self.technology = self.load_technology(keys["technology"], file) if "technology" in keys else None
        self.synthesis = blocks.beside(keys["synthesis"], file) if "synthesis" in keys else blocks.shipped_table()
        self.counted = False
        self.given: dict[str, Place] = {}

    def load_technology(self, item: Item, file: str) -> Technology:
        """The table, or all tables of a list as one."""
        if not isinstance(item.value, list):
            return self.one_technology(item, file)
        found: dict[str, Technology] = {}
        for child in item.items("technology"):
            table = self.one_technology(child, file)
            if table.name in found:
                raise child.error(f"technology '{table.name}' is named twice", "keep one")
            found[table.name] = table
        if not found:
            raise item.error("technology is an empty list", "name a table, as in 'technology: class_45nm'")
        return combined(list(found.values()))

    def one_technology(self, item: Item, file: str) -> Technology:
        """The table beside the machine (`../tech/NAME.yaml` or `NAME.yaml`), else a shipped one."""
        from accelsim.io.catalogue import TECHNOLOGY, resolve
        from accelsim.io.technology import load_technology

        name = name_of(item, "technology")
        folder = Path(file).parent
        beside = [folder / name] if name.endswith((".yaml", ".yml")) else [folder / f"{name}.yaml", folder.parent / "tech" / f"{name}.yaml"]
        for path in beside:
            try:
                if path.is_file():
                    return load_technology(path)
            except (OSError, ValueError):
                continue
        try:
            path = resolve(name, TECHNOLOGY)
        except InputError as error:
            raise item.error(error.what, error.mend) from None
        return load_technology(path)

    def new_name(self, item: Item, what: str) -> str:
        name = checked_name(name_of(item, what), what, item)
        if name in self.given:
            raise item.error(f"'{name}' is named twice (first at line {self.given[name].line})", "give every node and axis its own name")
        self.given[name] = item.place
        return name

    def node(self, item: Item, copies: int) -> Node:
        mapping = item.mapping("a node")
        kinds = [kind for kind in ("memory", "array", "unit") if kind in mapping]
        if len(kinds) != 1:
            close = next((found for key in mapping if (found := nearest(key, ("memory", "array", "unit")))), None)
            mend = f"did you mean '{close}'?" if close and not kinds else "start it with 'memory: NAME', 'array: NAME' or 'unit: NAME'"
            raise item.error(f"a node is {'several things' if kinds else 'neither a memory, an array nor a unit'}", mend)
        if kinds == ["memory"]:
            return self.memory(item, copies)
        return self.array(item, copies) if kinds == ["array"] else self.unit(item)

    def feeds(self, keys: Mapping[str, Item], name: str, item: Item, copies: int) -> tuple[Node, ...]:
        children = keys["feeds"].items("feeds") if "feeds" in keys else []
        if not children:
            raise item.error(f"{name} feeds nothing", "add 'feeds:' with a memory, an array or a unit")
        return tuple(self.node(child, copies) for child in children)

    def blocks(self, keys: Mapping[str, Item]) -> tuple[Block, ...]:
        """What a node is made of in RTL."""
        if "rtl" not in keys:
            return ()
        self.counted = True
        return blocks.named(keys["rtl"], blocks.load_blocks(self.synthesis), self.values)

    def context(self, made_of: tuple[Block, ...] = (), **own: object) -> prices.Context:
        if made_of:
            own["gate_equivalents"] = content(made_of).gate_equivalents
        return prices.Context(self.technology, self.values.names, self.source, **own)  # type: ignore[arg-type]

    def memory(self, item: Item, copies: int) -> Memory:
        keys = item.only(_MEMORY_KEYS, "a memory")
        name = self.new_name(keys["memory"], "a memory")
        for key, mend in (("size", "as in 'size: 64 KiB', or 'unlimited'"), ("energy", "a component, a figure, or 'unpriced'")):
            if key not in keys:
                raise item.error(f"memory {name} has no {key}", f"add '{key}:', {mend}")
        size = None if is_unlimited(words(keys["size"], "size")) else self.values.bits(keys["size"], "size")
        access = self.values.bits(keys["access"], "access") if "access" in keys else None
        ports, read, write = self.ports(item, keys, name)
        made_of = self.blocks(keys)
        context = self.context(made_of, size_bits=size, access_bits=access)
        area = prices.area(keys["area"], context) if "area" in keys else None
        context = self.context(made_of, size_bits=size, access_bits=access, area_um2=area)
        read_pj, write_pj, update_pj = self.access_energies(keys["energy"], context, name)
        dram = controlled(keys["dram"]) if "dram" in keys else None
        if dram is not None and ports != "shared":
            raise keys["dram"].error(f"{name} is a DRAM, whose data buses reads and writes share", "write one 'bandwidth'")
        if dram is not None:
            _refuse_faster(keys["dram"], dram.table.peak_bytes_per_s * 8, read, write)
        sustained = self.values.share(keys["sustained"], "sustained") if "sustained" in keys else Fraction(1)
        if "sustained" in keys and read is None and write is None:
            raise keys["sustained"].error(f"{name} sustains a share of a bandwidth that has no limit", "give it a bandwidth")
        feeds = self.feeds(keys, name, item, copies)
        direct = keys["direct"].boolean("direct") if "direct" in keys else True
        if not direct and not (len(feeds) == 1 and isinstance(feeds[0], Memory)):
            raise keys["direct"].error(f"{name} is not direct, so it has to feed one memory and nothing else", "remove 'direct'")
        return Memory(
            name=name,
            size_bits=size,
            read_bits_per_s=None if read is None else read * sustained,
            write_bits_per_s=None if write is None else write * sustained,
            ports=ports,
            access_bits=access,
            read_pj=read_pj,
            write_pj=write_pj,
            update_pj=update_pj,
            interface_pj=prices.interface_energy(keys["interface_energy"], context) if "interface_energy" in keys else None,
            static_w=self.power(keys, "static", context),
            clock_w=self.power(keys, "clock", context),
            background_w=self.power(keys, "background", context),
            area_um2=area,
            banks=self.values.whole(keys["banks"], "banks", 1) if "banks" in keys else 1,
            latency_cycles=self.values.cycles(keys["latency"], "latency") if "latency" in keys else 0,
            direct=direct,
            dram=dram,
            sustained=sustained,
            sparse=self.sparsity(keys, context),
            blocks=made_of,
            feeds=feeds,
            place=item.place,
        )

    def ports(self, item: Item, keys: Mapping[str, Item], name: str) -> tuple[str, Fraction | None, Fraction | None]:
        """How reads and writes share the port, and the bandwidth of each in bits per second."""
        if "bandwidth" in keys and "read_bandwidth" not in keys and "write_bandwidth" not in keys:
            shared = self.values.bandwidth(keys["bandwidth"], "bandwidth")
            return "shared", shared, shared
        if "bandwidth" not in keys and "read_bandwidth" in keys and "write_bandwidth" in keys:
            read, write = (self.values.bandwidth(keys[key], key) for key in ("read_bandwidth", "write_bandwidth"))
            return "separate", read, write
        raise item.error(
            f"memory {name} needs one bandwidth for both directions or one for each",
            "write 'bandwidth: 400 GiB/s' (or 'unlimited'), or both 'read_bandwidth:' and 'write_bandwidth:'",
        )

    def access_energies(self, item: Item, context: prices.Context, name: str) -> tuple[Quantity | None, ...]:
        """Energy of a read, a write and an update (as a write unless stated)."""
        if prices.is_figure(item):
            read, write, update = (prices.access_energy(item, action, context) for action in ("read", "write", "update"))
            return read, write, update
        keys = item.only({"read", "write", "update"}, "energy")
        for action in ("read", "write"):
            if action not in keys:
                raise item.error(f"memory {name} has no {action} energy", f"add '{action}:' with a figure, a component or 'unpriced'")
        update_of = keys.get("update", keys["write"])
        return (
            prices.access_energy(keys["read"], "read", context),
            prices.access_energy(keys["write"], "write", context),
            prices.access_energy(update_of, "update", context),
        )

    def sparsity(self, keys: Mapping[str, Item], context: prices.Context) -> Sparsity:
        """What a node does with tensors of which only some elements are stored."""
        radix, merge_pj, step_pj, kind, (sort, queues) = 0, None, None, "", ("", 0)
        if "merge" in keys:
            stated = keys["merge"].only({"radix", "energy"}, "a merger")
            for key in ("radix", "energy"):
                if key not in stated:
                    raise keys["merge"].error(f"a merger has no {key}", "write merge: {radix: 64, energy: unpriced}")
            radix, merge_pj = self.values.whole(stated["radix"], "radix", 2), prices.operation_energy(stated["energy"], context)
        if "sort" in keys:
            if radix:
                raise keys["sort"].error("the unit merges lists and sorts them", "leave 'merge' or 'sort' out")
            sort, queues, merge_pj = self.sorter(keys["sort"], context)
        if "intersect" in keys:
            stated = keys["intersect"].only({"by", "energy"}, "an intersection")
            for key in ("by", "energy"):
                if key not in stated:
                    raise keys["intersect"].error(f"an intersection has no '{key}'", "write intersect: {by: skip_ahead, energy: unpriced}")
            kind, step_pj = self.one_of(stated, "by", INTERSECTIONS), prices.operation_energy(stated["energy"], context)
        gates = keys["gates"].boolean("gates") if "gates" in keys else False
        replacement, fetch = self.one_of(keys, "replacement", REPLACEMENTS), self.one_of(keys, "fetch", FETCHES)
        return Sparsity(kind, step_pj, replacement, radix, merge_pj, gates, fetch, sort, queues)

    def sorter(self, item: Item, context: prices.Context) -> tuple[str, int, Quantity | None]:
        """How a unit sorts lists, the queues that it has for that, and the energy of a cycle."""
        stated = item.only({"by", "queues", "energy"}, "a sorter")
        for key in ("by", "energy"):
            if key not in stated:
                raise item.error(f"a sorter has no '{key}'", "write sort: {by: insertion, energy: unpriced}")
        by = self.one_of(stated, "by", SORTS)
        if (by == "queues") != ("queues" in stated):
            what = "does not say how many" if by == "queues" else "has no"
            raise item.error(f"a sorter by {by} {what} queues", "write sort: {by: queues, queues: 10, energy: unpriced}")
        queues = self.values.whole(stated["queues"], "queues", 2) if by == "queues" else 0
        return by, queues, prices.operation_energy(stated["energy"], context)

    @staticmethod
    def one_of(keys: Mapping[str, Item], key: str, known: tuple[str, ...], of: str = "") -> str:
        """A word of a key, one of those known; "" if it is not stated. of: what the key says it of."""
        found = words(keys[key], key) if key in keys else ""
        if key in keys and found not in known:
            raise keys[key].error(f"'{key}'{of} is '{found}'", f"write {' or '.join(known)}")
        return found

    def power(self, keys: Mapping[str, Item], action: str, context: prices.Context) -> Quantity | None:
        key = f"{action}_power"
        return prices.power(keys[key], action, context) if key in keys else None

    def array(self, item: Item, copies: int) -> Array:
        keys = item.only(_ARRAY_KEYS, "an array")
        name = self.new_name(keys["array"], "an array")
        if "axes" not in keys or not keys["axes"].mapping("axes"):
            raise item.error(f"array {name} has no axes", "add 'axes: {col: 16}'")
        axes = tuple(self.axis(axis, child, keys["axes"]) for axis, child in keys["axes"].mapping("axes").items())
        for axis in axes:
            copies *= axis.size
        if copies > MOST_COPIES:
            raise item.error(f"array {name} makes more than 2**40 copies", "write smaller axes")
        made_of = self.blocks(keys)
        area = prices.area(keys["area"], self.context(made_of)) if "area" in keys else None
        context = self.context(made_of, area_um2=area)
        static, clock = (self.power(keys, action, context) for action in ("static", "clock"))
        systolic = self.systolic(keys["systolic"], name, axes) if "systolic" in keys else None
        network = self.network(keys["network"], name) if "network" in keys else None
        return Array(name, axes, static, clock, area, self.feeds(keys, name, item, copies), systolic, network, made_of, item.place)

    def network(self, item: Item, name: str) -> Network:
        keys = item.only(_NETWORK_KEYS, "a network")
        energy = prices.interface_energy(keys["energy"], self.context()) if "energy" in keys else None
        given = keys.keys() - {"energy"}
        if given == {"bandwidth"}:
            shared = self.values.bandwidth(keys["bandwidth"], "bandwidth")
            return Network(shared, shared, "shared", energy)
        if given == {"down", "up"}:
            down, up = (self.values.bandwidth(keys[key], key) for key in ("down", "up"))
            return Network(down, up, "separate", energy)
        raise item.error(
            f"the network of {name} needs one bandwidth for both directions or one for each",
            "write 'bandwidth: 16 B/cycle' (or 'unlimited'), or both 'down:' and 'up:'",
        )

    def systolic(self, item: Item, name: str, axes: tuple[Axis, ...]) -> Systolic:
        keys = item.only(_SYSTOLIC_KEYS, "systolic")
        if len(axes) != _PLANE:
            raise item.error(f"systolic array {name} has {len(axes)} axes", "write two: that down which sums move, then that across")
        chosen = (self.one_of(keys, key, known, " of a systolic array") or known[0] for key, known in (("exit", EXITS), ("folds", FOLDS)))
        return Systolic(keys["shadow"].boolean("shadow") if "shadow" in keys else True, *chosen)

    def axis(self, name: str, item: Item, axes: Item) -> Axis:
        keys = item.only(_AXIS_KEYS, "an axis")
        place = (axes.key_places or {}).get(name, item.place)
        self.new_name(Item(name, place), "an axis")
        if "size" not in keys:
            raise item.error(f"axis {name} has no size", "add 'size: 16'")
        reduces: tuple[str, ...] = ()
        if "reduces" in keys:
            reduces = tuple(self.reduction(child) for child in keys["reduces"].items("reduces"))
        latency: dict[str, int] = {}
        for operator, child in keys["reduction_latency"].mapping("reduction_latency").items() if "reduction_latency" in keys else ():
            if operator not in reduces:
                what = f"axis {name} does not reduce '{operator}'"
                raise keys["reduction_latency"].key_error(operator, what, did_you_mean(operator, reduces))
            latency[operator] = self.values.cycles(child, "reduction latency")
        usual = {"multicast": True, "broadcasts": False, "forwards": False, "partials": True}
        flags = {key: keys[key].boolean(key) if key in keys else value for key, value in usual.items()}
        size = self.values.whole(keys["size"], f"size of axis {name}", 1)
        assign = self.one_of(keys, "assign", ASSIGNMENTS) or ASSIGNMENTS[0]
        return Axis(name, size, reduces=reduces, reduction_latency=latency, assign=assign, place=place, **flags)

    def reduction(self, item: Item) -> str:
        from accelsim.workload.operators import REDUCTIONS

        operator = name_of(item, "a reduction")
        if operator not in REDUCTIONS:
            raise item.error(f"no reduction is called '{operator}'", did_you_mean(operator, REDUCTIONS))
        return operator

    def unit(self, item: Item) -> Unit:
        keys = item.only(_UNIT_KEYS, "a unit")
        name = self.new_name(keys["unit"], "a unit")
        if "executes" not in keys or not keys["executes"].mapping("executes"):
            raise item.error(f"unit {name} executes nothing", "add 'executes: {mac: 0.6 pJ}'")
        made_of = self.blocks(keys)
        context = self.context(made_of)
        sustained = self.values.share(keys["sustained"], "sustained") if "sustained" in keys else Fraction(1)
        operations = {
            primitive: self.operation(primitive, child, keys["executes"], context, sustained)
            for primitive, child in keys["executes"].mapping("executes").items()
        }
        area = prices.area(keys["area"], context) if "area" in keys else None
        context = self.context(made_of, area_um2=area)
        return Unit(
            name=name,
            operations=operations,
            lanes=self.values.whole(keys["lanes"], "lanes", 1) if "lanes" in keys else 1,
            pipeline_depth=self.values.cycles(keys["pipeline"], "pipeline") if "pipeline" in keys else 0,
            sustained=sustained,
            sparse=self.sparsity(keys, context),
            static_w=self.power(keys, "static", context),
            clock_w=self.power(keys, "clock", context),
            area_um2=area,
            blocks=made_of,
            place=item.place,
        )

    def operation(self, primitive: str, item: Item, executes: Item, context: prices.Context, sustained: Fraction) -> Operation:
        from accelsim.workload.operators import PRIMITIVES

        if primitive not in PRIMITIVES:
            raise executes.key_error(primitive, f"no primitive is called '{primitive}'", did_you_mean(primitive, PRIMITIVES))
        keys = item.only(_OPERATION_KEYS, "an operation")
        if "energy" not in keys:
            raise item.error(f"operation {primitive} has no energy", "add 'energy:', a component, a figure, or 'unpriced'")
        cycles = Fraction(1)
        if "cycles" in keys:
            cycles = Fraction(evaluate(words(keys["cycles"], "cycles"), self.values.names, keys["cycles"].place))
            if cycles < 0 or (cycles == 0 and primitive != "select") or cycles > 2**32:
                what = "cycles of an operation must be positive (of 'select' 0 where another hides them) and fit 32 bits"
                raise keys["cycles"].error(what, "write it as in 'cycles: 6'")
        types = tuple(self.type(child) for child in keys["types"].items("types")) if "types" in keys else ()
        return Operation(primitive, cycles / sustained, prices.operation_energy(keys["energy"], context), types)

    def type(self, item: Item) -> str:
        name = name_of(item, "a type")
        if name not in TYPES:
            raise item.error(f"no number type is called '{name}'", did_you_mean(name, TYPES))
        return name
