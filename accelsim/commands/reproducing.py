"""The verb `reproduce`: files of evidence run, published figures beside accelsim's, and a page that says so.

Every run of a file is a command of accelsim, which the page shows; equal commands run once. Everything heavy is imported inside the
function that uses it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.commands.answers import give_blocks
from accelsim.commands.arguments import Arguments, resolved, settings_of, workers_of
from accelsim.errors import AccelsimError, InputError, did_you_mean

if TYPE_CHECKING:
    from accelsim.evidence.nouns import Case, Evidence, Run
    from accelsim.jobs.workers import Tell

_SLOWEST = ("simulate", "map", "evaluate", "passes", "bounds")  # first, so that no process waits for another at the end
Command = tuple[str, ...]
Read = Callable[[Sequence[str]], Arguments]  # a command line to the arguments of its verb


def reproduce_(arguments: Arguments) -> int:
    from accelsim.evidence.nouns import KINDS
    from accelsim.io.evaluation import write_text
    from accelsim.report.evidence import evidence_blocks, evidence_page
    from accelsim.report.progress import progress

    settings_of(arguments).refuse("workload", "arch", "mapping")
    if arguments.kind is not None and arguments.kind not in KINDS:
        raise InputError(f"there is no kind '{arguments.kind}'", did_you_mean(arguments.kind, KINDS))
    found = evidence_of(arguments.name, arguments.kind)
    with progress(not arguments.quiet) as tell:
        document = reproduced(found, arguments.read, workers_of(arguments), tell)
    if arguments.output is not None:
        write_text(evidence_page(document), arguments.output)
    code = give_blocks(arguments, document, evidence_blocks)
    return 1 if any(row["status"] == "off" for each in document["evidence"] for row in each["rows"]) else code


def evidence_of(names: Sequence[str], kind: str | None) -> list[Evidence]:
    """The evidence of some names or files, or all that is shipped; only rows of one kind where one is wanted."""
    from dataclasses import replace

    from accelsim.io.catalogue import EVIDENCE, shipped
    from accelsim.io.evidence import load_evidence

    files = [resolved(name, EVIDENCE) for name in names] or list(shipped(EVIDENCE).values())
    found = [load_evidence(path) for path in files]
    if kind is not None:
        found = [replace(each, rows=tuple(row for row in each.rows if row.kind == kind)) for each in found]
    return [each for each in found if each.rows]


def reproduced(found: Sequence[Evidence], read: Read, workers: int, tell: Tell) -> dict[str, Any]:
    """The document of a reproduction: every row with its figures, every command that was run."""
    from accelsim.evidence.evaluate import Evaluator
    from accelsim.evidence.scoring import asked, score

    commands: dict[Command, None] = {}
    wanted: list[dict[tuple[str, tuple[str, ...], str], Command]] = []
    for evidence in found:
        mine: dict[tuple[str, tuple[str, ...], str], Command] = {}
        for name, case, key in asked(evidence):
            command = command_of(evidence, evidence.runs[name], case, key)
            mine[name, case.key, key] = command
            commands[command] = None
        wanted.append(mine)
    documents = run_all(sorted(commands, key=lambda command: _SLOWEST.index(command[0])), read, workers, tell)
    out = []
    for evidence, mine in zip(found, wanted, strict=True):

        def find(name: str, case: Case, key: str, mine: dict[tuple[str, tuple[str, ...], str], Command] = mine) -> Any:
            return documents[mine[name, case.key, key]]

        results = score(Evaluator(evidence, find))
        out.append(
            {
                "name": evidence.name,
                "title": evidence.title,
                "source": evidence.source,
                "about": evidence.about,
                "rows": [result.to_json() for result in results],
                "runs": [" ".join(("accelsim", *map(_quoted, command))) for command in dict.fromkeys(mine.values())],
            }
        )
    return {"schema": "accelsim/evidence/1", "evidence": out}


def command_of(evidence: Evidence, run: Run, case: Case, key: str) -> Command:
    """The command line of a run for a case; of a workload alone, `bounds` or `passes`, whichever the path asks for."""
    from accelsim.evidence.evaluate import Evaluator
    from accelsim.evidence.formula import Formula

    def nothing(name: str, case: Case, key: str) -> Any:
        raise InputError(f"the settings of run '{run.name}' ask for the run '{name}'", "name variables, constants and tables", run.place)

    evaluator = Evaluator(evidence, nothing)

    def text(value: Any) -> str:
        found = evaluator.value(value, [case]) if isinstance(value, Formula) else value
        return str(int(found)) if isinstance(found, float) and found == int(found) else str(found)

    options = run.options
    workload = text(options["workload"])
    layer = text(options["layer"]) if "layer" in options else ""
    words: list[str] = []
    if options.get("simulate"):
        words = ["simulate", workload]
    elif "arch" not in options:
        if key not in ("bounds", "passes"):
            what = f"run '{run.name}' has no machine, and gives bounds and passes"
            raise InputError(what, f"write {run.name}.bounds.… or {run.name}.passes.…, or name an 'arch'", run.place)
        words = [key, workload]
    else:
        words = ["evaluate" if "mapping" in options else "map", workload]
    for option in ("layer", "arch", "mapping", "constraints", "objective", "schedule", "tiles", "gap", "seed"):
        if option in options and (chosen := text(options[option])):
            words += [f"--{option}", f"{layer}={chosen}" if option == "mapping" and layer else chosen]
    words += [f"--{flag}" for flag in ("statistics", "ahead") if options.get(flag)]
    for option, value in options.get("counting", {}).items():
        words += ["--counting", f"{option}={value}"]
    settings = {path: text(value) for path, value in {**case.settings, **run.settings}.items()}
    for path, setting in settings.items():
        if layer and path.startswith("mapping."):
            path = f"mapping.{layer}.{path.removeprefix('mapping.')}"
        if setting:
            words += ["--set", f"{path}={setting}"]
    return tuple(words)


def _quoted(word: str) -> str:
    import shlex

    return shlex.quote(word)


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a command; never interrupted: a command that is, raises."""

    document: Any
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Job:
    """One command, run in whichever process takes it."""

    command: Command
    read: Read
    shown: str

    def __call__(self, tell: Tell, hurry: bool, /) -> Done:
        if hurry:
            raise KeyboardInterrupt
        tell(self.shown)
        return Done(document_of(self.command, self.read))


def run_all(commands: Sequence[Command], read: Read, workers: int, tell: Tell) -> dict[Command, Any]:
    """The JSON of every command."""
    from accelsim.jobs.workers import side_by_side

    jobs = [Job(command, read, f"{command[0]} {command[1]}") for command in commands]
    return {command: done.document for command, done in zip(commands, side_by_side(jobs, workers, tell, "runs"), strict=True)}


def document_of(command: Command, read: Read) -> Any:
    """The JSON that a command gives: of `bounds` and `passes`, under that name."""
    from accelsim.io.evaluation import read_result

    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        arguments = read([*command, "--json", str(file), "--quiet"])
        try:
            arguments.verb(arguments)
        except AccelsimError as error:
            error.add_note(" ".join(command))
            raise type(error)(f"`accelsim {' '.join(map(_quoted, command))}`: {error.what}", error.mend, error.place) from None
        document = read_result(file)
    return {command[0]: document} if command[0] in ("bounds", "passes") else document
