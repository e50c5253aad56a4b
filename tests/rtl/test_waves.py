"""Waves of the processor: the file, its times and its signals."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.rtl.cosim import SLACK
from accelsim.rtl.fast import QUICK, Library
from accelsim.rtl.harness import PERIOD
from tests.rtl.fst import read
from tests.rtl.runner import RTL

SMALL = ["cosim", "matmul", "--arch", "mini", "--set", "shape.m=3", "--set", "shape.n=2", "--set", "shape.k=5"]


def ports(module: str) -> set[str]:
    """Names of a module's ports, from its text."""
    return set(
        re.findall(r"^ *(?:input|output) +logic .*?(\w+_[io]),? *(?://.*)?$", (RTL / f"{module}.sv").read_text("utf-8"), re.MULTILINE)
    )


@pytest.mark.usefixtures("rtl_tools")
def test_waves_hold_the_whole_run_and_every_port(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "run.fst"
    assert main([*SMALL, "--waves", str(file), "--json", "-"]) == 0
    cycles = int(re.findall(r'"rtl_cycles": (\d+)', capsys.readouterr().out)[0])
    found = read(file)
    assert (found.start, found.end, found.exponent) == (0, (cycles + SLACK) * PERIOD, -9)
    top = "TOP.processor_system.u_top"
    assert len(ports("npu_top")) > 15 and len(ports("npu_lane")) > 10
    assert {f"{top}.{name}" for name in ports("npu_top")} <= found.names
    for unit, lane, module in ((1, "g_computes", "npu_lane"), (2, "g_scans", "npu_scan")):
        assert {f"{top}.g_unit[{unit}].u_engine.g_lane[3].{lane}.u_lane.{name}" for name in ports(module)} <= found.names
    assert not any("buffer_q" in name for name in found.names)
    if shutil.which("fst2vcd"):  # of GTKWave
        text = subprocess.run(["fst2vcd", str(file)], capture_output=True, text=True, check=True).stdout
        sign = re.findall(r"\$var wire +5 (\S+) done_o", text)[0]
        times = [int(each) for each in re.findall(rf"^#(\d+)$(?=(?:\n(?!#).*)*\nb(?!00000)[01]+ {re.escape(sign)}$)", text, re.MULTILINE)]
        assert max(times) == cycles * PERIOD


@pytest.mark.usefixtures("rtl_tools")
def test_a_recording_is_one_part_of_a_run(tmp_path: Path) -> None:
    instance = Library(RTL, "delay_line", {"W": 4, "DEPTH": 2}, effort=QUICK, waves=True).start()
    instance.run({"rst_i": [1, 1]})
    for number, cycles in enumerate((7, 3)):
        with instance.recorded(tmp_path / f"{number}.fst"):
            instance.run({"rst_i": [0] * cycles})
        instance.run({"rst_i": [0] * 5})
        assert read(tmp_path / f"{number}.fst").end == cycles * PERIOD
    with pytest.raises(InputError, match=r"cannot write: No such file or directory; check the path"), instance.recorded(
        tmp_path / "none" / "it.fst"
    ):  # fmt: skip
        pass


def test_other_forms_of_waves_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SMALL, "--waves", "run.vcd"]) == 2
    assert capsys.readouterr().err == ("--waves run.vcd: waves are written in the FST form only; name a file that ends with .fst\n")


def test_waves_into_no_folder_are_refused_before_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = tmp_path / "none"
    assert main([*SMALL, "--waves", str(missing / "run.fst")]) == 2
    what = f"--waves {missing / 'run.fst'}: there is no folder {missing}"
    assert capsys.readouterr().err == f"{what}; make it, or name a file elsewhere\n"
