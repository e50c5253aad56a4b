"""An evaluation on a terminal: first what limits the run, then time, energy and traffic, then tables by Einsum and by component.

Works from the JSON of the contract, so that a fresh evaluation and a saved one look the same. At most 100 columns, but for `Forms`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TextIO

from accelsim.report.figures import bar, byte_size, in_cycles, joules, percent, si, square, tally, times, whole

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.table import Table
    from rich.text import Text

WIDTH = 100
IDEAL = "Cycles: as if transfers and work overlapped without loss; `accelsim simulate` runs the mapping and shows the loss."
Document = dict[str, Any]


def show(blocks: Iterable[RenderableType], stream: TextIO | None = None) -> None:
    """Print blocks with an empty line between them: coloured on a terminal, plain text without trailing blanks in a pipe."""
    import io
    import sys

    from rich.console import Console

    stream = stream or sys.stdout
    live = stream.isatty()
    room = Console(file=stream).width if live else None
    text = io.StringIO()
    console = Console(file=stream if live else text, width=WIDTH, force_terminal=live, highlight=False, emoji=False, markup=False)
    for position, block in enumerate(blocks):
        if position:
            console.print()
        if isinstance(block, Forms):
            console.width = block.widest(console) if room is None else room
        else:
            console.width = WIDTH if room is None else min(room, WIDTH)
        console.print(block)
    if not live:
        stream.write("".join(line.rstrip() + "\n" for line in text.getvalue().splitlines()))


def report(evaluation: Document, nest: str = "") -> Iterator[RenderableType]:
    """What a person wants to know about an evaluation, most important first; `nest` is the mapping as a printed loop nest."""
    yield _limits(evaluation)
    yield _summary(evaluation)
    yield _einsums(evaluation)
    yield ByWidth(_components(evaluation, bars=True), _components(evaluation, bars=False))
    if nest:
        yield _nest(nest)
    yield _last(evaluation)


def _limits(evaluation: Document) -> Text:
    from rich.text import Text

    workload, machine, mapping = (str(evaluation[key]) for key in ("workload", "architecture", "mapping"))
    text = Text.assemble((workload, "bold"), " on ", (machine, "bold"))
    if mapping != f"{workload} on {machine}":
        text.append(f", mapping '{mapping}'")
    limits = evaluation.get("limits")
    if limits:
        text.append("\n\nLimited by ", "bold").append(limits["resource"], "bold red").append(f", {limits['kind']}, ")
        text.append(f"{percent(limits['share'])} of the time", "bold")
        if limits["next"]:
            text.append(f"; next is {limits['next']['resource']}, {percent(limits['next']['share'])}")
        text.append(".")
        if limits["relief"]:
            text.append(f"\n{limits['relief'].rstrip('.')}.", "italic")
    return text


def folding_table(columns: Sequence[str], names: Sequence[str]) -> Table:
    """A table of names and of numbers, whose cells and headings take more lines where there is no room for them."""
    from accelsim.report import folding

    return folding.folding_table(columns, names)


def _grid() -> Table:
    from rich.table import Table

    return Table.grid(padding=(0, 2))


def table(*columns: str, left: int = 1) -> Table:
    """A table whose first `left` columns hold words, which may wrap; the others hold numbers."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    rows = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    for position, column in enumerate(columns):
        words = position < left
        rows.add_column(column, justify="left" if words else "right", no_wrap=not words, overflow="fold" if words else "ellipsis")
    return rows


