"""The verbs from Python: the same answers as the commands, lazily imported, and errors that say what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import accelsim
from accelsim.cli import main
from accelsim.errors import InputError

SHAPE = {"shape.m": 32, "shape.n": 32, "shape.k": 32}
SETS = [word for path, size in SHAPE.items() for word in ("--set", f"{path}={size}")]


def told(*words: str, folder: Path) -> dict[str, object]:
    """The JSON of a command, less the seconds of its search."""
    file = folder / "told.json"
    assert main([*words, "-q", "--json", str(file)]) == 0
    return timeless(json.loads(file.read_text()))


def timeless(document: dict[str, object]) -> dict[str, object]:
    """A document without the seconds that a search took."""
    search = document.get("search")
    return document | ({"search": {**search, "seconds": None}} if isinstance(search, dict) else {})


def test_verbs_answer_as_the_commands_do(tmp_path: Path) -> None:
    found = accelsim.map("matmul", "simple", "energy", settings=SHAPE)
    assert timeless(found.evaluation.to_json()) == told(
        "map", "matmul", "--arch", "simple", "--objective", "energy", *SETS, folder=tmp_path
    )
    file = tmp_path / "mapping.yaml"
    matmul = accelsim.load("matmul", "workload", settings=SHAPE)
    assert isinstance(matmul, accelsim.Cascade) and isinstance(found.mapping, accelsim.Mapping)
    accelsim.save(found.mapping, file)
    asked = told("evaluate", "matmul", "--arch", "simple", "--mapping", str(file), *SETS, folder=tmp_path)
    by_name = accelsim.evaluate("matmul", "simple", file, settings=SHAPE)
    by_noun = accelsim.evaluate(matmul, accelsim.load("simple", "machine"), accelsim.load(file, "mapping", workload=matmul))
    assert by_name.to_json() == by_noun.to_json() == asked
    accelsim.save(by_noun, tmp_path / "evaluation.json")
    assert accelsim.load(tmp_path / "evaluation.json") == asked


def test_run_computes_what_numpy_does() -> None:
    import numpy as np

    product = accelsim.cascade("product", "Z[m,n] = A[m,k] * B[k,n]", {"m": 3, "k": 4, "n": 5})
    rng = np.random.default_rng(0)
    a, b = rng.random((3, 4)), rng.random((4, 5))
    assert np.allclose(accelsim.run(product, {"A": a, "B": b})["Z"], a @ b)
    assert np.array_equal(accelsim.run(product, seed=3)["Z"], accelsim.run(product, seed=3)["Z"])


def test_importing_is_light_and_every_public_name_is_there() -> None:
    code = (
        "import sys, accelsim\n"
        "print([name for name in ('numpy', 'numba', 'yaml', 'rich', 'lark', 'networkx', 'dataclasses') if name in sys.modules])\n"
        "print(all(getattr(accelsim, name) is not None for name in accelsim.__all__), set(accelsim.__all__) <= set(dir(accelsim)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\nTrue True\n"
    with pytest.raises(AttributeError, match=r"module 'accelsim' has no attribute 'mapp'"):
        accelsim.mapp  # noqa: B018


def test_public_names_are_the_verbs_and_what_has_a_home_elsewhere() -> None:
    from accelsim import verbs

    elsewhere = {"__version__", *(name for names in accelsim._HOMES.values() for name in names)}
    assert set(accelsim.__all__) == elsewhere | set(verbs.__all__) and not elsewhere & set(verbs.__all__)
    assert all((getattr(accelsim, name).__doc__ or "").strip() for name in verbs.__all__)


def test_figures_of_a_front_are_a_list_or_a_text() -> None:
    one, other = (accelsim.front("matmul", "simple", figures, settings=SHAPE) for figures in ("energy,latency", ("energy", "latency")))
    assert one.figures == other.figures == ("energy", "latency")
    assert [point.values for point in one.points] == [point.values for point in other.points]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: accelsim.load("matmul", "workloads"), "there is no kind 'workloads'; did you mean 'workload'?"),
        (lambda: accelsim.map("matmull", "simple"), "there is no workload 'matmull'; did you mean 'matmul'?"),
        (lambda: accelsim.map("matmul", "simple", tiles="all"), "there is no choice of tiles 'all'; known: any, dividing"),
        (lambda: accelsim.map("matmul", "simple", gap=-1.0), "gap -1.0: not a number from 0; write seconds, or a share as in 0.02"),
        (lambda: accelsim.map(5, "simple"), "a workload is given as 5; give a name, a path, a Cascade or a Model"),  # type: ignore[call-overload]
        (lambda: accelsim.map("matmul", 5), "a machine is given as 5; give a name, a path or an Architecture"),  # type: ignore[call-overload]
        (
            lambda: accelsim.bounds("matmul", settings=["shape.m=2"]),  # type: ignore[arg-type]
            "settings are given as ['shape.m=2']; write {'arch.clock': '1 GHz'}: paths with their values",
        ),
        (
            lambda: accelsim.bounds(accelsim.load("matmul", "workload"), settings={"shape.m": 2}),  # type: ignore[arg-type]
            "'shape.m' changes what is given by name, and the workload matmul is given whole; give the setting to load",
        ),
    ],
)
def test_wrong_calls_are_told_how_to_mend_them(call: object, says: str) -> None:
    with pytest.raises(InputError) as caught:
        call()  # type: ignore[operator]
    assert str(caught.value) == says
