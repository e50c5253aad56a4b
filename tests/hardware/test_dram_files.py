"""DRAM files: the shipped ones are of the speed in their name, and what is wrong with one is said in one line with its place."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.io.catalogue import DRAM, shipped
from accelsim.io.dram import dram, load_dram
from accelsim.io.source import load, parse, plain

TABLES = {name: load_dram(path) for name, path in shipped(DRAM).items()}
GOOD = """dram: d
clock: 1 GHz
beats_per_cycle: 2
sources: {book: "a book"}
organisation: {channels: 1, ranks: 1, groups: 2, banks: 2, rows: 8, columns: 16, bus: 16 bit, burst: 4, source: book}
timings:
  tCL: {value: 5.5 ns, source: book}
""" + "".join(
    f"  {name}: {{value: {cycles} cycles, source: book}}\n"
    for name, cycles in {
        "tCWL": 3, "tRCD": 6, "tRP": 7, "tRAS": 11, "tRC": 19, "tRTP": 4, "tWR": 5, "tCCD_S": 2, "tCCD_L": 3, "tRRD_S": 3, "tRRD_L": 4,
        "tFAW": 15, "tWTR_S": 2, "tWTR_L": 3, "tREFI": 400, "tRFC": 30,
    }.items()
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(TABLES))
def test_table_is_of_the_speed_in_its_name(name: str) -> None:
    found = TABLES[name]
    assert found.name == name
    per_pin = found.clock_hz * found.beats_per_cycle / 10**6
    assert abs(per_pin - int(name.rpartition("_")[2])) <= 1


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_figure_cites_a_program_or_a_standard(name: str) -> None:
    document = plain(load(shipped(DRAM)[name]))
    for figure in (document["organisation"], *document["timings"].values()):
        cited = document["sources"].get(figure["source"], figure["source"])
        assert any(word in cited for word in ("Ramulator", "DRAMsim3", "DRAMSys", "gem5", "JESD")), cited


@pytest.mark.parametrize("name", sorted(TABLES))
def test_row_cycle_holds_an_access(name: str) -> None:
    t = TABLES[name].timings
    assert t.tRAS + t.tRP <= t.tRC + 1  # each rounded up by itself
    assert t.tRCD + t.tRTP <= t.tRAS


def test_times_are_rounded_up_and_what_is_left_out_follows_from_the_rest() -> None:
    found = dram(parse(GOOD, "d.yaml"))
    assert found.timings.tCL == 6
    assert (found.timings.tRCD_WR, found.timings.tCCD_L_WR, found.timings.tRTRS) == (6, 3, 0)
    assert found.timings.tRTW == 6 + 2 + 2 - 3  # read latency, burst, two cycles of rest, less write latency
    assert (found.burst_bytes, found.row_bursts, found.bursts) == (8, 4, 128)
    assert found.peak_bytes_per_s == Fraction(4 * 10**9)


def test_one_bank_group_has_timings_without_a_suffix() -> None:
    text = GOOD.replace("groups: 2", "groups: 1")
    for name in ("tCCD", "tRRD", "tWTR"):
        start = text.index(f"  {name}_S")
        text = text[:start] + text[text.index("\n", start) + 1 :]
        text = text.replace(f"{name}_L:", f"{name}:")
    assert dram(parse(text, "d.yaml")).timings.tCCD_S == 3


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("clock: 1 GHz\n", "", "d.yaml:1:1: a DRAM needs 'clock'; add 'clock:'"),
        ("clock: 1 GHz", "clock: 1000", "d.yaml:2:8: clock '1000' has no unit; write a number and a unit, as in '940 MHz'"),
        ("clock: 1 GHz", "clock: 0 GHz", "d.yaml:2:8: clock is nothing; write it as in '1600 MHz'"),
        ("beats_per", "beat_per", "d.yaml:3:1: a DRAM has no 'beat_per_cycle'; did you mean 'beats_per_cycle'?"),
        ("banks: 2", "bank: 2", "d.yaml:5:50: an organisation has no 'bank'; did you mean 'banks'?"),
        ("rows: 8, ", "", "d.yaml:5:15: an organisation needs 'rows'; add 'rows:'"),
        ("rows: 8", "rows: 0", "d.yaml:5:66: rows must be at least 1, not 0"),
        ("rows: 8", "rows: 8.5", "d.yaml:5:66: rows must be a whole number, not 8.5"),
        ("rows: 8", "rows: 9999999999", "d.yaml:5:66: rows is beyond any machine; write a smaller number"),
        ("bus: 16 bit", "bus: 16", "d.yaml:5:87: bus '16' has no unit; write a number and a unit, as in '64 KiB'"),
        ("tRAS:", "tRAs:", "d.yaml:11:3: timings has no 'tRAs'; did you mean 'tRAS'?"),
        ("  tRC: {value: 19 cycles, source: book}\n", "", "d.yaml:7:3: timings need 'tRC'; add 'tRC: {value: …, source: …}'"),
        ("19 cycles", "19", "d.yaml:12:16: tRC '19' has no unit; write a number and a unit, as in '12 cycles'"),
        ("19 cycles", "19 ms/s", "d.yaml:12:16: tRC '19 ms/s' is a time/time, not a number of cycles; write it as in '12 cycles'"),
        ("19 cycles", "0 cycles", "d.yaml:12:16: tRC '0 cycles' is nothing; write it as in '12 cycles'"),
        ("19 cycles", "-1 cycles", "d.yaml:12:16: tRC '-1 cycles' is negative; write it as in '12 cycles'"),
        ("19 cycles", "19.5 cycles", "d.yaml:12:16: tRC '19.5 cycles' is no whole number of cycles; round it up"),
        ("19 cycles", "19 s", "d.yaml:12:16: tRC '19 s' is beyond any machine; write it as in '12 cycles'"),
        ("19 cycles, source: book", "19 cycles", "d.yaml:12:8: timing tRC needs 'source'; add 'source:'; every figure has its source"),
        ("19 cycles, source: book", "19 cycles, source: ''", "d.yaml:12:35: a figure needs a source; say where it comes from"),
        ("sources: {", "sources: {web: x, ", "d.yaml:4:11: no figure cites source 'web'; remove it"),
        ("groups: 2", "groups: 1", "d.yaml:15:3: with one bank group there is no 'tCCD_S'; write 'tCCD'"),
        ("tCCD_S", "tCCD", "d.yaml:15:3: with bank groups there is no 'tCCD'; write 'tCCD_S' and 'tCCD_L'"),
        ("ranks: 1", "ranks: 2", "d.yaml:7:3: timings need 'tRTRS'; add 'tRTRS: {value: …, source: …}'"),
        ("tRTP: ", "tRTRS: ", "d.yaml:13:3: nothing uses 'tRTRS' where there is one rank; remove it"),
        ("tWTR_L: {value: 3", "tWTR_L: {value: 1", "d.yaml:21:11: tWTR_L 1 is below tWTR_S 2; raise tWTR_L"),
        ("400 cycles", "50 cycles", "d.yaml:22:10: tREFI of 50 cycles leaves too little time between refreshes; write at least 127"),
        ("columns: 16", "columns: 18", "d.yaml:5:15: a row of 18 columns is no whole number of bursts of 4; change one of them"),
        ("dram: d", "machine: d", "d.yaml:1:1: this is a machine, not a DRAM; name a DRAM, or write 'dram:' at the top"),
    ],
)  # fmt: skip
def test_wrong_file_is_refused_with_its_place(before: str, after: str, message: str) -> None:
    assert before in GOOD
    with pytest.raises(InputError) as error:
        dram(parse(GOOD.replace(before, after, 1), "d.yaml"))
    assert str(error.value) == message


def test_command_says_what_a_dram_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "d.yaml"
    path.write_text(GOOD)
    assert main(["check", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[:3] == [
        f"{path}: the DRAM d is right",
        "1 KiB: 1 channel of 1 rank of 2 bank groups of 2 banks of 8 rows of 32 B",
        "bursts of 8 B in 2 cycles of 1 GHz, at most 4 GB/s",
    ]


def test_dram_is_no_machine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "matmul", "--arch", "hbm2_2000", "--mapping", "x"]) == 2
    assert capsys.readouterr().err == "'hbm2_2000' is a DRAM, not a machine; see `accelsim list archs`\n"
