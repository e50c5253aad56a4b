"""Parts of a cascade as the exact search sees them: consecutive Einsums, what passes between them, and what they may share loops over."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod

from accelsim.mapping.facts import Facts, facts
from accelsim.workload.cascade import Cascade


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive Einsums with the tensors they touch.

    `internal`: made and read only here. `exported`: made here, read elsewhere too. `external`: all that are not internal.
    `shared`: ranks that loops above all of these Einsums may name: they index all that is internal, or if nothing is, something that
    two of them touch, if there is something.
    `sound`: nothing that is exported is read here as well.
    """

    names: tuple[str, ...]
    internal: tuple[str, ...]
    exported: tuple[str, ...]
    external: tuple[str, ...]
    shared: tuple[str, ...]
    sound: bool


class Tensors:
    """Who makes and reads every tensor of a cascade, by position in the order of Einsums."""

    def __init__(self, cascade: Cascade) -> None:
        self.cascade = cascade
        self.facts: Facts = facts(cascade)
        self.order = tuple(self.facts.einsums)
        place = {name: at for at, name in enumerate(self.order)}
        self.touched = {name: tuple(self.facts.touched[name]) for name in self.order}
        self.makers: dict[str, list[int]] = {}
        self.readers: dict[str, list[int]] = {}
        for name, einsum in self.facts.einsums.items():
            self.makers.setdefault(einsum.output.tensor, []).append(place[name])
            for access in einsum.reads:
                if place[name] not in self.readers.setdefault(access.tensor, []):
                    self.readers[access.tensor].append(place[name])
        self._users = {tensor: frozenset(use.einsum for use in uses) for tensor, uses in self.facts.uses.items()}
        self._alike: dict[tuple[str, frozenset[str]], bool] = {}
        self._indexing: dict[tuple[str, frozenset[str]], tuple[str | None, ...]] = {}
        # tensors that pass between Einsums and are not the cascade's inputs or outputs
        self.passing = tuple(
            tensor
            for tensor, makers in self.makers.items()
            if tensor in self.readers and not self.cascade.tensors[tensor].is_output and len(makers) == 1
        )

    def words(self, tensor: str) -> int:
        """Words of a whole tensor."""
        return prod(self.cascade.tensors[tensor].shape)

    def stretch(self, names: tuple[str, ...]) -> Stretch:
        """Some Einsums that follow each other."""
        places = {self.order.index(name) for name in names}
        touched = dict.fromkeys(tensor for name in names for tensor in self.touched[name])
        internal, exported, external, sound = [], [], [], True
        for tensor in touched:
            makers, readers = self.makers.get(tensor, []), self.readers.get(tensor, [])
            made = [at for at in makers if at in places]
            read = [at for at in readers if at in places]
            if made and read and tensor in self.passing and len(read) == len(readers):
                internal.append(tensor)
                continue
            external.append(tensor)
            if made:
                exported.append(tensor)
                sound = sound and not read
        ranks = [
            rank for rank, extent in self.cascade.extents.items() if extent > 1 and all(rank in self.facts.ranks[name] for name in names)
        ]
        plain = self.facts.plain
        common = [self._ranks(tensor, names) for tensor in touched if sum(tensor in self.touched[name] for name in names) > 1]
        shared = tuple(
            rank for rank in ranks
            if (any(rank in each for each in common) if common and not internal else all(rank in plain[tensor] for tensor in internal))
        )  # fmt: skip
        return Stretch(names, tuple(internal), tuple(exported), tuple(external), shared, sound)

    def _ranks(self, tensor: str, names: Iterable[str]) -> set[str | None]:
        """The ranks that index a tensor wherever some Einsums touch it."""
        inside = set(names)
        found = [{index.single_rank for index in use.maps if index is not None} for use in self.facts.uses[tensor] if use.einsum in inside]
        return set.intersection(*found)

    def alike(self, tensor: str, names: Iterable[str]) -> bool:
        """Whether some Einsums touch a tensor at the same indices."""
        inside = self._users[tensor].intersection(names)
        if (tensor, inside) not in self._alike:
            self._alike[tensor, inside] = len({use.maps for use in self.facts.uses[tensor] if use.einsum in inside}) == 1
        return self._alike[tensor, inside]

    def ranks(self, tensor: str, names: Iterable[str]) -> tuple[str | None, ...]:
        """The rank by which some Einsums index each dimension of a tensor, None where they differ."""
        inside = self._users[tensor].intersection(names)
        if (tensor, inside) not in self._indexing:
            maps = [use.maps for use in self.facts.uses[tensor] if use.einsum in inside]
            found = [{None if index is None else index.single_rank for index in dimension} for dimension in zip(*maps, strict=True)]
            self._indexing[tensor, inside] = tuple(each.pop() if len(each) == 1 else None for each in found)
        return self._indexing[tensor, inside]
