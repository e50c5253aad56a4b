"""Raw rates: what is shipped, and what a table must say."""

from __future__ import annotations

from pathlib import Path

import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.faults.rates import PERMANENT
from accelsim.io.catalogue import RATES, shipped
from accelsim.io.rates import load_rates

GOOD = """\
rates: mine
about: Made up.
sources: {here: a made-up source}
rows:
  - {cell: flop, fault: transient, value: 8 FIT/MB, low: 4 FIT/MB, high: 9 FIT/MB, kind: assumed, source: here, doubt: all}
"""
BAD = [
    ("value: 8 FIT/MB", "value: 8", r":5:43: value '8' has no unit; write a number and a unit, as in '600 FIT/MiB'$"),
    ("value: 8 FIT/MB", "value: 8 FIT", r":5:43: value '8 FIT' is a rate of failures, not a rate of failures per bit; write it as in"),
    ("low: 4", "low: 8.5", r":5:5: low 1\.062e-06, value 1e-06, high 1\.125e-06 are out of order; low <= value <= high$"),
    (", doubt: all", "", r":5:5: a rate needs 'doubt'; add 'doubt:'; every rate has its low, its high, its kind, its source and"),
    ("doubt: all", "doubt: ''", r":5:\d+: a rate needs a doubt; say where the figure comes from, and what is not known of it$"),
    ("fault: transient", "fault: transeint", r":5:25: no fault is called 'transeint'; did you mean 'transient'\?$"),
    ("source: here", "source: there", r":3:11: no row cites source 'here'; remove it$"),
    ("sources: {here: a made-up source}\n", "rwos: 3\n", r":3:1: a table of rates has no 'rwos'; did you mean 'rows'\?$"),
    ("rates: mine\n", "technology: mine\n", r":1:1: this is a technology, not a table of rates; name a table of rates"),
]


def test_shipped_tables_are_right_and_every_figure_has_its_source_and_doubt(capsys: pytest.CaptureFixture[str]) -> None:
    for name, path in shipped(RATES).items():
        found = load_rates(path)
        assert found.name == name and found.rows
        assert all(row.source and row.doubt and 0 < row.fit.low < row.fit.value < row.fit.high for row in found.rows)
        assert main(["check", name]) == 0
        assert f"the table of rates {name} is right" in capsys.readouterr().out
    assert main(["list", "rates"]) == 0
    assert all(name in capsys.readouterr().out for name in list(shipped(RATES))[:1])


def test_unit_is_read_as_failures_of_one_bit(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(GOOD)
    row = load_rates(tmp_path / "r.yaml").of("flop")
    assert (row.fit.value, row.fit.low, row.fit.high) == pytest.approx((1e-6, 0.5e-6, 1.125e-6))
    assert (row.source, row.doubt, row.kind) == ("a made-up source", "all", "assumed")


@pytest.mark.parametrize(("old", "new", "said"), BAD)
def test_wrong_table_is_refused_in_one_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    assert old in GOOD
    (tmp_path / "r.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(InputError, match=said):
        load_rates(tmp_path / "r.yaml")


def test_cell_has_one_rate_for_a_fault(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text(GOOD + GOOD.splitlines()[-1] + "\n")
    with pytest.raises(InputError, match=r":6:5: 'flop' has two rows for transient faults; keep one$"):
        load_rates(tmp_path / "r.yaml")


def test_rate_that_is_not_there_is_refused() -> None:
    rates = load_rates(shipped(RATES)["gpu_28nm"])
    with pytest.raises(InputError) as caught:
        rates.of("flop")
    assert str(caught.value) == "rates 'gpu_28nm' have no transient faults of cells called 'flop'; known: sram"
    with pytest.raises(InputError) as caught:
        rates.of("sram", PERMANENT)
    assert str(caught.value) == "rates 'gpu_28nm' have no permanent faults of cells called 'sram'; none is known here"
