"""Sweep files: YAML to a Sweep. The format: docs/explore.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from accelsim.errors import AccelsimError, InputError, Place, did_you_mean
from accelsim.explore.dimension import Axis, Dependent, listed, spaced
from accelsim.explore.points import Point
from accelsim.explore.rules import NUMBERS, SEARCHED, Limit, Rule, rule
from accelsim.explore.search import HOWS, POPULATION, Search
from accelsim.explore.sweep import GRID, LATIN, SOBOL, Sample, Sweep, numeric, ordered, refuse_size
from accelsim.io.campaign_keys import placed
from accelsim.io.catalogue import SWEEP, refuse_other, resolve
from accelsim.io.overrides import overrides, plain
from accelsim.io.requests import SERVED, asked, request
from accelsim.io.source import Item, parse, read_text
from accelsim.io.sweep_cases import ASKED, CHOICES, FILES, FileCases, file_of

SCHEMA = "accelsim/sweep/1"
_KEYS = ("sweep", "schema", "about", "source", *CHOICES, "set", "vary", "keep", "sample", "search", "front", "each")
_COUNTED = ("batch", "context", "tokens")  # options that are numbers, and so may follow from others
_SPACED = ("range", "log", "points", "step", "to")
_MOST_TRIED = 48  # values of an axis that are tried by themselves before anything runs
USUAL_FRONT = ("latency_s", "energy_pj")


def load_sweep(path: Path | str, settings: Sequence[str] = (), most: int | None = None) -> Sweep:
    """The sweep in a YAML file, checked: `settings`, as with --set, are in place of what the file says; `most`: points that it may ask for.

    InputError with the place for unknown names, values of the wrong kind, empty and repeated ones, rules that nothing can hold, circles
    of dependent values, and more points than allowed.
    """
    file = resolve(str(path), SWEEP)
    text = read_text(file)
    document = parse(text, str(file))
    refuse_other(document, SWEEP)
    made = sweep(document, text, file.parent, settings)
    try:
        from accelsim.explore.sweep import MOST

        refuse_size(made, MOST if most is None else most)
    except InputError as error:
        raise error if error.place else document.error(error.what, error.mend) from None
    check(made, document)
    return made


def sweep(document: Item, text: str, folder: Path, settings: Sequence[str] = ()) -> Sweep:
    """The sweep of a document, with what is wrong in it found as far as that needs no workload and no machine."""
    keys = document.only(_KEYS, "a sweep")
    if "schema" in keys and keys["schema"].text("schema") != SCHEMA:
        raise keys["schema"].error(f"'{keys['schema'].value}' is not a format that is known", f"write {SCHEMA}, or leave it out")
    typed = {plain(part.strip()): value.strip() for part, _, value in (setting.partition("=") for setting in settings)}
    overrides(settings)
    fixed: dict[str, str] = {}
    axes: dict[str, Axis] = {}
    dependents: dict[str, Dependent] = {}
    for name, item, place in _stated(keys):
        if name in typed:
            continue
        if name in fixed or name in axes or name in dependents:
            raise InputError(f"'{name}' is given twice", "remove one of the two", place)
        _known(name, place)
        if isinstance(item.value, str) and item.value.lstrip().startswith("="):
            if name in CHOICES and name not in _COUNTED:
                raise item.error(f"{name} cannot follow from numbers", "write a list of names")
            dependents[name] = Dependent(name, " ".join(item.value.lstrip()[1:].split()), item.place)
        elif isinstance(item.value, list | dict):
            axes[name] = _axis(name, item, folder)
        else:
            fixed[name] = _text(name, item, folder)
    fixed |= typed
    for name in ("workload", "arch"):
        if name not in fixed and name not in axes:
            raise document.error(f"a sweep needs '{name}'", f"add '{name}: NAME', or a list of names")
    _refuse_unused({*fixed, *axes, *dependents}, keys, document)
    for name in (*ASKED, *SERVED):
        if name in fixed:
            placed(keys.get(name, document), partial(_asked, fixed, name))
    if not axes:
        raise document.error("nothing varies", "write what does under 'vary', as in 'shape.m: [64, 128]'")
    rules = _rules(keys["keep"]) if "keep" in keys else ()
    order = ordered(list(dependents.values()), list(axes.values()))
    names = (*axes, *(each.name for each in order))
    return Sweep(
        keys["sweep"].name("a sweep's name") if "sweep" in keys else "",
        tuple(axes.values()),
        order,
        FileCases(names, fixed),
        rules,
        _sample(keys["sample"]) if "sample" in keys else Sample(),
        _front(keys["front"], typed) if "front" in keys else USUAL_FRONT,
        text,
        keys["about"].text("about") if "about" in keys else "",
        _search(keys) if "search" in keys else None,
        _each(keys["each"], names, typed) if "each" in keys else (),
    )


def _asked(fixed: Mapping[str, str], name: str, _: Item) -> object:
    """What one option of a search, or of how a model is served, means."""
    return asked({name: fixed[name]}) if name in SERVED else request({name: fixed[name]})


def _stated(keys: Mapping[str, Item]) -> Iterator[tuple[str, Item, Place]]:
    """Everything that the file sets or varies: options, then `set`, then `vary`."""
    for name in CHOICES:
        if name in keys:
            yield name, keys[name], keys[name].place
    for section in ("set", "vary"):
        if section not in keys:
            continue
        for name, item in keys[section].mapping(f"'{section}'").items():
            place = (keys[section].key_places or {}).get(name, item.place)
            varies = isinstance(item.value, list | dict) or (isinstance(item.value, str) and item.value.lstrip().startswith("="))
            if section == "set" and varies:
                raise item.error(f"{name} under 'set' must be one value", "write what varies under 'vary'")
            if section == "vary" and not varies:
                one = item.value is not None
                mend = f"write [{item.value}], or set it under 'set'" if one else "write a list of values"
                raise item.error(f"{name} under 'vary' has {'one' if one else 'no'} value", mend)
            yield plain(name), item, place


def _known(name: str, place: Place) -> None:
    """An InputError for a name that is no option and no path of --set."""
    if name in CHOICES:
        return
    try:
        overrides([f"{name}=0"])
    except InputError as error:
        what = error.what.removeprefix(f"--set {name}=0: ")
        near = did_you_mean(name, CHOICES)
        raise InputError(f"'{name}': {what}", near if near.startswith("did") and "." not in name else error.mend, place) from None


def _text(name: str, item: Item, folder: Path) -> str:
    """A value as it is typed after --set or an option; a file is named so that a command finds it."""
    text = "true" if item.value is True else "false" if item.value is False else item.text(name).strip()
    if not text:
        raise item.error(f"{name} is empty", "write a value")
    if name not in FILES:
        return text
    try:
        return file_of(text, FILES[name], folder)
    except InputError as error:
        raise item.error(error.what, error.mend) from None


def _axis(name: str, item: Item, folder: Path) -> Axis:
    if isinstance(item.value, list):
        return listed(name, tuple(_text(name, each, folder) for each in item.value), item.place, tuple(each.place for each in item.value))
    keys = item.only(_SPACED, f"the values of {name}")
    if ("range" in keys) == ("log" in keys):
        raise item.error(f"{name} needs one of 'range' and 'log'", "write {log: [64, 1024], points: 5}, or a list")
    how = "log" if "log" in keys else "range"
    ends = keys[how].items(f"'{how}'")
    if len(ends) != 2:
        raise keys[how].error(f"'{how}' of {name} has {len(ends)} ends", "write [FROM, TO]")
    if "step" in keys and ("points" in keys or how == "log"):
        raise keys["step"].error(f"{name} has a 'step' beside {'points' if 'points' in keys else 'log'}", "remove one of the two")
    points = keys["points"].integer("'points'") if "points" in keys else None
    low, high = (_text(name, each, folder) for each in ends)
    step, to = (_text(name, keys[key], folder) if key in keys else None for key in ("step", "to"))
    return spaced(name, low, high, how == "log", points, step, to, item.place)


def _rules(item: Item) -> tuple[Rule, ...]:
    return tuple(rule(each.text("a rule"), each.place) for each in item.items("keep"))


def _sample(item: Item) -> Sample:
    if item.value == GRID:
        return Sample(place=item.place)
    keys = item.only((SOBOL, LATIN, "seed"), "a sample")
    if (SOBOL in keys) == (LATIN in keys):
        raise item.error("a sample is 'grid' or has one of 'sobol' and 'latin'", "write {sobol: 256, seed: 0}")
    how = SOBOL if SOBOL in keys else LATIN
    seed = keys["seed"].integer("seed", 0) if "seed" in keys else 0
    return Sample(how, keys[how].integer(f"'{how}'", 1), seed, item.place)


def _search(keys: Mapping[str, Item]) -> Search:
    item = keys["search"]
    if "each" in keys:
        raise keys["each"].error("a search has one front", "remove 'each', or write a 'sample' in place of the search")
    if "sample" in keys:
        raise item.error("a sweep has a 'sample' or a 'search'", "remove one of the two")
    asked = item.only((*HOWS, "population", "seed"), "a search")
    chosen = [how for how in HOWS if how in asked]
    if len(chosen) != 1:
        raise item.error(f"a search has one of {' and '.join(HOWS)}", "write {evolutionary: 2000, population: 64, seed: 0}")
    (how,) = chosen
    points = asked[how].integer(f"'{how}'", 1)
    population = asked["population"].integer("population", 2) if "population" in asked else min(POPULATION[how], points)
    seed = asked["seed"].integer("seed", 0) if "seed" in asked else 0
    return Search(how, points, population, seed, item.place)


def _front(item: Item, typed: Mapping[str, str]) -> tuple[str, ...]:
    """Figures and names that a front is of, but for names that a setting holds fast."""
    named = [one.name("a figure") for one in item.items("front")]
    return tuple(name for name in named if plain(name) not in typed)


def _each(item: Item, names: Sequence[str], typed: Mapping[str, str]) -> tuple[str, ...]:
    """Names that have fronts of their own; one that a setting holds fast has none any more."""
    found: list[str] = []
    for one in item.items("each"):
        name = plain(one.name("a name that varies"))
        if name in typed:
            continue
        if name not in names:
            raise one.error(f"each: '{name}' does not vary", did_you_mean(name, names))
        if name in found:
            raise one.error(f"each: '{name}' is named twice", "remove one of the two")
        found.append(name)
    return tuple(found)


def _refuse_unused(names: set[str], keys: Mapping[str, Item], document: Item) -> None:
    """An InputError for options of a search where mappings are given, and for settings of a mapping where none is."""
    if "mapping" in names:
        for name in ("constraints", "objective", "schedule", "tiles", "gap", "time_limit", "seed", *SERVED):
            if name in names:
                raise (keys[name] if name in keys else keys["mapping"]).error(f"a sweep of given mappings has no '{name}'", "leave one out")
        return
    for name in sorted(names):
        if name.startswith("mapping."):
            raise document.error(f"'{name}': the sweep names no mapping to set it in", "add 'mapping: FILE'")


# --- before anything runs -----------------------------------------------------------------------------------------------------------------


def check(made: Sweep, document: Item) -> None:
    """An InputError for what would go wrong at every point that has some value, and for names of figures that nothing has.

    Every value (of long axes some, both ends among them) is tried with the first and, if that fails, with the last values of the others.
    """
    known = numeric(made)
    if "mapping" in document.mapping("a sweep"):
        known = tuple(name for name in known if name not in SEARCHED)
    for each in made.rules:
        for name in each.names:
            if name not in known:
                raise InputError(f"'{each.text}' names an unknown '{name}'", did_you_mean(name, known), each.place)
    stated = document.mapping("a sweep").get("front")
    for number, name in enumerate(made.front):
        if name not in known or name in made.front[:number]:
            at = document if stated is None else next(item for item in reversed(stated.items("front")) if item.value == name)
            what = f"front: '{name}' is no figure" if name not in known else f"front: '{name}' is named twice"
            raise at.error(what, did_you_mean(name, known) if name not in known else "remove one of the two")
    if not made.front:
        raise (stated or document).error("the front has no figures", f"write {', '.join(NUMBERS[:3])}")
    _refuse_empty(made.rules)
    first, last = ([axis.ends[at] for axis in made.axes] for at in (0, -1))
    _refuse_units(made, first)
    for number, axis in enumerate(made.axes):
        step = max(1, len(axis.ends) // _MOST_TRIED)
        for at in sorted({*range(0, len(axis.ends), step), len(axis.ends) - 1}):
            text = axis.ends[at]
            error = _tried(made, first, number, text) and _tried(made, last, number, text)
            if error is not None:
                what = error.what.removeprefix(f"--set {axis.name}: ")
                place = axis.place_of(at) if axis.values else axis.place
                raise InputError(f"{axis.name} = {text}: {what}", error.mend, place)


def _tried(made: Sweep, others: Sequence[str], number: int, text: str) -> InputError | None:
    """What is wrong with a point that has one value of an axis and the given ones of the others; that no mapping is legal is a result."""
    values = [*others[:number], text, *others[number + 1 :]]
    try:
        point: Point = made.point(0, values)
        made.cases.case(point)
    except InputError as error:
        return error
    except AccelsimError:
        return None
    return None


def _refuse_units(made: Sweep, values: Sequence[str]) -> None:
    """An InputError for a rule whose sides cannot be compared; figures stand for 1."""
    from accelsim.explore.rules import figure

    names = made.quantities(made.point(0, values), {name: figure(name, 1.0) for name in NUMBERS})
    for each in made.rules:
        each.holds(names)


def _refuse_empty(rules: Sequence[Rule]) -> None:
    """An InputError for limits that nothing can hold: figures are not negative, and two limits of one may leave nothing between them."""
    limits: dict[str, list[tuple[Limit, Rule]]] = {}
    for each in rules:
        limit = each.limit
        if limit is None:
            continue
        if limit.most < 0 or limit.most == limit.open == 0:
            raise InputError(f"nothing can hold '{each.text}'", f"{limit.figure} is never negative", each.place)
        for other_limit, other in limits.get(limit.figure, []):
            least, most = max(limit.least, other_limit.least), min(limit.most, other_limit.most)
            if least > most or (least == most and least in (limit.open, other_limit.open)):
                raise InputError(f"nothing can hold both '{other.text}' and '{each.text}'", "remove one of the two", each.place)
        limits.setdefault(limit.figure, []).append((limit, each))
