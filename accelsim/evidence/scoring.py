"""Rows held against results: accelsim's figure, the difference, and whether it is within the tolerance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from accelsim.evidence.evaluate import Evaluator
from accelsim.evidence.formula import Formula, paths
from accelsim.evidence.nouns import Case, Evidence, Row

WITHIN, OFF, NOT_REPRODUCED, NOT_RUN, BESIDE = "within", "off", "not reproduced", "not run", "beside"
Asked = tuple[str, Case, str]  # a run, a case and the first key of the path


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison. `difference`: from what is published or the nearest end of its range, as a share; None if nothing is computed.

    `holds`: whether that is within the tolerance; None where nothing is judged.
    """

    labels: tuple[str, ...]
    published: tuple[float, ...]
    value: float | None
    difference: float | None
    holds: bool | None


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a row."""

    row: Row
    status: str
    figures: tuple[Figure, ...]

    def to_json(self) -> dict[str, Any]:
        """The row with its figures, as JSON."""
        row = self.row
        return {
            "name": row.name,
            "kind": row.kind,
            "status": self.status,
            "unit": row.unit,
            "source": row.source,
            "tolerance": row.tolerance.text if row.tolerance else None,
            "expect": row.expect,
            "checked": row.checked,
            "explanation": row.explanation,
            "not_reproduced": row.not_reproduced,
            "shown_by": row.shown_by,
            "formula": row.value.text if row.value else None,
            "table": row.table,
            "figures": [
                {
                    "case": ", ".join(figure.labels),
                    "labels": list(figure.labels),
                    "published": list(figure.published),
                    "value": figure.value,
                    "difference": figure.difference,
                    "holds": figure.holds,
                }
                for figure in self.figures
            ],
        }


def asked(evidence: Evidence) -> list[Asked]:
    """The documents that the rows of an evidence file need, each once, in order."""
    found: dict[tuple[str, tuple[str, ...], str], Asked] = {}
    seen = set[tuple[str, tuple[str, ...]]]()  # constants of cases

    def need(formula: Formula, case: Case) -> None:
        for path in paths(formula.tree):
            there = _elsewhere(evidence, case, path.other) if path.other else case
            if path.name in evidence.runs and path.keys and there is not None:
                found.setdefault((path.name, there.key, path.keys[0]), (path.name, there, path.keys[0]))
            elif path.name in evidence.constants and (path.name, case.key) not in seen:
                seen.add((path.name, case.key))
                need(evidence.constants[path.name], case)

    for row in evidence.rows:
        for case in evidence.cases_of(row):
            for formula in (*row.published, *([row.value] if row.value else [])):
                need(formula, case)
    return list(found.values())


def _elsewhere(evidence: Evidence, case: Case, other: Sequence[tuple[str, str]]) -> Case | None:
    wanted = {**case.labels, **dict(other)}
    return next((each for each in evidence.cases if each.labels == wanted), None)


def score(evaluator: Evaluator) -> list[Result]:
    """Every row of an evidence file beside what accelsim finds."""
    return [_result(evaluator, row) for row in evaluator.evidence.rows]


def _result(evaluator: Evaluator, row: Row) -> Result:
    figures = tuple(_figure(evaluator, row, group) for group in evaluator.evidence.groups(row)) if row.published or row.value else ()
    if row.not_reproduced:
        return Result(row, NOT_REPRODUCED, figures)
    if row.shown_by:
        return Result(row, NOT_RUN, figures)
    if not row.published or row.expect == "nothing":
        return Result(row, BESIDE, figures)
    return Result(row, WITHIN if all(figure.holds for figure in figures) else OFF, figures)


def _figure(evaluator: Evaluator, row: Row, group: Sequence[Case]) -> Figure:
    labels = tuple(group[0].words[axis] for axis in row.each)
    published = tuple(float(evaluator.number(formula, group)) for formula in row.published)
    if row.value is None:
        return Figure(labels, published, None, None, None)
    value = float(evaluator.number(row.value, group))
    if not published:
        return Figure(labels, published, value, None, None)
    nearest = min(max(value, published[0]), published[1]) if len(published) == 2 else published[0]
    off = value - nearest
    difference = off / abs(nearest) if nearest else (0.0 if not off else None)
    if row.expect == "nothing":
        return Figure(labels, published, value, difference, None)
    wrong = {"at least": min(0.0, off), "at most": max(0.0, off)}.get(row.expect, off)
    return Figure(labels, published, value, difference, abs(wrong) <= _slack(row, nearest))


def _slack(row: Row, published: float) -> float:
    if row.tolerance is None:
        return 0.0
    return row.tolerance.amount * (abs(published) if row.tolerance.relative else 1.0)
