"""Files of evidence: YAML to the nouns of `accelsim.evidence`, every mistake with its line."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from accelsim.errors import InputError, did_you_mean
from accelsim.evidence.formula import FUNCTIONS, REDUCTIONS, Formula, parse, paths
from accelsim.evidence.nouns import EXPECTATIONS, KINDS, PLAUSIBILITY, REPRODUCTION, Case, Evidence, Row, Run, Table, Tolerance, Value
from accelsim.io.source import Item, load, plain
from accelsim.io.tables import load_rows, load_table

KEYS = ("evidence", "title", "source", "kind", "about", "let", "axes", "data", "runs", "rows")
MOST_CASES = 10_000
_FILES = ("workload", "layer", "arch", "mapping", "constraints")
_CHOICES = ("objective", "schedule", "tiles", "gap", "seed", "counting")
_FLAGS = ("simulate", "statistics", "ahead")
RUN_KEYS = (*_FILES, *_CHOICES, *_FLAGS, "set")
_TEXTS = ("unit", "source", "explanation", "checked", "not_reproduced", "shown_by")
ROW_KEYS = ("name", "value", "published", "tolerance", "expect", "kind", "each", "where", "table", *_TEXTS)
_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z", re.ASCII)
_TOLERANCE = re.compile(r"(\d+\.?\d*(?:[eE]-?\d+)?)\s*(%|absolute)?\Z", re.ASCII)


def load_evidence(path: Path) -> Evidence:
    """The evidence of a file; InputError for anything that it says wrongly."""
    document = load(path)
    top = document.only(set(KEYS), "a file of evidence")
    for key in ("evidence", "title", "source", "kind", "rows"):
        if key not in top:
            raise document.error(f"there is no '{key}'", f"write '{key}: …'")
    kind = _one_of(top["kind"], "the kind", KINDS)
    reader = _Reader(path)
    reader.axes(top.get("axes"))
    reader.constants = {name: _formula(each) for name, each in _named(top.get("let"), "'let'").items()}
    _check_order(reader.constants)
    reader.data(top.get("data"))
    for name, item in _named(top.get("runs"), "'runs'").items():
        reader.run(name, item)
    rows = tuple(reader.row(each, kind) for each in top["rows"].items("'rows'"))
    for at, row in enumerate(rows):
        if any(row.name == other.name for other in rows[:at]):
            raise InputError(f"two rows are called '{row.name}'", "give each its own name", row.place)
    found = Evidence(
        top["evidence"].name("the name of the evidence"),
        _text(top["title"], "the title"),
        _text(top["source"], "the source"),
        kind,
        _text(top["about"], "'about'") if "about" in top else "",
        tuple(reader.labels),
        reader.cases,
        reader.constants,
        reader.tables,
        reader.runs,
        rows,
        str(path),
    )
    for row in rows:
        found.cases_of(row)
    used = [formula for row in rows for formula in (*row.published, *([row.value] if row.value else []))]
    checked = set[str]()
    for formula in used:
        _check_names(found, formula, checked)
    return found


class _Reader:
    """What has been read of a file so far."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.labels: dict[str, tuple[str, ...]] = {}
        self.cases: tuple[Case, ...] = (Case({}, {}, {}),)
        self.constants: dict[str, Formula] = {}
        self.tables: dict[str, Table] = {}
        self.runs: dict[str, Run] = {}

    def axes(self, item: Item | None) -> None:
        """Every combination of labels is a case."""
        parts: list[list[Case]] = []
        for axis, inner in _named(item, "'axes'").items():
            made = self._from_table(axis, inner) if "table" in inner.mapping("an axis") else self._labels(axis, inner)
            self.labels[axis] = tuple(case.labels[axis] for case in made)
            parts.append(made)
        cases = []
        for combination in itertools.islice(itertools.product(*parts), MOST_CASES + 1):
            labels = {name: label for case in combination for name, label in case.labels.items()}
            settings = {name: value for case in combination for name, value in case.settings.items()}
            variables = {name: value for case in combination for name, value in case.variables.items()}
            cases.append(Case(labels, settings, variables))
        if item is not None and len(cases) > MOST_CASES:
            raise item.error(f"there are more than {MOST_CASES} cases", "make the axes shorter")
        self.cases = tuple(cases)

    def _common(self) -> tuple[str, ...]:
        """Axes, and variables that every case has."""
        shared = set.intersection(*(set(case.variables) for case in self.cases))
        return (*self.labels, *sorted(shared))

    def _labels(self, axis: str, item: Item) -> list[Case]:
        """An axis whose labels the file lists, each with settings (`shape.p: 1024`) and variables (`P: 1024`)."""
        found = []
        for label, inner in item.mapping("an axis").items():
            stated = {} if inner.value is None else inner.mapping("a label of an axis")
            settings = {key: each.text(f"'{key}'") for key, each in stated.items() if "." in key}
            variables = {key: _value(each) for key, each in stated.items() if "." not in key}
            for key in variables:
                if not _NAME.match(key):
                    raise inner.key_error(key, f"'{key}' is neither a setting nor a name", "write shape.p: 1024, or P: 1024")
            found.append(Case({axis: label}, settings, variables))
        if not found:
            raise item.error("the axis has no labels", "write {1K: {shape.p: 1024}, …}")
        return found

    def _from_table(self, axis: str, item: Item) -> list[Case]:
        """An axis with a label for each row of a table (its cell in the column `label`, or its number) and a variable for each column."""
        stated = item.only({"table", "label"}, "an axis from a table")
        rows = load_rows(self._beside(stated["table"]))
        label = stated["label"].name("'label'") if "label" in stated else None
        if label is not None and label not in rows[0]:
            raise stated["label"].error(f"the table has no column '{label}'", did_you_mean(label, rows[0]))
        labels = [str(row[label]) if label is not None else str(number) for number, row in enumerate(rows, 1)]
        if len(set(labels)) < len(labels):
            raise item.error(f"labels are not different: '{next(each for each in labels if labels.count(each) > 1)}'", "leave 'label' out")
        return [Case({axis: name}, {}, row) for name, row in zip(labels, rows, strict=True)]

    def data(self, item: Item | None) -> None:
        """Tables beside the file: a file name, or {file: NAME, axes: {COLUMN: AXIS}} where columns are not called as axes are."""
        for name, inner in _named(item, "'data'").items():
            columns = {name: name for name in self._common()}
            file = inner
            if isinstance(inner.value, dict):
                stated = inner.only({"file", "axes"}, "a table")
                if "file" not in stated:
                    raise inner.error("the table has no 'file'", "write {file: NAME.csv}")
                file = stated["file"]
                for column, axis in (stated["axes"].mapping("'axes'") if "axes" in stated else {}).items():
                    columns[column] = _one_of(axis, "an axis", self._common())
            self.tables[name] = load_table(name, self._beside(file), columns)

    def _beside(self, item: Item) -> Path:
        name = item.text("a file")
        path = self.path.parent / name
        if not path.resolve().is_relative_to(self.path.parent.resolve()) or not path.is_file():
            raise item.error(f"there is no file '{name}' beside this one", "name a CSV file in the same folder or below it")
        return path

    def run(self, name: str, item: Item) -> None:
        stated = item.only(set(RUN_KEYS), "a run")
        if "workload" not in stated:
            raise item.error(f"run '{name}' has no workload", "write {workload: NAME, arch: NAME, mapping: NAME}")
        options: dict[str, Any] = {}
        for key, each in stated.items():
            if key in _FLAGS:
                options[key] = each.boolean(f"'{key}'")
            elif key == "counting":
                options[key] = {option: inner.text(option) for option, inner in each.mapping("counting").items()}
            elif key != "set":
                options[key] = _setting(each)
        settings = {key: _setting(each) for key, each in (stated["set"].mapping("'set'") if "set" in stated else {}).items()}
        self.runs[name] = Run(name, options, settings, item.place)

    def row(self, item: Item, kind: str) -> Row:
        stated = item.only(set(ROW_KEYS), "a row")
        if "name" not in stated:
            raise item.error("a row has no name", "write name: …")
        texts = {key: _text(stated[key], f"'{key}'") for key in _TEXTS if key in stated}
        published = _published(stated["published"]) if "published" in stated else ()
        expect = _one_of(stated["expect"], "'expect'", EXPECTATIONS) if "expect" in stated else "equal"
        if len(published) == 2 and "expect" not in stated:
            expect = "between"
        if "value" not in stated and not {"not_reproduced", "shown_by"} & set(stated):
            raise item.error("a row has no value", "write value: FORMULA, or not_reproduced: WHY, or shown_by: COMMAND")
        tolerance = _tolerance(stated["tolerance"]) if "tolerance" in stated else None
        judged = "value" in stated and expect != "nothing" and not {"not_reproduced", "shown_by"} & set(stated)
        if judged and not published and "explanation" not in stated:
            raise item.error("a row has nothing published", "write published: NUMBER, or say what it is for under 'explanation'")
        if expect == "nothing":
            if tolerance is not None:
                raise stated["tolerance"].error("a row that expects nothing is not judged", "leave 'tolerance' out")
            if "explanation" not in stated:
                raise item.error("a row expects nothing", "say why under 'explanation'")
        if (expect == "between") != (len(published) == 2):
            raise item.error("'between' has two published figures, and other rows have one", "write published: [LOW, HIGH]")
        if judged and published and tolerance is None and expect == "equal":
            raise item.error("a row has no tolerance", "write tolerance: 1e-6, or 0.5 %, or '0.05 absolute'")
        row_kind = _one_of(stated["kind"], "the kind", KINDS) if "kind" in stated else kind
        if expect != "equal" and row_kind == REPRODUCTION and judged:
            key = "expect" if "expect" in stated else "published"
            raise stated[key].error(f"'{expect}' agrees with much, which is no {REPRODUCTION}", f"write kind: {PLAUSIBILITY}")
        each = tuple(axis.name("an axis") for axis in stated["each"].items("'each'")) if "each" in stated else ()
        known = self._common()
        for axis in each:
            if axis not in known:
                raise stated["each"].error(f"no axis or variable is called '{axis}'", did_you_mean(axis, known))
        where, inside = self._where(stated.get("where"))
        value = _formula(stated["value"]) if "value" in stated else None
        return Row(
            _text(stated["name"], "the name of a row"),
            item.place,
            row_kind,
            published,
            value,
            tolerance=tolerance,
            expect=expect,
            each=each,
            where=where,
            inside=inside,
            table=self._table(stated, each),
            **texts,
        )

    def _table(self, stated: Mapping[str, Item], each: tuple[str, ...]) -> bool:
        """Whether the page shows all figures of a row."""
        if "table" not in stated or not stated["table"].boolean("'table'"):
            return False
        if not each or "value" not in stated:
            raise stated["table"].error("the row has one figure", "write 'each', or leave 'table' out")
        return True

    def _where(self, item: Item | None) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
        """Labels by axis, or a table whose cases count; both as `{model: [A, B], table: NAME}`."""
        if item is None:
            return {}, ()
        if isinstance(item.value, str):
            return {}, (_one_of(item, "a table", tuple(self.tables)),)
        where: dict[str, tuple[str, ...]] = {}
        inside: tuple[str, ...] = ()
        for key, inner in item.mapping("'where'").items():
            if key == "table":
                inside = (_one_of(inner, "a table", tuple(self.tables)),)
                continue
            labels = inner.items("labels") if isinstance(inner.value, list) else [inner]
            where[key] = tuple(label.text("a label") for label in labels)
            for label in where[key] if key in self.labels else ():
                if label not in self.labels[key]:
                    raise inner.error(f"the axis {key} has no '{label}'", did_you_mean(label, self.labels[key]))
        return where, inside


