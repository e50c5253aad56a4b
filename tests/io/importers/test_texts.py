"""Tables, problems and chains of other tools: one problem is the same by each way, and every fault is one line with its place."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from accelsim.cli import main
from accelsim.errors import InputError
from accelsim.io.importers.network import Request
from accelsim.io.importing import format_of, import_file
from accelsim.workload.cascade import Cascade, Model
from tests.fuzz.mutations import MUTATIONS
from tests.io.importers.reference import loaded
from tests.share import share

GEMM = "Layer,M,N,K,\nprojection,64,48,32,\n"
CONVOLUTION = "Layer name, IFMAP Height, IFMAP Width, Filter Height, Filter Width, Channels, Num Filter, Strides,\nfirst,9,11,3,3,4,8,2,\n"
PROBLEM = """\
problem:
  version: 0.4
  instance: {M: 64, N: 48, K: 32}
  shape:
    name: projection
    dimensions: [M, N, K]
    data_spaces:
      - {name: A, projection: [[[M]], [[K]]]}
      - {name: B, projection: [[[K]], [[N]]]}
      - {name: Z, projection: [[[M]], [[N]]], read_write: true}
"""
SLIDING = """\
problem:
  instance: {K: 8, C: 4, P: 4, Q: 5, R: 3, S: 3, Hstride: 2}
  shape:
    dimensions: [K, C, P, Q, R, S]
    coefficients:
      - {name: Hstride, default: 1}
      - {name: Wstride, default: 2}
    data_spaces:
      - {name: I, projection: [[[C]], [[P, Hstride], [R]], [[Q, Wstride], [S]]]}
      - {name: F, projection: [[[K]], [[C]], [[R]], [[S]]]}
      - {name: O, projection: [[[K]], [[P]], [[Q]]], read_write: true}
"""
TEXTS = """\
workload:
  rank_sizes: {M: 64, N: 48, K: 32}
  bits_per_value: {All: 8}
  einsums:
  - "Z[m, n] = A[m, k] * B[k, n]"
"""
ACCESSES = """\
workload:
  iteration_space_shape:
    m: 0 <= m < 64
    n: 0 <= n < 48
  bits_per_value: {All: 8}
  einsums:
  - name: projection
    iteration_space_shape: [0 <= k < 32]
    tensor_accesses:
    - {name: A, projection: [m, k]}
    - {name: B, projection: {K: k, N: n}}
    - {name: Z, projection: [m, n], output: True}
"""
HAND = """\
workload: projection
shape: {m: 64, n: 48, k: 32}
type: int8
einsums:
  - Z[m,n] = A[m,k] * B[k,n]
"""
WINDOWS = """\
workload: first
shape: {k: 8, c: 4, p: 4, q: 5, r: 3, s: 3}
type: int8
einsums:
  - O[k,p,q] = I[c,2*p+r,2*q+s] * F[k,c,r,s]
"""
MAPPING = """\
mapping: one
tree:
  - keep MainMemory: [A, B, Z]
  - for m: 16
  - for n: 16
  - keep GlobalBuffer: [A, B, Z]
  - {einsum: Z, unit: MAC}
