"""`accelsim explain`: why a run takes its time and its energy, what would help, and where the difference of two runs comes from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelsim.commands.answers import give_blocks
from accelsim.commands.arguments import (
    Arguments,
    counting_of,
    is_stored,
    layer_of,
    mapping_of,
    refuse_layer,
    refuse_stored,
    request_of,
    resolved,
    settings_of,
    workload_of,
)
from accelsim.errors import AccelsimError, InputError
from accelsim.workload.cascade import Cascade, Model

if TYPE_CHECKING:
    from accelsim.explore.whatif import Remake
    from accelsim.hardware.architecture import Architecture
    from accelsim.io.overrides import Overrides
    from accelsim.model.evaluation import Evaluation
    from accelsim.model.layers import ModelEvaluation
    from accelsim.report.explain import Helps

Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Side:
    """A run, of a cascade or of a model, and how its machine is read again with other settings."""

    whole: Evaluation | ModelEvaluation
    remake: Remake

    @property
    def used(self) -> list[tuple[int, Evaluation]]:
        """How often each of its evaluations is used, and the evaluation."""
        from accelsim.model.layers import ModelEvaluation

        if isinstance(self.whole, ModelEvaluation):
            return [(layer.times, each) for layer, each in zip(self.whole.model.layers, self.whole.evaluations, strict=True)]
        return [(1, self.whole)]

    @property
    def model(self) -> str:
        """The name of a model, "" of one cascade."""
        from accelsim.model.layers import ModelEvaluation

        return self.whole.model.name if isinstance(self.whole, ModelEvaluation) else ""


def explain_(arguments: Arguments) -> int:
    from accelsim.model.layers import ModelEvaluation
    from accelsim.report.explain import Helps, explanation, model_explanation
    from accelsim.report.explain_blocks import explanation_blocks, model_explanation_blocks
    from accelsim.report.progress import progress

    other = _other(arguments)
    if _is_saved(arguments.workload) or (other is not None and _is_saved(other.workload)):
        return _saved(arguments, other)
    settings = settings_of(arguments)
    if other is not None and arguments.html is not None:
        mend = "evaluate both with --json, and give both files to `accelsim report --html`"
        raise InputError("--html shows one explanation, and two runs are compared", mend)
    with progress(not arguments.quiet) as tell:
        side = _side(arguments, settings, tell)
        with _settings_of_the_other(arguments):
            against = None if other is None else _side(other, settings_of(other), tell)
        helps = _what_if(arguments, side, tell) if against is None else Helps()
    if against is not None:
        return _difference(arguments, side, against)
    if isinstance(side.whole, ModelEvaluation):
        return give_blocks(arguments, model_explanation(side.whole, shown, helps), model_explanation_blocks)
    return give_blocks(arguments, explanation(side.whole, shown, helps), explanation_blocks)


def _other(arguments: Arguments) -> Arguments | None:
    """The arguments of the run to compare with: what is not said of it is as said of the first; None if it is not asked for."""
    from accelsim.io.overrides import replaced

    asked = [arguments.against, arguments.against_arch, *arguments.against_mapping, *arguments.against_set]
    if not any(asked):
        return None
    if arguments.remap:
        raise InputError("--remap says what would help one run, and two are compared", "leave --remap out")
    other = copy(arguments)
    other.workload = arguments.against or arguments.workload
    other.arch = arguments.against_arch or arguments.arch
    other.mapping = arguments.against_mapping or arguments.mapping
    other.set = replaced(arguments.set, arguments.against_set)
    return other


@contextmanager
def _settings_of_the_other(arguments: Arguments) -> Iterator[None]:
    """Errors name the option that a setting of the other run was given by."""
    try:
        yield
    except AccelsimError as error:
        said = str(error)
        for setting in arguments.against_set:
            path = setting.partition("=")[0].strip()
            if said.startswith((f"--set {path}:", f"--set {setting}:")):
                raise type(error)(f"--against-{said.removeprefix('--')}") from None
        raise


def _is_saved(text: str) -> bool:
    return text.endswith(".json")


def _saved(arguments: Arguments, other: Arguments | None) -> int:
    """Explain a saved evaluation, or compare two of which one at least is saved."""
    from accelsim.report.difference import difference_blocks
    from accelsim.report.explain_blocks import explanation_blocks, model_explanation_blocks
    from accelsim.report.explain_saved import saved_difference, saved_explanation
    from accelsim.report.progress import progress
    from accelsim.report.schema import MODEL_EVALUATION

    if arguments.remap:
        raise InputError(f"--remap: {arguments.workload} is a saved evaluation", "name the workload, --arch and --mapping instead")
    documents = []
    with progress(not arguments.quiet) as tell:
        for each in [arguments] if other is None else [arguments, other]:
            if _is_saved(each.workload):
                _refuse_beside(each)
            with _settings_of_the_other(arguments) if each is other else nullcontext():
                documents.append(_document(each, tell))
    if len(documents) == 2:
        return give_blocks(arguments, saved_difference(*documents), difference_blocks)
    (document,) = documents
    blocks = model_explanation_blocks if document["schema"] == MODEL_EVALUATION else explanation_blocks
    return give_blocks(arguments, saved_explanation(document), blocks)


def _refuse_beside(arguments: Arguments) -> None:
    """What a saved evaluation has settled is not asked for anew."""
    for option in ("arch", "mapping", "layer", "counting", "set"):
        if getattr(arguments, option) and not arguments.against:
            mend = "leave it out, or name the workload instead of the file"
            raise InputError(f"--{option} says nothing about {arguments.workload}, which is a saved evaluation", mend)


def _document(arguments: Arguments, tell: Tell) -> dict[str, Any]:
    from accelsim.io.evaluation import read_evaluation

    if _is_saved(arguments.workload):
        return read_evaluation(arguments.workload)
    return _side(arguments, settings_of(arguments), tell).whole.to_json()


def _difference(arguments: Arguments, first: Side, second: Side) -> int:
    from accelsim.report.difference import difference, difference_blocks

    names = first.model, second.model
    return give_blocks(arguments, difference(first.used, second.used, shown, names), difference_blocks)


def shown(file: str) -> str:
    """A file as people name it: from the folder of what is shipped, or from that in which they are."""
    from accelsim.io.catalogue import root

    for folder in (root(), Path.cwd()):
        try:
            return Path(file).relative_to(folder).as_posix()
        except ValueError:
            continue
    return file


def _side(arguments: Arguments, settings: Overrides, tell: Tell) -> Side:
    """The run that the arguments name: of the mapping, or of what the mapper finds."""
    from accelsim.io.catalogue import MACHINE
    from accelsim.io.hardware import load_architecture

    workload = workload_of(arguments.workload, settings)
    if not arguments.arch:
        raise InputError("accelsim explain needs a machine", "add --arch NAME; `accelsim list archs` shows them")
    path = resolved(arguments.arch, MACHINE)
    machine = load_architecture(path, settings.arch)

    def remake(more: dict[str, str]) -> Architecture:
        return load_architecture(path, {**settings.arch, **more})

    if isinstance(workload, Model) and arguments.layer is not None:
        workload = _layer(workload, arguments)
    elif isinstance(workload, Cascade):
        refuse_layer(arguments, workload)
    if isinstance(workload, Model):
        refuse_stored(workload)
        if arguments.html is not None:
            what = f"--html: {workload.name} is a model, and a page explains one cascade"
            raise InputError(what, "add --layer NAME, or leave --html out")
        return Side(_of_model(arguments, settings, workload, machine, tell), remake)
    if is_stored(arguments, workload):
        what = f"{workload.name} keeps only some elements of its tensors, which accelsim explain does not take into account"
        raise InputError(what, "see `accelsim evaluate`; or leave 'format' out, and all elements count")
    return Side(_of_cascade(arguments, settings, workload, machine, tell), remake)


def _layer(model: Model, arguments: Arguments) -> Cascade:
    """The cascade of one layer; of the mappings that are given, those of others are left out."""
    found = layer_of(arguments, model).cascade
    prefix = f"{arguments.layer}="
    arguments.mapping = [text.removeprefix(prefix) for text in arguments.mapping if text.startswith(prefix) or "=" not in text]
    return found


def _of_cascade(arguments: Arguments, settings: Overrides, cascade: Cascade, machine: Architecture, tell: Tell) -> Evaluation:
    from accelsim.mapper import search
    from accelsim.model.evaluation import evaluate

    if len(arguments.mapping) > 1:
        raise InputError(f"--mapping is given {len(arguments.mapping)} times, and {cascade.name} is one cascade", "give one mapping")
    if arguments.mapping:
        mapping, cascade = mapping_of(arguments.mapping[0], cascade, settings)
        tell("evaluating")
        return evaluate(cascade, machine, mapping, counting_of(arguments))
    settings.refuse("mapping")
    return search(cascade, machine, progress=tell, request=request_of(arguments)).evaluation


def _of_model(arguments: Arguments, settings: Overrides, model: Model, machine: Architecture, tell: Tell) -> ModelEvaluation:
    from accelsim.io.layers import load_layers
    from accelsim.mapper.model import search_model
    from accelsim.model.layers import evaluate_model

    if arguments.mapping:
        mappings = load_layers(model, arguments.mapping, settings.mapping)
        tell("evaluating")
        return evaluate_model(model, machine, mappings, counting_of(arguments))
    settings.refuse("mapping")
    return search_model(model, machine, progress=tell, request=request_of(arguments)).evaluation


def _what_if(arguments: Arguments, side: Side, tell: Tell) -> Helps:
    """What changes of the machine do to the run, or to the best run."""
    from accelsim.explore.whatif import changes, run_of, same_mapping, what_if
    from accelsim.report.explain import Helps

    machine = side.used[0][1].evaluator.architecture
    wanted = list(changes(machine, side.remake))
    if not arguments.remap:
        return Helps(what_if(side.used, wanted, same_mapping, tell), run_of(side.used))
    from accelsim.mapper import search

    request = request_of(arguments)

    def again(_: int, evaluation: Evaluation, changed: Architecture) -> Evaluation:
        return search(evaluation.evaluator.cascade, changed, request=request).evaluation

    tell("searching on the machine as it is")
    best = [(times, again(place, each, machine)) for place, (times, each) in enumerate(side.used)]
    return Helps(what_if(best, wanted, again, tell), run_of(best), True)