def _check_order(constants: Mapping[str, Formula]) -> None:
    """No constant is made of itself."""
    left = {name: {path.name for path in paths(formula.tree)} & set(constants) for name, formula in constants.items()}
    while ready := {name for name, needed in left.items() if not needed & set(left)}:
        left = {name: needed for name, needed in left.items() if name not in ready}
    if left:
        chain = [next(iter(left))]
        while (after := min(left[chain[-1]] & set(left))) not in chain:
            chain.append(after)
        around = " → ".join([*chain[chain.index(after) :], after])
        raise constants[after].error(f"is made of itself, {around}", "name numbers, paths and other constants")


def _check_names(evidence: Evidence, formula: Formula, checked: set[str]) -> None:
    """Every name of a formula stands for a run, a table, a constant or a variable. `checked`: constants that are known to be so."""
    known = {*evidence.runs, *evidence.tables, *evidence.constants, *(name for case in evidence.cases for name in case.variables)}
    for path in paths(formula.tree):
        if path.name not in known:
            raise formula.error(f"names an unknown '{path.name}'", did_you_mean(path.name, known))
    for name in {path.name for path in paths(formula.tree)} & set(evidence.constants) - checked:
        checked.add(name)
        _check_names(evidence, evidence.constants[name], checked)


def _named(item: Item | None, what: str) -> dict[str, Item]:
    found = {} if item is None else item.mapping(what)
    for name in found:
        if not _NAME.match(name) or name in (*REDUCTIONS, *FUNCTIONS):
            assert item is not None
            raise item.key_error(name, f"'{name}' cannot be a name of {what}", "write letters, digits and _, and no function's name")
    return found


