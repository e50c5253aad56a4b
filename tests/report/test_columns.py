"""Dictionaries of columns hold what the documents say, and pandas, polars and Arrow take them as they are."""

from __future__ import annotations

import math
from typing import Any

import pytest

from accelsim.report import columns
from tests.report.plots import examples

TABLES = {
    "components": lambda: columns.components(examples.evaluation()),
    "einsums": lambda: columns.einsums(examples.evaluation()),
    "traffic": lambda: columns.traffic(examples.evaluation()),
    "evaluations": lambda: columns.evaluations({"one": examples.evaluation(), "two": examples.evaluation()}),
    "events": lambda: columns.events(examples.simulation()),
    "waits": lambda: columns.waits(examples.simulation()),
    "strata": lambda: columns.strata(examples.outcome()),
}


@pytest.mark.parametrize("name", TABLES)
def test_columns_are_of_one_length_and_type(name: str) -> None:
    table: dict[str, list[Any]] = TABLES[name]()
    assert len({len(column) for column in table.values()}) == 1 and len(next(iter(table.values()))) > 0
    for column in table.values():
        assert len({type(value) for value in column if value is not None}) <= 1


@pytest.mark.parametrize("name", TABLES)
def test_frames_hold_the_same_rows(name: str) -> None:
    import pandas
    import polars

    table = TABLES[name]()
    for frame in (pandas.DataFrame(table), polars.DataFrame(table)):
        assert list(frame.columns) == list(table) and len(frame) == len(next(iter(table.values())))
        for key, column in table.items():
            for value, kept in zip(column, frame[key].to_list() if hasattr(frame[key], "to_list") else frame[key], strict=True):
                if value is None:
                    assert kept is None or math.isnan(kept)
                else:
                    assert kept == value or (math.isnan(kept) and math.isnan(value))


def test_bits_of_the_table_of_traffic_are_those_of_the_evaluation() -> None:
    evaluation = examples.evaluation()
    table, tensors = columns.traffic(evaluation), evaluation.evaluator.cascade.tensors
    same = {name: tensor.final.bits for name, tensor in tensors.items() if tensor.final == tensor.partial}
    assert same
    for memory in evaluation.evaluator.architecture.memories:
        at = [row for row, name in enumerate(table["memory"]) if name == memory and table["tensor"][row] in same]
        read = sum((table["reads"][row] + table["drains"][row]) * same[table["tensor"][row]] for row in at)
        pieces = evaluation.evaluator.clock.pieces
        assert read == sum(row[0] for key, row in evaluation.bits.items() if key[2] == memory and key[1] in same) / pieces


def test_operations_and_energy_of_einsums_sum_to_those_of_the_evaluation() -> None:
    evaluation = examples.evaluation()
    table = columns.einsums(evaluation)
    assert sum(table["energy_pj"]) == pytest.approx(evaluation.dynamic.value)
    assert table["points"] == [evaluation.counts.operations[name] for name in table["einsum"]]
