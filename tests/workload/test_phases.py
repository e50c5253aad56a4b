"""Phases of inference in workload files: their layers, steps and tokens, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accelsim.errors import InputError
from accelsim.io.workload import load_workload
from accelsim.model.phases import inference
from accelsim.workload.cascade import Cascade, Model, Phase

DECODER = """\
workload: decoder
shape: {b: 2, p: 4, m: 4, d: 8}
layers:
  - name: project
    times: 3
    einsums: ['Q[b,p,d] = X[b,p,c] * W[c,d]']
    shape: {c: 8}
  - name: attend
    times: 3
    einsums: ['S[b,m,p] = Q[b,p,d] * K[b,m,d]']
"""


def load(folder: Path, text: str) -> Model:
    (folder / "decoder.yaml").write_text(DECODER)
    (folder / "chat.yaml").write_text(text)
    found = load_workload(folder / "chat.yaml")
    assert isinstance(found, Model)
    return found


def test_layers_carry_the_name_of_their_phase_and_the_steps_of_all(tmp_path: Path) -> None:
    decode = "  - {name: decode, use: decoder, shape: {p: 1}, steps: 5, tokens: b}\n"
    found = load(tmp_path, "workload: chat\nphases:\n  - {name: prefill, use: decoder}\n" + decode)
    assert [(layer.cascade.name, layer.times) for layer in found.layers] == [
        ("prefill-project", 3), ("prefill-attend", 3), ("decode-project", 15), ("decode-attend", 15),
    ]  # fmt: skip
    assert found.phases == (Phase("prefill", 1, 1, 0, 2), Phase("decode", 5, 2, 2, 4))
    assert found.layers[2].cascade.extents["p"] == 1


@given(st.integers(1, 40), st.integers(0, 40), st.integers(1, 12))
def test_a_rank_that_grows_has_one_step_for_each_size(first: int, more: int, every: int) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        grows = f"{{rank: m, from: {first}, to: {first + more}, every: {every}}}"
        found = load(Path(folder), f"workload: chat\nphases:\n  - {{name: decode, use: decoder, shape: {{p: 1}}, grows: {grows}}}\n")
    assert found.phases[0].steps == more + 1
    expected: dict[int, int] = {}
    for size in range(first, first + more + 1):  # step by step
        rounded = -(-size // every) * every
        expected[rounded] = expected.get(rounded, 0) + 3
    assert {layer.cascade.extents["m"]: layer.times for layer in found.layers if "m" in layer.cascade.extents} == expected
    assert [layer.times for layer in found.layers if "m" not in layer.cascade.extents] == [3 * (more + 1)]


def test_a_layer_of_a_model_is_used_by_name_as_often_as_there(tmp_path: Path) -> None:
    layers = "[{use: decoder, layer: attend, name: prompt}]"
    found = load(tmp_path, f"workload: chat\nphases:\n  - {{name: mixed, steps: 2, tokens: 0, layers: {layers}}}\n")
    assert [(layer.cascade.name, layer.times) for layer in found.layers] == [("mixed-prompt", 6)]


REFUSED = {
    "a phase has no name": "  - {use: decoder}",
    "two phases 'a'": "  - {name: a, use: decoder}\n  - {name: a, use: decoder}",
    "either uses a workload or has layers": "  - {name: a}",
    "leave 'steps' out": "  - {name: a, use: decoder, steps: 2, grows: {rank: m, from: 1, to: 2}}",
    "does not say 'to'": "  - {name: a, use: decoder, grows: {rank: m, from: 1}}",
    "'to' is 1, before": "  - {name: a, use: decoder, grows: {rank: m, from: 3, to: 1}}",
    "no layer of 'a' has rank 'z'": "  - {name: a, use: decoder, grows: {rank: z, from: 1, to: 2}}",
    "no layer of 'a' has rank 'y'": "  - {name: a, use: decoder, shape: {y: 2}}",
    "no layer has rank 'q'": "  - {name: a, use: decoder, tokens: q}",
    "has no layer 'nothing'": "  - {name: a, layers: [{use: decoder, layer: nothing}]}",
    "no layer of 'b' has rank 'm'": "  - {name: a, use: decoder}\n  - {name: b, layers: [{einsums: ['Z[i] = X[i]']}], shape: {i: 2, m: 3}}",
    "rank 'm' is 4 and 9 long in different layers": "  - {name: a, tokens: m, layers: [{use: decoder}, {use: decoder, shape: {m: 9}}]}",
    "'tokens' must be a whole number": "  - {name: a, use: decoder, tokens: 1.5}",
    "says how long the rank is that grows": "  - {name: a, use: decoder, shape: {m: 3}, grows: {rank: m, from: 1, to: 2}}",
    "different layers are called 'a-b-x'": (
        "  - {name: a, layers: [{name: b-x, einsums: ['Z[i] = X[i]'], shape: {i: 2}}]}\n"
        "  - {name: a-b, layers: [{name: x, einsums: ['Z[i] = X[i]'], shape: {i: 3}}]}"
    ),
    "a phase has no 'token'": "  - {name: a, use: decoder, token: 1}",
    "more than 1024": "  - {name: a, use: decoder, grows: {rank: m, from: 1, to: 4000}}",
    "at least 1, not 0": "  - {name: a, use: decoder, steps: 0}",
}


@pytest.mark.parametrize("says", sorted(REFUSED))
def test_what_is_wrong_is_said_in_one_line_with_its_place(tmp_path: Path, says: str) -> None:
    with pytest.raises(InputError) as caught:
        load(tmp_path, f"workload: chat\nphases:\n{REFUSED[says]}\n")
    assert says in str(caught.value) and caught.value.place is not None


def test_a_size_that_every_phase_says_itself_is_not_taken_from_above(tmp_path: Path) -> None:
    text = "workload: chat\nshape: {m: 9}\nphases:\n  - {name: a, use: decoder, shape: {m: 3}}\n  - {name: b, use: decoder%s}\n"
    found = load(tmp_path, text % "")
    assert [layer.cascade.extents.get("m") for layer in found.layers] == [None, 3, None, 9]
    with pytest.raises(InputError, match=r"every phase that has rank 'm' says itself how long it is; set phases\.0\.shape\.m"):
        load(tmp_path, text % ", shape: {m: 4}")
    with pytest.raises(InputError, match="every phase that has rank 'm' says itself"):
        load(tmp_path, text % ", grows: {rank: m, from: 2, to: 3}")


def test_phases_are_no_layers_of_another_workload(tmp_path: Path) -> None:
    (tmp_path / "outer.yaml").write_text("workload: outer\nlayers: [{use: chat}]\n")
    load(tmp_path, "workload: chat\nphases:\n  - {name: a, use: decoder}\n")
    with pytest.raises(InputError, match="no layer can use it"):
        load_workload(tmp_path / "outer.yaml")


def test_figures_of_phases_by_hand() -> None:
    model = Model("m", (), phases=(Phase("fill", 2, 0, 0, 1), Phase("first", 4, 1, 1, 3), Phase("rest", 10, 8, 3, 4)))
    found = inference(model, [3.0, 4.0, 8.0, 5.0], [1.0, 1.0, 1.0, 83.0])
    whole = {"seconds_to_first_token": 3.0 + 12.0 / 4, "tokens": 84, "tokens_per_s": 84 / 20.0, "energy_pj_per_token": 86 / 84}
    whole["average_power_w"] = 86e-12 / 20.0
    assert found["inference"] == whole
    fill, first, rest = found["phases"]
    assert (fill["tokens"], fill["seconds"], fill["energy_pj_per_token"]) == (0, 3.0, None)
    assert (first["seconds_per_step"], first["tokens_per_s"], first["energy_pj_per_token"]) == (3.0, 4 / 12.0, 0.5)
    assert (rest["seconds_per_step"], rest["tokens_per_s"], rest["energy_pj"]) == (0.5, 16.0, 83.0)
    assert inference(Model("m", ()), [], []) == {}


def test_what_limits_a_phase_has_the_share_of_its_time() -> None:
    model = Model("m", (), phases=(Phase("a", 1, 1, 0, 3), Phase("b", 1, 1, 3, 4)))
    found = inference(model, [1.0, 4.0, 3.0, 5.0], [0.0] * 4, ["DRAM", "MAC", "DRAM", "MAC"])
    assert [list(phase["limited_by"].items()) for phase in found["phases"]] == [[("DRAM", 0.5), ("MAC", 0.5)], [("MAC", 1.0)]]


def test_shipped_phases_hold_every_layer_once() -> None:
    folder = Path(__file__).resolve().parents[2] / "workloads"
    for path in folder.glob("*-chat.yaml"):
        found = load_workload(path)
        assert isinstance(found, Model) and not isinstance(found, Cascade)
        spans = [(phase.start, phase.stop) for phase in found.phases]
        assert [at for span in spans for at in range(*span)] == list(range(len(found.layers)))
        names = [layer.cascade.name for layer in found.layers]
        assert len(set(names)) == len(names)
