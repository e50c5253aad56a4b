"""Words where values choose what is read: counted in closed form as by a replay."""

from __future__ import annotations

import re

import pytest

from accelsim.errors import IllegalMapping, InputError
from accelsim.io.catalogue import MACHINE, resolve
from accelsim.io.hardware import load_architecture
from accelsim.mapping.legality import check
from accelsim.mapping.tree import For, Held, Keep, Leaf, Mapping, Spatial
from accelsim.model.counts import FILLS, READS
from accelsim.model.evaluation import Evaluator
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration
from tests.model.choosing import choosing_triples
from tests.model.test_kernels import differences
from tests.share import share


def test_kernels_count_what_a_replay_counts_where_values_choose() -> None:
    counted, number = 0, share(6_000, 400, 150)
    for triple in choosing_triples(5, number):
        found = differences(triple)
        counted += found is not None
        assert not found, (found, triple)
    assert counted > number * 0.6


def chosen(text: str, below: int = 4, **shape: int) -> Cascade:
    """A statement whose tensors I and J choose."""
    choosing = {name: TensorDeclaration(below=below) for name in "IJ" if f"{name}[" in text}
    return cascade("w", [text], shape, types={"default": "int32"}, tensors=choosing)


def test_a_buffer_holds_what_may_be_chosen_and_a_unit_reads_a_word_a_point() -> None:
    """By hand: B has 8 rows of 5 words, which come once whatever m is. Of 60 points each reads one, apart on every copy along m, whose
    values choose for it alone.
    """
    made = chosen("Z[m,n] = V[m,g,j] * B[4*g + I[m,g,j], n]", m=3, n=5, g=2, j=2)
    every = tuple(map(Held, ("V", "B", "I", "Z")))
    tree = (Keep("DRAM", every), For("n", 5), Keep("Buffer", every), Leaf("Z", "MAC", (Spatial("row", "m", 1), Spatial("column", "n", 2))))
    machine = load_architecture(resolve("mini", MACHINE), {})
    words = Evaluator(made, machine).evaluate(Mapping("by hand", tree)).counts.words
    assert (words["Z", "B", "DRAM"][READS], words["Z", "B", "Buffer"][FILLS]) == (40, 40)
    assert words["Z", "B", "Buffer"][READS] == 3 * 5 * 2 * 2
    assert words["Z", "V", "Buffer"][READS] == 3 * 2 * 2 * 2  # copies along columns share it; they have 2, 2 and 1 of 5: two turns


REFUSED = {
    "Z[g] = X[8*g + 4*J[g] + I[g]]": "Z chooses from X by 2 values in one index, which is not counted; "
    "give X a dimension for each, as in X[g, O[...], I[...]]",
    "Z[g,t] = X[2*g + I[g], t]": "Z chooses from X in windows that overlap or reach outside, which is not counted; index it by",
    "Z[g] = X[4*g + I[g]] * X[g]": "Z chooses from X and reads it in another way, which is not counted; split it into two Einsums",
    "Z[g] = X[4*g + I[g]] where g > 1": "Z has a condition on ranks by which values choose from X, which is not counted; drop the",
}


@pytest.mark.parametrize("text", REFUSED)
def test_what_is_not_counted_is_refused(text: str) -> None:
    made = chosen(text, **{rank: 3 for rank in ("g", "t") if rank in re.findall("[a-z]", text.partition("where")[0])})
    with pytest.raises(InputError, match=re.escape(REFUSED[text])):
        Evaluator(made, load_architecture(resolve("mini", MACHINE), {}))


def test_no_rank_stands_for_values_in_a_message() -> None:
    made, every = chosen("Z[m] = X[I[m]] + 0", m=3), tuple(map(Held, "XIZ"))
    tree = Mapping("wrong", (Keep("DRAM", every), For("q", 1), Keep("Buffer", every), Leaf("Z", "VEC")))
    with pytest.raises(IllegalMapping, match=r"no rank 'q' in the cascade; known: m$"):
        check(made, load_architecture(resolve("mini", MACHINE), {}), tree)
