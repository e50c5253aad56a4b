"""Checksums along a cascade: what products, exponentials and quotients must add up to, from the words that those who use them read.

A product Z = A B, summed over a rank that only one operand has, is the other operand times that operand's sum; sums of inputs are taken
before anything strikes, those of others when they are made. The logarithms of exponentials add up to the sum of the exponents. A
quotient by the sum of its dividend adds up to 1. Idea: Huang, Abraham, doi:10.1109/TC.1984.1676475; for attention with softmax: Dai et al.,
"FT-Transformer", arXiv:2504.02211.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from accelsim.errors import InputError
from accelsim.workload.cascade import Cascade, Einsum
from accelsim.workload.expression import Access, Call, Expression

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

Values = Mapping[str, Any]
PRODUCT, EXPONENTIAL, QUOTIENT = "product", "exponential", "quotient"


@dataclass(frozen=True, slots=True)
class Check:
    """One sum for each place of an Einsum's result, over a rank of it; `summed`: the operand of a product that has the rank."""

    kind: str
    einsum: Einsum
    rank: str
    summed: int = 0


@dataclass(frozen=True)
class CascadeChecks:
    """All checks of a cascade. A sum that is off by more than `threshold` units of roundoff of its terms raises an alarm.

    A unit of roundoff is half the distance of 1 to the next number in the partial type of the result, times the sum of magnitudes of terms
    (of an exponential: of exponents and 1 each; of a quotient: 1). Integers have none: they must agree. Checkers compute in float64.
    InputError for a cascade with nothing to check.
    """

    cascade: Cascade
    threshold: float

    def __post_init__(self) -> None:
        if not self.checks:
            what = f"{self.cascade.name} has neither products nor a softmax whose sums are known"
            raise InputError(what, "name a workload with plain ranks as indices and no conditions")

    @cached_property
    def checks(self) -> tuple[Check, ...]:
        """In the order of the Einsums; products along every rank that one operand has, others along their longest rank."""
        return tuple(check for einsum in self.cascade.work for check in self._of(einsum))

    def _of(self, einsum: Einsum) -> Iterator[Check]:
        expression, output = einsum.expression, self._ranks(einsum.output)
        if not isinstance(expression, Call) or einsum.condition is not None or output is None:
            return
        reads = [self._ranks(each) if isinstance(each, Access) else None for each in expression.arguments]
        if expression.function == "mul" and einsum.reduce == "add" and None not in reads:
            for rank in output:
                holds = [rank in (ranks or ()) for ranks in reads]
                if sum(holds) == 1:
                    yield Check(PRODUCT, einsum, rank, holds.index(True))
        if expression.function == "exp" and not einsum.reduced and output and self._terms(expression.arguments[0]):
            yield Check(EXPONENTIAL, einsum, max(output, key=lambda rank: self.cascade.extents[rank]))
        if expression.function == "div" and not einsum.reduced and None not in reads:
            summed = self._normalised(*expression.arguments)
            if summed is not None and summed in output:
                yield Check(QUOTIENT, einsum, summed)

    def _ranks(self, access: Access) -> tuple[str, ...] | None:
        """Of an access, where every index is one rank and takes all of it once."""
        ranks = tuple(index.single_rank if index is not None else None for index in self.cascade.index_maps(access))
        known = [rank for rank in ranks if rank is not None]
        whole = tuple(self.cascade.extents[rank] for rank in known) == self.cascade.tensors[access.tensor].shape
        return tuple(known) if len({*known}) == len(ranks) and whole else None

    def _terms(self, expression: Expression) -> list[tuple[int, Access]]:
        """An access, or the difference of two, with signs."""
        if isinstance(expression, Access):
            found = [(1, expression)]
        elif isinstance(expression, Call) and expression.function == "sub":
            found = [(sign, each) for sign, each in zip((1, -1), expression.arguments, strict=True) if isinstance(each, Access)]
        else:
            return []
        complete = isinstance(expression, Access) or len(found) == 2
        return found if complete and all(self._ranks(each) is not None for _, each in found) else []

    def _normalised(self, dividend: Expression, divisor: Expression) -> str | None:
        """The rank over which a divisor is the sum of a dividend."""
        if not isinstance(dividend, Access) or not isinstance(divisor, Access):
            return None
        makers = [einsum for einsum in self.cascade.work if einsum.output.tensor == divisor.tensor]
        if len(makers) != 1 or makers[0].reduce != "add" or len(makers[0].reduced) != 1 or makers[0].condition is not None:
            return None
        source = makers[0].expression
        if not isinstance(source, Access) or source.tensor != dividend.tensor or self._ranks(source) is None:
            return None
        place = self._ranks(source).index(makers[0].reduced[0])  # type: ignore[union-attr]
        return (self._ranks(dividend) or ())[place]

    def worst(self, read: Values, made: Values) -> float:
        """How many units of roundoff a sum is off, at most; infinite where it is no number. read: words of all tensors as those who use
        them read them, of outputs as they are at the end; made: as they came in or were made; both flat, or in their shapes.
        """
        with np.errstate(all="ignore"):
            sums = [self._sums(check, read, made) for check in self.checks]
            found = [np.where(off == 0, 0.0, off / unit) for off, unit in sums]
            return max((float(np.where(np.isnan(each), np.inf, each).max()) for each in found), default=0.0)

    def alarm(self, read: Values, made: Values) -> bool:
        """Whether some sum is off by more than the threshold."""
        return self.worst(read, made) > self.threshold

    def _sums(self, check: Check, read: Values, made: Values) -> tuple[Numbers, Numbers]:
        """What sums are off by, and their unit of roundoff, for each place of the result without the rank."""
        einsum, tensor = check.einsum, self.cascade.tensors[check.einsum.output.tensor]
        ranks = self._ranks(einsum.output) or ()
        axis, left = ranks.index(check.rank), [rank for rank in ranks if rank != check.rank]
        unit = 0.0 if tensor.partial.kind == "integer" else 2.0**-tensor.partial.digits
        result = self._array(read, einsum.output)
        assert isinstance(einsum.expression, Call)
        if check.kind == QUOTIENT:
            return np.abs(result.sum(axis=axis) - 1), np.full(result.sum(axis=axis).shape, unit)
        if check.kind == EXPONENTIAL:
            terms = [(sign, self._array(made, each), self._ranks(each) or ()) for sign, each in self._terms(einsum.expression.arguments[0])]
            exponents, sizes = np.zeros(result.shape), np.ones(result.shape)
            for sign, words, mine in terms:
                wide = self._spread(words, mine, ranks)
                exponents, sizes = exponents + sign * wide, sizes + np.abs(wide)
            return np.abs(np.log(result).sum(axis=axis) - exponents.sum(axis=axis)), unit * sizes.sum(axis=axis)
        operands = [each for each in einsum.expression.arguments if isinstance(each, Access)]
        one, other = operands[check.summed], operands[1 - check.summed]
        mine, theirs = self._ranks(one) or (), self._ranks(other) or ()
        words, others = self._array(made, one), self._array(read, other)
        rest = [rank for rank in mine if rank != check.rank]
        names = {rank: chr(ord("a") + place) for place, rank in enumerate(dict.fromkeys((*mine, *theirs, *ranks)))}
        spell = "".join(names[rank] for rank in rest), "".join(names[rank] for rank in theirs), "".join(names[rank] for rank in left)
        formula, at = f"{spell[0]},{spell[1]}->{spell[2]}", mine.index(check.rank)
        expected = np.einsum(formula, words.sum(axis=at), others)
        return np.abs(result.sum(axis=axis) - expected), unit * np.einsum(formula, np.abs(words).sum(axis=at), np.abs(others))

    def _array(self, values: Values, access: Access) -> Numbers:
        return np.asarray(values[access.tensor], np.float64).reshape(self.cascade.tensors[access.tensor].shape)

    def _spread(self, words: Numbers, mine: tuple[str, ...], ranks: tuple[str, ...]) -> Numbers:
        order = [mine.index(rank) for rank in ranks if rank in mine]
        shape = [self.cascade.extents[rank] if rank in mine else 1 for rank in ranks]
        assert prod(shape) == words.size
        return np.asarray(np.transpose(words, order).reshape(shape), np.float64)
