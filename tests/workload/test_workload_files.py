"""Workload files: places in messages, settings, layers; the whole text of every error."""

from pathlib import Path

import pytest

from accelsim.errors import InputError
from accelsim.io.catalogue import WORKLOAD
from accelsim.io.check import check
from accelsim.io.overrides import Overrides
from accelsim.io.workload import load_workload
from accelsim.workload.build import resized
from accelsim.workload.cascade import Cascade, Model

MATMUL = "workload: w\nshape: {m: 4, n: 5, k: 6}\neinsums:\n  - Z[m,n] = A[m,k] * B[k,n]\n"


def load(text: str, folder: Path, **settings: str) -> Cascade | Model:
    path = folder / "w.yaml"
    path.write_text(text)
    return load_workload(path, {name.replace("_", "."): value for name, value in settings.items()})


ERRORS = {
    "shape: {m: 4}\n": "1:1: the workload has no name; write workload: NAME on the first line",
    "workload: w\n": "1:1: the workload has neither einsums nor layers; write einsums: ['Z[m,n] = A[m,k] * B[k,n]']",
    "workload: w\neinsum: []\n": "2:1: a workload has no 'einsum'; did you mean 'einsums'?",
    "workload: w\neinsums: Z\n": "2:10: einsums must be a list, not 'Z'; write '[a, b]' or '- a' lines",
    "workload: w\neinsums: [3]\n": "2:11: an einsum must be text, not 3; write it as in 'Z[m,n] = A[m,k] * B[k,n]'",
    "workload: w\neinsums: [{a: Z, b: Y}]\n": "2:11: a labelled einsum is one 'label: statement' pair; write - {QK: 'QK[m,p] = ...'}",
    "workload: w\neinsums: [{'a b': Z}]\n": "2:11: 'a b' cannot label a statement; a label is a word",
    "workload: w\nshape: {m: four}\neinsums: ['Z[m] = A[m]']\n": "2:12: the size of rank 'm' must be a whole number, not 'four'",
    "workload: w\nshape: {m: 4, n: MM}\neinsums: ['Z[m,n] = A[m,n]']\n": "2:15: formula 'MM' names an unknown 'MM'; did you mean 'M'?",
    "workload: w\nshape: {m: 4, n: M/3}\neinsums: ['Z[m,n] = A[m,n]']\n": (
        "2:15: the size of rank 'n' must be a whole number, and 'M/3' is 1.33333; use // or ceil()"
    ),
    "workload: w\nshape: {m: N, n: M}\neinsums: ['Z[m,n] = A[m,n]']\n": "2:9: formula 'N' names an unknown 'N'; none is known here",
    "workload: w\nshape: {m: 8, a: M}\nsplit: {m: {b: ~, a: 2}}\neinsums: ['Z[a,b] = A[b*A+a]']\n": (
        "2:15: the size of part 'a' is a formula; write a number, or ~"
    ),
    "workload: w\nshape: {m: 4, q: M}\neinsums: ['Z[m] = A[m]']\n": "2:15: no statement uses rank 'q'; known: m",
    "workload: w\nshape: {m: 0}\neinsums: ['Z[m] = A[m]']\n": "2:12: the size of rank 'm' must be at least 1, not 0",
    "workload: w\nshape: {m: 4}\ntype: {Z: bf61}\neinsums: ['Z[m] = A[m]']\n": "3:11: there is no number type 'bf61'; did you mean 'bf16'?",
    "workload: w\nshape: {m: 4}\ntype: {Y: bf16}\neinsums: ['Z[m] = A[m]']\n": "3:8: no statement names tensor 'Y'; known: A, Z",
    "workload: w\nshape: {m: 4, q: 3}\neinsums: ['Z[m] = A[m]']\n": "2:15: no statement uses rank 'q'; known: m",
    "workload: w\nshape: {m: 4, k: 3}\neinsums: ['Z[M] = A[M,k]']\n": (
        "2:9: no statement uses rank 'm'; M is its size; the rank is written m"
    ),
    "workload: w\nshape: {m: 4}\ntensors: {A: {fil: 0}}\neinsums: ['Z[m] = A[m]']\n": "3:15: tensor 'A' has no 'fil'; did you mean 'fill'?",
    "workload: w\nshape: {m: 4}\ntensors: {A: {shape: [m], fill: x}}\neinsums: ['Z[m] = A[m]']\n": (
        "3:33: the fill of 'A' must be a number, not 'x'; write a number, or -inf"
    ),
    "workload: w\nshape: {m: 4}\ndensity: {A: 2}\neinsums: ['Z[m] = A[m]']\n": (
        "3:14: the density of 'A' is 2; a density is a share above 0, at most 1"
    ),
    "workload: w\nshape: {m: 4}\nconstants: {C: .inf}\neinsums: ['Z[m] = A[m] * C']\n": (
        "3:16: constant 'C' is not a finite number; write a number or a formula over sizes"
    ),
    "workload: w\nshape: {m: 4}\nconstants: {C: MM * 2}\neinsums: ['Z[m] = A[m] * C']\n": (
        "3:13: formula 'MM * 2' names an unknown 'MM'; did you mean 'M'?"
    ),
    "workload: w\nlayers: []\n": "2:9: the workload has no layers; write layers: [{use: matmul}]",
    "workload: w\nlayers: [{times: 2}]\n": (
        "2:10: a layer either uses a workload or has einsums; write {use: attention} or {name: ..., einsums: [...]}"
    ),
    "workload: w\nlayers: [{use: attentoin}]\n": "2:16: there is no workload 'attentoin'; did you mean 'attention'?",
    "workload: w\nlayers: [{use: matmul, shape: {q: 3}}]\n": "2:32: 'matmul' has no rank 'q'; known: k, m, n",
    "workload: w\nlayers: [{use: matmul, type: {}}]\n": "2:24: a layer that uses a workload has no 'type'; write it in that workload",
    "workload: w\nshape: {m: 8}\nlayers: [{use: matmul, shape: {n: M//0}}]\n": (
        "3:35: formula 'M//0' divides by zero; check the sizes that it names"
    ),
    "workload: w\nshape: {m: 8}\nlayers: [{use: matmul, shape: {n: M/3}}]\n": (
        "3:35: the size of rank 'n' must be a whole number, and 'M/3' is 2.66667; use // or ceil()"
    ),
    "workload: w\nshape: {m: 8}\nlayers: [{use: matmul, shape: {n: N//2}}]\n": "3:35: formula 'N//2' names an unknown 'N'; known: M",
    "workload: w\nlayers: [{use: matmul, bind: {C: X}}]\n": "2:31: 'matmul' has no input or output 'C'; known: A, B, Z",
    "workload: w\nlayers: [{use: matmul, bind: {}}]\n": "2:30: nothing is bound; write bind: {I: X1, Y: X2}, or leave it out",
    "workload: w\nlayers: [{name: a, shape: {m: 2}, einsums: ['Y[m] = A[m] * 2'], bind: {B: X}}]\n": (
        "2:72: 'a' has no input or output 'B'; known: A, Y"
    ),
    "workload: w\nlayers: [{use: matmul, bind: {Z: X}}, {use: softmax, bind: {X: X}}]\n": (
        "2:9: layer 'matmul' makes X[1024, 1024], layer 'softmax' reads X[512, 4096]; make the shapes agree"
    ),
    "workload: w\nshape: {q: 3}\nlayers: [{use: matmul}]\n": "2:9: no layer has rank 'q'; none is known here",
    "workload: w\nlayers: [{use: w}]\n": "2:9: layers use each other more than 6 deep; does a workload use itself?",
    "workload: w\nlayers:\n- {einsums: ['Y[m] = A[m] * 2'], shape: {m: 4}}\n- {einsums: ['Z[n] = Y[n] * 2'], shape: {n: 5}}\n": (
        "3:1: layer 'w.0' makes Y[4], layer 'w.1' reads Y[5]; make the shapes agree"
    ),
}


