"""What each command takes besides what all take: one function a command, with its options in the order in which `--help` shows them."""

from __future__ import annotations

from argparse import ArgumentParser

_MACHINE = "a machine: a file or a name from `accelsim list archs`"
_MAPPING = "a mapping: a file or a name from `accelsim list mappings`; of a model, LAYER=MAPPING for each layer, or a folder"
_DATA = "the elements of an input that are stored, as in A=matrix.mtx (also .mtx.gz, .npz); may be repeated"


def map_(command: ArgumentParser) -> None:
    """What is mapped, what is asked for, how it is searched for, how a model is served, and where what is found goes."""
    workload(command)
    _pricing(command, "draw the mapping, the front of --pareto or the curves of --compare (png, svg or pdf)")
    _asking(command)
    about = "every mapping that no other beats in two or three of latency, energy, traffic, capacity, instead of one mapping"
    command.add_argument("--pareto", metavar="A,B[,C]", help=about)
    about = "search with the mapper and every baseline, each for as many CPU seconds (--time-limit, default 10), and show what each found"
    command.add_argument("--compare", action="store_true", help=about)
    about = "how many processes search side by side: layers of a model, or what --compare compares (default: one for each core)"
    command.add_argument("--workers", metavar="N", help=about)
    _serving(command)
    command.add_argument("--store", metavar="FOLDER", help="keep what is found in a folder, and take from it what was found before")
    about = "save the mapping as YAML; of a model, as LAYER.yaml in a folder that exists; of a front, as WORKLOAD-1.yaml and so on in one"
    command.add_argument("-o", "--output", metavar="FILE", help=about)
    about = "search over equivalent cascades too (docs/transform.md); -o F.yaml saves the best mapping, and F.cascade.yaml its cascade"
    command.add_argument("--explore-cascades", action="store_true", help=about)


def _asking(command: ArgumentParser) -> None:
    """What a search looks for, among what, and how long."""
    about = "latency (default), energy, edp, traffic; a sum as in 'energy + 0.5*latency'; 'latency, energy' breaks ties by the second"
    command.add_argument("--objective", default="latency", metavar="WHAT", help=about)
    about = "how fused Einsums may run: sequential or pipelined (default: whichever is better)"
    command.add_argument("--schedule", metavar="HOW", help=about)
    about = "any (default), or dividing: only tiles that divide the tile around them"
    command.add_argument("--tiles", default="any", metavar="WHICH", help=about)
    about = "a file of rules that the mapping obeys (keep, tile, order, stationary, spread, run, …), or a mapping file in which '?' is open"
    command.add_argument("--constraints", metavar="FILE", help=about)
    about = "stop after so many CPU seconds (of each search, compiling apart) with the best so far and its gap"
    command.add_argument("--time-limit", metavar="SECONDS", help=about)
    command.add_argument("--gap", metavar="SHARE", help="stop when the best is proved to be within this share of the optimum, as in 0.02")
    _data(command)
    about = "choose how each rank of stored inputs, and of results with a format, is kept: uncompressed, compressed or bitmask"
    command.add_argument("--formats", action="store_true", help=about)
    _seed(command, "the search, and of stored elements that are drawn")


def _serving(command: ArgumentParser) -> None:
    """How a model is served."""
    about = "of a model: prefill (the whole context at once), decode (a token at a time) or both (default, if one of these is given)"
    command.add_argument("--phase", metavar="WHICH", help=about)
    command.add_argument("--batch", metavar="N", help="of a model: sequences that are served together (default 1)")
    about = "of a model: tokens of each prompt, which are in the cache when decoding begins, as in 8k for 8192 (default: as its file says)"
    command.add_argument("--context", metavar="N", help=about)
    about = "of a model: tokens to make of each sequence, the context one longer for each (default: one step with the context as it is)"
    command.add_argument("--tokens", metavar="N", help=about)


