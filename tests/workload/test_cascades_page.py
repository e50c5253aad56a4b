"""Every file shown in docs/cascades.md does what the page says."""

import re
from pathlib import Path

import numpy as np
import pytest

from accelsim.hardware.types import TYPES
from accelsim.io.workload import load_workload
from accelsim.workload.cascade import Cascade, Model
from accelsim.workload.interpreter import model_inputs, random_inputs, run, run_model
from accelsim.workload.operators import OPERATORS, REDUCTIONS
from accelsim.workload.passes import passes

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "cascades.md").read_text()
FILES = {match.group(1): match.group(0)[8:-4] for match in re.finditer(r"```yaml\nworkload: (\S+)\n.*?\n```", PAGE, re.DOTALL)}


def loaded(name: str, folder: Path) -> Cascade | Model:
    path = folder / f"{name}.yaml"
    path.write_text(FILES[name])
    return load_workload(path)


@pytest.mark.parametrize("name", sorted(FILES))
def test_file_on_the_page_runs(name: str, tmp_path: Path) -> None:
    made = loaded(name, tmp_path)
    if isinstance(made, Model) and made.phases:
        steps = [(phase.name, phase.steps, phase.tokens) for phase in made.phases]
        assert steps == [("prefill", 1, 1), ("decode", 128, 8), ("mixed", 64, 8)]
        return
    rng = np.random.default_rng(0)
    runs = run_model(made, model_inputs(made, rng)) if isinstance(made, Model) else {name: run(made, random_inputs(made, rng))}
    assert all(np.all(np.isfinite(value)) for done in runs.values() for value in done.values.values())


def test_indices_on_the_page_bound_their_inputs(tmp_path: Path) -> None:
    made = loaded("statements", tmp_path)
    assert isinstance(made, Cascade)
    assert made.tensors["W"].shape == (5, 3)
    assert made.tensors["K"].shape == (2, 3)
    assert made.by_name["left"].output.tensor == "E"


def test_split_on_the_page_reads_1000_elements(tmp_path: Path) -> None:
    made = loaded("tiles", tmp_path)
    assert isinstance(made, Cascade)
    assert made.tensors["X"].shape == (1000,)


def test_page_names_every_function_reduction_and_type() -> None:
    words = set(re.findall(r"[a-z0-9]+", PAGE))
    signs = {"sub", "div", "floordiv", "mod", "pow", "neg", "lt", "le", "gt", "ge", "eq", "ne"}
    assert {*OPERATORS, *REDUCTIONS, *TYPES} - signs <= words


def test_page_states_the_passes_of_the_shipped_attention_cascades() -> None:
    folder = Path(__file__).resolve().parents[2] / "workloads"
    three, one = load_workload(folder / "attention-3pass.yaml"), load_workload(folder / "attention.yaml")
    assert isinstance(three, Cascade) and isinstance(one, Cascade)
    found = passes(three, "m")
    assert (found.count, [item.tensor for item in found.crossing]) == (3, ["QK", "SN"])
    assert passes(one, "m").count == 1