"""


def made(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def imported(folder: Path, name: str, text: str, **options: Any) -> Cascade | Model:
    return loaded(import_file(made(folder, name, text), Request(**options)).text)


def evaluated(workload: Path, mapping: Path, out: Path) -> dict[str, Any]:
    assert main(["evaluate", str(workload), "--arch", "simple", "--mapping", str(mapping), "-q", "--json", str(out)]) == 0
    document: dict[str, Any] = json.loads(out.read_text())
    document.pop("workload")
    return document


@pytest.mark.parametrize(("name", "text"), [("t.csv", GEMM), ("p.yaml", PROBLEM), ("e.yaml", TEXTS), ("a.yaml", ACCESSES)])
def test_one_product_evaluates_alike_by_every_way(name: str, text: str, tmp_path: Path) -> None:
    """One mapping on one machine, of what each way gives and of the cascade that a person wrote: equal but for the name."""
    source = made(tmp_path, name, text)
    path = made(tmp_path, "imported.yaml", import_file(source, Request(type="fp16")).text)
    mapping = made(tmp_path, "mapping.yaml", MAPPING)
    hand = made(tmp_path, "hand.yaml", HAND.replace("int8", "fp16"))
    ours = evaluated(hand, mapping, tmp_path / "o.json")
    assert evaluated(path, mapping, tmp_path / "i.json") == ours
    if name != "p.yaml":
        return
    wrong = made(tmp_path, "wrong.yaml", HAND.replace("int8", "fp16").replace("k: 32", "k: 33"))
    assert evaluated(wrong, mapping, tmp_path / "w.json") != ours  # the comparison can fail


def statements(workload: Cascade | Model) -> tuple[Any, ...]:
    """What a cascade is, but for names of types and places."""
    assert isinstance(workload, Cascade)
    shapes = {name: tensor.shape for name, tensor in workload.tensors.items()}
    return [(einsum.output, einsum.expression, einsum.condition) for einsum in workload.einsums], dict(workload.extents), shapes


def test_one_convolution_is_the_same_by_every_way(tmp_path: Path) -> None:
    hand = statements(loaded(WINDOWS))
    assert statements(imported(tmp_path, "t.csv", CONVOLUTION)) == hand
    ours, theirs = statements(loaded(WINDOWS)), statements(imported(tmp_path, "p.yaml", SLIDING))
    assert ours[1:] == theirs[1:]
    chain = """\
workload:
  rank_sizes: {K: 8, C: 4, P: 4, Q: 5, R: 3, S: 3, H: 9, W: 11}
  einsums: ["O[k, p, q] = I[c, H: 2*p + r, W: 2*q + s] * F[k, c, r, s]"]