def _summary(evaluation: Document) -> Table:
    latency, bounds = evaluation["latency"], evaluation["bounds"]
    grid = _grid()
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column()
    bound = bounds["min_cycles"]
    parts = [f"{name} {whole(latency[f'{name}_cycles'])}" for name in ("fill", "steady", "drain")]
    grid.add_row("time", in_cycles(latency["cycles"]), f"{si(latency['seconds'], 's')}: {', '.join(parts)}")
    if bound:
        grid.add_row("", "", f"{times(latency['cycles'] / bound)} the algebraic bound of {in_cycles(bound)}")
    energy, static = evaluation["energy_pj"], evaluation["static_energy_pj"]
    low, high = evaluation["energy_pj_low"], evaluation["energy_pj_high"]
    span = f"prices {joules(low)} to {joules(high)}: " if low < high else ""
    grid.add_row("energy", joules(energy), f"{span}dynamic {joules(energy - static)}, static {joules(static)}")
    compulsory = bounds["compulsory_bytes"]
    for position, (memory, words) in enumerate(evaluation["traffic"].items()):
        total = words["read_bytes"] + words["write_bytes"]
        detail = f"read {byte_size(words['read_bytes'])}, written {byte_size(words['write_bytes'])}"
        if position == 0 and compulsory:
            detail += f"; {times(total / compulsory)} the compulsory {byte_size(compulsory)}"
        grid.add_row("traffic" if position == 0 else "", f"{memory} {byte_size(total)}", detail)
    for network, words in evaluation.get("networks", {}).items():
        total = words["down_bytes"] + words["up_bytes"]
        grid.add_row("", f"{network} {byte_size(total)}", f"down {byte_size(words['down_bytes'])}, up {byte_size(words['up_bytes'])}")
    if evaluation["area_um2"]:
        grid.add_row("area", square(evaluation["area_um2"]), area_detail(evaluation))
    return grid


def area_detail(document: Document) -> str:
    """The range of an area, and whose it lacks."""
    low, high = (document[key if key in document else "area_um2"] for key in ("area_um2_low", "area_um2_high"))
    span = [f"prices {square(low)} to {square(high)}"] if low < high else []
    missing = document.get("without_area", [])
    return "; ".join(span + ([f"without {', '.join(missing)}"] if missing else []))


def _einsums(evaluation: Document) -> Table:
    cycles = evaluation["latency"]["cycles"]
    rows = table("Einsum", "unit", "operations", "busy cycles", "of the time", "energy", left=3)
    for name, row in evaluation["einsums"].items():
        operations = ", ".join(f"{tally(count)} {primitive}" for primitive, count in row["operations"].items())
        share = row["busy_cycles"] / cycles if cycles else None
        rows.add_row(name, row["unit"], operations or "-", whole(row["busy_cycles"]), percent(share), joules(row["energy_pj"]))
    return rows


def share_text(share: float | None) -> str:
    """A part of a whole in percent, `-` of none and of what is not known."""
    return "-" if not share else f"{share:.1%}"


@dataclass(frozen=True, slots=True)
class Forms:
    """A block in several forms, each narrower than the one before: of them the first that fits a terminal, the first of all in a pipe."""

    forms: tuple[RenderableType, ...]

    def widest(self, console: Console) -> int:
        """How many columns the first form takes."""
        return _columns(console, self.forms[0])

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield next((form for form in self.forms if _columns(console, form) <= options.max_width), self.forms[-1])


def _columns(console: Console, block: RenderableType) -> int:
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(max_width=1 << 16), block).maximum


@dataclass(frozen=True, slots=True)
class ByWidth:
    """Two forms of a block: one for at least `WIDTH` columns, one for a narrower terminal."""

    wide: RenderableType
    narrow: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield self.wide if options.max_width >= WIDTH else self.narrow


def _components(evaluation: Document, bars: bool) -> Table:
    from rich.text import Text

    cycles = evaluation["latency"]["cycles"]
    busy_columns = ["busy"] if bars else []
    rows = table("component", *busy_columns, "of the time", "busy cycles", "utilization", "peak held", "energy", left=1 + bars)
    for name, row in evaluation["components"].items():
        busy, bits = row["busy_cycles"], row["peak_occupancy_bits"]
        share = busy / cycles if busy is not None and cycles else None
        held = byte_size(bits / 8) if bits is not None else "-"
        limiting = name == (evaluation.get("limits") or {}).get("resource")
        rows.add_row(
            Text(name, "red" if limiting and not bars else ""),
            *([Text(bar(share), "red" if limiting else "blue")] if bars else []),
            percent(share),
            whole(busy),
            percent(row["utilization"]),
            held,
            joules(row["energy_pj"]),
        )
    return rows


def _nest(nest: str) -> Text:
    from rich.text import Text

    return Text(nest.rstrip())


