"""Tensor parallelism over chips as mappings: what crosses the links of a chip, against Efficiently Scaling Transformer Inference."""

from __future__ import annotations

from typing import Any

import pytest

from accelsim.io.catalogue import MACHINE, MAPPING, WORKLOAD, resolve
from accelsim.io.hardware import load_architecture
from accelsim.io.mapping import load_fitting
from accelsim.io.workload import load_workload
from accelsim.model.evaluation import evaluate
from accelsim.workload.cascade import Cascade

T, D, S = 64, 256, 1024



def crossing(mapping: str, tx: int, ty: int) -> tuple[dict[str, float], Any]:
    """Words of each tensor that cross the links of one chip, by Einsum and direction, and the document."""
    cascade = load_workload(resolve("feed-forward", WORKLOAD), {"shape.t": str(T), "shape.d": str(D), "shape.s": str(S)})
    assert isinstance(cascade, Cascade)
    machine = load_architecture(resolve("tpu_torus", MACHINE), {"tx.size": str(tx), "ty.size": str(ty)})
    let = {"let.TX": str(tx), "let.TY": str(ty), "let.TILE": "16", "let.PE": "8"}
    found, cascade = load_fitting(resolve(mapping, MAPPING), cascade, let)
    document = evaluate(cascade, machine, found).to_json()
    words: dict[str, float] = {}
    for einsum, row in document["einsums"].items():
        for tensor, memories in row["tensors"].items():
            if "Pod" in memories:
                words[f"{einsum} {tensor} down"] = memories["HBM"]["fills"] / (tx * ty)
                words[f"{einsum} {tensor} up"] = memories["HBM"]["drains"] / (tx * ty)
    return {name: each for name, each in words.items() if each}, document


WEIGHTS = {"H W1 down", "Y W2 down"}


@pytest.mark.parametrize(("tx", "ty"), [(4, 4), (2, 8), (1, 4)])
def test_weights_cut_along_one_rank_move_two_whole_activations_a_chip(tx: int, ty: int) -> None:
    """arXiv 2211.05102, section 3.2.1: an all-gather and a reduce-scatter of B L E words each, however many chips there are."""
    words, document = crossing("weights-stay-1d", tx, ty)
    assert {name: each for name, each in words.items() if name not in WEIGHTS} == {"H X down": T * D, "Y Y up": T * D}
    assert all(words[name] == D * S / (tx * ty) for name in WEIGHTS)
    down, up = (document["networks"]["links network"][key] for key in ("down_bytes", "up_bytes"))
    assert (down, up) == (2 * tx * ty * (T * D + 2 * D * S / (tx * ty)), 2 * tx * ty * T * D)


@pytest.mark.parametrize(("tx", "ty"), [(4, 4), (2, 8), (8, 2)])
def test_weights_cut_along_two_ranks_move_parts_of_activations_and_hidden_values(tx: int, ty: int) -> None:
    """Section 3.2.2: 2 B L (E / X + F / YZ) words a chip.

    Beside these a chip sends and gets its own share of the hidden values once, which collectives leave where it is.
    """
    words, _ = crossing("weights-stay-2d", tx, ty)
    own = {"A H down": T * S / (tx * ty), "A A up": T * S / (tx * ty)}
    moved = {name: each for name, each in words.items() if name not in WEIGHTS}
    assert moved == {"H X down": T * D / tx, "H H up": T * S / ty, "Y A down": T * S / ty, "Y Y up": T * D / tx, **own}
    assert sum(moved.values()) - sum(own.values()) == 2 * T * (D / tx + S / ty)


def test_the_best_cut_along_two_ranks_moves_as_much_as_the_square_root_of_chips_says() -> None:
    """Section 3.2.2: with F = 4 E, X = sqrt(n) / 2 is best and moves 8 B L E / sqrt(n) words a chip, for 16 chips as one rank does."""
    moved = {}
    for tx in (1, 2, 4, 8):
        words, _ = crossing("weights-stay-2d", tx, 16 // tx)
        moved[tx] = sum(each for name, each in words.items() if name not in WEIGHTS) - 2 * T * S / 16
    assert min(moved, key=lambda tx: moved[tx]) == 2
    assert moved[2] == 8 * T * D / 4
