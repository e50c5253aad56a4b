"""`accelsim report`: saved results again, on the terminal or as a page for a browser."""

from __future__ import annotations

from accelsim.commands.answers import give_blocks
from accelsim.commands.arguments import Arguments, settings_of
from accelsim.errors import InputError


def report_(arguments: Arguments) -> int:
    settings_of(arguments).refuse("workload", "arch", "mapping")
    if arguments.html is not None:
        return _page(arguments)
    if arguments.trace is not None:
        raise InputError(
            f"--trace {arguments.trace}: only a page shows the events of a simulation", "add --html FILE, or leave --trace out"
        )
    if len(arguments.file) > 1:
        raise InputError(f"{len(arguments.file)} files: a terminal shows one result at a time", "add --html FILE, or name one file")
    from accelsim.io.evaluation import read_evaluation
    from accelsim.report.model import model_blocks
    from accelsim.report.schema import MODEL_EVALUATION
    from accelsim.report.stored import stored_report
    from accelsim.report.terminal import report

    document = read_evaluation(arguments.file[0])
    one = stored_report if "stored" in document else report
    return give_blocks(arguments, document, model_blocks if document["schema"] == MODEL_EVALUATION else one)


def _page(arguments: Arguments) -> int:
    from accelsim.io.evaluation import write_json, write_text
    from accelsim.io.results import read_result, read_trace
    from accelsim.report.html.beside import LETTERS
    from accelsim.report.html.report import explained, report, reports

    if len(arguments.file) > len(LETTERS):
        what = f"{len(arguments.file)} files: a page holds at most {len(LETTERS)} results side by side"
        raise InputError(what, "name fewer")
    documents = [read_result(path) for path in arguments.file]
    trace = None
    if arguments.trace is not None:
        if len(documents) > 1 or documents[0]["schema"] != "accelsim/simulation/1":
            what = f"--trace {arguments.trace}: events belong to one simulation"
            raise InputError(what, "name the simulation's JSON alone, or leave --trace out")
        trace = read_trace(arguments.trace)
    if len(documents) == 1:
        text = report(documents[0], trace)
    elif (pair := explained(documents)) is not None:
        text = report(pair[0], reasons=pair[1])
    else:
        text = reports(arguments.file, documents)
    write_text(text, arguments.html)
    if arguments.json is not None:
        write_json(documents[0] if len(documents) == 1 else documents, arguments.json)
    if not arguments.quiet and arguments.json != "-":
        print(f"{arguments.html}: {len(text.encode()):,} bytes; open it in a browser")
    return 0