def evaluate(command: ArgumentParser) -> None:
    workload(command)
    _pricing(command, "draw the mapping (png, svg or pdf)")
    command.add_argument("--mapping", action="append", default=[], metavar="MAPPING", help=_MAPPING)
    _data(command)
    _seed(command, "stored elements that are drawn, of inputs with a format and without --data")
    about = "price what densities lead to expect of stored elements, and draw none"
    command.add_argument("--statistics", action="store_true", help=about)


def explain(command: ArgumentParser) -> None:
    workload(command)
    command.add_argument("--arch", metavar="MACHINE", help=_MACHINE)
    command.add_argument("--mapping", action="append", default=[], metavar="MAPPING", help=f"{_MAPPING} (default: what the mapper finds)")
    command.add_argument("--layer", metavar="NAME", help="of a model: explain only this layer")
    _counting(command)
    about = "look for the best mapping on every changed machine, and not only at the same mapping"
    command.add_argument("--remap", action="store_true", help=about)
    command.add_argument("--objective", default="latency", metavar="WHAT", help="what searches look for, as in `accelsim map` (latency)")
    command.add_argument("--time-limit", metavar="SECONDS", help="stop each search after so many CPU seconds")
    about = "compare with a run of this workload; what is not said of the second run is as said of the first"
    command.add_argument("--against", metavar="WORKLOAD", help=about)
    command.add_argument("--against-arch", metavar="MACHINE", help="compare with a run on this machine")
    about = "compare with a run of this mapping; may be repeated for the layers of a model"
    command.add_argument("--against-mapping", action="append", default=[], metavar="MAPPING", help=about)
    about = "compare with a run where a value is changed too, as in arch.DRAM.bandwidth='100 GB/s'; may be repeated"
    command.add_argument("--against-set", action="append", default=[], metavar="PATH=VALUE", help=about)
    command.set_defaults(schedule=None, tiles="any", gap=None, seed="0", data=[])


def simulate(command: ArgumentParser) -> None:
    workload(command)
    _pricing(command, "draw the first events as a timeline (png, svg or pdf)")
    command.add_argument("--mapping", action="append", default=[], metavar="MAPPING", help=f"{_MAPPING} (default: what the mapper finds)")
    about = "of a model: simulate only this layer, with its own report, trace and timeline"
    command.add_argument("--layer", metavar="NAME", help=about)
    command.add_argument("--trace", metavar="FILE", help="write the first 200,000 events as JSON that opens in ui.perfetto.dev")
    about = "fill tiles ahead: two copies of each tensor in every memory below the outermost, where they fit"
    command.add_argument("--ahead", action="store_true", help=about)
    about = "compute the values too, in the machine's order and types, and compare them with the reference interpreter; exit code 1 if off"
    command.add_argument("--check", action="store_true", help=about)
    _data(command)
    _seed(command, "the inputs for --check, and of stored elements that are drawn")


def cosim(command: ArgumentParser) -> None:
    _for_processor(command)
    about = "write the RTL's signals, but no memories, to FILE.fst, which GTKWave and Surfer open; cycle n of the report lies at 10 n ns"
    command.add_argument("--waves", metavar="FILE", help=about)
    _seed(command, "the inputs")


def export_program(command: ArgumentParser) -> None:
    _for_processor(command)
    command.add_argument("-o", "--output", metavar="FILE", help="write the program as JSON (default: to the terminal)")


def _for_processor(command: ArgumentParser) -> None:
    """A mapping on a machine that the processor of hw/rtl is."""
    workload(command)
    command.add_argument("--arch", metavar="MACHINE", help="a machine like hw/arch/mini.yaml: a file or a name")
    about = "a mapping: a file or a name (default: what the mapper finds)"
    command.add_argument("--mapping", action="append", default=[], metavar="MAPPING", help=about)


