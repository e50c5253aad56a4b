"""The command line's grammar: every command with its options (`options`), and the verb that carries it out."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import accelsim
from accelsim.commands import (
    analysing,
    completing,
    deriving,
    evaluating,
    explaining,
    exploring,
    mapping,
    options,
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


class Command(NamedTuple):
    """A command of the command line: `options` adds what it takes besides what all take; `page`: whether it writes a page too."""

    name: str
    verb: Callable[[Arguments], int]
    about: str
    options: Callable[[argparse.ArgumentParser], None]
    page: bool = False


def commands() -> tuple[Command, ...]:
    """Every command, in the order of `accelsim --help`."""
    return (
        Command("map", mapping.map_, "find the best mapping of a workload on a machine, and say what limits it", options.map_, True),
        Command("evaluate", evaluating.evaluate_, "price a given mapping; an illegal one is refused with its reason and exit code 1",
                options.evaluate, True),
        Command("explain", explaining.explain_, "say why a run takes its time and its energy, what would help, "
                "and every joule down to its row", options.explain, True),
        Command("simulate", simulating.simulate_, "run a mapping event by event, and say where every cycle goes", options.simulate, True),
        Command("cosim", simulating.cosim_, "run a mapping on the RTL of hw/rtl beside the simulator, and compare every word "
                "and every cycle (needs Verilator, g++ and make)", options.cosim),
        Command("export-program", simulating.export_program_, "turn a mapping into a program for the processor of hw/rtl",
                options.export_program),
        Command("inject", simulating.inject_, "inject the faults of a campaign, and say what comes of them", options.inject, True),
        Command("explore", exploring.explore_, "map every point of a sweep, and say which ones no other beats", options.explore, True),
        Command("reproduce", reproducing.reproduce_, "hold published figures against what accelsim finds", options.reproduce),
        Command("run", analysing.run_, "execute a workload with the reference interpreter on random inputs", options.run),
        Command("check", analysing.check_, "say whether a file of any kind is right; a mapping or constraints "
                "against --workload and --arch", options.check),
        Command("passes", analysing.passes_, "how often each rank must be traversed, and what crosses from pass to pass", options.passes),
        Command("derive", deriving.derive_, "turn a workload into one that computes the same, step by step, and say which steps it allows",
                options.derive),
        Command("bounds", analysing.bounds_, "compulsory traffic, operations and arithmetic intensity of a workload", options.workload),
        Command("params", serving.params_, "the parameters of a model, and what it keeps per token and per sequence while it is served",
                options.workload),
        Command("count", analysing.count_, "count what a product of two sparse matrices takes, and what storing them does", options.count),
        Command("import", analysing.import_, "turn a file of another tool into a workload: a network in ONNX, a program of torch.export, "
                "tables and problems of other tools", options.import_),
        Command("list", analysing.list_, "what accelsim ships", options.list_),
        Command("report", reporting.report_, "show saved results again, on the terminal or as a page for a browser", options.report, True),
        Command("schema", versioning.schema_, "the JSON Schema of a kind of file, with which editors complete and check it; "
                "without KIND: where they all are", options.schema),
        Command("migrate", versioning.migrate_, "rewrite a file in the newest version of its format, comments as they are",
                options.migrate),
        Command("completion", completing.completion_, "a script that completes commands, options and names in a shell", options.completion),
    )  # fmt: skip


def parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser of the whole command line, and those of its commands by name."""
    about = (accelsim.__doc__ or "").removeprefix("accelsim: ")
    top = Parser(prog="accelsim", allow_abbrev=False, description=about, epilog="Each command explains itself: accelsim map --help")
    top.add_argument("--version", action="version", version=f"accelsim {accelsim.__version__}")
    subparsers = top.add_subparsers(metavar="COMMAND", dest="command", parser_class=Parser)
    found: dict[str, Parser] = {}
    for each in commands():
        made = found[each.name] = subparsers.add_parser(each.name, help=each.about, description=each.about, allow_abbrev=False)
        made.set_defaults(verb=each.verb)
        made.add_argument("--json", metavar="FILE", help="write the result as JSON; '-' is standard output")
        made.add_argument("-q", "--quiet", action="store_true", help="no report and no progress")
        each.options(made)
        if each.page:
            options.page(made)
        about = "change a value, as in shape.m=16384 or arch.L3.size='8 MiB'; may be repeated"
        made.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help=about)
    found["reproduce"].set_defaults(read=parsed)
    found["completion"].set_defaults(grammar=lambda: parser()[1])
    return top, found


def parsed(argv: Sequence[str]) -> Arguments:
    """The arguments of a whole command line."""
    return parser()[0].parse_args(list(argv))
