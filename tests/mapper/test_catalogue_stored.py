"""Every shipped workload over stored elements on every shipped machine, at small sizes: mapped, with what a walk over Python sets finds, or
refused with a reason.

Elements are drawn; effectual operations are counted a third way, point by point, from the masks of the operands.
"""

from __future__ import annotations

import zlib
from functools import cache
from itertools import product

import numpy as np
import pytest

from accelsim.errors import IllegalMapping, InputError
from accelsim.io.catalogue import WORKLOAD, shipped
from accelsim.io.elements import elements_of
from accelsim.mapper import Request
from accelsim.mapper.objectives import objective_named
from accelsim.mapper.stored import search_stored
from accelsim.sparse import reference
from accelsim.workload.cascade import Cascade
from tests.catalogue import workload
from tests.mapper.test_catalogue import check_refusal, machines
from tests.share import share
from tests.shrunk import cascades, shrunk

SECONDS = share(4, 2, 1)  # CPU, of a search
PAIRS = share(1 << 30, 12, 3)


@cache
def catalogue() -> dict[str, Cascade]:
    loaded = {name: cascades(workload(path)) for name, path in shipped(WORKLOAD).items()}
    return {
        name: cascade
        for name, found in loaded.items()
        for cascade in found
        if any(tensor.storage is not None for tensor in cascade.tensors.values())
    }


def chosen() -> list[tuple[str, str]]:
    every = sorted(product(catalogue(), machines()), key=lambda pair: zlib.crc32(" on ".join(pair).encode()))
    return every[:PAIRS]


@pytest.mark.parametrize(("name", "machine"), chosen())
@pytest.mark.slow
def test_every_workload_over_stored_elements_maps_on_every_machine_that_can_execute_it(name: str, machine: str) -> None:
    made, target = shrunk(catalogue()[name]), machines()[machine]
    stored = elements_of(made, [], 7)
    request = Request(objective_named("latency"), time_limit=SECONDS)
    try:
        found = search_stored(made, target, stored, request)
    except IllegalMapping as reason:
        check_refusal(made, target, str(reason))
        return
    except InputError as reason:
        assert "\n" not in str(reason)
        whole = [tensor for tensor in made.tensors.values() if tensor.storage is not None and tensor.storage.whole_tiles]
        assert "stored" in str(reason) or (whole and f"tiles of {whole[0].name} come and go whole" in str(reason)), reason
        return
    sets = {each: frozenset(map(tuple, places.T.tolist())) for each, places in stored.items()}
    replayed = reference.count(found.cascade, target, found.mapping, sets)
    for einsum, work in found.found.works.items():
        assert work.issued == sum(replayed[einsum]["points"].values())
        assert work.effectual == sum(replayed[einsum]["effectual"].values())
        assert 0 <= work.effectual <= work.issued <= work.dense
    first = made.work[0]
    if all(each.tensor in stored or made.tensors[each.tensor].storage is None for each in first.reads):
        assert found.found.works[first.name].effectual == meeting(made, stored)


def meeting(made: Cascade, stored: dict[str, np.ndarray]) -> int:
    """Points of the first Einsum at which all of its stored operands have an element."""
    first = made.work[0]
    letters = {rank: chr(ord("a") + at) for at, rank in enumerate(first.ranks)}
    operands, forms = [], []
    for access in first.reads:
        if access.tensor in stored:
            mask = np.zeros(made.tensors[access.tensor].shape, np.int64)
            mask[tuple(stored[access.tensor])] = 1
            operands.append(mask)
            forms.append("".join(letters[str(index.name)] for index in access.indices))
    for rank in first.ranks:
        operands.append(np.ones(made.extents[rank], np.int64))
        forms.append(letters[rank])
    return int(np.einsum(f"{','.join(forms)}->", *operands))
