"""The command line: exit codes, whole messages, nothing written that was not asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from accelsim.cli import INTERNAL_ERROR, ROUNDER, main
from accelsim.commands import analysing

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 2) -> str:
    """The message of a command that must be refused with an exit code, with nothing on standard output."""
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    return err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mapp"], "there is no command 'mapp'; did you mean 'map'?\n"),
        (["bounds"], "the following arguments are required: WORKLOAD; see `accelsim bounds --help`\n"),
        (["bounds", "matmul", "softmax"], "accelsim bounds does not expect 'softmax'; see `accelsim bounds --help`\n"),
        (["bounds", "matmul", "--jsn", "-"], "accelsim bounds has no option '--jsn'; did you mean '--json'?\n"),
        (["bounds", "matmul", "--json"], "argument --json: expected one argument; see `accelsim bounds --help`\n"),
        (["bounds", "matmul", "--json", "a", "--json", "b"], "--json is given twice; remove one of the two\n"),
        (["map", "softmax", "--arch", "npu", "-o", "a", "--output", "b"], "--output is given twice; remove one of the two\n"),
        (["map", "npu", "--arch", "simple"], "'npu' is a machine, not a workload; see `accelsim list workloads`\n"),
        (["--verson"], "accelsim has no option '--verson'; did you mean '--version'?\n"),
        (["bounds", "matmull"], "there is no workload 'matmull'; did you mean 'matmul'?\n"),
        (["bounds", "./matmull.yaml"], "there is no file './matmull.yaml'; did you mean 'matmul'?\n"),
        (
            ["list", "archs", "Spaceship"],
            "none of the archs that are shipped has 'spaceship' in its name or description; leave the word out\n",
        ),
        (
            ["list"],
            "accelsim list needs a kind; "
            "write one of archs, campaigns, drams, evidence, mappings, rates, sweeps, technologies, workloads\n",
        ),
        (["list", "workload"], "cannot list 'workload'; did you mean 'workloads'?\n"),
        (["map", "matmul"], "accelsim map needs a machine; add --arch NAME; `accelsim list archs` shows them\n"),
        (
            ["evaluate", "matmul", "--arch", "simple"],
            "accelsim evaluate needs a mapping; add --mapping NAME; `accelsim list mappings` shows them\n",
        ),
        (["map", "matmul", "--arch", "simpl"], "there is no machine 'simpl'; did you mean 'simple'?\n"),
        (["map", "matmul", "--arch", "simple", "--objective", "latenzy"], "there is no objective 'latenzy'; did you mean 'latency'?\n"),
        (["map", "matmul", "--arch", "simple", "--seed", "-1"], "--seed '-1' is not a whole number from 0; write digits, as in --seed 1\n"),
        (
            ["map", "matmul", "--arch", "simple", "--counting", "drain=free"],
            "there is no counting option 'drain'; did you mean 'drains'?\n",
        ),
        (
            ["map", "matmul", "--arch", "simple", "--counting", "drains=fre"],
            "counting option 'drains' cannot be 'fre'; did you mean 'free'?\n",
        ),
        (
            ["map", "matmul", "--arch", "simple", "--counting", "drains"],
            "--counting drains: not an option; write option=value, as in drains=free\n",
        ),
        (
            ["map", "matmul", "--arch", "simple", "--draw", "nest.txt"],
            "--draw nest.txt: not a kind of picture; end the name in .png, .svg or .pdf\n",
        ),
        (["bounds", "matmul", "--json", "no/such.json"], "no/such.json: there is no folder 'no'; create it or name another\n"),
        (["bounds", "matmul", "--set", "shape.k"], "--set shape.k: not a setting; write path=value, as in shape.m=16384\n"),
        (["bounds", "matmul", "--set", "arch.L3.size=1"], "--set arch.L3.size: this command reads no machine; leave the setting out\n"),
        (["report", "none.json"], "none.json: cannot read: No such file or directory; check the path\n"),
    ],
)
def test_wrong_arguments_are_refused_in_one_line(
    arguments: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert refused(capsys, *arguments) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "bad.yaml:1:1: the file is empty; see `accelsim list` for shipped examples\n"),
        (b"workload: &x a\n", "bad.yaml:1:11: YAML anchors and aliases are not accepted; write the value out\n"),
        (b"a" * 10_000_000, "bad.yaml: larger than 256 KiB; a description this long is a data file; split it\n"),
        (b"\xff\xfe\x00binary", "bad.yaml:1:1: not UTF-8 text; accelsim reads YAML text files\n"),
        (b"workload: a\nabout: \xc3\xa9t\xe9\n", "bad.yaml:2:10: not UTF-8 text; accelsim reads YAML text files\n"),
        (
            b"name: matmul\n",
            "bad.yaml:1:1: no workload, machine, mapping, technology, DRAM, rates, campaign, sweep, evidence or constraints;"
            " name it at the top, as in 'workload: NAME'\n",
        ),
        (b"- 1\n", "bad.yaml:1:1: the file must be a mapping of keys to values, not a list; write 'key: value' lines\n"),
        (b"workload: x\nworkload: y\n", "bad.yaml:2:1: 'workload' is given twice; remove one of the two\n"),
        (b"workload: x\nshap: {m: 1}\n", "bad.yaml:2:1: a workload has no 'shap'; did you mean 'shape'?\n"),
    ],
)  # fmt: skip
def test_file_that_is_no_description_is_refused_in_one_line(
    content: bytes, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "bad.yaml").write_bytes(content)
    started = time.monotonic()
    assert refused(capsys, "check", "bad.yaml") == message
    assert time.monotonic() - started < 2


MATMUL = "workload: w\nshape: {m: 4, n: 4, k: 4}\neinsums: ['Z[m,n] = A[m,k] * B[k,n]']\n"
ADDER = """machine: adder
clock: 1 GHz
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 1 GB/s
  energy: 1 pJ/bit
  feeds: {memory: L1, size: 16 B, bandwidth: 1 GB/s, energy: 1 pJ/bit, feeds: {unit: PE, executes: {UNITS: 1 pJ}}}
