"""Random cascades stay what they are under random steps: the reference interpreter runs both, and agrees."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.workload.build import cascade, sized
from accelsim.workload.cascade import Cascade
from accelsim.workload.interpreter import random_inputs
from accelsim.workload.transform.steps import VERBS, Step, apply
from tests.share import share
from tests.workload.transform.same import difference

Rng = random.Random


def value_chain(rng: Rng) -> Cascade:
    """Values measured from a reduction, summed, divided and multiplied by others, in random variations."""
    where = rng.choice(["", "", " where m <= p + M - P", " where m + p >= 1"])
    lines = ["QK[m,p] = Q[p,e] * K[m,e]" + where]
    operator = rng.choice(["max", "min"])
    lines.append(f"GM[p] = {operator}[m](QK[m,p]){where}")
    lines.append(f"SN[m,p] = exp(QK[m,p] - GM[p]){where}")
    lines.append(f"SD[p] = SN[m,p]{where}")
    if rng.random() < 0.5:
        lines.append(f"A[m,p] = SN[m,p] / SD[p]{where}")
        lines.append(f"AV[f,p] = A[m,p] * V[m,f]{where}")
    else:
        lines.append(f"AV[f,p] = {rng.choice(['SN[m,p] * V[m,f] / SD[p]', 'V[m,f] * (SN[m,p] / SD[p])'])}{where}")
    shape = {"m": rng.randint(4, 9), "p": rng.randint(1, 4), "e": rng.randint(1, 3), "f": rng.randint(1, 3)}
    return cascade("values", lines, shape)


def products(rng: Rng) -> Cascade:
    """A chain of products with constant factors here and there."""
    parts = ["A[m,k]", "B[k,n]", "S[m]", "T[n]", "U[k]"]
    rng.shuffle(parts)
    expression = parts[0]
    for part in parts[1 : rng.randint(3, 5)]:
        expression = f"({expression}) {rng.choice(['*', '*', '/'])} {part}"
    if "k" not in expression:
        expression += " * U[k]"
    ranks = [rank for rank in "mn" if f"{rank}]" in expression or f"[{rank}" in expression]
    lines = [f"Z[{','.join(ranks)}] = {expression}"]
    lines.append(f"Y[{','.join(ranks)}] = Z[{','.join(ranks)}] + 1")
    if rng.random() < 0.5 and ranks:
        lines.append(f"M[] = max[{','.join(ranks)}](Y[{','.join(ranks)}] - 3)")
    return cascade("products", lines, {rank: rng.randint(1, 6) for rank in ["k", *ranks]})


def scan(rng: Rng) -> Cascade:
    """A linear recurrence read in random ways."""
    decay = rng.choice(["A[t,i]", "A[t]", "exp(A[t,i]) * 0.5", "A[t,i] / D[i]"])
    step = rng.choice([f"{decay} * H[t,i] + B[t,i]", f"B[t,i] + H[t,i] * {decay}", f"B[t,i] - C[i] + {decay} * H[t,i]"])
    lines = [f"H[0,i] = {rng.choice(['0', '1', '2.5'])}", f"H[t+1,i] = {step}"]
    reads = rng.sample(["Y[t] = W[i] * H[t+1,i]", "X[t,i] = H[t,i] + 1", "Z[i] = H[T,i] * 2"], rng.randint(1, 3))
    return cascade("scan", [*lines, *reads], {"t": rng.choice([1, 2, 4, 6, 12]), "i": rng.randint(1, 3)})


def norm(rng: Rng) -> Cascade:
    """Sums of differences and products of them, and a matrix after them."""
    centre = rng.choice(["X[b,d] - SM[b] / D", "SM[b] * U[d] - X[b,d]", "X[b,d] * U[d] + SM[b]"])
    lines = ["SM[b] = X[b,d]", f"C[b,d] = {centre}", f"VR[b] = C[b,d] * {rng.choice(['C[b,d]', 'X[b,d]'])}"]
    lines.append("Y[b,d] = C[b,d] / (VR[b] * VR[b] + 1)")
    lines += ["Z[b,o] = Y[b,d] * W[d,o]", "O[b,f] = Z[b,o] * V[o,f]"][: rng.randint(0, 2)]
    sizes = {"b": rng.randint(1, 3), "d": rng.randint(1, 6), "o": rng.randint(1, 3), "f": rng.randint(1, 3)}
    return cascade("norm", lines, {rank: sizes[rank] for rank in "bdof"[: len(lines) - 2]})


FAMILIES = (value_chain, products, scan, norm)


def opened(made: Cascade, rng: Rng) -> Cascade:
    """A cascade with random sizes of what it leaves open; those that divide where a recurrence runs inside."""
    whole = {part: split.extent for split in made.splits for part in split.free}
    try:
        return sized(made, [(part, rng.randint(1, extent)) for part, extent in whole.items()])
    except InputError:
        return sized(made, [(part, rng.choice([q for q in range(1, extent + 1) if extent % q == 0])) for part, extent in whole.items()])


def walk(made: Cascade, rng: Rng, steps: int) -> list[tuple[Step, Cascade]]:
    """A random walk of steps that apply."""
    found = []
    for _ in range(steps):
        verb = rng.choice(list(VERBS))
        places = list(VERBS[verb].places(made))
        if not places:
            continue
        step = Step(verb, tuple(rng.choice(places)))
        try:
            made = apply(made, step)
        except InputError:
            continue
        found.append((step, made))
    return found


EXPECTED = {
    "value_chain": {"defer", "split", "levels", "run", "rebase", "inline", "name", "stream", "local", "accumulate"},
    "products": {"defer", "split", "levels", "run", "inline", "name"},
    "scan": {"split", "chunk", "inline", "name", "scan", "unroll"},
    "norm": {"split", "expand", "inline", "name", "merge", "reassociate", "defer"},
}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.__name__)
def test_random_steps_change_no_value(family: Callable[[Rng], Cascade]) -> None:
    done: Counter[str] = Counter()
    cases = share(600, 20, 6)
    for seed in range(cases):
        rng = random.Random(f"{family.__name__} {seed}")
        original = family(rng)
        inputs = random_inputs(original, np.random.default_rng(seed))
        inputs = {name: np.where(np.abs(array) < 0.05, 0.3, array) for name, array in inputs.items()}  # some are divisors
        steps = walk(original, rng, 9)
        done.update(step.verb for step, _ in steps)
        if steps:
            said = f"seed {seed}: {'; '.join(str(step) for step, _ in steps)}"
            assert difference(original, opened(steps[-1][1], rng), inputs) < 1e-9, said
    assert len(done) >= 4, done
    if cases >= 600:
        assert EXPECTED[family.__name__] <= set(done), done
