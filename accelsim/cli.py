"""The command line: arguments to verbs, nothing more. Everything heavy is imported inside the verb that uses it."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

import accelsim
from accelsim.errors import AccelsimError, InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.io.catalogue import Kind
    from accelsim.io.overrides import Overrides
    from accelsim.mapping.tree import Mapping
    from accelsim.workload.cascade import Cascade

Arguments = argparse.Namespace
INTERNAL_ERROR = 70
INTERRUPTED = 130


class Parser(argparse.ArgumentParser):
    """An argparse parser that raises InputError instead of printing its usage and leaving."""

    def error(self, message: str) -> NoReturn:
        raise InputError(message, f"see `{self.prog} --help`")


def parser() -> tuple[Parser, dict[str, Parser]]:
    """The parser of the whole command line, and those of its commands by name."""
    about = (accelsim.__doc__ or "").removeprefix("accelsim: ")
    top = Parser(prog="accelsim", allow_abbrev=False, description=about, epilog="Each command explains itself: accelsim map --help")
    top.add_argument("--version", action="version", version=f"accelsim {accelsim.__version__}")
    commands = top.add_subparsers(metavar="COMMAND", dest="command", parser_class=Parser)
    found: dict[str, Parser] = {}

    def command(name: str, verb: Callable[[Arguments], int], about: str) -> Parser:
        found[name] = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
        found[name].set_defaults(verb=verb)
        found[name].add_argument("--json", metavar="FILE", help="write the result as JSON; '-' is standard output")
        found[name].add_argument("-q", "--quiet", action="store_true", help="no report and no progress")
        return found[name]

    def setting(command: Parser) -> None:
        about = "change a value, as in shape.m=16384 or arch.L3.size='8 MiB'; may be repeated"
        command.add_argument("--set", action="append", default=[], metavar="PATH=VALUE", help=about)

    def pricing(command: Parser) -> None:
        command.add_argument("--arch", metavar="MACHINE", help="a machine: a file or a name from `accelsim list archs`")
        about = "a counting convention, as in drains=free; may be repeated"
        command.add_argument("--counting", action="append", default=[], metavar="OPTION=VALUE", help=about)
        command.add_argument("--draw", metavar="FILE", help="draw the mapping (png, svg or pdf)")

    def workload(command: Parser) -> None:
        command.add_argument("workload", metavar="WORKLOAD", help="a workload: a file or a name from `accelsim list workloads`")

    mapping = command("map", _map, "find the best mapping of a workload on a machine, and say what limits it")
    workload(mapping)
    pricing(mapping)
    mapping.add_argument("--objective", default="latency", metavar="WHAT", help="latency (default), energy or edp")
    mapping.add_argument("--seed", default="0", metavar="N", help="seed of the search (default 0)")
    mapping.add_argument("-o", "--output", metavar="FILE", help="save the mapping as YAML")
    evaluate = command("evaluate", _evaluate, "price a given mapping; an illegal one is refused with its reason and exit code 1")
    workload(evaluate)
    pricing(evaluate)
    evaluate.add_argument("--mapping", metavar="MAPPING", help="a mapping: a file or a name from `accelsim list mappings`")
    run = command("run", _run, "execute a workload with the reference interpreter on random inputs")
    workload(run)
    run.add_argument("--seed", default="0", metavar="N", help="seed of the inputs (default 0)")
    check = command("check", _check, "say whether a file of any kind is right; a mapping also against --workload and --arch")
    check.add_argument("file", metavar="FILE", help="a workload, machine, mapping or technology file, or a shipped name")
    check.add_argument("--workload", metavar="WORKLOAD", help="the workload that a mapping is for")
    check.add_argument("--arch", metavar="MACHINE", help="the machine that a mapping is for")
    passes = command("passes", _passes, "how often each rank must be traversed, and what crosses from pass to pass")
    workload(passes)
    passes.add_argument("--rank", metavar="RANK", help="only this rank")
    bounds = command("bounds", _bounds, "compulsory traffic, operations and arithmetic intensity of a workload")
    workload(bounds)
    listing = command("list", _list, "what accelsim ships")
    listing.add_argument("kind", metavar="KIND", help="workloads, archs, mappings or technologies")
    report = command("report", _report, "show a saved evaluation again")
    report.add_argument("file", metavar="FILE.json", help="what --json wrote")
    for each in found.values():
        setting(each)
    return top, found


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0, 1 no legal mapping or a failed check, 2 bad input, 70 a fault of accelsim."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _dispatch(arguments)
        sys.stdout.flush()
        return code
    except AccelsimError as error:
        return _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _fail("interrupted before anything was found", INTERRUPTED)
    except MemoryError:
        return _fail("too large: the memory of this computer does not suffice; make the shape smaller", 2)
    except OverflowError:
        return _fail("too large: a number leaves the range that accelsim counts in; make the shape smaller", 2)
    except RecursionError:
        return _fail("nested too deeply; write it with fewer levels", 2)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if os.environ.get("ACCELSIM_DEBUG"):
            raise
        return _fail(f"internal error: {type(error).__name__}: {error}; set ACCELSIM_DEBUG=1 to see where, and report it", INTERNAL_ERROR)


def _fail(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


def _dispatch(arguments: list[str]) -> int:
    top, commands = parser()
    first = arguments[0] if arguments else "--help"
    if not first.startswith("-") and first not in commands:
        raise InputError(f"there is no command '{first}'", did_you_mean(first, commands))
    try:
        parsed, unknown = top.parse_known_args(arguments or ["--help"])
    except SystemExit as leaving:  # --help and --version
        return int(leaving.code or 0)
    if unknown:
        command = commands.get(parsed.command or "", top)
        options = [option for action in command._actions for option in action.option_strings]
        if unknown[0].startswith("-"):
            name = unknown[0].partition("=")[0]
            raise InputError(f"{command.prog} has no option '{name}'", did_you_mean(name, options))
        raise InputError(f"{command.prog} does not expect '{unknown[0]}'", f"see `{command.prog} --help`")
    draw = getattr(parsed, "draw", None)
    if draw is not None and not draw.lower().endswith((".png", ".svg", ".pdf")):
        raise InputError(f"--draw {draw}: not a kind of picture", "end the name in .png, .svg or .pdf")
    for target in (parsed.json, getattr(parsed, "output", None), draw):
        _refuse_unwritable(target)
    verb: Callable[[Arguments], int] = parsed.verb
    return verb(parsed)


def _refuse_unwritable(target: str | None) -> None:
    """An InputError before any work is done if a file to be written cannot be."""
    if target is None or target == "-":
        return
    folder = os.path.dirname(target) or "."
    if not os.path.isdir(folder):
        raise InputError(f"{target}: there is no folder '{folder}'", "create it or name another")
    if os.path.isdir(target):
        raise InputError(f"{target}: is a folder", "name a file")
    if not os.access(target if os.path.exists(target) else folder, os.W_OK):
        raise InputError(f"{target}: cannot write there", "name another file")


# ---------------------------------------------------------------------------------------------------- verbs


def _map(arguments: Arguments) -> int:
    from accelsim.mapper import search
    from accelsim.mapper.objectives import OBJECTIVES
    from accelsim.report.progress import progress

    settings = _settings(arguments)
    settings.refuse("mapping")
    seed = _seed(arguments)
    if arguments.objective not in OBJECTIVES:
        raise InputError(f"there is no objective '{arguments.objective}'", did_you_mean(arguments.objective, OBJECTIVES))
    cascade = _cascade(arguments.workload, settings)
    machine = _machine(_required(arguments, "arch", "a machine"), settings)
    counting = _counting(arguments)
    with progress(not arguments.quiet) as tell:
        found = search(cascade, machine, objective=arguments.objective, seed=seed, counting=counting, progress=tell)
    if arguments.output is not None:
        from accelsim.io.evaluation import write_text
        from accelsim.io.mapping import dump_mapping

        write_text(dump_mapping(found.mapping), arguments.output)
    return _show(arguments, found.evaluation, cascade, found.mapping)


def _evaluate(arguments: Arguments) -> int:
    from accelsim.model import evaluate

    settings = _settings(arguments)
    cascade = _cascade(arguments.workload, settings)
    machine = _machine(_required(arguments, "arch", "a machine"), settings)
    mapping = _mapping(_required(arguments, "mapping", "a mapping"), cascade, settings)
    return _show(arguments, evaluate(cascade, machine, mapping, _counting(arguments)), cascade, mapping)


def _show(arguments: Arguments, evaluation: Any, cascade: Cascade, mapping: Mapping) -> int:
    """Write what was asked for of an evaluation and its mapping: drawing, JSON, report."""
    if arguments.draw is not None:
        from accelsim.mapping.picture import picture

        try:
            picture(mapping, arguments.draw)
        except OSError as error:
            raise InputError(f"{arguments.draw}: cannot write: {error.strerror or error}", "check the path") from None

    def write() -> None:
        from accelsim.mapping.text import nest
        from accelsim.report.terminal import report, show

        show(report(evaluation.to_json(), nest(mapping, cascade)))

    return _give(arguments, evaluation.to_json(), write)


def _give(arguments: Arguments, document: Any, write: Callable[[], None]) -> int:
    """Write the JSON where it was asked for, and the report unless it was not wanted or its place is taken."""
    if arguments.json is not None:
        from accelsim.io.evaluation import write_json

        write_json(document, arguments.json)
    if not arguments.quiet and arguments.json != "-":
        write()
    return 0


def _run(arguments: Arguments) -> int:
    raise NotImplementedError


def _check(arguments: Arguments) -> int:
    raise NotImplementedError


def _passes(arguments: Arguments) -> int:
    raise NotImplementedError


def _bounds(arguments: Arguments) -> int:
    raise NotImplementedError


def _list(arguments: Arguments) -> int:
    from accelsim.io.catalogue import KINDS, about, shipped

    _settings(arguments).refuse("workload", "arch", "mapping")
    kinds = {kind.plural: kind for kind in KINDS}
    if arguments.kind not in kinds:
        raise InputError(f"cannot list '{arguments.kind}'", did_you_mean(arguments.kind, kinds))
    found = {name: about(path) for name, path in shipped(kinds[arguments.kind]).items()}

    def write() -> None:
        from accelsim.report.terminal import listing, show

        show([listing(found)])

    return _give(arguments, found, write)


def _report(arguments: Arguments) -> int:
    from accelsim.io.evaluation import read_evaluation

    _settings(arguments).refuse("workload", "arch", "mapping")
    document = read_evaluation(arguments.file)

    def write() -> None:
        from accelsim.report.terminal import report, show

        show(report(document))

    return _give(arguments, document, write)


# ------------------------------------------------------------------------------------------------ arguments


def _required(arguments: Arguments, name: str, what: str) -> str:
    value = getattr(arguments, name)
    if not value:
        raise InputError(f"accelsim {arguments.command} needs {what}", f"add --{name} NAME; `accelsim list {name}s` shows them")
    return str(value)


def _seed(arguments: Arguments) -> int:
    text = arguments.seed
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise InputError(f"--seed '{text}' is not a whole number from 0", "write digits, as in --seed 1")
    return int(text)


def _settings(arguments: Arguments) -> Overrides:
    from accelsim.io.overrides import overrides

    return overrides(arguments.set)


def _counting(arguments: Arguments) -> Any:
    from accelsim.model.options import Counting

    found: dict[str, str] = {}
    for text in arguments.counting:
        for option in text.split(","):
            name, equals, value = option.partition("=")
            if not equals:
                raise InputError(f"--counting {option}: not an option", "write option=value, as in drains=free")
            found[name.strip()] = value.strip()
    return Counting.from_text(found)


def _resolve(text: str, kind: Kind) -> Any:
    from accelsim.io.catalogue import resolve

    return resolve(text, kind)


def _cascade(text: str, settings: Overrides) -> Cascade:
    from accelsim.io.catalogue import WORKLOAD
    from accelsim.io.workload import load_workload
    from accelsim.workload.cascade import Cascade

    found = load_workload(_resolve(text, WORKLOAD), settings.workload)
    if not isinstance(found, Cascade):
        raise InputError(f"{found.name} is a model of several cascades", "name one of its cascades")
    return found


def _machine(text: str, settings: Overrides) -> Architecture:
    from accelsim.io.catalogue import MACHINE
    from accelsim.io.hardware import load_architecture

    return load_architecture(_resolve(text, MACHINE), settings.arch)


def _mapping(text: str, cascade: Cascade, settings: Overrides) -> Mapping:
    from accelsim.io.catalogue import MAPPING
    from accelsim.io.mapping import load_mapping

    return load_mapping(_resolve(text, MAPPING), dict(cascade.extents), settings.mapping)
