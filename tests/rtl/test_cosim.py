"""The processor beside the simulator: every word and every cycle of mappings that the mapper found."""

from __future__ import annotations

import json
from random import Random

import numpy as np
import pytest

from accelsim.cli import main
from accelsim.errors import IllegalMapping, InputError
from accelsim.hardware.architecture import Architecture
from accelsim.io.catalogue import MACHINE, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.workload import load_workload
from accelsim.mapper import search
from accelsim.model.evaluation import Evaluator
from accelsim.rtl.cosim import Cosimulation, cosimulate, random_words
from accelsim.rtl.fast import QUICK, Library
from accelsim.rtl.nests import pieces
from accelsim.rtl.processor import with_words
from accelsim.rtl.program import export
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.rtl.npu import STATEMENTS, machine, work
from tests.rtl.runner import RTL
from tests.share import share

CASES = share(200, 24, 6)


@pytest.fixture(scope="module")
def mini() -> Architecture:
    return load_architecture(resolve("mini", MACHINE), {})


def both(chosen: Cascade, target: Architecture, seed: int = 0) -> Cosimulation:
    """What both do with the mapping that the mapper finds."""
    return cosimulate(chosen, target, search(chosen, target).mapping, random_words(chosen, seed), RTL)


@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize("size", range(1, 10))
def test_products_of_all_remainders_agree(mini: Architecture, size: int) -> None:
    rng = Random(size)
    for _ in range(max(1, CASES // 8)):
        shape = {"m": size, "n": rng.randint(1, 17), "k": rng.randint(1, 17)}
        found = both(cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], shape, types={"default": "int32"}), mini, size)
        assert found.agrees, (shape, found.rows, found.wrong)


@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize("name", ["attention-fixed", "mlp-fixed", "scan-fixed"])
def test_shipped_cascades_agree(mini: Architecture, name: str) -> None:
    rng = Random(5)
    ranks = load_workload(resolve(name, WORKLOAD)).extents
    for number in range(max(1, CASES // 6)):
        shape = {} if not number else {f"shape.{rank}": str(rng.randint(1, 9)) for rank in ranks}
        found = both(load_workload(resolve(name, WORKLOAD), shape), mini, number)
        assert found.agrees, (shape, found.rows, found.wrong)


@pytest.mark.usefixtures("rtl_tools")
@pytest.mark.parametrize("kind", STATEMENTS)
def test_small_buffers_agree(kind: str) -> None:
    target, rng, ran = machine(Buffer__size="1 KiB"), Random(3), 0
    for number in range(CASES):
        chosen = work(kind, rng, 20)
        try:
            found = both(chosen, target, number)
        except IllegalMapping as refusal:  # tiles that do not fit side by side, slices that leave, no mapping at all
            assert any(words in str(refusal) for words in ("smaller tiles", "no legal mapping", "earlier slices"))
            continue
        ran += 1
        assert found.agrees, (dict(chosen.extents), found.rows, found.wrong)
    assert ran > CASES // 3


@pytest.mark.usefixtures("rtl_tools")
def test_wrong_words_and_cycles_are_seen(mini: Architecture, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = cascade("product", ["Z[m,n] = A[m,k] * B[k,n]"], {"m": 5, "n": 3, "k": 4}, types={"default": "int32"})
    mapping = search(chosen, mini).mapping
    inputs = random_words(chosen, 0)
    assert cosimulate(chosen, mini, mapping, inputs, RTL).agrees
    from accelsim.rtl import cosim

    honest = cosim.export

    def late(evaluator: Evaluator, mapping: object) -> object:
        program = honest(evaluator, mapping)  # type: ignore[arg-type]
        program.engines[0][0][7] += 1  # a trip more
        return program

    monkeypatch.setattr(cosim, "export", late)
    found = cosimulate(chosen, mini, mapping, inputs, RTL)
    assert not found.agrees and any(row.off for row in found.rows)


def test_pieces_cover_what_is_asked_for() -> None:
    rng = Random(1)
    for _ in range(200):
        sizes = [rng.randint(1, 4) for _ in range(rng.randint(0, 3))]
        whole = np.arange(int(np.prod(sizes))).reshape(sizes)
        since = rng.randint(0, whole.size)
        until = rng.randint(since, whole.size)
        seen: list[int] = []
        for start, lengths in pieces(sizes, since, until):
            seen += whole[tuple(slice(at, at + length) for at, length in zip(start, lengths, strict=True))].reshape(-1).tolist()
        assert seen == list(range(since, until))


def test_program_is_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export-program", "mlp-fixed", "--arch", "mini"]) == 0
    written = json.loads(capsys.readouterr().out)
    assert set(written["programs"]) == {"mover", "MAC", "VEC"} and all(written["programs"].values())
    assert written["parameters"]["ROWS"] == 4


@pytest.mark.parametrize(
    ("workload", "target", "said"),
    [
        (
            "matmul",
            "simple",
            "simple is no machine of hw/rtl/npu_top.sv: GlobalBuffer has to feed an array of two axes and one of one axis",
        ),
        ("bert-base-nothing", "mini", "there is no workload"),
        ("llama3-8b", "mini", "is a model of several layers"),
    ],
)
def test_what_the_processor_cannot_do_is_refused_in_a_line(
    workload: str, target: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cosim", workload, "--arch", target, "-q"]) != 0
    error = capsys.readouterr().err
    assert said in error and error.count("\n") == 1


def test_words_of_the_processor(mini: Architecture) -> None:
    chosen = load_workload(resolve("matmul", WORKLOAD), {"shape.m": "3", "shape.n": "3", "shape.k": "3"})
    with pytest.raises(IllegalMapping, match="declare it int32"):
        export(Evaluator(chosen, mini), search(chosen, mini).mapping)
    assert export(Evaluator(with_words(chosen), mini), search(with_words(chosen), mini).mapping).cycles > 0


@pytest.mark.usefixtures("rtl_tools")
def test_a_machine_has_parameters_of_its_own() -> None:
    with pytest.raises(InputError, match="power of two"):
        export(
            Evaluator(work("product", Random(0), 3), machine(Buffer__size="12 KiB")),
            search(work("product", Random(0), 3), machine()).mapping,
        )
    assert Library(RTL, "npu_lane", {"W": 8}, effort=QUICK).inputs["a_i"].width == 8
