"""Linear recurrences as parallel scans: log2 T rounds over all steps at once, in the manner of Kogge and Stone, or of Blelloch.

Pairs (a, b) stand for h -> a h + b; one after another they are the pair (a2 a1, a2 b1 + b2), and that is associative.
Sources: P. Kogge and H. Stone, IEEE Trans. Computers 1973; G. Blelloch, "Prefix sums and their applications", CMU-CS-90-190, 1990.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from accelsim.workload.cascade import Cascade
from accelsim.workload.declaration import TensorDeclaration
from accelsim.workload.expression import Access, Expression, Name, Number
from accelsim.workload.grammar import Parsed
from accelsim.workload.transform.draft import Draft, ranks_of, rewritten
from accelsim.workload.transform.recurrences import Linear, kind, linear, uses
from accelsim.workload.transform.statements import cleaned
from accelsim.workload.transform.text import call


def scan(cascade: Cascade, tensor: str, manner: str = "kogge-stone") -> Cascade:
    """A linear recurrence as a parallel scan. Its number of steps is fixed from then on; Blelloch's needs a power of two.

    Who read the slice `H[t+1]` reads `H[t]`, who read the old one `H[t-1]`, with the first slice as its fill. Refuses recurrences of one
    step, outputs, and other manners.
    """
    draft = Draft.of(cascade)
    found = linear(draft, tensor)
    steps = cascade.extents[found.rank]
    if cascade.tensors[tensor].is_output:
        raise draft.refusal(f"'{tensor}' is an output", "scan a recurrence that only other statements read", found.lines[1])
    if steps < 2 or any(found.rank in cut.parts for cut in cascade.splits):
        raise draft.refusal(
            f"'{tensor}' takes {steps} steps along '{found.rank}', a part of a split or only one", "scan another", found.lines[1]
        )
    if manner == "kogge-stone":
        rounds = (steps - 1).bit_length()
        made, sizes, whole = _kogge_stone(_Pairs(draft, found, rounds))
    elif manner == "blelloch":
        if steps & (steps - 1):
            raise draft.refusal(
                f"'{tensor}' takes {steps} steps, no power of two", f"pad '{found.rank}', or scan by kogge-stone", found.lines[1]
            )
        made, sizes, whole = _blelloch(_Pairs(draft, found, steps.bit_length() - 1))
    else:
        raise draft.refusal(f"there is no scan '{manner}'", "write kogge-stone or blelloch")
    return _placed(draft, found, [*made, Parsed(Access(tensor, found.indices), whole)], sizes)


def _placed(draft: Draft, found: Linear, made: list[Parsed], sizes: dict[str, int]) -> Cascade:
    """The draft with the scan in the place of the recurrence, and reads of its slices moved."""
    tensor, read_kinds = found.tensor, uses(draft, found)

    def read(part: Expression) -> Expression | None:
        if not isinstance(part, Access) or part.tensor != tensor:
            return None
        which = kind(part, found)
        rank: Expression = Name(found.rank.upper() if which == "last" else found.rank)
        index = rank if which == "next" else call("sub", rank, Number(1.0))
        return Access(tensor, (*part.indices[: found.where], index, *part.indices[found.where + 1 :]))

    lines: list[Parsed] = []
    for place, line in enumerate(draft.lines):
        if place in found.lines:
            lines += made if place == found.lines[1] else []
        else:
            lines.append(replace(line, expression=rewritten(line.expression, read)))
    stated = draft.declaration
    tensors = dict(stated.tensors)
    if "old" in read_kinds:
        tensors[tensor] = replace(tensors.get(tensor, TensorDeclaration()), fill=found.start)
    draft = replace(draft, declaration=replace(stated, shape={**stated.shape, **sizes}, tensors=tensors))
    new = {each.output.tensor: tensor for each in made if each.output.tensor != tensor}
    return cleaned(draft.with_lines(lines).typed_as(new)).built()


@dataclass(frozen=True, slots=True)
class _Pairs:
    """A recurrence, the letters of its tensors and ranks, and how many rounds a scan of it takes."""

    draft: Draft
    found: Linear
    rounds: int

    def rank(self, stem: str) -> str:
        """A name for a new rank."""
        taken = {*self.draft.cascade.extents, *(name.lower() for name in self.draft.cascade.sizes)}
        return next(name for name in (stem, *(f"{stem}{number}" for number in range(1, 100))) if name not in taken)

    def both(self, letter: str) -> tuple[_At, _At]:
        """The tensors of factors and of addends that start with a letter."""
        names = (self.draft.fresh(f"{letter}{which}{self.found.tensor}") for which in "AB")
        inside = set(ranks_of((self.found.factor,), self.draft.cascade.extents)) | {self.found.rank}
        first, second = names
        return _At(first, self.found, inside), _At(second, self.found, None)

    @property
    def t(self) -> Name:
        """The rank of the steps."""
        return Name(self.found.rank)

    def after(self, later: tuple[Expression, Expression], earlier: tuple[Expression, Expression]) -> tuple[Expression, Expression]:
        """The pair that two pairs make, one after the other."""
        mul, add = self.found.mul, self.found.add
        return call(mul, later[0], earlier[0]), call(add, call(mul, later[0], earlier[1]), later[1])


@dataclass(frozen=True, slots=True)
class _At:
    """A tensor of the scan: indexed by a round, and as the state, without ranks that factors lack."""

    name: str
    found: Linear
    inside: set[str] | None

    def __call__(self, stage: Expression, step: Expression) -> Access:
        ranks = [index.name for index in self.found.indices if isinstance(index, Name)]
        kept = [Name(rank) if rank != self.found.rank else step for rank in ranks if self.inside is None or rank in self.inside]
        return Access(self.name, (stage, *kept))


def _power(exponent: Expression) -> Expression:
    return call("pow", Number(2.0), exponent)


def _plus(left: Expression, value: float) -> Expression:
    return call("add", left, Number(value))


Made = tuple[list[Parsed], dict[str, int], Expression]


def _kogge_stone(pairs: _Pairs) -> Made:
    """In round s each pair takes in the one 2**s steps earlier; T log2 T - (T - 1) pairs are joined."""
    found, t = pairs.found, pairs.t
    rank = pairs.rank("s")
    s, (a, b) = Name(rank), pairs.both("P")
    far, near = call("ge", t, _power(s)), call("lt", t, _power(s))
    back = call("sub", t, _power(s))
    factor, addend = pairs.after((a(s, t), b(s, t)), (a(s, back), b(s, back)))
    lines = [
        Parsed(a(Number(0.0), t), found.factor), Parsed(b(Number(0.0), t), found.addend),
        Parsed(b(_plus(s, 1), t), addend, condition=far), Parsed(a(_plus(s, 1), t), factor, condition=far),
        Parsed(b(_plus(s, 1), t), b(s, t), condition=near), Parsed(a(_plus(s, 1), t), a(s, t), condition=near),
    ]  # fmt: skip
    last = Name(rank.upper())
    return lines, {rank: pairs.rounds}, _from_start(found, a(last, t), b(last, t))


def _from_start(found: Linear, factor: Expression, addend: Expression) -> Expression:
    """A pair applied to the first slice, or its addend alone where that is nothing."""
    return addend if found.start == found.identity(found.add) else found.moved(factor, Number(found.start), addend)


def _blelloch(pairs: _Pairs) -> Made:
    """Sums of pairs up a tree, then down it what comes before each; 2 (T - 1) pairs are joined, and T more to include each own."""
    found, t = pairs.found, pairs.t
    up, down = pairs.rank("s"), pairs.rank("z")
    s, z, depth = Name(up), Name(down), Name(up.upper())
    (ua, ub), (va, vb) = pairs.both("U"), pairs.both("V")
    place = _plus(t, 1)
    joint = call("mod", place, _power(_plus(s, 1)))
    back = call("sub", t, _power(s))
    factor, addend = pairs.after((ua(s, t), ub(s, t)), (ua(s, back), ub(s, back)))
    at, elsewhere, last = call("eq", joint, Number(0.0)), call("ne", joint, Number(0.0)), call("sub", Name(found.rank.upper()), Number(1.0))
    one, zero = Number(found.identity(found.mul)), Number(found.identity(found.add))
    step = call("sub", call("sub", depth, Number(1.0)), z)  # the distance of two children is 2**step
    left, right = call("sub", t, _power(step)), call("add", t, _power(step))
    node = call("mod", place, _power(call("sub", depth, z)))
    own = call("mod", place, _power(step))
    is_right, is_left, is_none = call("eq", node, Number(0.0)), call("eq", node, _power(step)), call("ne", own, Number(0.0))
    new_a, new_b = pairs.after((va(z, left), vb(z, left)), (va(z, t), vb(z, t)))
    next_z, begin = _plus(z, 1), Number(0.0)
    lines = [
        Parsed(ua(begin, t), found.factor), Parsed(ub(begin, t), found.addend),
        Parsed(ub(_plus(s, 1), t), addend, condition=at), Parsed(ua(_plus(s, 1), t), factor, condition=at),
        Parsed(ub(_plus(s, 1), t), ub(s, t), condition=elsewhere), Parsed(ua(_plus(s, 1), t), ua(s, t), condition=elsewhere),
        Parsed(va(begin, t), ua(depth, t), condition=call("lt", t, last)),
        Parsed(vb(begin, t), ub(depth, t), condition=call("lt", t, last)),
        Parsed(va(begin, last), one), Parsed(vb(begin, last), zero),
        Parsed(vb(next_z, t), new_b, condition=is_right), Parsed(va(next_z, t), new_a, condition=is_right),
        Parsed(vb(next_z, t), vb(z, right), condition=is_left), Parsed(va(next_z, t), va(z, right), condition=is_left),
        Parsed(vb(next_z, t), vb(z, t), condition=is_none), Parsed(va(next_z, t), va(z, t), condition=is_none),
    ]  # fmt: skip
    before = _from_start(found, va(depth, t), vb(depth, t))
    return lines, {up: pairs.rounds, down: pairs.rounds}, found.moved(found.factor, before, found.addend)
