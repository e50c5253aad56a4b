"""Search over stored elements: a mapping of Einsums that run one after the other, and formats, that the exact counts find best.

Source: docs/sparse.md, "Mapper".
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from accelsim.errors import IllegalMapping, InputError
from accelsim.jobs.interrupts import stopped_by_interrupts
from accelsim.kernel_cache import cpu_seconds
from accelsim.mapper.stored_formats import Formats, Kinds, every_format, leaves_out, stated, with_formats
from accelsim.mapper.stored_judge import Problem, problems, too_large
from accelsim.mapper.stored_nest import CLOSE, NestFound, NestSearch
from accelsim.mapper.stored_rules import refuse_unknown
from accelsim.mapper.stored_space import Branch, sequential
from accelsim.mapper.stored_sums import best_together, is_sum, summed_floor, unrounded
from accelsim.model.evaluation import Evaluation, Evaluator
from accelsim.model.stored import StoredEvaluation, evaluate_stored, refuse_uncounted

if TYPE_CHECKING:
    from accelsim.hardware.architecture import Architecture
    from accelsim.mapper.best import Request
    from accelsim.mapping.tree import Mapping
    from accelsim.sparse.pattern import IntArray
    from accelsim.workload.cascade import Cascade

Fixed = dict[str, Kinds]
_MOST_SHARED = 81  # formats of tensors that couple Einsums up to which these are searched with each
_SCAN = 0.5  # of the time for that; the rest is for the best of them


@dataclass(frozen=True, slots=True)
class StoredFound:
    """The best mapping, the cascade with the formats that were chosen, what was counted and the record of the search."""

    mapping: Mapping
    cascade: Cascade
    found: StoredEvaluation
    formats: Formats
    record: dict[str, Any]

    @property
    def evaluation(self) -> Evaluation:
        """What the mapping costs over the stored elements."""
        return self.found.evaluation


def search_stored(
    cascade: Cascade, machine: Architecture, stored: Dict[str, IntArray], request: Request, formats: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> StoredFound:  # fmt: skip
    """The best mapping found over the stored elements of some inputs, int64[dimensions, elements], none of whose tiles is too large.

    Einsums run one after the other, and what passes between them through the outermost memory. `formats`: how these inputs, and results
    with a format, are stored is chosen as well. Of `request`, objective, seed, tiles, time limit and constraints are used. Refuses what
    `evaluate_stored` does, and constraints on what is not chosen; raises IllegalMapping where nothing is found that fits.
    """
    refuse_unsearched(cascade, machine, stored, request)
    return _Search(cascade, machine, stored, request, formats, tell).run()


def refuse_unsearched(cascade: Cascade, machine: Architecture, stored: Dict[str, IntArray], request: Request) -> None:
    """InputError for what no mapping is counted with, and for cascades and constraints that the search does not know."""
    for tensor, writers in cascade.producers.items():
        if len(writers) > 1:
            what = f"{tensor} is written by {len(writers)} Einsums, which the search over stored elements does not know"
            raise InputError(what, "give each a result of its own", writers[1].place)
    refuse_uncounted(Evaluator(cascade, machine, request.counting), stored)
    refuse_unknown(request.constraints, machine)


@dataclass
class _Together:
    """What was found for all Einsums with some formats of tensors that couple them: searches and what each found, by Einsum."""

    searches: dict[str, NestSearch] = field(default_factory=dict)
    found: dict[str, NestFound] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """Of the best of each alone, summed up."""
        return sum(each.best.key[0] for each in self.found.values())

    @property
    def proved(self) -> bool:
        """Whether nothing better is possible with these formats, where values sum up."""
        return all(each.proved for each in self.found.values())


def _told(tell: Callable[[str], None], einsum: str, text: str) -> None:
    tell(f"{einsum}: {text}")


class _Search:
    def __init__(
        self, cascade: Cascade, machine: Architecture, stored: Dict[str, IntArray], request: Request, formats: bool,
        tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.cascade, self.machine, self.stored, self.request, self.tell = cascade, machine, stored, request, tell
        self.formats, self.several = formats, len(cascade.work) > 1
        self.shared = self._coupling() if formats else []
        self.interrupted = False
        self.started = cpu_seconds()
        self.end = math.inf if request.time_limit is None else self.started + request.time_limit
        self.covered = self.evaluated = 0  # by searches that are over
        self.unlisted = ""  # why not all formats of tensors that couple Einsums were tried

    def run(self) -> StoredFound:
        """The best of all Einsums one after the other."""
        asked = self.request if not self.several else replace(self.request, objective=unrounded(self.request.objective))
        with stopped_by_interrupts(self._interrupt):
            parts = list(problems(self.cascade, self.machine, self.stored, asked, not self.formats))
            best, proved = self._best(parts)
        return self._found(best, proved)

    def _interrupt(self) -> None:
        self.interrupted = True

    def _coupling(self) -> list[str]:
        """Tensors that several Einsums touch, and whose formats are chosen for all of them."""
        chosen = [*self.stored, *(einsum.output.tensor for einsum in self.cascade.work if leaves_out(self.cascade, einsum.output.tensor))]
        touched = [{access.tensor for access in (*einsum.reads, einsum.output)} for einsum in self.cascade.work]
        return [name for name in chosen if self.cascade.tensors[name].shape and sum(name in each for each in touched) > 1]

    def _best(self, parts: list[Problem]) -> tuple[_Together, bool]:
        """What is found with the best formats of tensors that couple Einsums, and whether it is the best with any."""
        tried, left = list(self._assignments()), self.end - cpu_seconds()
        if len(tried) == 1:
            only = self._searched(parts, tried[0], 1.0, left)
            return only, only.proved and not self.unlisted
        best: tuple[float, Fixed] | None = None
        all_proved = True
        for number, fixed in enumerate(tried):
            if best is not None and (self.interrupted or cpu_seconds() > self.end):
                self.unlisted = f"{len(tried) - number} formats of {' and '.join(self.shared)} were not tried"
                break
            found = self._searched(parts, fixed, 1 / len(tried), _SCAN * left / len(tried))
            all_proved &= found.proved
            self._noted(found)
            if best is None or found.value < best[0]:
                best = found.value, fixed
        assert best is not None
        last = self._searched(parts, best[1], 1.0, self.end - cpu_seconds())
        return last, all_proved and last.proved and not self.unlisted

    def _assignments(self) -> Iterator[Fixed]:
        """Kinds of all tensors that couple Einsums; as stated where they are too many."""
        choices = [[dict(formats) for formats in every_format(self.cascade, [name])] for name in self.shared]
        if math.prod(len(each) for each in choices) > _MOST_SHARED:
            names = " and ".join(self.shared)
            self.unlisted = f"{names}, of several Einsums, are stored as stated, as more than {_MOST_SHARED} formats are not tried"
            choices = []
        for kinds in product(*choices):
            yield {name: each for one in kinds for name, each in one.items()}

    def _searched(self, parts: list[Problem], fixed: Fixed, share: float, seconds: float) -> _Together:
        """Every Einsum searched with some formats of tensors that couple them, for a share of the work and at most so many seconds."""
        together = _Together()
        for part in parts:
            tell = partial(_told, self.tell, part.einsum) if self.several else self.tell
            search = NestSearch(
                part, self._formats(part, fixed), tell, cpu_seconds() + seconds / len(parts), lambda: self.interrupted, share
            )
            together.searches[part.einsum], together.found[part.einsum] = search, search.run()
        return together

    def _formats(self, part: Problem, fixed: Fixed) -> list[Formats]:
        """Formats of what an Einsum reads and makes that may be chosen."""
        if not self.formats:
            return [()]
        result = self.cascade.by_name[part.einsum].output.tensor
        names = [*part.stored, *([result] if leaves_out(self.cascade, result) else [])]
        given = {name: fixed[name] for name in names if name in fixed}
        given |= stated(self.cascade, [name for name in names if name in self.shared and name not in fixed])
        return list(every_format(self.cascade, names, given))

    def _noted(self, together: _Together) -> None:
        self.covered += sum(search.judge.covered for search in together.searches.values())
        self.evaluated += sum(search.judge.evaluated for search in together.searches.values())

    def _found(self, together: _Together, proved: bool) -> StoredFound:
        objective, chosen = self.request.objective, {name: each.best for name, each in together.found.items()}
        additive = not self.several or is_sum(objective)
        if not additive:
            chosen = best_together(objective, {name: search.judge.all_counted for name, search in together.searches.items()})
        formats = tuple(dict(pair for each in chosen.values() for pair in each.choice.formats).items())
        spaces = {name: search.judge.space for name, search in together.searches.items()}
        branches: dict[str, Branch] = {name: spaces[name].branch(each.choice.design) for name, each in chosen.items()}
        found = self._counted(sequential(self.cascade, self.machine, branches), formats)
        self._noted(together)
        evaluation = found.evaluation.with_search(self._record(together, found, formats, proved and additive))
        assert evaluation.search is not None
        found = replace(found, evaluation=evaluation)
        return StoredFound(evaluation.mapping, evaluation.evaluator.cascade, found, formats, evaluation.search)

    def _counted(self, mapping: Mapping, formats: Formats) -> StoredEvaluation:
        """All Einsums together; raises IllegalMapping if the outermost memory does not hold what each of them alone leaves it room for."""
        found = evaluate_stored(Evaluator(with_formats(self.cascade, formats), self.machine, self.request.counting), mapping, self.stored)
        if large := too_large(found, self.machine):
            what = f"no mapping of {self.cascade.name} on {self.machine.name} was found: {large} does not hold all tensors at once"
            raise IllegalMapping(what, "enlarge it")
        return found

    def _record(self, together: _Together, found: StoredEvaluation, formats: Formats, proved: bool) -> dict[str, Any]:
        objective, value = self.request.objective, self.request.objective.value(found.evaluation)
        floors = [search.anywhere for search in together.searches.values() if search.anywhere is not None]
        least = summed_floor(floors).of(objective)
        near = value <= least * CLOSE
        bound = value if proved and not near else least
        if not proved and self.several and is_sum(objective) and not self.shared:  # some Einsums may be proved
            bound = max(bound, objective.rounded(sum(each.bound for each in together.found.values()) * (2 - CLOSE)))
        tiles = "tiles that divide" if self.request.tiles == "dividing" else "equal tiles of every size that is tried"
        first = next(iter(together.found.values()))
        reasons = [self.unlisted] if self.several else [first.no_exact]
        if self.several and not is_sum(objective):
            reasons.append(f"{objective.name} of several Einsums is no sum, and the best of what was counted of each were put together")
        return {
            "objective": objective.name,
            "value": value,
            "lower_bound": bound or None,
            "gap": max(0.0, value / bound - 1) if bound else None,
            "proved_optimal": proved or (bool(bound) and near),
            "space": "all mappings" if not proved or near else f"nests with {tiles}" + (", one Einsum at a time" * self.several),
            "mappings_covered": self.covered,
            "evaluated": self.evaluated,
            "seconds": cpu_seconds() - self.started,
            **({"no_exact_search": "; ".join(filter(None, reasons))} if any(reasons) else {}),
            **({"sample": first.sample} if first.sample and not self.several else {}),
            **({"formats": {name: list(kinds) for name, kinds in formats}} if formats else {}),
            **({"einsums": self._by_einsum(together)} if self.several else {}),
        }

    def _by_einsum(self, together: _Together) -> dict[str, dict[str, Any]]:
        """What is known of every Einsum alone."""
        return {
            name: {
                "value": each.best.key[0],
                "lower_bound": each.bound or None,
                "proved_optimal": each.proved,
                "evaluated": together.searches[name].judge.evaluated,
                **({"no_exact_search": each.no_exact} if each.no_exact else {}),
                **({"sample": each.sample} if each.sample else {}),
            }
            for name, each in together.found.items()
        }
