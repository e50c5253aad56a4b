"""Counts: integers of one mapping, by Einsum, tensor and memory. Made from the kernel's words by the rules of docs/model.md."""

from __future__ import annotations

from dataclasses import dataclass, field

from accelsim.errors import IllegalMapping, InputError
from accelsim.mapping.tree import Mapping
from accelsim.model import plan as p
from accelsim.model.chain import NOTHING_CROSSES, Chain, LaterLowered, Lowered
from accelsim.model.lowering import lower
from accelsim.model.options import Counting
from accelsim.model.program import Program

READS, FILLS, UPDATES, DRAINS = range(4)
DIRECTIONS = ("reads", "fills", "updates", "drains")
Rows = dict[tuple[str, str, str], list[int]]
Shares = list[tuple[list[int], list[int]]]


@dataclass(slots=True)
class Counts:
    """Words and operations of one mapping.

    `words`, `first`: (einsum, tensor, memory) -> [reads, fills, updates, drains] in words, over all copies and of each memory's first copy.
    `final`, `first_final`: words of `updates` and `drains` among them that are complete results, by the same key.
    `crossed`, `crossed_first` and their finals: the same at networks, (einsum, tensor, network) -> [down, 0, up, 0], of all copies and of
    the first one.
    `operations`: points that survive the condition. `masked`: points of visited tiles that do not. `issues`: of the first copy.
    """

    words: dict[tuple[str, str, str], list[int]]
    first: dict[tuple[str, str, str], list[int]]
    final: dict[tuple[str, str, str], list[int]]
    first_final: dict[tuple[str, str, str], list[int]]
    operations: dict[str, int]
    masked: dict[str, int]
    issues: dict[str, int]
    lowered: Lowered | LaterLowered
    crossed: Rows = field(default_factory=dict)
    crossed_final: Rows = field(default_factory=dict)
    crossed_first: Rows = field(default_factory=dict)
    crossed_first_final: Rows = field(default_factory=dict)


def count(program: Program, mapping: Mapping) -> Counts:
    """Count a legal mapping; refuses what would not fit in 64 bits."""
    from accelsim.model.kernels import count_plan

    lowered = lower(program, mapping)
    plan, chains = lowered.plan, lowered.chains
    if lowered.special:
        check_range(plan)
    try:
        words, by_leaf = count_plan(plan)
    except OverflowError:
        raise InputError(
            f"{mapping.name}: too many tiles under a window or a condition to list", "make tiles larger or the shape smaller"
        ) from None
    rows, leaf_rows = words.tolist(), by_leaf.tolist()
    counts = Counts({}, {}, {}, {}, {}, {}, {}, lowered)
    if not any(program.many.values()):
        counts.first, counts.first_final = counts.words, counts.final
    for chain in chains:
        _collect(counts, chain, rows, program.counting, program.many)
    for index, name in enumerate(program.order):
        issues, visited = leaf_rows[index]
        counts.issues[name] = issues
        found = program.masks.get(name)
        if found is None:
            counts.operations[name], counts.masked[name] = visited, 0
        else:
            facts = program.facts[name]
            operations = found.survivors
            for rank, extent in enumerate(facts.extents):
                if rank not in facts.coupled:
                    operations *= extent
            first_rank, last = int(plan.leaves[index, p.LEAF_RANKS]), int(plan.leaves[index, p.LEAF_RANKS_END])
            if last - first_rank > len(facts.extents):  # repeated by recomputation
                raise InputError(f"{name}: recomputing an Einsum with a condition is not supported", "keep its result above the loop")
            counts.operations[name], counts.masked[name] = operations, visited - operations
    return counts


def check_range(plan: p.Plan) -> None:
    """Refuse plans whose counts could pass 64 bits, before the kernel runs."""
    for row in plan.leaves:
        bound = 1.0
        for rank in plan.ranks[row[p.LEAF_RANKS] : row[p.LEAF_RANKS_END]]:
            bound *= max(rank[p.RANK_EXTENT], rank[p.RANK_SOURCE] * max(1, rank[p.RANK_WIDTH]))
        if bound >= 2.0**62:
            raise InputError(f"an Einsum of {bound:.3g} points passes 64-bit counters", "make the shape smaller")


def _collect(counts: Counts, chain: Chain, rows: list[list[int]], counting: Counting, many: dict[str, bool]) -> None:
    """Charge one stream to its keepers: words of all copies, and of first copies where a memory has several."""
    shares, outer = _shares(chain, rows, counting, None)
    _charge(counts.words, counts.final, chain, shares)
    several = any(many[keeper[0]] for keeper in chain.keepers)
    first, first_outer = _shares(chain, rows, counting, many) if several else (shares, outer)
    if counts.first is not counts.words:
        _charge(counts.first, counts.first_final, chain, first)
    if any(chain.links):
        _cross(counts.crossed, counts.crossed_final, chain, outer, rows, counting, False)
        _cross(counts.crossed_first, counts.crossed_first_final, chain, first_outer, rows, counting, True)


def _charge(totals: Rows, finals: Rows, chain: Chain, shares: Shares) -> None:
    for (memory, _, _), (words, final) in zip(chain.keepers, shares, strict=True):
        key = (chain.einsum, chain.tensor, memory)
        _add(totals, key, words)
        if chain.output:
            _add(finals, key, final)