def _one_of(item: Item, what: str, known: tuple[str, ...]) -> str:
    text = item.text(what)
    if text not in known:
        raise item.error(f"{what} cannot be '{text}'", did_you_mean(text, known))
    return text


def _text(item: Item, what: str) -> str:
    return " ".join(item.text(what).split())


def _value(item: Item) -> Value:
    found = plain(item)
    if isinstance(found, bool) or not isinstance(found, (int, float, str)):
        raise item.error(f"a variable is a number or a word, not {item.kind()}")
    return found


def _setting(item: Item) -> str | Formula:
    """A text, or with '=' before it a formula over the case."""
    text = item.text("a setting").strip()
    return parse(text[1:], item.place) if text.startswith("=") else text


def _formula(item: Item) -> Formula:
    return parse(item.text("a formula"), item.place)


def _published(item: Item) -> tuple[Formula, ...]:
    """One figure, or a lowest and a highest."""
    if not isinstance(item.value, list):
        return (_formula(item),)
    found = tuple(_formula(each) for each in item.value)
    if len(found) != 2:
        raise item.error("a range has a lowest and a highest figure", "write [LOW, HIGH]")
    return found


def _tolerance(item: Item) -> Tolerance:
    text = item.text("a tolerance").strip()
    match = _TOLERANCE.match(text)
    if text == "exact":
        return Tolerance(0.0, True, text)
    if match is None:
        raise item.error(f"'{text}' is no tolerance", "write 1e-6, 0.5 %, '0.05 absolute' or exact")
    share = float(match[1]) / (100 if match[2] == "%" else 1)
    return Tolerance(share, match[2] != "absolute", text)