def inject(command: ArgumentParser) -> None:
    command.add_argument("campaign", metavar="CAMPAIGN", help="a campaign: a file or a name from `accelsim list campaigns`")
    about = "keep results in an SQLite file, and go on from what is in it"
    command.add_argument("-o", "--output", metavar="FILE", help=about)
    about = "run so many of its faults in RTL too, and compare every word in every cycle (needs Verilator, g++ and make)"
    command.add_argument("--rtl", metavar="N", help=about)
    _executing(command, "inject")


def explore(command: ArgumentParser) -> None:
    about = "a sweep: a file or a name from `accelsim list sweeps` (docs/explore.md); with --show, a table that -o wrote"
    command.add_argument("sweep", metavar="SWEEP", help=about)
    about = "write the table, one row for each point: .parquet or .csv; rows are kept in FILE.points, and none is worked out twice"
    command.add_argument("-o", "--output", metavar="FILE", help=about)
    command.add_argument("--store", metavar="FOLDER", help="keep rows in a folder, which sweeps may share, instead of beside the table")
    command.add_argument("--most", default="1000000", metavar="N", help="points that a sweep may ask for (default 1000000)")
    command.add_argument("--show", metavar="ROW", help="print the command that finds a row of a table again, and what it found")
    about = "instead of all points, one: how much each parameter and price of its machine alone, down and up by FACTOR, changes its figures"
    command.add_argument("--sensitivity", metavar="FACTOR", help=about)
    command.add_argument("--at", metavar="ROW", help="of --sensitivity: the point's row, from 0 (default 0)")
    about = "draw the front in its first two figures, a third as colour, or what --sensitivity finds (png, svg or pdf)"
    command.add_argument("--draw", metavar="FILE", help=about)
    _executing(command, "map points")


def reproduce(command: ArgumentParser) -> None:
    about = "files of evidence, or names from `accelsim list evidence` (default: all that are shipped)"
    command.add_argument("name", nargs="*", metavar="NAME", help=about)
    command.add_argument("--kind", metavar="KIND", help="only rows of this kind: validation, reproduction or plausibility")
    command.add_argument("-o", "--output", metavar="FILE", help="write the page, in Markdown")
    command.add_argument("--workers", metavar="N", help="how many processes run side by side (default: one for each core)")


def run(command: ArgumentParser) -> None:
    workload(command)
    _seed(command, "the inputs")


def check(command: ArgumentParser) -> None:
    about = "a workload, machine, mapping, constraints, sweep, campaign, evidence, technology, DRAM or rates file, or a shipped name"
    command.add_argument("file", metavar="FILE", help=about)
    command.add_argument("--workload", metavar="WORKLOAD", help="the workload that a mapping or constraints are for")
    command.add_argument("--arch", metavar="MACHINE", help="the machine that a mapping or constraints are for")


def passes(command: ArgumentParser) -> None:
    workload(command)
    command.add_argument("--rank", metavar="RANK", help="only this rank")


def derive(command: ArgumentParser) -> None:
    workload(command)
    about = "steps with ';' between them, as in 'defer AV; stream m' (docs/transform.md); without any: what the workload allows"
    command.add_argument("--steps", metavar="STEPS", help=about)
    command.add_argument("--name", metavar="NAME", help="the name of the derived workload (default: that of the original)")
    command.add_argument("-o", "--output", metavar="FILE", help="save the derived workload as YAML")


def count(command: ArgumentParser) -> None:
    command.add_argument("file", nargs="+", metavar="FILE", help="a matrix, or two for their product: .mtx, .mtx.gz or .npz")
    for name, number, about in (
        ("radix", "64", "lists that a merger takes at a time"),
        ("units", "32", "units that share the rows of the product, one multiplication each and cycle"),
        ("cache", "262144", "elements of the second matrix that a fiber cache holds"),
        ("value-bits", "64", "bits of a value"),
        ("coordinate-bits", "32", "bits of a coordinate"),
        ("pointer-bits", "32", "bits of a pointer"),
    ):
        command.add_argument(f"--{name}", default=number, metavar="N", help=f"{about} (default {number})")


