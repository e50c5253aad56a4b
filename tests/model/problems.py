"""Small random cascades of every kind that the model counts, with how their Einsums may be fused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from accelsim.workload.cascade import Cascade
from tests.model.published import cascade

Item = TypeVar("Item")


class Choices:
    """Random decisions made of one primitive, `below(n)`: a number in 0..n-1, smaller being simpler."""

    def __init__(self, below: Callable[[int], int]) -> None:
        self.below = below

    def number(self, low: int, high: int) -> int:
        """A number from low to high."""
        return low + self.below(high - low + 1) if high > low else low

    def pick(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self.below(len(items))] if len(items) > 1 else items[0]

    def chance(self, percent: int) -> bool:
        """True in about `percent` of a hundred cases."""
        return self.below(100) >= 100 - percent

    def subset(self, items: Sequence[Item], percent: int) -> list[Item]:
        """Every item with a chance."""
        return [item for item in items if self.chance(percent)]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """The items in some order."""
        left, out = list(items), []
        while left:
            out.append(left.pop(self.below(len(left)) if len(left) > 1 else 0))
        return out


@dataclass(frozen=True)
class Group:
    """Einsums (or groups of them) that may stand under one fuse. `forced`: a rank that the loops above must bring to tile 1."""

    members: tuple[str | Group, ...]
    forced: str = ""

    @property
    def leaves(self) -> tuple[str, ...]:
        """The Einsums of the group in order."""
        return tuple(leaf for member in self.members for leaf in (member.leaves if isinstance(member, Group) else (member,)))


@dataclass(frozen=True)
class Problem:
    """A cascade, how it may be fused, the ranks that must not be spread, and tensors of which the second may overwrite the first.

    `apart`: two ranks of which only one may turn above a fuse, because each would restrict the same rank of a producer, and how often
    that is the second.
    """

    cascade: Cascade
    body: Group
    serial: tuple[str, ...] = ()
    in_place: tuple[str, str] | None = None
    apart: tuple[tuple[str, str, int], ...] = ()


def matmul(c: Choices) -> Problem:
    """One product, batched or not, of two tensors or of one with itself."""
    sizes = {"m": c.number(1, 9), "n": c.number(1, 6), "k": c.number(1, 7)}
    products = ["Z[m,n] = A[m,k] * B[k,n]", "Z[n,m] = A[k,m] * B[n,k]", "Z[m,n] = A[m,k] * A[n,k]", "Z[n] = A[m,k] * B[m,n]"]
    text = c.pick([*products, "Z[m,n] = A[m,n]"])
    if c.chance(25):
        sizes = {"b": c.number(2, 3), "m": c.number(1, 4), "n": c.number(1, 4), "k": c.number(1, 4)}
        text = c.pick(["Z[b,m,n] = A[b,m,k] * B[b,k,n]", "Z[b,m,n] = A[b,m,k] * B[k,n]"])
    sizes = {rank: size for rank, size in sizes.items() if rank in text}
    return Problem(cascade("matmul", [text], sizes, reduce={"Z": c.pick(["add", "max"])}), Group(("Z",)))


def _window(c: Choices, outer: str, inner: str) -> str:
    stride, dilation, padding = c.pick([1, 1, 2, 3]), c.pick([1, 1, 2]), c.pick([0, 0, 1, 2])
    return f"{stride}*{outer} + {dilation}*{inner} - {padding}"


def convolution(c: Choices) -> Problem:
    """A window in one or two dimensions with stride, dilation and padding; the input may end before the last window does."""
    if c.chance(50):
        sizes = {"k": c.number(1, 3), "c": c.number(1, 3), "p": c.number(1, 9), "r": c.number(1, 4)}
        made = cascade("convolution", [f"O[k,p] = I[c, {_window(c, 'p', 'r')}] * F[k,c,r]"], sizes)
        cut = {"I": (sizes["c"], max(1, made.tensors["I"].shape[1] - c.pick([0, 0, 1, 3])))}
        return Problem(cascade("convolution", [made.einsums[0].text], sizes, shapes=cut), Group(("O",)))
    sizes = {"p": c.number(1, 5), "q": c.number(1, 6), "r": c.number(1, 3), "s": c.number(1, 3)}
    text = f"O[p,q] = I[{_window(c, 'p', 'r')}, {_window(c, 'q', 's')}] * F[r,s]"
    made = cascade("convolution", [text], sizes)
    cut = {"I": tuple(max(1, size - c.pick([0, 0, 0, 2])) for size in made.tensors["I"].shape)}
    return Problem(cascade("convolution", [text], sizes, shapes=cut), Group(("O",)))


def indexed(c: Choices) -> Problem:
    """Grouped heads, rings and both at once."""
    kind = c.number(0, 3)
    group, ring = c.number(2, 4), c.number(2, 4)
    if kind == 0:
        sizes = {"h": c.number(1, 6), "m": c.number(1, 4), "p": c.number(1, 4), "e": c.number(1, 3)}
        text = f"S[h,m,p] = Q[h,p,e] * K[h//{group},m,e]"
    elif kind == 1:
        sizes = {"t": c.number(1, 9), "k": c.number(1, 4)}
        text = f"S[t] = A[t%{ring},k] * B[k,t]"
    elif kind == 2:
        sizes = {"t": c.number(1, 9), "s": c.number(1, 4)}
        text = f"S[t,s] = A[(2*t+s)//{group}%{ring}] * B[(t+s)%{ring}]"
    else:
        sizes = {"t": c.number(1, 9), "k": c.number(1, 4)}
        text = f"S[t//{group},k] = A[t,k] * B[(t-1)//2]"
    return Problem(cascade("indexed", [text], sizes), Group(("S",)))


def masked(c: Choices) -> Problem:
    """Causal, windowed and block masks, over output ranks and over reduced ones."""
    sizes = {"m": c.number(2, 8), "p": c.number(2, 8), "k": c.number(1, 3)}
    where = c.pick(["m <= p", "m < p", "m <= p and p - m < 3", "m//2 == p//2", "m + p >= 5", "(m + p) % 2 == 0", "2*m <= p + 1"])
    text = c.pick(["S[m,p] = A[m,k] * B[p,k]", "S[p,k] = A[m,p] * B[m,k]", "S[p] = A[m,p]", "S[m,p] = A[m,p]"])
    sizes = {rank: size for rank, size in sizes.items() if rank in text}
    reduces = {"S": c.pick(["add", "max"])}
    if c.chance(30):
        sizes = {"m": c.number(2, 5), "p": c.number(2, 5), "k": c.number(1, 3), "f": c.number(1, 3)}
        texts = [f"S[m,p] = A[m,k] * B[p,k] where {where}", f"Z[p,f] = S[m,p] * V[m,f]{c.pick([' where ' + where, ''])}"]
        return Problem(cascade("masked", texts, sizes), Group(("S", "Z")))
    return Problem(cascade("masked", [f"{text} where {where}"], sizes, reduce=reduces), Group(("S",)))


def split(c: Choices) -> Problem:
    """A rank split in two: the last inner part may be short, by the shape or by a condition."""
    inner, outer = c.number(1, 4), c.number(1, 4)
    sizes = {"m1": outer, "m0": inner, "p": c.number(1, 4), "e": c.number(1, 3)}
    short = max(1, outer * inner - c.number(0, inner - 1))
    where = f" where m1*{inner}+m0 < {short}" if c.chance(50) else ""
    whole = f"m1*{inner}+m0"
    text, last = c.pick(
        [(f"S[m1,m0,p] = X[{whole},e] * Y[e,p]", "e"), (f"S[{whole},p] = X[m1,m0,e] * Y[e,p]", ""), (f"S[m1,p] = X[{whole},p]", "p")]
    )
    sizes = {rank: size for rank, size in sizes.items() if rank in text}
    shapes = {"X": (short, sizes[last])} if last else {}
    return Problem(cascade("split", [text + where], sizes, shapes=shapes), Group(("S",)))


def running(c: Choices) -> Problem:
    """A running maximum, alone or fed by a local one and followed by its uses."""
    sizes = {"i": c.number(1, 6), "p": c.number(1, 5)}
    constants = c.pick([1, 1, 0])
    alone = "RM[i+1,p] = max(RM[i,p], LM[i,p])"
    if c.chance(40):
        made = cascade("running", [alone], sizes, ("RM",), iterative={"RM": (0, constants)})
        return Problem(made, Group(("RM",)), ("i",))
    sizes["j"] = c.number(1, 4)
    texts = ["LM[i,p] = X[i,j,p]", alone, c.pick(["D[i,p] = exp(RM[i,p] - RM[i+1,p])", "D[i,j,p] = exp(X[i,j,p] - RM[i+1,p])"])]
    last = "E[p] = RM[I,p] * W[p]"
    steps = Group(("LM", "RM", "D"), "i")
    two = c.chance(50)
    made = cascade("running", [*texts, *([last] if two else [])], sizes, iterative={"RM": (0, constants)}, reduce={"LM": "max"})
    return Problem(made, Group((steps, "E")) if two else steps, ("i",))


def recurrence(c: Choices) -> Problem:
    """A scan over slices of one or two ranks, read one or two slices back, alone or with uses of the new or the old slice, or a product."""
    sizes = {"t": c.number(1, 5), "i": c.number(1, 5), "n": c.number(1, 3)}
    kind = c.number(0, 4)
    if kind == 0:
        texts, back = ["H[t+1,i] = G[i,j] * H[t,j]"], 1
        sizes = {"t": sizes["t"], "i": sizes["i"], "j": sizes["i"]}
    elif kind == 1:
        texts, back = [c.pick(["H[t+2,i] = H[t,i] + X[t,i]", "H[t+2,i] = H[t,i] + H[t+1,i]"])], 2
        sizes = {"t": sizes["t"], "i": sizes["i"]}
    else:
        texts, back = ["H[t+1,i,n] = A[t,i] * H[t,i,n] + B[t,n]"], 1
    outputs = ("H",) if kind < 3 or c.chance(40) else ()
    names = ("H",)
    if kind > 2:
        texts.append(c.pick(["Y[t,i] = H[t+1,i,n] * C[n]", "Y[t,i,n] = exp(H[t,i,n])", "Y[t,i,n] = H[t+1,i,n] - H[t,i,n]"]))
        names = ("H", "Y")
    made = cascade("recurrence", texts, sizes, (*outputs, *names[1:]), iterative={"H": (0, c.pick([back, back, 0]))})
    return Problem(made, Group(names, "t") if len(names) > 1 else Group(names), ("t",))


def attention(c: Choices) -> Problem:
    """A pass over the keys with running maximum, denominator and numerator, then a division."""
    sizes = {"p": c.number(1, 3), "m1": c.number(1, 3), "m0": c.number(1, 3), "e": c.number(1, 2), "f": c.number(1, 2)}
    texts = [
        f"QK[m1,m0,p] = Q[p,e] * K[m1*{sizes['m0']}+m0,e]",
        "LM[m1,p] = QK[m1,m0,p]",
        "RM[m1+1,p] = max(RM[m1,p], LM[m1,p])",
        "SN[m1,m0,p] = exp(QK[m1,m0,p] - RM[m1+1,p])",
        "SD[m1,p] = SN[m1,m0,p]",
        f"NV[m1,f,p] = SN[m1,m0,p] * V[m1*{sizes['m0']}+m0,f]",
        "PRM[m1,p] = exp(RM[m1,p] - RM[m1+1,p])",
        "RD[m1+1,p] = RD[m1,p] * PRM[m1,p] + SD[m1,p]",
        "RNV[m1+1,f,p] = RNV[m1,f,p] * PRM[m1,p] + NV[m1,f,p]",
        "AV[f,p] = RNV[M1,f,p] / RD[M1,p]",
    ]
    iterative = {"RM": (0, 1), "RD": (0, 1), "RNV": (0, 1)}
    made = cascade("attention", texts, sizes, reduce={"LM": "max"}, iterative=iterative)
    steps = Group(tuple(einsum.name for einsum in made.work[:-1]), "m1")
    return Problem(made, Group((steps, "AV")), ("m1",))


def chain(c: Choices) -> Problem:
    """Two or three Einsums, one feeding the next, element by element or through a product."""
    sizes = {"m": c.number(1, 6), "n": c.number(1, 4), "k": c.number(1, 4), "l": c.number(1, 4)}
    kind = c.number(0, 3)
    outputs = ("T",) if c.chance(15) else ()
    if kind == 0:
        return Problem(cascade("chain", ["T[m,n] = A[m,k] * B[k,n]", "Z[m,l] = T[m,n] * C[n,l]"], sizes, outputs), Group(("T", "Z")))
    if kind == 1:
        texts = ["T[m,n] = A[m,k] * B[k,n]", "S[m,n] = exp(T[m,n])", "Z[m,l] = S[m,n] * C[n,l]"]
        return Problem(cascade("chain", texts, sizes, outputs), Group(("T", "S", "Z")), in_place=None if outputs else ("T", "S"))
    if kind == 2:
        texts = ["T[m,n] = A[m,k] * B[k,n]", "G[n] = T[m,n]", "Z[m,n] = exp(T[m,n] - G[n])"]
        return Problem(cascade("chain", texts, sizes | {"l": 1}, outputs, reduce={"G": "max"}), Group(("T", "G", "Z")))
    sizes["j"] = c.number(1, 3)
    texts = ["T[m,n] = A[m,k] * B[k,n]", "S[m,l] = T[m,n] * C[n,l]", "Z[m,j] = S[m,l] * A[m,j]"]
    sizes["j"] = sizes["k"] if c.chance(50) else sizes["j"]
    return Problem(cascade("chain", texts, sizes, outputs), Group(("T", "S", "Z")))


def windows(c: Choices) -> Problem:
    """Two or three windows fused: what a producer makes is derived from what its consumer reads."""
    kind = c.number(0, 3)
    sizes = {"p": c.number(1, 6), "s": c.number(1, 3), "r": c.number(1, 3)}
    stride, padding = c.pick([1, 1, 2]), min(c.pick([0, 0, 1]), sizes["s"] - 1)  # the first window reaches what exists
    second = f"{stride}*p + s - {padding}"
    sizes["u"] = max(1, stride * (sizes["p"] - 1) + sizes["s"] - padding - c.number(0, padding)) + c.pick([0, 0, 2])
    if kind == 0:
        sizes |= {"c": c.number(1, 2), "k": c.number(1, 2)}
        texts = ["T[c,u] = I[u + r] * F[c,r]", f"O[k,p] = T[c,{second}] * G[c,s,k]"]
    elif kind == 1:
        sizes |= {"q": c.number(1, 4), "t": c.number(1, 2)}
        sizes |= {"w": sizes["q"] + sizes["t"] - 1, "r": min(sizes["r"], 2)}
        texts = ["T[u,w] = I[u + r, w] * F[r]", f"O[p,q] = T[{second}, q + t] * G[s,t]"]
    elif kind == 2:
        sizes |= {"a": c.number(1, 2), "w": sizes["u"] + sizes["r"] - 1}
        texts = ["T[w] = I[w + a] * F[a]", "S[u] = T[u + r] * G[r]", f"O[p] = S[{second}] * H[s]"]
    else:
        sizes |= {"k": c.number(1, 2), "u": sizes["p"] + sizes["s"]}
        texts = ["T[u] = I[2*u + r] * F[r]", "S[p] = T[p + s] * G[s]", "O[k,p] = S[p] * T[p + 1] * H[k]"]
    names = ("T", "O") if kind < 2 else ("T", "S", "O")
    apart = (("p", "s", 0 if padding else 25), ("q", "t", 25))
    return Problem(cascade("windows", texts, sizes), Group(names), apart=apart)


def problem(c: Choices) -> Problem:
    """A problem of any kind."""
    return c.pick([matmul, convolution, indexed, masked, split, running, attention, chain, chain, windows, windows])(c)
