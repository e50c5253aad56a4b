"""The schema of sweep files."""

from __future__ import annotations

from accelsim.explore.search import HOWS
from accelsim.explore.sweep import GRID, LATIN, SOBOL
from accelsim.io import sweep
from accelsim.io.schemas.parts import NAME, TEXT, Schema, about, closed, either, many, named, when, whole
from accelsim.io.sweep_cases import CHOICES
from accelsim.io.versions import KEY

_VALUE: Schema = {"type": ["string", "number", "boolean"]}


def sweep_schema() -> Schema:
    """The schema of a sweep file."""
    ends = {"type": "array", "items": _VALUE, "minItems": 2, "maxItems": 2}
    spaced = closed(
        sweep._SPACED,
        {"range": ends, "log": ends, "points": whole(), "step": _VALUE, "to": _VALUE},
        oneOf=[{"required": ["range"]}, {"required": ["log"]}],
    )
    dependent = {"type": "string", "pattern": "^\\s*="}
    varied = when({"type": "object"}, spaced, when({"type": "array"}, many(_VALUE), dependent))
    sampled = {SOBOL: whole(1), LATIN: whole(1), "seed": whole(0)}
    sample = closed((SOBOL, LATIN, "seed"), sampled, oneOf=[{"required": [SOBOL]}, {"required": [LATIN]}])
    searched = {**dict.fromkeys(HOWS, whole(1)), "population": whole(2), "seed": whole(0)}
    search = closed((*HOWS, "population", "seed"), searched, oneOf=[{"required": [how]} for how in HOWS])
    told: dict[str, Schema] = {
        "sweep": about("its name", NAME),
        "about": TEXT,
        "source": TEXT,
        **{name: about("a value, or a list of them that varies", either(_VALUE, many(_VALUE, 1))) for name in CHOICES},
        "set": about("settings of all points, as with --set", named(_VALUE)),
        "vary": about("values of a path of --set: a list, {log: [FROM, TO], points: N}, {range: …}, or '= formula'", named(varied)),
        "keep": about("rules that a row is held to, as in 'area_um2 <= 8 mm2'", many(TEXT)),
        "sample": about("grid, or so many points of all", when({"type": "object"}, sample, {"const": GRID})),
        "search": about("so many points that a search chooses, as in {evolutionary: 2000, population: 64, seed: 0}", search),
        "front": about("figures of which less is better", many(NAME, 1)),
        "each": about("names that vary, of which each combination of values has a front of its own", many(NAME, 1)),
    }
    known = set(sweep._KEYS) - {KEY}
    others: dict[str, Schema] = {key: {} for key in known - set(told)}  # of readers that know more than this
    return closed(known, {**told, **dict(sorted(others.items()))}, **{"not": {"required": ["sample", "search"]}})