@pytest.mark.parametrize("text", list(ERRORS))
def test_error_of_a_file_names_its_place(text: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(text, tmp_path)
    assert str(caught.value).splitlines()[0] == f"{tmp_path / 'w.yaml'}:{ERRORS[text]}"


COLUMNS = {
    "  - Z[m,n] = A[m,k] * C\n": "4:23",
    "  - 'Z[m,n] = A[m,k] * C'\n": "4:24",
    '  - "Z[m,n] = A[m,k] * C"\n': "4:24",
    "  - Z[m,n] =\n      A[m,k] * C\n": "5:16",
    "  - >-\n    Z[m,n] =\n     A[m,k] * C\n": "6:15",
    "  - first: Z[m,n] = A[m,k] * C\n": "4:30",
    "  - Y[m] = A[m,k] ; Z[m,n] = A[m,k] * C\n": "4:39",
}


@pytest.mark.parametrize("line", list(COLUMNS))
def test_column_is_exact_however_the_statement_is_quoted(line: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        load(MATMUL.replace("  - Z[m,n] = A[m,k] * B[k,n]\n", line), tmp_path)
    first, _, caret = str(caught.value).splitlines()
    assert first.startswith(f"{tmp_path / 'w.yaml'}:{COLUMNS[line]}: ")
    assert len(caret) - 2 == int(COLUMNS[line].split(":")[1])


def test_settings_replace_and_add_values(tmp_path: Path) -> None:
    made = load(MATMUL, tmp_path, shape_m="16", type_Z="fp32")
    assert isinstance(made, Cascade)
    assert (made.extents["m"], made.tensors["Z"].final.name) == (16, "fp32")


SETTINGS = {
    ("shap.m", "3"): "--set shap.m: a workload has no setting 'shap'; did you mean 'shape'?",
    ("shape.q", "3"): "--set shape.q: no statement uses rank 'q'; known: k, m, n",
    ("shape.m", "x"): "--set shape.m: the size of rank 'm' must be a whole number, not 'x'",
    ("shape.m", "[1"): "--set shape.m: cannot read '[1' as a value; check indentation, quotes and brackets",
    ("shape.m.x", "3"): "--set shape.m.x: 'shape.m' holds nothing named 'x'; shorten the path",
    ("split", "3"): "--set split: the path stops at 'split'; say what to change inside, as in split.NAME",
    ("einsums.0", "Z"): "--set einsums.0: a workload has no setting 'einsums'; did you mean 'tensors'?",
}


@pytest.mark.parametrize(("path", "value"), list(SETTINGS))
def test_error_of_a_setting_names_the_setting(path: str, value: str, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text(MATMUL)
    with pytest.raises(InputError) as caught:
        load_workload(tmp_path / "w.yaml", {path: value})
    assert str(caught.value) == SETTINGS[path, value]


def test_sizes_of_a_model_reach_the_layers_that_have_the_rank(tmp_path: Path) -> None:
    text = "workload: w\nlayers: [{use: matmul, times: 3, shape: {n: 7}}, {use: softmax}]\nshape: {m: 9, k: 2}\n"
    made = load(text, tmp_path, shape_k="5", layers_0_times="4")
    assert isinstance(made, Model)
    assert [(layer.cascade.name, layer.times) for layer in made.layers] == [("matmul", 4), ("softmax", 1)]
    assert made.layers[0].cascade.extents == {"m": 9, "n": 7, "k": 5}
    assert made.layers[1].cascade.extents == {"b": 512, "k": 5}


def test_a_model_inside_a_model_is_its_layers(tmp_path: Path) -> None:
    made = load("workload: w\nlayers: [{use: transformer-layer, times: 12}]\n", tmp_path)
    assert isinstance(made, Model)
    assert [layer.times for layer in made.layers] == [12] * 4


def test_sizes_follow_from_others_until_they_are_set(tmp_path: Path) -> None:
    """Also from parts of a split, through each other, and in a layer of a model."""
    shape = "shape: {t: 16, u: Q, s: log2(T), d: 2*S}\nsplit: {t: {c: ~, q: 4}}"
    text = f"workload: w\n{shape}\neinsums: ['Z[c,q,u,s,d] = A[c*Q+q] * B[u,s,d]']\n"
    made = load(text, tmp_path)
    assert isinstance(made, Cascade)
    assert made.extents == {"t": 16, "c": 4, "q": 4, "u": 4, "s": 4, "d": 8}
    assert resized(made, {"t": 64, "q": 8}).extents == {"t": 64, "c": 8, "q": 8, "u": 8, "s": 6, "d": 12}
    assert resized(made, {"s": 3}).extents["d"] == 6
    changed = load(text, tmp_path, shape_u="2")
    assert isinstance(changed, Cascade) and changed.extents["u"] == 2
    layers = (
        "workload: w\nshape: {m: 6}\nlayers:\n- {einsums: ['Z[m,n] = A[m] * B[n]'], shape: {m: 4, n: 2*M}}\n"
        "- {einsums: ['Y[m,n] = Z[m,n] * 2'], shape: {n: 2*M}}\n"
    )
    with pytest.raises(InputError, match=r"layer 'w.0' makes Z\[4, 8\], layer 'w.1' reads Z\[6, 12\]"):
        load(layers, tmp_path)


def test_check_says_what_can_be_run_but_not_mapped(tmp_path: Path) -> None:
    """Before the first search: masks of data, indices that are not affine, complex numbers."""
    reasons = {
        "Z[m] = A[m] where B[m] > 0": "Z: its condition reads B, so what it leaves depends on data",
        "Z[m,n] = A[m*n]": "Z: the model cannot count an index of A in 'Z[m,n] = A[m*n]'",
        "Z[m] = A[m] * cis(m)": "Z: 'Z[m] = A[m] * cis(m)' computes complex numbers, which have no type and no unit",
        "Z[m] = A[m] * re(cis(m))": "",
    }
    for statement, reason in reasons.items():
        path = tmp_path / "w.yaml"
        path.write_text(f"workload: w\nshape: {{m: 4{', n: 3' if 'n]' in statement else ''}}}\neinsums: ['{statement}']\n")
        says = check(path, WORKLOAD, Overrides()).says.splitlines()
        assert says[1:] == ([f"note: it can be run, and has bounds and passes, but cannot be mapped: {reason}"] if reason else [])
