"""The schema of campaign files: faults in an array, in memories, in a processor, or in a network."""

from __future__ import annotations

from accelsim.faults.plan import WAYS
from accelsim.io import campaign, campaign_keys, fault_kinds, network
from accelsim.io.schemas.parts import NAME, NUMBER, TEXT, Schema, about, closed, has, is_mapping, many, named, one_of, only, when, whole
from accelsim.io.schemas.workloads import workload_schema

_SHARE: Schema = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}
_IN_FAULTS = {
    "array": ("in", "bits", "kind"), "gates": ("kind", "elements"), "streams": ("tensor", "codec", "low", "block"),
    "memories": ("bits", "kind"),
    "networks": ("bits",), "processor": ("in",),
}  # fmt: skip
_IN_NETWORKS = {"array": ("in", "bits", "kind", "layers"), "words": ("bits",)}


def _common() -> dict[str, Schema]:
    """Keys of campaigns of both kinds."""
    ranges = named({"type": "array", "items": NUMBER, "minItems": 2, "maxItems": 2})
    draw = closed(("draw", "seed", "ranges"), {"draw": one_of(campaign_keys._DRAWS), "seed": whole(0), "ranges": ranges})
    sample = closed(
        ("faults", "exhaustive", "half_width", "confidence", "by", "defence"),
        {"faults": whole(1), "exhaustive": whole(0), "half_width": _SHARE, "confidence": _SHARE, "by": one_of(WAYS), "defence": _SHARE},
    )
    faults: dict[str, Schema] = {
        "in": about("registers by role or name", many(NAME)), "bits": about("adjacent bits that fail at once", whole(1)), "kind": NAME,
        "elements": many(many(whole(0))), "tensor": NAME, "codec": one_of(("rice", "bitmap")), "low": whole(0), "block": whole(1),
        "layers": many(NAME),
    }  # fmt: skip
    known = {key for keys in (*_IN_FAULTS.values(), *_IN_NETWORKS.values()) for key in keys}
    return {
        "campaign": about("its name", NAME),
        "about": TEXT,
        "source": TEXT,
        "arch": about("the machine: a file or a name", NAME),
        "in": about("what has faults in it", NAME),
        "set": about("settings, as with --set", named(TEXT)),
        "inputs": about("how inputs are drawn", draw),
        "decision": about("a rank along which outputs are compared", NAME),
        "faults": closed(known, faults),
        "sample": about("exhaustive, or how many faults", is_mapping(sample, {"const": "exhaustive"})),
        "seed": whole(0),
    }


def _by_place(known: dict[str, tuple[str, ...]]) -> list[Schema]:
    """Which keys of `faults` belong to which place; an array where none is named."""
    found = []
    for place, keys in known.items():
        here: Schema = (
            {"properties": {"in": {"const": place}}} if place == "array" else {"properties": {"in": {"const": place}}, "required": ["in"]}
        )
        found.append(when(here, {"properties": {"faults": only(keys)}}))
    return found


def campaign_schema() -> Schema:
    """The schema of a campaign file."""
    common = _common()
    numbers = {"bits": whole(2), "multiplier": whole(), "shift": whole(), "zero": whole(), "low": whole(), "high": whole()}
    outputs = is_mapping(closed(("bits", "multiplier", "shift", "zero", "low", "high"), numbers), {"const": "sums"})
    run: dict[str, Schema] = {
        "mapping": about("a mapping: a file or a name", NAME),
        "stationary": about("the tensor that stays in the array", NAME),
        "einsum": about("the Einsum that runs on the array", NAME),
    }
    checks = closed(("checksums",), {"checksums": is_mapping(closed(("threshold",), {"threshold": NUMBER}, ["threshold"]), NUMBER)})
    sections = workload_schema()["properties"]
    layer: dict[str, Schema] = {
        "name": NAME, "workload": NAME, "set": named(TEXT), "outputs": outputs,
        "takes": about("inputs that are another layer's tensors", named(NAME)),
        **{key: sections[key] for key in network._OWN}, **run,
    }  # fmt: skip
    either_or = when(has("workload"), only(set(network._LAYER_KEYS) - set(network._OWN)), {"required": ["einsums"]})
    of_network = closed(
        network._KEYS,
        common
        | {"network": many(closed(network._LAYER_KEYS, layer, ["name"], **either_or), 1), "values": NAME, "in": one_of(network._PLACES)},
        ("campaign", "network"),
        allOf=_by_place(_IN_NETWORKS),
    )
    of_one = closed(
        campaign._KEYS,
        common
        | run
        | {
            "workload": NAME,
            "outputs": outputs,
            "in": one_of(campaign._PLACES),
            "time": one_of(fault_kinds._TIMES),
            "rates": about("a table of raw rates: a file or a name", NAME),
            "protect": checks,
        },
        ("campaign", "workload", "arch"),
        allOf=_by_place(_IN_FAULTS),
    )
    return when(has("network"), of_network, of_one) | {"type": "object"}