def _cross(
    totals: Rows, finals: Rows, chain: Chain, outer: Shares, rows: list[list[int]], counting: Counting, first: bool
) -> None:
    """Charge one stream to the networks that it crosses: what the keeper above is read for and sent, or of arrays inside others the same
    of each copy of those. `first`: of the first copy of a network.
    """
    for links, (words, final), boundary in zip(chain.links, outer, chain.rows, strict=True):
        for network, own in links:
            crossing, complete = words, final
            if own >= 0:
                row = rows[own]
                above, begun = (row[4:8], row[9]) if first else (row[:4], row[8])
                parent, _, distinct, _ = _accesses(chain.output, above, begun, above, False, False, first, counting)
                # a word of which several of these copies send a part is not complete before it is combined further out
                crossing, complete = parent, [0, 0, distinct if row[2] == rows[boundary][2] else 0, 0]
            elif own == NOTHING_CROSSES:
                continue
            key = (chain.einsum, chain.tensor, network)
            _add(totals, key, crossing)
            if chain.output:
                _add(finals, key, complete)


def _shares(chain: Chain, rows: list[list[int]], counting: Counting, many: dict[str, bool] | None) -> tuple[Shares, Shares]:
    """Accesses of every keeper, and how many are of complete results, from the inside out: what a fraction lacks streams from further out;
    and those that are made of every keeper from inside, wherever they find their words.

    `many` None: of all copies. Else of the first copy of each memory that has several, and of all copies of the others.
    """
    last = len(chain.keepers) - 1
    shares: Shares = [([], [])] * len(chain.keepers)  # inner keepers first, then what crosses to them
    outer: Shares = [([], [])] * len(chain.keepers)
    every = _shares(chain, rows, counting, None) if many is not None and any(keeper[2] for keeper in chain.keepers) else None
    overflow, final_overflow = [0, 0, 0, 0], 0
    for k in range(last, -1, -1):
        memory, kept, tile = chain.keepers[k]
        own, final = overflow, final_overflow
        if chain.rows[k] >= 0:
            row = rows[chain.rows[k]]
            inner = chain.keepers[k + 1] if k < last else None
            first_child = many is not None and inner is not None and many[inner[0]]
            above, begun = (row[4:8], row[9]) if many is not None and many[memory] else (row[:4], row[8])
            parent, child, complete, drained = _accesses(
                chain.output, above, begun, row[4:8] if first_child else row[:4], row[2] == row[3], inner is not None, first_child, counting
            )
            if inner is not None:
                if inner[2]:
                    parent = [value * inner[1] // inner[2] for value in parent]
                    child = [value * inner[1] // inner[2] for value in child]
                    complete, drained = complete * inner[1] // inner[2], drained * inner[1] // inner[2]
                _into(shares[k + 1], child, [0, 0, 0, drained])
            final += complete
            own = [a + b for a, b in zip(parent, overflow, strict=True)] if any(overflow) else parent
        overflow, final_overflow = [0, 0, 0, 0], 0
        outer[k] = ([*own], [0, 0, final, 0])
        if tile:
            inside = [value * kept // tile for value in own]
            overflow = [a - b for a, b in zip(own, inside, strict=True)]
            final_overflow, final = final - final * kept // tile, final * kept // tile
            own = inside
            if many is not None and many[chain.keepers[k - 1][0]]:
                raise IllegalMapping(
                    f"{chain.tensor}: a fraction at {memory} streams from {chain.keepers[k - 1][0]}, which has several copies",
                    "hold it whole, or let it stream from a memory with one copy",
                )
        shares[k] = (own, [0, 0, final, 0])
    if every is not None and many is not None:
        # what streams past the first copy of a keeper is not all that streams: memories with one copy serve every copy
        for k, keeper in enumerate(chain.keepers):
            if not many[keeper[0]]:
                shares[k], outer[k] = every[0][k], every[1][k]
    return shares, outer


def _into(share: tuple[list[int], list[int]], words: list[int], final: list[int]) -> None:
    for k in range(4):
        share[0][k] += words[k]
        share[1][k] += final[k]


def _accesses(
    output: bool, above: list[int], begun: int, below: list[int], alone: bool, has_child: bool, first_child: bool, counting: Counting
) -> tuple[list[int], list[int], int, int]:
    """Accesses of the parent and of the child over one boundary, and how many updates and drains are complete results.

    above, below: entering, grouped, distinct and unknown words, of the parent's and of the child's copies that are counted.
    begun: words that groups of copies that are reduced together send for the first time.
    `alone`: every word comes from one copy; a word that several copies send is a part of a result until it is combined.
    """
    entering, unknown = below[0], below[3]
    grouped, distinct = above[1], above[2]
    if not output:
        return [grouped, 0, 0, 0], [0, entering if has_child else 0, 0, 0], 0, 0
    returned = grouped - (distinct if counting.first_touch == "parent" else begun)
    filled = returned if counting.returned_partials == "one" and not first_child else entering - unknown
    drained = entering if counting.drains == "charged" else 0
    complete = min(unknown, drained) if alone else 0
    return [returned, 0, grouped, 0], [0, filled, 0, drained] if has_child else [0, 0, 0, 0], distinct, complete


def _add(totals: Rows, key: tuple[str, str, str], values: list[int]) -> None:
    found = totals.get(key)
    if found is None:
        totals[key] = list(values)
    else:
        for k in range(4):
            found[k] += values[k]

