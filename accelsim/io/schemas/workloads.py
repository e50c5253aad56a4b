"""The schema of workload files: cascades, models in layers or phases, and workloads that are another one with sizes of their own."""

from __future__ import annotations

from accelsim.hardware.types import TYPES
from accelsim.io import inherit, models, serving, workload
from accelsim.io.schemas.parts import (
    BOOLEAN,
    FORMULA,
    NAME,
    NUMBER,
    SIZE,
    TEXT,
    Schema,
    about,
    closed,
    either,
    has,
    is_mapping,
    many,
    named,
    one_of,
    only,
    when,
    whole,
)
from accelsim.workload.density import OPTIONAL, PARAMETERS
from accelsim.workload.storage import NAMED

_TYPE = one_of(sorted(TYPES))
_PAIR = is_mapping(closed(("partial", "final"), {"partial": _TYPE, "final": _TYPE}), _TYPE)
_PART: Schema = {"type": ["integer", "string", "null"]}
_BITS = about("a width, as in '16 bit'", TEXT)


def _density() -> Schema:
    kinds = {
        "share": NUMBER, "kept": whole(1), "of": whole(1), "below": whole(), "above": whole(), "side": whole(1), "lengths": many(NUMBER),
        "edges": NUMBER, "chances": many(NUMBER),
    }  # fmt: skip
    by_model = [
        when(
            {"properties": {"model": {"const": model}}, "required": ["model"]},
            only(("model", *parameters), {"model", *parameters} - set(OPTIONAL)),
        )
        for model, parameters in PARAMETERS.items()
    ]
    known = {"model", *(name for parameters in PARAMETERS.values() for name in parameters)}
    model = closed(known, {"model": one_of(PARAMETERS), **kinds}, ["model"], allOf=by_model)
    return named(is_mapping(model, {"type": "number", "exclusiveMinimum": 0, "maximum": 1}))


def _storage() -> Schema:
    ranks = either(one_of(NAMED), many(NAME))
    widths = {"coordinate": _BITS, "pointer": _BITS, "line": _BITS, "value": _BITS}
    known = {*workload._STORAGE_KEYS, "tiles"}
    return named(is_mapping(closed(known, {"ranks": ranks, **widths, "tiles": {"const": "whole"}}, ["ranks"]), ranks))


def _sections() -> dict[str, Schema]:
    """Sections that a cascade has, in a file or in a layer."""
    tensor = closed(
        ("shape", "fill", "output", "below"),
        {
            "shape": about("its extents: numbers, or formulas over sizes", many(SIZE)),
            "fill": about(
                "what is read outside, and where a condition leaves a point out: a number, or -inf", {"type": ["string", "number"]}
            ),
            "output": about("whether it is a result although a later Einsum reads it", BOOLEAN),
            "below": about("its values are whole numbers from 0 to below this", SIZE),
        },
    )
    statement = is_mapping(
        {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": {"type": "string"}}, {"type": "string"}
    )
    return {
        "shape": about("sizes of ranks: numbers, or formulas over other sizes by their upper-case names", named(SIZE)),
        "split": about("ranks in parts, outermost first; ~ leaves a size to the mapper", named(named(_PART))),
        "type": about("number types: one for all, or by tensor, with 'default'", is_mapping(named(_PAIR), _TYPE)),
        "tensors": about("what cannot be inferred of tensors", named(tensor)),
        "constants": about("named numbers, or formulas over sizes", named(FORMULA)),
        "einsums": about("extended Einsums in order, as in 'Z[m,n] = A[m,k] * B[k,n]'", many(statement, 1)),
        "density": about("shares of elements that are not zero, or how they lie", _density()),
        "format": about("how tensors are stored of which only some elements are", _storage()),
    }  # fmt: skip


def _layer(sections: dict[str, Schema]) -> Schema:
    properties = {
        "use": about("a workload: a file beside this one, or a shipped name", NAME),
        "layer": about("of a model that is used, this layer alone", NAME),
        "name": about("what this layer is called", NAME),
        "times": about("how often it is run: a number, or a formula", FORMULA),
        "bind": about("what the model calls its tensors", named(NAME)),
        **sections,
        "shape": named({"type": ["string", "integer"]}),
    }
    taking = ("use", "layer", "times", "shape", "name", "bind", "constants")
    return closed(
        models._LAYER_KEYS, properties, **when(has("use"), only(taking), {"required": ["einsums"]})
    )  # fmt: skip


def _phase(layers: Schema) -> Schema:
    grows = closed(models._GROWS_KEYS, {"rank": NAME, "from": whole(1), "to": whole(1), "every": whole(1)}, ("rank", "from", "to"))
    properties = {
        "name": NAME,
        "use": NAME,
        "layers": layers,
        "shape": named(SIZE),
        "steps": whole(1),
        "tokens": about("tokens of a step: a number, or a rank", {"type": ["string", "integer"]}),
        "grows": about("a rank that is longer by one in every step", grows),
    }
    return closed(models._PHASE_KEYS, properties, ["name"], oneOf=[has("use"), has("layers")])


def workload_schema() -> Schema:
    """The schema of a workload file."""
    sections = _sections()
    layers = many(_layer(sections), 1)
    serves = {"batch": NAME, "tokens": either(NAME, many(NAME, 1)), "context": NAME, "decode": NAME}
    weight = {"shape": many(FORMULA), "times": FORMULA, "type": _TYPE}
    one_weight = closed(serving._WEIGHT_KEYS, weight, ["shape"])
    properties = {
        "workload": about("its name", NAME),
        "about": about("what it is, in a sentence or two", TEXT),
        "source": about("where it comes from", TEXT),
        **sections,
        "layers": about("workloads one after the other", layers),
        "phases": about("phases of inference", many(_phase(layers), 1)),
        "serving": about("which ranks are batch, tokens and context", closed(serving._KEYS, serves, ("batch", "tokens"))),
        "weights": about("parameters beside those that layers read", named(is_mapping(one_weight, many(FORMULA)))),
        "use": about("another workload, of which this is one with sizes of its own", NAME),
    }  # fmt: skip
    another = {*inherit._OWN, *inherit._SIZES, *inherit._GROWING, "serving", "use"}
    layered = when(
        has("phases"), only({*models._KEYS, "phases"} - {"serving", "weights"}, ["workload"]),
        when(has("layers"), only({*models._KEYS, "layers"}, ["workload"]), only(workload.CASCADE_KEYS, ["workload", "einsums"])),
    )  # fmt: skip
    return closed({*workload.KEYS, "use"}, properties, **when(has("use"), only(another), layered))
