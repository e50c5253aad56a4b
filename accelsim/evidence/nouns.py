"""What a file of evidence says: cases, runs, tables of published figures, and rows that hold one against the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from accelsim.errors import InputError, Place, did_you_mean
from accelsim.evidence.formula import Formula

VALIDATION, REPRODUCTION, PLAUSIBILITY = KINDS = ("validation", "reproduction", "plausibility")
EXPECTATIONS = ("equal", "at least", "at most", "between", "nothing")
Value = int | float | str


@dataclass(frozen=True, slots=True)
class Case:
    """One combination of the axes: a label for each, the settings and the variables that they bring."""

    labels: Mapping[str, str]
    settings: Mapping[str, str]
    variables: Mapping[str, Value]

    def __str__(self) -> str:
        return ", ".join(self.labels.values())

    @property
    def key(self) -> tuple[str, ...]:
        """What tells a case from the others of its evidence."""
        return tuple(self.labels.values())

    @property
    def words(self) -> dict[str, str]:
        """Labels and variables as texts, by name."""
        return {**{name: str(value) for name, value in self.variables.items()}, **self.labels}


@dataclass(frozen=True, slots=True)
class Table:
    """Figures beside an evidence file: rows by the labels of those axes, or values of those variables, that it has columns for."""

    name: str
    axes: tuple[str, ...]
    rows: Mapping[tuple[str, ...], Mapping[str, Value]]
    columns: tuple[str, ...]

    def row(self, case: Case) -> Mapping[str, Value] | None:
        """The row of a case, or None."""
        words = case.words
        return self.rows.get(tuple(words[axis] for axis in self.axes))


@dataclass(frozen=True, slots=True)
class Run:
    """Something that accelsim computes for every case: options of a command, of which texts may be formulas over the case."""

    name: str
    options: Mapping[str, Any]
    settings: Mapping[str, str | Formula]
    place: Place


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a figure may be off: a share of the published one, or an amount."""

    amount: float
    relative: bool
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A published figure, the formula that gives accelsim's, and how close they have to be.

    `each`: axes or variables with a figure for each label or value; `where`: labels that count, by axis or variable; `inside`: tables
    that must have the case. `expect`: one of EXPECTATIONS; figures of which `nothing` is expected stand beside each other, unjudged.
    `not_reproduced`: why there is no agreement to ask for. `shown_by`: the command that shows it, with data that is not shipped.
    `table`: whether the page shows all of its figures.
    """

    name: str
    place: Place
    kind: str
    published: tuple[Formula, ...] = ()
    value: Formula | None = None
    unit: str = ""
    source: str = ""
    tolerance: Tolerance | None = None
    expect: str = "equal"
    explanation: str = ""
    checked: str = ""
    each: tuple[str, ...] = ()
    where: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    inside: tuple[str, ...] = ()
    not_reproduced: str = ""
    shown_by: str = ""
    table: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """One publication: its axes, runs and rows."""

    name: str
    title: str
    source: str
    kind: str
    about: str
    axes: tuple[str, ...]
    cases: tuple[Case, ...]
    constants: Mapping[str, Formula]
    tables: Mapping[str, Table]
    runs: Mapping[str, Run]
    rows: tuple[Row, ...]
    file: str

    def cases_of(self, row: Row) -> tuple[Case, ...]:
        """The cases that a row is about."""
        found = tuple(case for case in self.cases if self._counts(case, row))
        if not found:
            raise InputError(f"no case is left for '{row.name}'", "check its 'where'", row.place)
        return found

    def _counts(self, case: Case, row: Row) -> bool:
        if any(self.tables[name].row(case) is None for name in row.inside):
            return False
        for key, labels in row.where.items():
            known = case.words
            if key not in known:
                raise InputError(f"no axis or variable is called '{key}'", did_you_mean(key, known), row.place)
            if known[key] not in labels:
                return False
        return True

    def groups(self, row: Row) -> tuple[tuple[Case, ...], ...]:
        """The cases of a row, those together that agree in all of `each`."""
        found: dict[tuple[str, ...], list[Case]] = {}
        for case in self.cases_of(row):
            words = case.words
            found.setdefault(tuple(words[axis] for axis in row.each), []).append(case)
        return tuple(map(tuple, found.values()))
