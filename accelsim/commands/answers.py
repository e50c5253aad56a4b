"""What a verb of the command line gives back: a picture, JSON and a report, each where it was asked for.

Everything heavy is imported inside the function that uses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from accelsim.commands.arguments import Arguments
from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade, Model

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from accelsim.mapping.tree import Mapping
    from accelsim.model.evaluation import Evaluation
    from accelsim.model.layers import ModelEvaluation
    from accelsim.model.stored import StoredEvaluation
    from accelsim.sparse.pattern import IntArray


def draw_to(arguments: Arguments, draw: Callable[[], Axes]) -> None:
    """Save a drawing where it was asked for, if it was."""
    if arguments.draw is None:
        return
    from accelsim.report.plots.style import save

    try:
        save(draw(), arguments.draw)
    except OSError as error:
        raise InputError(f"{arguments.draw}: cannot write: {error.strerror or error}", "check the path") from None


def drawn(mapping: Mapping) -> Axes:
    """The drawing of a mapping."""
    from accelsim.report.plots.trees import loop_tree

    return loop_tree(mapping)


def refuse_drawing(arguments: Arguments, model: Model, mend: str = "leave --draw out") -> None:
    """Refuse to draw a model, which has no mapping of its own."""
    if arguments.draw is not None:
        what = f"--draw {arguments.draw}: {model.name} is a model, and each of its layers has its own mapping"
        raise InputError(what, mend)


def show_model(arguments: Arguments, evaluation: ModelEvaluation, more: dict[str, Any] | None = None) -> int:
    """Write what was asked for of a model's evaluation: JSON, report; `more`: what is known about it beside."""
    from accelsim.mapping.text import nest
    from accelsim.report.model import model_blocks

    nests = [nest(each.mapping, each.evaluator.cascade) for each in evaluation.evaluations]
    return give_blocks(arguments, evaluation.to_json() | (more or {}), lambda whole: model_blocks(whole, nests))


def show_evaluation(arguments: Arguments, evaluation: Evaluation) -> int:
    """Write what was asked for of an evaluation and its mapping: drawing, JSON, report."""
    draw_to(arguments, lambda: drawn(evaluation.mapping))

    def write() -> None:
        from accelsim.mapping.text import nest
        from accelsim.report.terminal import report, show

        show(report(evaluation.to_json(), nest(evaluation.mapping, evaluation.evaluator.cascade)))

    reasons = None
    if arguments.html is not None:
        from accelsim.commands.explaining import shown
        from accelsim.report.explain import explanation

        reasons = explanation(evaluation, shown)
    return give(arguments, evaluation.to_json(), write, reasons=reasons)


def give(arguments: Arguments, document: Any, write: Callable[[], None], trace: Any = None, reasons: Any = None, page: Any = None) -> int:
    """Write JSON and page where they were asked for, and the report unless it was not wanted or its place is taken.

    For the page, `trace`: the events of a simulation; `reasons`: the explanation of an evaluation; `page`: a document with more in it.
    """
    if arguments.json is not None:
        from accelsim.io.evaluation import write_json

        write_json(document, arguments.json)
    if getattr(arguments, "html", None) is not None:
        from accelsim.io.evaluation import write_text
        from accelsim.report.html.report import report

        write_text(report(page or document, trace, reasons), arguments.html)
    if not arguments.quiet and arguments.json != "-":
        write()
    return 0


def give_blocks(arguments: Arguments, document: Any, blocks: Callable[[Any], Any], trace: Any = None, page: Any = None) -> int:
    """Write a document, and its blocks as the report. page: the document with what only a page shows."""

    def write() -> None:
        from accelsim.report.terminal import show

        show(blocks(document))

    return give(arguments, document, write, trace, page=page)


def give_layers(arguments: Arguments, schema: str, model: Model, documents: list[Any], blocks: Callable[[Any], Any]) -> int:
    """Write what was found out about every cascade of a model."""
    layers = [{"times": layer.times, **document} for layer, document in zip(model.layers, documents, strict=True)]

    def all_blocks(whole: Any) -> Any:
        for layer in whole["layers"]:
            yield from blocks(layer)

    return give_blocks(arguments, {"schema": schema, "workload": model.name, "layers": layers}, all_blocks)


def show_stored(arguments: Arguments, found: StoredEvaluation, cascade: Cascade, stored: dict[str, IntArray], seed: int) -> int:
    """Write what was asked for of an evaluation over stored elements."""
    from accelsim.io.elements import origins
    from accelsim.mapping.text import nest
    from accelsim.model.misleading import misled
    from accelsim.report.progress import progress
    from accelsim.report.stored import stored_report

    mapping = found.evaluation.mapping
    document = found.to_json() | {"elements": origins(cascade, arguments.data, seed, stored)}
    if arguments.data:
        with progress(not arguments.quiet) as tell:
            tell("comparing with a uniform density")
            given = {text.partition("=")[0] for text in arguments.data}
            document["uniform_misleads"] = [each.to_json() for each in misled(found, stored, given)]
    draw_to(arguments, lambda: drawn(mapping))
    return give_blocks(arguments, document, lambda whole: stored_report(whole, nest(mapping, cascade)))