"""
    assert statements(imported(tmp_path, "e.yaml", chain)) == hand


def test_reads_beyond_a_rank_are_left_out(tmp_path: Path) -> None:
    chain = 'workload: {}\n  rank_sizes: {P: 8, R: 3, H: 9}\n  einsums: ["O[p] = I[H: p + r] * F[r]"]\n'.replace("{}", "")
    workload = imported(tmp_path, "e.yaml", chain)
    assert isinstance(workload, Cascade)
    assert workload.einsums[0].condition is not None
    assert workload.tensors["I"].shape == (9,)


def test_tables_have_titles_and_depthwise_layers_and_equal_ones_count_once(tmp_path: Path) -> None:
    table = "name,h,w,r,s,c,k,stride,,note\nblock,\na,8,8,3,3,4,8,1,,x\nb,8,8,3,3,4,8,1,,\nDP_c,8,8,3,3,6,1,2,,\n"
    workload = imported(tmp_path, "t.csv", table)
    assert isinstance(workload, Model)
    assert [(layer.cascade.name, layer.times) for layer in workload.layers] == [("a", 2), ("DP-c", 1)]
    assert workload.layers[1].cascade.tensors["F"].shape == (6, 3, 3)
    each = imported(tmp_path, "t.csv", table, layers="each")
    assert isinstance(each, Model)
    assert [layer.times for layer in each.layers] == [1, 1, 1]


def test_templates_names_includes_and_merges(tmp_path: Path) -> None:
    made(tmp_path, "base.yaml", PROBLEM.replace("problem:", "base: &base", 1))
    text = "{{include_text('base.yaml')}}\nproblem:\n  <<<: *base\n  instance: {M: 7}\n"
    workload = imported(tmp_path, "p.yaml", text)
    assert isinstance(workload, Cascade)
    assert workload.extents == {"m": 7, "n": 48, "k": 32}
    chain = "{% set N = N | default(4 * 12) %}\n" + TEXTS.replace("64", "{{ROWS}}").replace("48", "{{N}}")
    workload = imported(tmp_path, "e.yaml", chain, sizes={"ROWS": 5})
    assert isinstance(workload, Cascade)
    assert workload.extents == {"m": 5, "n": 48, "k": 32}


FAULTS = [
    ("t.csv", GEMM.replace("48", "x"), "2:15: N is 'x', not a whole number from 1; write digits"),
    ("t.csv", GEMM.replace("48,", ""), "2:1: 2 numbers, and a layer has 3: M, N, K; write each of them"),
    ("t.csv", CONVOLUTION.replace("9,11,3", "2,11,3"), "2:1: a kernel of 3 x 3 in an input of 2 x 11; make the input larger"),
    ("p.yaml", PROBLEM.replace("M: 64, ", ""), "3:13: the instance has no size for dimension 'M'; known: K, N"),
    ("p.yaml", PROBLEM.replace("[[K]], [[N]]", "[[L]], [[N]]"), "9:34: there is no dimension or coefficient 'L'; known: K, M, N"),
    ("p.yaml", SLIDING.replace("Hstride: 2", "HStride: 2"), "2:50: nothing has 'HStride'; did you mean 'Hstride'?"),
    ("p.yaml", "architecture: {}\n" + PROBLEM,
     "1:1: the file has 'architecture' beside the problem; only problems are imported: put it in a file of its own"),
    ("e.yaml", TEXTS.replace("A[m, k]", "A[m, k"), "5:5: 'Z[m, n] = A[m, k * B[k, n]': the statement ends too early;"),
    ("e.yaml", TEXTS.replace("K: 32", "L: 32"), "5:5: variable 'k' has no size; known: l, m, n"),
    ("e.yaml", TEXTS.replace("{M: 64", "{M: {{ROWS}}"), "2:19: the file leaves 'ROWS' open; say it: --size ROWS=1"),
    ("e.yaml", TEXTS.replace("  einsums", "  {% for i in range(3) %}\n  einsums"),
     "4:3: '{% for i in range(3) %}' of a template is not known; write the file out without it"),
    ("a.yaml", ACCESSES.replace("output: True", "output: False"), "10:5: an Einsum with 0 outputs and 3 inputs; say output: true"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "text", "message"), FAULTS, ids=range(len(FAULTS)))
def test_faults_are_one_line_with_their_place(name: str, text: str, message: str, tmp_path: Path) -> None:
    path = made(tmp_path, name, text)
    with pytest.raises(InputError) as error:
        import_file(path)
    assert str(error.value).startswith(f"{path}:{message}"), str(error.value)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    for evil in (
        f"{{{{open('{mark}', 'w')}}}}",
        f"{{% set M = __import__('os').system('touch {mark}') %}}",
        f"!!python/object/apply:os.system ['touch {mark}']",
    ):
        path = made(tmp_path, "e.yaml", TEXTS.replace("64", evil))
        with pytest.raises(InputError):
            import_file(path)
    path = made(tmp_path, "e.yaml", TEXTS.replace("A[m, k]", "__import__('os')[m, k]"))
    with pytest.raises(InputError):
        import_file(path)
    assert not mark.exists()
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    path = made(tmp_path, "p.yaml", bomb + PROBLEM)
    with pytest.raises(InputError, match="more than 100000 values"):
        import_file(path)


def test_our_own_files_are_of_no_other_format(tmp_path: Path) -> None:
    assert format_of(made(tmp_path, "w.yaml", HAND)) is None
    with pytest.raises(InputError, match="is a workload of accelsim already"):
        import_file(tmp_path / "w.yaml")


def test_file_that_is_not_there_is_not_of_an_unknown_format(tmp_path: Path) -> None:
    path = tmp_path / "nothing.txt"
    with pytest.raises(InputError) as error:
        import_file(path)
    assert str(error.value) == f"{path}: cannot read: No such file or directory; check the path"


@pytest.mark.parametrize(("name", "text"), [("t.csv", CONVOLUTION), ("p.yaml", SLIDING), ("e.yaml", TEXTS), ("a.yaml", ACCESSES)])
def test_damaged_files_give_one_line_and_no_traceback(name: str, text: str, tmp_path: Path) -> None:
    draw = random.Random(f"{name} damaged")
    path = tmp_path / name
    for _ in range(share(2000, 150, 40)):
        data = text.encode()
        for _ in range(draw.choice((1, 1, 2, 3))):
            data = draw.choice(MUTATIONS)(data, draw) or b" "
        path.write_bytes(data)
        try:
            found = import_file(path, format=None)
        except InputError as error:
            assert "\n" not in str(error).partition("\n  ")[0], error
            continue
        try:
            loaded(found.text)
        except InputError as error:
            assert error.what, error
