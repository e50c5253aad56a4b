"""Shipped cascades at small sizes, by one rule for all: what is legal is found by asking, and no workload is named.

Ranks of equal size stay equal (a product's two names for one axis, a filter's two sides). Class by class, from the largest on, the smallest
size that the cascade still accepts is taken, and all classes are tried again until nothing shrinks: where one size bounds another (a
window that must lie in its image, heads that share keys), the second goes first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from accelsim.errors import AccelsimError
from accelsim.workload.build import resized
from accelsim.workload.cascade import Cascade, Model

LEAST = (3, 4, 2, 5)  # sizes that classes try first, in turn, so that few of them come out alike
MOST = 16  # sizes beyond these are tried by doubling


def shrunk(cascade: Cascade) -> Cascade:
    """The cascade with every size as small as the rule makes it."""
    declaration = cascade.declaration
    assert declaration is not None
    sizes = dict(declaration.shape)
    for parts in declaration.split.values():
        sizes |= {part: size for part, size in parts.items() if size is not None and part not in sizes}
    alike, made = classes(sizes), cascade
    for _ in range(len(sizes)):
        before = dict(sizes)
        for turn, ranks in enumerate(alike):
            for size in candidates(sizes[ranks[0]], turn):
                smaller = attempt(made, dict.fromkeys(ranks, size))
                if smaller is not None:
                    made, sizes = smaller, sizes | dict.fromkeys(ranks, size)
                    break
        if sizes == before:
            break
    return made


def classes(sizes: Mapping[str, int]) -> list[list[str]]:
    """Ranks of equal size together, the largest first."""
    found: dict[int, list[str]] = {}
    for rank, size in sizes.items():
        found.setdefault(size, []).append(rank)
    return [found[size] for size in sorted(found, reverse=True)]


def candidates(size: int, turn: int) -> Iterator[int]:
    """Sizes below one, those to be preferred first."""
    least = LEAST[turn % len(LEAST)]
    small = [each for each in (least, *range(least + 1, MOST), *range(2, least)) if each < size]
    yield from small if size > least else ()
    while (least := 2 * least) < size:
        if least >= MOST:
            yield least


def attempt(cascade: Cascade, shape: Mapping[str, int]) -> Cascade | None:
    """The cascade with other sizes; None if they are none that it can have, or if a rank would have one coordinate left that had more."""
    try:
        made = resized(cascade, shape)
    except AccelsimError:
        return None
    return None if any(made.extents[rank] == 1 < cascade.extents[rank] for rank in made.extents) else made


def cascades(workload: Cascade | Model) -> list[Cascade]:
    """A cascade, or the different ones of a model's layers."""
    if isinstance(workload, Cascade):
        return [workload]
    return list({layer.cascade.name: layer.cascade for layer in workload.layers}.values())