def _last(evaluation: Document) -> Text:
    from rich.text import Text

    lines = []
    search = evaluation["search"]
    if search:
        line = f"Search for {search['objective']}: {whole(search['evaluated'])} mapping{'s' * (search['evaluated'] != 1)}"
        if search["mappings_covered"] and search["mappings_covered"] != search["evaluated"]:
            line += f" evaluated, {whole(search['mappings_covered'])} covered"
        bound, proved = search["lower_bound"], search["proved_optimal"]
        gap = f", {_further(search['value'] / bound)}" if bound and not proved else ""
        if "dividing_lower_bound" in search:
            gap = f", {percent(1 - search['value'] / search['dividing_lower_bound'])} below the bound over tiles that divide{gap}"
        if "sizes" in search:
            sizes = ", ".join(f"{part} = {size}" for part, size in search["sizes"].items())
            line += f" of {search['sizes_searched']} out of {search['sizes_possible']} sizes ({sizes} is best)"
        space = search.get("space", "")
        over = " over tiles that divide (docs/mapspace.md)" if bound and space == "dividing tiles" else ""
        over = f" over {space} (docs/sparse.md)" if space.startswith("nests") else over
        lines.append(Text(f"{line} in {search['seconds']:.1f} s; {'proved optimal' if proved else 'not proved optimal'}{over}{gap}."))
        if search.get("no_exact_search"):
            lines.append(Text(f"No exact search: {search['no_exact_search']}."))
        lines += map(Text, _over_elements(search))
    if evaluation["unpriced"]:
        lines.append(Text.assemble(("Not priced, and not in the energy: ", "yellow"), ", ".join(evaluation["unpriced"]) + "."))
    lines += without_effect(evaluation)
    if "stored" not in evaluation:  # elements that the simulator does not know
        lines.append(Text(IDEAL, "dim"))
    options = ", ".join(f"{key}={value}" for key, value in evaluation["counting"].items())
    if options:
        lines.append(Text(f"Counting: {options}.", "dim"))
    return Text("\n").join(lines)


def _over_elements(search: Document) -> Iterator[str]:
    """How a search over stored elements went about several Einsums or a large matrix, and the formats that it chose."""
    if "sample" in search:
        yield _sampled(search["sample"])
    for name, part in search.get("einsums", {}).items():
        bound, proved = part["lower_bound"], part["proved_optimal"]
        gap = f", {_further(part['value'] / bound)}" if bound and not proved else ""
        said = [f"{name} alone: {whole(part['evaluated'])} mappings, {'proved optimal' if proved else 'not proved optimal'}{gap}."]
        said += [f"No exact search: {part['no_exact_search']}."] if "no_exact_search" in part else []
        yield " ".join([*said, *([_sampled(part["sample"])] if "sample" in part else [])])
    if "formats" in search:
        yield "Formats were chosen; add to `evaluate`:"
        yield from (f"  --set format.{name}.ranks='[{', '.join(kinds)}]'" for name, kinds in search["formats"].items())


def _sampled(sample: Document) -> str:
    windows = ", ".join(f"{rank} from {begin:,} to {end - 1:,}" for rank, (begin, end) in sample["ranks"].items())
    return f"Looked for on a sample ({windows}; seed {sample['seed']}), and the best of {whole(sample['counted'])} counted on all."


def without_effect(found: Document) -> list[Text]:
    """A line about what the machine says that changes nothing, if there is any."""
    from rich.text import Text

    said = found.get("without_effect", [])
    return [Text(f"Without effect, as all elements count here: {', '.join(said)}.", "yellow")] if said else []


def _further(ratio: float) -> str:
    """How much larger than its bound something is at most."""
    return f"within {100 * (ratio - 1):.2g} % of the best possible" if ratio < 1.01 else f"at most {times(ratio)} the best possible"


def listing(entries: dict[str, str]) -> Iterator[RenderableType]:
    """Names with a sentence each, those of a folder together, the ones without a folder first."""
    folders: dict[str, dict[str, str]] = {"": {}}
    for name, about in entries.items():
        folders.setdefault(name.rpartition("/")[0], {})[name] = about
    for inside in folders.values():
        if inside:
            grid = _grid()
            grid.add_column(style="bold", no_wrap=True)
            grid.add_column()
            for name, about in inside.items():
                grid.add_row(name, about)
            yield grid
