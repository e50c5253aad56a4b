"""The command line's grammar: every command with its options, and the verb that carries it out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import accelsim
from accelsim.commands import (
    analysing,
    completing,
    deriving,
    evaluating,
    explaining,
    exploring,
    mapping,
    reporting,
    reproducing,
    serving,
    simulating,
    versioning,
)
from accelsim.commands.arguments import Arguments
from accelsim.errors import InputError


class Once(argparse.Action):
    """An option with one value, which may be given once."""

    def __call__(self, parser: argparse.ArgumentParser, namespace: Arguments, values: Any, option_string: str | None = None) -> None:
        given: set[str] = getattr(namespace, "given", set())
        if self.dest in given:
            raise InputError(f"{option_string} is given twice", "remove one of the two")
        namespace.given = given | {self.dest}
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises InputError instead of printing its usage and leaving, also where an option is given twice."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.register("action", None, Once)

    def error(self, message: str) -> NoReturn:
        raise InputError(message, f"see `{self.prog} --help`")


def parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser of the whole command line, and those of its commands by name."""
    about = (accelsim.__doc__ or "").removeprefix("accelsim: ")
    top = Parser(prog="accelsim", allow_abbrev=False, description=about, epilog="Each command explains itself: accelsim map --help")
    top.add_argument("--version", action="version", version=f"accelsim {accelsim.__version__}")
    subparsers = top.add_subparsers(metavar="COMMAND", dest="command", parser_class=Parser)
    found: dict[str, Parser] = {}

    def command(name: str, verb: Callable[[Arguments], int], about: str) -> Parser:
        found[name] = subparsers.add_parser(name, help=about, description=about, allow_abbrev=False)
        found[name].set_defaults(verb=verb)
        found[name].add_argument("--json", metavar="FILE", help="write the result as JSON; '-' is standard output")
        found[name].add_argument("-q", "--quiet", action="store_true", help="no report and no progress")
        return found[name]

    def setting(command: Parser) -> None:
        about = "change a value, as in shape.m=16384 or arch.L3.size='8 MiB'; may be repeated"
        command.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help=about)

    def pricing(command: Parser, drawn: str) -> None:
        command.add_argument("--arch", metavar="MACHINE", help="a machine: a file or a name from `accelsim list archs`")
        about = "a counting convention, as in drains=free; may be repeated"
        command.add_argument("--counting", action="append", default=[], metavar="OPTION=VALUE", help=about)
        command.add_argument("--draw", metavar="FILE", help=drawn)

    def executing(command: Parser, does: str) -> None:
        about = "where: local (default), dask://HOST:PORT, or dask://local?workers=4 (docs/scaling-out.md)"
        command.add_argument("--executor", metavar="WHERE", help=about)
        command.add_argument("--workers", metavar="N", help=f"how many processes {does} side by side (default: one for each core)")

    def workload(command: Parser) -> None:
        command.add_argument("workload", metavar="WORKLOAD", help="a workload: a file or a name from `accelsim list workloads`")

    map_ = command("map", mapping.map_, "find the best mapping of a workload on a machine, and say what limits it")
    workload(map_)
    pricing(map_, "draw the mapping, the front of --pareto or the curves of --compare (png, svg or pdf)")
    about = "latency (default), energy, edp, traffic; a sum as in 'energy + 0.5*latency'; 'latency, energy' breaks ties by the second"
    map_.add_argument("--objective", default="latency", metavar="WHAT", help=about)
    about = "how fused Einsums may run: sequential or pipelined (default: whichever is better)"
    map_.add_argument("--schedule", metavar="HOW", help=about)
    about = "any (default), or dividing: only tiles that divide the tile around them"
    map_.add_argument("--tiles", default="any", metavar="WHICH", help=about)
    about = "a file of rules that the mapping obeys (keep, tile, order, stationary, spread, run, …), or a mapping file in which '?' is open"
    map_.add_argument("--constraints", metavar="FILE", help=about)
    about = "stop after so many CPU seconds (of each search, compiling apart) with the best so far and its gap"
    map_.add_argument("--time-limit", metavar="SECONDS", help=about)
    map_.add_argument("--gap", metavar="SHARE", help="stop when the best is proved to be within this share of the optimum, as in 0.02")
    about_data = "the elements of an input that are stored, as in A=matrix.mtx (also .mtx.gz, .npz); may be repeated"
    map_.add_argument("--data", action="append", default=[], metavar="TENSOR=FILE", help=about_data)
    about = "choose how each rank of stored inputs, and of results with a format, is kept: uncompressed, compressed or bitmask"
    map_.add_argument("--formats", action="store_true", help=about)
    about = "seed of the search, and of stored elements that are drawn (default 0)"
    map_.add_argument("--seed", default="0", metavar="N", help=about)
    about = "every mapping that no other beats in two or three of latency, energy, traffic, capacity, instead of one mapping"
    map_.add_argument("--pareto", metavar="A,B[,C]", help=about)
    about = "search with the mapper and every baseline, each for as many CPU seconds (--time-limit, default 10), and show what each found"
    map_.add_argument("--compare", action="store_true", help=about)
    about = "how many processes search side by side: layers of a model, or what --compare compares (default: one for each core)"
    map_.add_argument("--workers", metavar="N", help=about)
    about = "of a model: prefill (the whole context at once), decode (a token at a time) or both (default, if one of these is given)"
    map_.add_argument("--phase", metavar="WHICH", help=about)
    map_.add_argument("--batch", metavar="N", help="of a model: sequences that are served together (default 1)")
    about = "of a model: tokens of each prompt, which are in the cache when decoding begins, as in 8k for 8192 (default: as its file says)"
    map_.add_argument("--context", metavar="N", help=about)
    about = "of a model: tokens to make of each sequence, the context one longer for each (default: one step with the context as it is)"
    map_.add_argument("--tokens", metavar="N", help=about)
    map_.add_argument("--store", metavar="FOLDER", help="keep what is found in a folder, and take from it what was found before")
    about = "save the mapping as YAML; of a model, as LAYER.yaml in a folder that exists; of a front, as WORKLOAD-1.yaml and so on in one"
    map_.add_argument("-o", "--output", metavar="FILE", help=about)
    about = "search over equivalent cascades too (docs/transform.md); -o F.yaml saves the best mapping, and F.cascade.yaml its cascade"
    map_.add_argument("--explore-cascades", action="store_true", help=about)
    evaluate = command("evaluate", evaluating.evaluate_, "price a given mapping; an illegal one is refused with its reason and exit code 1")
    workload(evaluate)
    pricing(evaluate, "draw the mapping (png, svg or pdf)")
    about = "a mapping: a file or a name from `accelsim list mappings`; of a model, LAYER=MAPPING for each layer, or a folder"
    evaluate.add_argument("--mapping", action="append", default=[], metavar="MAPPING", help=about)
    evaluate.add_argument("--data", action="append", default=[], metavar="TENSOR=FILE", help=about_data)
    about_seed = "seed of stored elements that are drawn, of inputs with a format and without --data (default 0)"
    evaluate.add_argument("--seed", default="0", metavar="N", help=about_seed)
    about = "price what densities lead to expect of stored elements, and draw none"
    evaluate.add_argument("--statistics", action="store_true", help=about)
    about = "say why a run takes its time and its energy, what would help, and every joule down to its row"
    explain = command("explain", explaining.explain_, about)
    workload(explain)
    explain.add_argument("--arch", metavar="MACHINE", help="a machine: a file or a name from `accelsim list archs`")
    about = "a mapping: a file or a name; of a model, LAYER=MAPPING for each layer, or a folder (default: what the mapper finds)"
    explain.add_argument("--mapping", action="append", default=[], metavar="MAPPING", help=about)
    explain.add_argument("--layer", metavar="NAME", help="of a model: explain only this layer")
    about = "a counting convention, as in drains=free; may be repeated"
    explain.add_argument("--counting", action="append", default=[], metavar="OPTION=VALUE", help=about)
    about = "look for the best mapping on every changed machine, and not only at the same mapping"
    explain.add_argument("--remap", action="store_true", help=about)
    explain.add_argument("--objective", default="latency", metavar="WHAT", help="what searches look for, as in `accelsim map` (latency)")
    explain.add_argument("--time-limit", metavar="SECONDS", help="stop each search after so many CPU seconds")
    about = "compare with a run of this workload; what is not said of the second run is as said of the first"
    explain.add_argument("--against", metavar="WORKLOAD", help=about)
    explain.add_argument("--against-arch", metavar="MACHINE", help="compare with a run on this machine")
    about = "compare with a run of this mapping; may be repeated for the layers of a model"
    explain.add_argument("--against-mapping", action="append", default=[], metavar="MAPPING", help=about)
    about = "compare with a run where a value is changed too, as in arch.DRAM.bandwidth='100 GB/s'; may be repeated"
    explain.add_argument("--against-set", action="append", default=[], metavar="PATH=VALUE", help=about)
    explain.set_defaults(schedule=None, tiles="any", gap=None, seed="0", data=[])
    simulate = command("simulate", simulating.simulate_, "run a mapping event by event, and say where every cycle goes")
    workload(simulate)
    pricing(simulate, "draw the first events as a timeline (png, svg or pdf)")
    simulate.add_argument("--mapping", action="append", default=[], metavar="MAPPING", help=f"{about} (default: what the mapper finds)")
    about = "of a model: simulate only this layer, with its own report, trace and timeline"
    simulate.add_argument("--layer", metavar="NAME", help=about)
    simulate.add_argument("--trace", metavar="FILE", help="write the first 200,000 events as JSON that opens in ui.perfetto.dev")
    about = "fill tiles ahead: two copies of each tensor in every memory below the outermost, where they fit"
    simulate.add_argument("--ahead", action="store_true", help=about)
    about = "compute the values too, in the machine's order and types, and compare them with the reference interpreter; exit code 1 if off"
    simulate.add_argument("--check", action="store_true", help=about)
    simulate.add_argument("--data", action="append", default=[], metavar="TENSOR=FILE", help=about_data)
    about = "seed of the inputs for --check, and of stored elements that are drawn (default 0)"
    simulate.add_argument("--seed", default="0", metavar="N", help=about)
    about = (
        "run a mapping on the RTL of hw/rtl beside the simulator, and compare every word and every cycle (needs Verilator, g++ and make)"
    )
    cosim = command("cosim", simulating.cosim_, about)
    program = command("export-program", simulating.export_program_, "turn a mapping into a program for the processor of hw/rtl")
    for each in (cosim, program):
        workload(each)
        each.add_argument("--arch", metavar="MACHINE", help="a machine like hw/arch/mini.yaml: a file or a name")
        about = "a mapping: a file or a name (default: what the mapper finds)"
        each.add_argument("--mapping", action="append", default=[], metavar="MAPPING", help=about)
    about = "write the RTL's signals, but no memories, to FILE.fst, which GTKWave and Surfer open; cycle n of the report lies at 10 n ns"
    cosim.add_argument("--waves", metavar="FILE", help=about)
    cosim.add_argument("--seed", default="0", metavar="N", help="seed of the inputs (default 0)")
    program.add_argument("-o", "--output", metavar="FILE", help="write the program as JSON (default: to the terminal)")
    inject = command("inject", simulating.inject_, "inject the faults of a campaign, and say what comes of them")
    inject.add_argument("campaign", metavar="CAMPAIGN", help="a campaign: a file or a name from `accelsim list campaigns`")
    about = "keep results in an SQLite file, and go on from what is in it"
    inject.add_argument("-o", "--output", metavar="FILE", help=about)
    about = "run so many of its faults in RTL too, and compare every word in every cycle (needs Verilator, g++ and make)"
    inject.add_argument("--rtl", metavar="N", help=about)
    executing(inject, "inject")
    explore = command("explore", exploring.explore_, "map every point of a sweep, and say which ones no other beats")
    about = "a sweep: a file or a name from `accelsim list sweeps` (docs/explore.md); with --show, a table that -o wrote"
    explore.add_argument("sweep", metavar="SWEEP", help=about)
    about = "write the table, one row for each point: .parquet or .csv; rows are kept in FILE.points, and none is worked out twice"
    explore.add_argument("-o", "--output", metavar="FILE", help=about)
    explore.add_argument("--store", metavar="FOLDER", help="keep rows in a folder, which sweeps may share, instead of beside the table")
    explore.add_argument("--most", default="1000000", metavar="N", help="points that a sweep may ask for (default 1000000)")
    explore.add_argument("--show", metavar="ROW", help="print the command that finds a row of a table again, and what it found")
    about = "instead of all points, one: how much each parameter and price of its machine alone, down and up by FACTOR, changes its figures"
    explore.add_argument("--sensitivity", metavar="FACTOR", help=about)
    explore.add_argument("--at", default="0", metavar="ROW", help="of --sensitivity: the point's row, from 0 (default 0)")
    about = "draw the front in its first two figures, a third as colour, or what --sensitivity finds (png, svg or pdf)"
    explore.add_argument("--draw", metavar="FILE", help=about)
    executing(explore, "map points")
    reproduce = command("reproduce", reproducing.reproduce_, "hold published figures against what accelsim finds")
    about = "files of evidence, or names from `accelsim list evidence` (default: all that are shipped)"
    reproduce.add_argument("name", nargs="*", metavar="NAME", help=about)
    reproduce.add_argument("--kind", metavar="KIND", help="only rows of this kind: validation, reproduction or plausibility")
    reproduce.add_argument("-o", "--output", metavar="FILE", help="write the page, in Markdown")
    reproduce.add_argument("--workers", metavar="N", help="how many processes run side by side (default: one for each core)")
    reproduce.set_defaults(read=parsed)
    run = command("run", analysing.run_, "execute a workload with the reference interpreter on random inputs")
    workload(run)
    run.add_argument("--seed", default="0", metavar="N", help="seed of the inputs (default 0)")
    about = "say whether a file of any kind is right; a mapping or constraints against --workload and --arch"
    check = command("check", analysing.check_, about)
    about = "a workload, machine, mapping, constraints, sweep, campaign, evidence, technology, DRAM or rates file, or a shipped name"
    check.add_argument("file", metavar="FILE", help=about)
    check.add_argument("--workload", metavar="WORKLOAD", help="the workload that a mapping or constraints are for")
    check.add_argument("--arch", metavar="MACHINE", help="the machine that a mapping or constraints are for")
    passes = command("passes", analysing.passes_, "how often each rank must be traversed, and what crosses from pass to pass")
    workload(passes)
    passes.add_argument("--rank", metavar="RANK", help="only this rank")
    about = "turn a workload into one that computes the same, step by step, and say which steps it allows"
    derive = command("derive", deriving.derive_, about)
    workload(derive)
    about = "steps with ';' between them, as in 'defer AV; stream m' (docs/transform.md); without any: what the workload allows"
    derive.add_argument("--steps", metavar="STEPS", help=about)
    derive.add_argument("--name", metavar="NAME", help="the name of the derived workload (default: that of the original)")
    derive.add_argument("-o", "--output", metavar="FILE", help="save the derived workload as YAML")
    bounds = command("bounds", analysing.bounds_, "compulsory traffic, operations and arithmetic intensity of a workload")
    workload(bounds)
    about = "the parameters of a model, and what it keeps per token and per sequence while it is served"
    workload(command("params", serving.params_, about))
    count = command("count", analysing.count_, "count what a product of two sparse matrices takes, and what storing them does")
    count.add_argument("file", nargs="+", metavar="FILE", help="a matrix, or two for their product: .mtx, .mtx.gz or .npz")
    for name, number, about in (
        ("radix", "64", "lists that a merger takes at a time"),
        ("units", "32", "units that share the rows of the product, one multiplication each and cycle"),
        ("cache", "262144", "elements of the second matrix that a fiber cache holds"),
        ("value-bits", "64", "bits of a value"),
        ("coordinate-bits", "32", "bits of a coordinate"),
        ("pointer-bits", "32", "bits of a pointer"),
    ):
        count.add_argument(f"--{name}", default=number, metavar="N", help=f"{about} (default {number})")
    about = "turn a file of another tool into a workload: a network in ONNX, a program of torch.export, tables and problems of other tools"
    importing = command("import", analysing.import_, about)
    importing.add_argument("file", metavar="FILE", help="the file; its format follows from its name and what is in it")
    importing.add_argument("-o", "--output", metavar="FILE", help="write the workload as YAML (default: to the terminal)")
    importing.add_argument("--format", metavar="NAME", help="the format, where a file does not show it")
    about = "what to do with operators that are not known: refuse (default), or count their traffic alone"
    importing.add_argument("--unsupported", default="refuse", metavar="HOW", help=about)
    about = "merged (default): equal layers once, with 'times'; each: every layer by itself; one: the whole network as one cascade"
    importing.add_argument("--layers", default="merged", metavar="HOW", help=about)
    about = "the size of a dimension that the file leaves open, as in batch=1; may be repeated"
    importing.add_argument("--size", action="append", default=[], metavar="NAME=N", help=about)
    about = "a number type in place of the file's floating-point types, as in bf16"
    importing.add_argument("--type", default="", metavar="TYPE", help=about)
    listing = command("list", analysing.list_, "what accelsim ships")
    about = "workloads, archs, mappings, sweeps, campaigns, evidence, technologies, drams or rates"
    listing.add_argument("kind", nargs="?", metavar="KIND", help=about)
    listing.add_argument("word", nargs="?", metavar="WORD", help="only those with this word in their name or description, as in attention")
    report = command("report", reporting.report_, "show saved results again, on the terminal or as a page for a browser")
    report.add_argument("file", nargs="+", metavar="FILE.json", help="what --json wrote; several for a page with all of them side by side")
    report.add_argument("--trace", metavar="FILE", help="events of a simulation, for the timeline of --html: what `simulate --trace` wrote")
    about = "write a page for a browser: one file that needs no network, with tables that sort, drawings and a timeline"
    for each in (map_, evaluate, simulate, explain, inject, explore, report):
        each.add_argument("--html", metavar="FILE", help=about)
    about = "the JSON Schema of a kind of file, with which editors complete and check it; without KIND: where they all are"
    schema = command("schema", versioning.schema_, about)
    schema.add_argument("kind", nargs="?", metavar="KIND", help="workload, machine, mapping, campaign, …, as named at the top of a file")
    schema.add_argument("-o", "--output", metavar="FILE", help="write it to a file (default: to the terminal)")
    migrate = command("migrate", versioning.migrate_, "rewrite a file in the newest version of its format, comments as they are")
    migrate.add_argument("file", metavar="FILE", help="a YAML file of any kind")
    migrate.add_argument("-o", "--output", metavar="FILE", help="write it there (default: to the terminal); may be FILE itself")
    completion = command("completion", completing.completion_, "a script that completes commands, options and names in a shell")
    completion.add_argument("shell", nargs="?", metavar="SHELL", help="bash, zsh or fish")
    completion.add_argument("--words", metavar="KIND", help="only the names that are shipped of a kind, as the script asks for them")
    completion.set_defaults(grammar=lambda: parser()[1])
    for each in found.values():
        setting(each)
    return top, found


def parsed(argv: Sequence[str]) -> Arguments:
    """The arguments of a whole command line."""
    return parser()[0].parse_args(list(argv))
