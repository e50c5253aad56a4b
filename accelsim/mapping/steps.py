"""Whether the steps of a mapping keep apart what depends on itself: recurrences, tensors in one space, stages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from accelsim.errors import IllegalMapping
from accelsim.mapping.dependence import Homes
from accelsim.mapping.facts import Facts
from accelsim.mapping.tree import For, Fuse, Held, Keep, Spatial
from accelsim.mapping.walk import Row


def broken_recurrences(homes: Homes) -> Iterator[IllegalMapping]:
    """A recurrence advances one slice at a time through all of its Einsums, and never over copies."""
    walked, known = homes.walked, homes.walked.facts
    for group in known.cycles:
        inside = [edge for edge in known.edges if edge.producer in group and edge.consumer in group and edge.distance > 0]
        for rank in sorted({edge.rank for edge in inside}):
            names = sorted(group, key=lambda name: homes.numbers[name])
            for name in names:
                for row in walked.paths[homes.numbers[name]]:
                    if isinstance(row.node, Spatial) and row.node.rank == rank and row.trips > 1:
                        what = f"{name} advances slice by slice along {rank}, which spatial {row.node.axis} spreads over copies"
                        yield IllegalMapping(what, f"loop over {rank} in time", row.node.place)
            if len(names) > 1:
                numbers = [homes.numbers[name] for name in names]
                common = min(walked.common(numbers[0], number) for number in numbers[1:])
                fuse = walked.paths[numbers[0]][common - 1]
                if fuse.left.get(rank, 1) > 1:
                    what = f"{', '.join(names)} depend on each other's last slice, but {fuse.left[rank]} slices of {rank} pass between them"
                    yield IllegalMapping(what, f"write 'for {rank}: 1' above the fuse that joins them", fuse.node.place)


def broken_overwriting(homes: Homes) -> Iterator[IllegalMapping]:
    """An element-wise consumer may overwrite its operand when it is the last reader."""
    known = homes.walked.facts
    for row in homes.walked.rows:
        node = row.node
        for held in node.held if isinstance(node, Keep) else ():
            chain = (held.tensor, *held.in_place)
            for over, under in zip(chain[1:], chain, strict=False):
                reason = _cannot_overwrite(homes, known, over, under)
                if reason:
                    yield IllegalMapping(f"{over} cannot overwrite {under}: {reason}", _mend(held), node.place)


def _mend(held: Held) -> str:
    return f"keep {', '.join((held.tensor, *held.in_place))} side by side"


def _cannot_overwrite(homes: Homes, known: Facts, over: str, under: str) -> str:
    if known.cascade.tensors[under].is_output:
        return f"{under} is an output of the cascade"
    edges = [edge for edge in known.edges if edge.tensor == under and known.einsums[edge.consumer].output.tensor == over]
    uses = known.uses.get(under, ())
    writers = [use for use in known.uses.get(over, ()) if use.writes]
    for writer in writers:
        reads = [use for use in uses if use.einsum == writer.einsum and not use.writes]
        if not reads:
            return f"{writer.einsum} does not read {under}"
        if any(read.maps != writer.maps for read in reads) or any(edge.read != writer.maps for edge in edges):
            return f"{writer.einsum} does not read it element by element"
        for use in uses:
            if homes.numbers[use.einsum] > homes.numbers[writer.einsum]:
                return f"{use.einsum} still reads it" if not use.writes else f"{use.einsum} still writes it"
    return "" if writers else f"no Einsum computes {over}"


def broken_stages(homes: Homes) -> Iterator[IllegalMapping]:
    """No Einsum runs in a stage before the one that makes what it reads."""
    known = homes.walked.facts
    for row in homes.walked.rows:
        node = row.node
        if not isinstance(node, Fuse) or not node.stages:
            continue
        count = len(node.stages)
        at = {name: place for place, stage in enumerate(node.stages) for name in stage.einsums}
        at |= {name: place + count for place, stage in enumerate(node.stages) for name in stage.previous}
        earlier = {name for stage in node.stages for name in stage.previous}
        for edge in known.edges:
            if edge.consumer in earlier and edge.producer not in earlier and at.get(edge.producer, count) <= at[edge.consumer] - count:
                number = homes.numbers[edge.consumer]
                path, positions = homes.walked.paths[number], homes.keepers[number][edge.tensor]
                depth = next(place for place, above in enumerate(path) if above is row)
                shared = [place for place in positions if place < depth] or positions[:1]
                keep = path[shared[-1]].node
                assert isinstance(keep, Keep)
                held = next(held for held in keep.held if edge.tensor in (held.tensor, *held.in_place))
                between = path[shared[-1] :]
                own_place = any(
                    isinstance(above.node, For) and above.trips > 1 and above.node.rank in known.indexing[edge.tensor]
                    for above in _before(between, row)
                )
                if held.copies < 2 and not own_place:
                    what = f"stages: {edge.consumer}@prev still reads {edge.tensor} when {edge.producer} makes its next tile"
                    yield IllegalMapping(what, f"keep {edge.tensor} with copies: 2", node.place)
            if edge.producer not in at or edge.consumer not in at or edge.producer == edge.consumer:
                continue
            if at[edge.producer] > at[edge.consumer] + (count if edge.distance else 0):
                what = f"stages: {edge.consumer} reads {edge.tensor} in a stage before {edge.producer} makes it"
                mend = f"move {edge.consumer} to a later stage, or write '{edge.consumer}@prev'"
                yield IllegalMapping(what, mend, node.place)


def _before(rows: Sequence[Row], fuse: Row) -> Iterator[Row]:
    """Rows up to a fuse; all if it is not among them."""
    for row in rows:
        if row is fuse:
            return
        yield row