"""
NEST = "mapping: nest\ntree:\n  - keep DRAM: [A, B, Z]\n  - KEEP\n  - {einsum: Z, unit: PE}\n"


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        (
            "w.yaml",
            MATMUL.replace(", k: 4", ""),
            "w.yaml:3:25: rank 'k' has no size; write its size under shape: {k: ...}\n  einsums: ['Z[m,n] = A[m,k] * B[k,n]']\n"
            + " " * 26 + "^\n",
        ),
        ("w.yaml", MATMUL.replace("m: 4", "m: -4"), "w.yaml:2:12: the size of rank 'm' must be at least 1, not -4\n"),
        (
            "w.yaml",
            "workload: w\nshape: {m: 4}\neinsums: ['Z[m] = Y[m]', 'Y[m] = Z[m]']\n",
            "w.yaml:3:12: Z -> Y -> Z is a cycle that no rank carries; "
            "write the next slice (T[i+1,...]) from earlier ones (T[i,...]) along one rank\n",
        ),
        ("a.yaml", ADDER.replace("1 GHz", "940"), "a.yaml:2:8: clock '940' has no unit; write a number and a unit, as in '940 MHz'\n"),
    ],
)  # fmt: skip
def test_wrong_description_is_refused_with_its_place(
    file: str, content: str, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / file).write_text(content)
    assert refused(capsys, "check", file) == message


@pytest.mark.parametrize(
    ("units", "keep", "code", "message"),
    [
        ("mac", "for q: 1", 1, "nest.yaml:4:5: no rank 'q' in the cascade; known: k, m, n\n"),
        ("mac", "keep DRM: [A]", 1, "nest.yaml:4:5: no memory 'DRM' in adder; did you mean 'DRAM'?\n"),
        ("mac", "keep L1: [A]", 1, "nest.yaml:4:5: tile A[4,4] needs 32 B, L1 holds 16 B; shrink m or k\n"),
        (
            "add",
            "for m: 1",
            1,
            "nest.yaml:5:5: unit PE cannot execute Z: it has no 'mac'; no unit of this machine can; give one the primitive\n",
        ),
        ("mac", "for m: 0", 2, "nest.yaml:4:12: the tile of 'for m' must be at least 1, not 0\n"),
    ],
)
def test_mapping_that_a_machine_does_not_allow_is_refused_with_its_reason(
    units: str, keep: str, code: int, message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "w.yaml").write_text(MATMUL)
    (here / "a.yaml").write_text(ADDER.replace("UNITS", units))
    (here / "nest.yaml").write_text(NEST.replace("KEEP", keep))
    assert refused(capsys, "evaluate", "w.yaml", "--arch", "a.yaml", "--mapping", "nest.yaml", code=code) == message


def test_einsum_that_no_unit_executes_has_no_mapping(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "w.yaml").write_text(MATMUL)
    (here / "a.yaml").write_text(ADDER.replace("UNITS", "add"))
    assert refused(capsys, "map", "w.yaml", "--arch", "a.yaml", code=1) == (
        "w.yaml:3:12: no unit of adder can execute Z: PE has no 'mac'; give a unit the primitive\n"
    )


def test_message_stays_one_line_whatever_the_input_holds(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    message = refused(capsys, "bounds", "softmax", "--set", "mat\nmul\x1b[31m" + "x" * 5000 + "=1")
    assert message.count("\n") == 1
    assert message[:-1].isprintable()
    assert len(message) < 1100


@pytest.mark.parametrize(
    ("raised", "code", "message"),
    [
        (MemoryError(), 2, "too large: the memory of this computer does not suffice; make the shape smaller\n"),
        (OverflowError("x"), 2, f"too large: a number leaves the range that accelsim counts in; {ROUNDER}\n"),
        (RecursionError(), 2, "nested too deeply; write it with fewer levels\n"),
        (KeyboardInterrupt(), 130, "interrupted before anything was found\n"),
        (
            ZeroDivisionError("x"),
            INTERNAL_ERROR,
            "internal error: ZeroDivisionError: x; set ACCELSIM_DEBUG=1 to see where, and report it\n",
        ),
    ],
)
def test_nothing_escapes_as_a_traceback(
    raised: BaseException, code: int, message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(arguments: Any) -> int:
        raise raised

    monkeypatch.delenv("ACCELSIM_DEBUG", raising=False)
    monkeypatch.setattr(analysing, "list_", fail)
    assert refused(capsys, "list", "workloads", code=code) == message


def test_debugging_shows_where_an_internal_error_came_from(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: Any) -> int:
        raise ZeroDivisionError

    monkeypatch.setenv("ACCELSIM_DEBUG", "1")
    monkeypatch.setattr(analysing, "list_", fail)
    with pytest.raises(ZeroDivisionError):
        main(["list", "workloads"])


def test_no_arguments_show_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert "find the best mapping" in capsys.readouterr().out


def test_json_on_standard_output_is_all_that_stands_there(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bounds", "matmul", "--set", "shape.m=2", "--set", "shape.n=3", "--set", "shape.k=4", "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    # by hand: 2*4 + 4*3 + 2*3 words of 2 bytes, 24 multiply-adds
    assert (document["compulsory_bytes"], document["operations"]) == (52, 24)
    assert list(here.iterdir()) == []


def test_json_file_is_written_beside_the_report(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["passes", "softmax", "--json", "passes.json"]) == 0
    assert "how often" in capsys.readouterr().out
    assert json.loads((here / "passes.json").read_text())["ranks"]["k"]["passes"] == 3


@pytest.mark.parametrize("verb", ["run", "passes", "bounds"])
def test_quiet_command_says_nothing(verb: str, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([verb, "softmax", "-q", "--set", "shape.b=2", "--set", "shape.k=8"]) == 0
    assert capsys.readouterr() == ("", "")
    assert list(here.iterdir()) == []


def test_same_seed_runs_the_same_and_another_does_not(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def outputs(seed: str) -> Any:
        main(["run", "softmax", "--seed", seed, "--set", "shape.b=2", "--set", "shape.k=8", "--json", "-"])
        return json.loads(capsys.readouterr().out)["outputs"]

    assert outputs("1") == outputs("1") != outputs("2")


def test_model_is_analysed_layer_by_layer(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bounds", "transformer-layer", "--json", "-"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [layer["workload"] for layer in document["layers"]] == ["projections", "attention", "output-projection", "feed-forward"]


def process(*arguments: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    return subprocess.run([sys.executable, "-m", "accelsim", *arguments], env=environment, capture_output=True, text=True, **settings)


def test_list_shows_names_with_a_word_a_folder_after_the_other(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "archs", "GPU of"]) == 0
    printed = capsys.readouterr().out
    assert {line.split("  ")[0] for line in printed.splitlines() if not line.startswith(" ")} >= {"gpu/a100", "gpu/h100"}
    assert "npu" not in printed.split()
    assert main(["list", "archs", "an array"]) == 0
    folders = [name.partition("/")[0] if "/" in name else "" for name in capsys.readouterr().out.splitlines() if not name.startswith(" ")]
    changes = [each for at, each in enumerate(folders) if at == 0 or each != folders[at - 1]]
    assert len(set(changes)) > 1 and changes[0] == ""


def test_module_is_the_command(here: Path) -> None:
    assert process("--version").stdout == "accelsim 0.1.0\n"


def test_reader_that_stops_early_is_no_error(here: Path) -> None:
    command = f"{sys.executable} -m accelsim list workloads | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_output_of_a_latin_terminal_is_no_error(here: Path) -> None:
    command = [sys.executable, "-m", "accelsim", "passes", "softmax"]
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run(command, env=environment, capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


def best(times: int, timed: Callable[[], Any]) -> float:
    """Seconds of the fastest of several tries."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        timed()
        seconds.append(time.perf_counter() - started)
    return min(seconds)


def test_help_appears_at_once(here: Path) -> None:
    assert best(5, lambda: process("--help", check=True)) < 0.4


@pytest.mark.slow
def test_map_imports_nothing_that_it_does_not_use(here: Path) -> None:
    unused = ("scipy.linalg", "networkx", "difflib", "matplotlib")
    code = f"""
import sys
from accelsim.cli import main
main(["map", "matmul", "--arch", "simple", "--quiet"])
print([name for name in {unused!r} if name in sys.modules])
"""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    for _ in range(2):  # the first run may compile kernels, which takes more of Numba
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
