"""The verbs about files: what a file describes, what is shipped, what a noun is as a file, and whether a file is right."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from accelsim.errors import InputError, did_you_mean
from accelsim.verbs.given import one_cascade, overrides_of, texts_of, workload_of

if TYPE_CHECKING:
    from accelsim.evidence.nouns import Evidence
    from accelsim.explore.sweep import Sweep
    from accelsim.faults.campaign import Campaign
    from accelsim.faults.rates import Rates
    from accelsim.hardware.architecture import Architecture
    from accelsim.hardware.dram import Dram
    from accelsim.hardware.technology import Technology
    from accelsim.io.check import Checked
    from accelsim.mapping.tree import Mapping
    from accelsim.model.evaluation import Evaluation
    from accelsim.model.layers import ModelEvaluation
    from accelsim.model.stored import StoredEvaluation
    from accelsim.sim.simulation import Simulation
    from accelsim.verbs.given import Name, Settings
    from accelsim.workload.cascade import Cascade, Model

    Noun = Cascade | Model | Architecture | Mapping | Technology | Dram | Rates | Campaign | Sweep | Evidence | dict[str, Any]


@overload
def load(source: Name, kind: Literal["workload"], *, settings: Settings | None = None) -> Cascade | Model: ...
@overload
def load(source: Name, kind: Literal["machine"], *, settings: Settings | None = None) -> Architecture: ...
@overload
def load(source: Name, kind: Literal["mapping"], *, workload: Name | Cascade, settings: Settings | None = None) -> Mapping: ...
@overload
def load(source: Name, kind: Literal["campaign"], *, settings: Settings | None = None) -> Campaign: ...
@overload
def load(source: Name, kind: Literal["sweep"], *, settings: Settings | None = None) -> Sweep: ...
@overload
def load(source: Name, kind: Literal["technology"]) -> Technology: ...
@overload
def load(source: Name, kind: Literal["dram"]) -> Dram: ...
@overload
def load(source: Name, kind: Literal["rates"]) -> Rates: ...
@overload
def load(source: Name, kind: Literal["evidence"]) -> Evidence: ...
@overload
def load(source: Name, kind: Literal["evaluation"]) -> dict[str, Any]: ...
@overload
def load(source: Name, kind: None = None, *, workload: Name | Cascade | None = None, settings: Settings | None = None) -> Noun: ...
def load(source: Name, kind: str | None = None, *, workload: Name | Cascade | None = None, settings: Settings | None = None) -> Noun:
    """What a file describes, or a name that is shipped.

    kind: `workload`, `machine`, `mapping`, `technology`, `dram`, `campaign`, `rates`, `sweep`, `evidence`, or `evaluation` (the JSON of
    one, as a dict that keeps its contract); left out, it is what the file says. A mapping needs the workload that it is for.
    """
    text = str(source)
    if kind == "evaluation" or (kind is None and text.endswith(".json")):
        from accelsim.io.evaluation import read_evaluation

        return read_evaluation(text)
    from accelsim.io.catalogue import (
        CAMPAIGN,
        DRAM,
        EVIDENCE,
        KINDS,
        MACHINE,
        MAPPING,
        RATES,
        SWEEP,
        TECHNOLOGY,
        WORKLOAD,
        identify,
        resolve,
    )

    known = {each.key: each for each in KINDS}
    if kind is not None and kind not in known:
        raise InputError(f"there is no kind '{kind}'", did_you_mean(kind, [*known, "evaluation"]))
    path, found = (resolve(text, known[kind]), known[kind]) if kind is not None else identify(text)
    if found is CAMPAIGN:
        from accelsim.io.campaign import load_campaign

        return load_campaign(path, texts_of(settings))
    if found is SWEEP:
        from accelsim.io.sweep import load_sweep

        return load_sweep(path, texts_of(settings))
    given = overrides_of(settings)
    given.refuse(*({"workload", "arch", "mapping"} - {{WORKLOAD: "workload", MACHINE: "arch", MAPPING: "mapping"}.get(found, "")}))
    if found is WORKLOAD:
        from accelsim.io.workload import load_workload

        return load_workload(path, given.workload)
    if found is MACHINE:
        from accelsim.io.hardware import load_architecture

        return load_architecture(path, given.arch)
    if found is MAPPING:
        from accelsim.io.mapping import load_fitting

        if workload is None:
            raise InputError(f"{text}: a mapping is for a workload", "say which: load(…, workload=NAME)")
        return load_fitting(path, one_cascade(workload_of(workload, {}), text), given.mapping)[0]
    if found is TECHNOLOGY:
        from accelsim.io.technology import load_technology

        return load_technology(path)
    if found is DRAM:
        from accelsim.io.dram import load_dram

        return load_dram(path)
    if found is RATES:
        from accelsim.io.rates import load_rates

        return load_rates(path)
    if found is EVIDENCE:
        from accelsim.io.evidence import load_evidence

        return load_evidence(path)
    raise InputError(f"{text}: constraints are read for a workload on a machine", "give them to map: map(…, constraints=FILE)")


def save(noun: Mapping | Cascade | Evaluation | ModelEvaluation | StoredEvaluation | Simulation, target: Name) -> None:
    """Write a noun to a file: a mapping or a cascade as YAML, an evaluation or a simulation as JSON. `load` and the commands read these."""
    from accelsim.io.evaluation import write_json, write_text
    from accelsim.mapping.tree import Mapping
    from accelsim.sim.simulation import Simulation
    from accelsim.workload.cascade import Cascade

    if isinstance(noun, Mapping):
        from accelsim.io.mapping import dump_mapping

        write_text(dump_mapping(noun), str(target))
    elif isinstance(noun, Cascade):
        from accelsim.io.workload_text import dump_workload

        write_text(dump_workload(noun), str(target))
    elif isinstance(noun, Simulation):
        from accelsim.report.simulation import document

        write_json(document(noun), str(target))
    else:
        write_json(noun.to_json(), str(target))


def names(kind: str) -> dict[str, Path]:
    """Files that accelsim ships of a kind (`workload`, `machine`, `mapping`, …), by name."""
    from accelsim.io.catalogue import KINDS, shipped

    known = {each.key: each for each in KINDS}
    if kind not in known:
        raise InputError(f"there is no kind '{kind}'", did_you_mean(kind, known))
    return shipped(known[kind])


def check(
    source: Name, *, workload: Name | None = None, machine: Name | None = None, settings: Settings | None = None
) -> Checked:  # fmt: skip
    """Whether a file of any kind is right, and what it says; a mapping or constraints against a workload on a machine."""
    from accelsim.io.catalogue import MACHINE, WORKLOAD, identify, resolve
    from accelsim.io.check import check as checked

    path, kind = identify(str(source))
    beside = [None if each is None else resolve(str(each), of) for each, of in ((workload, WORKLOAD), (machine, MACHINE))]
    return checked(path, kind, overrides_of(settings), *beside)