def import_(command: ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="the file; its format follows from its name and what is in it")
    command.add_argument("-o", "--output", metavar="FILE", help="write the workload as YAML (default: to the terminal)")
    command.add_argument("--format", metavar="NAME", help="the format, where a file does not show it")
    about = "what to do with operators that are not known: refuse (default), or count their traffic alone"
    command.add_argument("--unsupported", default="refuse", metavar="HOW", help=about)
    about = "merged (default): equal layers once, with 'times'; each: every layer by itself; one: the whole network as one cascade"
    command.add_argument("--layers", default="merged", metavar="HOW", help=about)
    about = "the size of a dimension that the file leaves open, as in batch=1; may be repeated"
    command.add_argument("--size", action="append", default=[], metavar="NAME=N", help=about)
    about = "a number type in place of the file's floating-point types, as in bf16"
    command.add_argument("--type", default="", metavar="TYPE", help=about)


def list_(command: ArgumentParser) -> None:
    about = "workloads, archs, mappings, sweeps, campaigns, evidence, technologies, drams or rates"
    command.add_argument("kind", nargs="?", metavar="KIND", help=about)
    command.add_argument("word", nargs="?", metavar="WORD", help="only those with this word in their name or description, as in attention")


def report(command: ArgumentParser) -> None:
    command.add_argument("file", nargs="+", metavar="FILE.json", help="what --json wrote; several for a page with all of them side by side")
    about = "events of a simulation, for the timeline of --html: what `simulate --trace` wrote"
    command.add_argument("--trace", metavar="FILE", help=about)


def schema(command: ArgumentParser) -> None:
    command.add_argument("kind", nargs="?", metavar="KIND", help="workload, machine, mapping, campaign, …, as named at the top of a file")
    command.add_argument("-o", "--output", metavar="FILE", help="write it to a file (default: to the terminal)")


def migrate(command: ArgumentParser) -> None:
    command.add_argument("file", metavar="FILE", help="a YAML file of any kind")
    command.add_argument("-o", "--output", metavar="FILE", help="write it there (default: to the terminal); may be FILE itself")


def completion(command: ArgumentParser) -> None:
    command.add_argument("shell", nargs="?", metavar="SHELL", help="bash, zsh or fish")
    command.add_argument("--words", metavar="KIND", help="only the names that are shipped of a kind, as the script asks for them")


# --- what several commands take -----------------------------------------------------------------------------------------------------------


def workload(command: ArgumentParser) -> None:
    command.add_argument("workload", metavar="WORKLOAD", help="a workload: a file or a name from `accelsim list workloads`")


def page(command: ArgumentParser) -> None:
    about = "write a page for a browser: one file that needs no network, with tables that sort, drawings and a timeline"
    command.add_argument("--html", metavar="FILE", help=about)


def _pricing(command: ArgumentParser, drawn: str) -> None:
    command.add_argument("--arch", metavar="MACHINE", help=_MACHINE)
    _counting(command)
    command.add_argument("--draw", metavar="FILE", help=drawn)


def _counting(command: ArgumentParser) -> None:
    about = "a counting convention, as in drains=free; may be repeated"
    command.add_argument("--counting", action="append", default=[], metavar="OPTION=VALUE", help=about)


def _data(command: ArgumentParser) -> None:
    command.add_argument("--data", action="append", default=[], metavar="TENSOR=FILE", help=_DATA)


def _seed(command: ArgumentParser, what: str) -> None:
    command.add_argument("--seed", default="0", metavar="N", help=f"seed of {what} (default 0)")


def _executing(command: ArgumentParser, does: str) -> None:
    about = "where: local (default), dask://HOST:PORT, or dask://local?workers=4 (docs/scaling-out.md)"
    command.add_argument("--executor", metavar="WHERE", help=about)
    command.add_argument("--workers", metavar="N", help=f"how many processes {does} side by side (default: one for each core)")
