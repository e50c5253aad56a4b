"""Why nothing is legal: the smallest sizes that would do, against mappings listed one by one, and the messages."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from accelsim.errors import IllegalMapping
from accelsim.hardware.architecture import Architecture
from accelsim.mapper import search
from accelsim.mapper.best import Request
from accelsim.mapper.constraints import Constraints, KeepRule, PartRule, TileRule
from accelsim.mapper.objectives import objective_named
from accelsim.mapping.tree import Keep
from accelsim.workload.build import cascade
from accelsim.workload.cascade import Cascade
from tests.mapper import brute, obeys
from tests.mapper.small import GIGA, memory, one_unit, unit
from tests.mapper.test_constraints import stacked

PRODUCT = cascade("product", "Z[m,n] = A[m,k] * B[k,n]", {"m": 4, "n": 2, "k": 2})
TYPES = {"default": "bf16", "Z": {"partial": "fp32", "final": "bf16"}}
WIDE = cascade("wide", "Z[m,n] = A[m,k] * B[k,n]", {"m": 4, "n": 2, "k": 2}, types=TYPES)
PAIR = cascade("pair", "T[m] = A[m] * B[m]; Z[m] = T[m] + C[m]", {"m": 4})


def refused(made: Cascade, machine: Architecture, constraints: Constraints) -> str:
    with pytest.raises(IllegalMapping) as caught:
        search(made, machine, request=Request(objective_named("energy"), constraints=constraints))
    return str(caught.value)


@pytest.mark.parametrize("made", [PRODUCT, WIDE], ids=["product", "wide"])
@pytest.mark.parametrize("least", [1, 2, 4])
@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.slow
def test_the_size_that_is_asked_for_is_the_least_with_which_a_mapping_obeys(level: int, least: int, made: Cascade) -> None:
    words = [64, 64]
    words[level - 1] = 1
    machine, name = stacked(*words), f"L{level}"
    tile = obeys.Tile(name, "m", least, 4)

    def does(bits: int) -> bool:
        root = machine.root
        outer = root.feeds[0]
        inner = outer.feeds[0]  # type: ignore[union-attr]
        sized = replace(inner, size_bits=bits) if level == 2 else inner  # type: ignore[type-var]
        outer = replace(outer, feeds=(sized,), **({"size_bits": bits} if level == 1 else {}))  # type: ignore[type-var]
        other = replace(machine, root=replace(root, feeds=(outer,)))
        return any(
            any(isinstance(node, Keep) and node.memory == name and len(node.tensors) == 3 for path, _ in mapping.paths() for node in path)
            and obeys.obeys(mapping, made, other, [tile], False)
            for mapping in brute.mappings(made, other, dividing=True)
        )

    rules = Constraints(
        keeps=(KeepRule(memory=name, tensors=("A", "B", "Z"), said="'keep'"),),
        tiles=(TileRule(memory=name, rank="m", least=least, said="'tile'"),),
    )  # fmt: skip
    message = refused(made, machine, rules)
    need = int(message.partition(" need ")[2].partition(";")[0].replace(",", ""))
    assert message.startswith(
        f"no mapping of {made.name} on stacked obeys all constraints: {name} holds 16 bits, the smallest tiles that do need {need:,}; "
        f"give {name} {need:,} bits, or leave out 'keep'"
    )
    assert does(need) and not does(need - 16)


def test_a_memory_is_not_blamed_for_what_rules_alone_rule_out() -> None:
    both = tuple(KeepRule(memory="Buffer", tensors=("Z",), must=must, said=f"'{must}'") for must in (True, False))
    what = "no mapping of product on one obeys all constraints; leave out 'True' or 'False'"
    assert refused(PRODUCT, one_unit(), Constraints(keeps=both)) == what


def test_rules_that_need_parts_of_several_einsums_are_blamed_only_where_they_are_to_blame() -> None:
    rules = Constraints(
        parts=(PartRule(("T", "Z"), said="'together'"),),
        keeps=(KeepRule(memory="Buffer", tensors=("C",), said="'keep'"), KeepRule(("Z",), "Buffer", ("C",), False, said="'bypass'")),
    )
    assert refused(PAIR, one_unit(), rules) == "no mapping of pair on one obeys all constraints; leave out 'keep' or 'bypass'"


def test_a_root_that_is_too_small_is_asked_for_the_least_that_it_must_keep() -> None:
    # A, B, C and Z of four 16-bit words each; T stays in the Buffer
    buffer = memory("Buffer", 8, None, 1.0, unit("U", "mac", "mul", "add"))
    small = Architecture("small", memory("Main", 15, 1, 10.0, buffer), Fraction(GIGA))
    what = "no mapping of pair on small: Main holds 240 bits, the tensors that it keeps whole need 256; give it 256 bits"
    assert refused(PAIR, small, Constraints()) == what
    enough = replace(small, root=replace(small.root, size_bits=256))
    found = search(PAIR, enough, request=Request(objective_named("energy")))
    assert found.evaluation.occupancy()["Main"] <= 256


def test_inputs_and_outputs_that_do_not_fit_the_root_are_counted_where_there_is_no_exact_search() -> None:
    made = cascade("window", "Z[p] = A[p+s] * B[s]", {"p": 4, "s": 2})  # five words, two and four
    small = Architecture("small", memory("Main", 10, 1, 10.0, unit("U", "mac")), Fraction(GIGA))
    assert refused(made, small, Constraints()) == (
        "no mapping of window on small was found: Main holds 160 bits, the inputs and outputs that it keeps whole need 176; "
        "give it 176 bits at least"
    )


def test_several_reasons_at_once_are_not_put_down_to_one() -> None:
    keeps = tuple(KeepRule(memory=name, tensors=("A", "B", "Z")) for name in ("L1", "L2"))
    message = refused(PRODUCT, stacked(1, 1), Constraints(keeps=keeps))
    assert message.endswith("none of them alone is the reason; leave out several, or enlarge several memories")
