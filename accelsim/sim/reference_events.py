"""Tasks fired one by one with Python sets and dicts: the twin of `kernels_events.py`, written to be believed at sight.

Of every firing the coordinates that it touches are listed, so use it on small shapes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import inf, nextafter, prod
from typing import Any

from accelsim.errors import IllegalMapping
from accelsim.sim.systolic import OPERAND
from accelsim.sim.tasks import ALWAYS, BARRIER, COMPUTE, FIRST, FIRST_TURN, LAST, LAST_TURN, Box, Entry, Laid, Slot, Task, Use, Wait, Window
from accelsim.workload.expression import IndexMap

OUTSTANDING = 8  # transfers that a port may be the inner end of at a time


@dataclass(frozen=True, slots=True)
class Firing:
    """One firing, in the order of the plan: its task and number, the loops' turns, from when to when it works, and when it has ended.

    `ticks`: of every resource. `part`: which part of a tile it brings. `opens`: whether it begins sums. `after`: firings of other tasks, by
    number, that it waits for. Where it does nothing (`is_idle`), it has ended with the one before it.
    """

    task: Task
    number: int
    digits: tuple[int, ...]
    start: int
    finish: int
    end: int
    ticks: dict[str, int]
    part: int
    opens: bool
    after: tuple[tuple[Task, int], ...]
    is_idle: bool


@dataclass
class Outcome:
    """Ticks until the last end, busy ticks by resource, and (start, end) of the firings of every task that did something."""

    ticks: int = 0
    busy: dict[str, int] = field(default_factory=dict)
    conflict: dict[str, int] = field(default_factory=dict)  # of ports: what of that is due to words that fall on few banks
    stood: dict[str, int] = field(default_factory=dict)  # of units: ticks in which they stood still for that
    even: dict[str, int] = field(default_factory=dict)  # of ports: when each would be free, if words were spread evenly
    firings: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    grids: dict[str, tuple[int, int]] = field(default_factory=dict)  # of systolic arrays: when operands may load, when rows are empty
    timed: str = ""  # a port whose servings take as long as `service` says, in order
    service: list[int] = field(default_factory=list)
    log: list[Firing] = field(default_factory=list)


_Left = dict[tuple[int, tuple[int, ...]], set[tuple[Any, ...]]]
"""What copies hold, by use and copy."""


@dataclass
class _State:
    digits: list[int]
    left: _Left = field(default_factory=dict)
    ends: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)  # how much later these are than with words that are spread evenly
    plans: list[float] = field(default_factory=list)
    tiles: dict[int, int] = field(default_factory=dict)  # by use: words of the tile whose parts come
    shared: dict[int, int] = field(default_factory=dict)  # by use: words of which it means a share so far
    uneven: dict[tuple[str, Laid], int] = field(default_factory=dict)  # of the tile whose parts come: ticks due to uneven banks
    held: float | None = None  # a later turn than planned


def run(tasks: list[Task], per_cycle: int, timed: str = "", service: Sequence[int] = ()) -> Outcome:
    """Fire every task to its end; the order is that of the plan. `service`: ticks of each serving of the port `timed`."""
    states = {id(task): _State([0] * len(task.loops)) for task in tasks}
    free: dict[str, int] = {}
    starts: dict[str, list[int]] = {}
    found = Outcome(timed=timed, service=list(service))
    idle = 0  # tasks in a row whose turn had not come
    while True:
        waiting = [task for task in tasks if len(states[id(task)].ends) < task.firings]
        if not waiting:
            return found
        task = min(waiting, key=lambda each: (_key(each, states[id(each)]), _rank(each, tasks)))
        state = states[id(task)]
        early = _awaited(task, states)
        if early is not None:  # planned too early: its turn comes after that of what it waits for
            idle += 1
            if idle > 1 + len(tasks):
                raise IllegalMapping(f"{task.name} waits for {early.name}, which waits for it", "give the tensor more copies")
            state.held = nextafter(_key(early, states[id(early)]), inf)
            continue
        idle, state.held = 0, None
        if not _part(task, state):
            state.plans.append(_plan(task, state.digits))
        _fire(task, states, free, starts, found, per_cycle)
        for place in range(len(task.loops) - 1, -1, -1):
            state.digits[place] += 1
            if state.digits[place] < task.loops[place]:
                break
            state.digits[place] = 0


def _awaited(task: Task, states: dict[int, _State]) -> Task | None:
    """The first task whose firing this one waits for that has not had its turn."""
    state = states[id(task)]
    if not _does_something(task, state.digits):
        return None
    return next((wait.task for wait, number in _numbers(task, state.digits) if number >= len(states[id(wait.task)].ends)), None)


def _numbers(task: Task, digits: list[int]) -> list[tuple[Wait, int]]:
    """The firings that a firing waits for."""
    found = []
    for wait in task.waits:
        if wait.guard >= 0 and digits[wait.guard] == 0:
            continue
        number = 0
        for digit, trips in zip(digits[: wait.prefix], task.loops[: wait.prefix], strict=True):
            number = number * trips + digit
        number = min(number * wait.times + wait.add, wait.task.firings - 1)
        if number >= 0:
            found.append((wait, number))
    return found


def _fire(
    task: Task, states: dict[int, _State], free: dict[str, int], starts: dict[str, list[int]], found: Outcome, per_cycle: int
) -> None:
    state = states[id(task)]
    before = max(state.ends, default=0)
    if not _does_something(task, state.digits):
        state.lost.append(state.lost[-1] if state.lost else 0)
        state.ends.append(before)
        found.log.append(_idle(task, state))
        return
    start, rows, late = 0, *_shape(task, state.digits, per_cycle)
    lost = 0  # how much later than with even banks that has ended for which it waits longest
    for wait, number in _numbers(task, state.digits):
        end = states[id(wait.task)].ends[number] - wait.ahead * late - wait.less + wait.stays * rows
        if end > start:
            start, lost = end, states[id(wait.task)].lost[number]
    asked: dict[str, int] = {}
    opens, closes = _opens_and_closes(task, state.digits)
    banks: dict[tuple[str, Laid], Counter[int]] = {}  # of the words of a tensor at a port: ticks by bank
    if not _part(task, state):
        state.uneven.clear()
    for use in task.uses:
        part = _part(task, state)
        counts = use.rule == ALWAYS or (opens if use.rule == FIRST else closes if use.rule == LAST else not opens)
        if not part:
            moved = _moved(task, use, state.digits, state.left)
            copies = prod(len(range(0, len(interval(slot, state.digits)), part)) for slot, part in use.box.wanted)
            state.tiles[id(use)] = len(moved) * copies
            if use.laid is not None and counts:
                ticks_of = banks.setdefault((use.resource, use.laid), Counter())
                for word in moved:
                    ticks_of[_bank(use, use.laid, word)] += copies * use.ticks
        words, rest = divmod(state.tiles[id(use)], task.parts)
        words += rest if not part else 0
        if counts:
            if use.share != (1, 1):  # the words with the numbers that complete one more of the share
                since = state.shared.get(id(use), 0)
                kept, of = use.share
                mine = sum(1 for at in range(since, since + words) if (at + 1) * kept // of > at * kept // of)
                state.shared[id(use)] = since + words
                words = words - mine if use.rest else mine
            asked[use.resource] = asked.get(use.resource, 0) + words * use.ticks
    for (resource, laid), ticks_of in banks.items():  # a bank serves its words at its part of the bandwidth
        state.uneven[resource, laid] = laid.banks * max(ticks_of[bank] for bank in range(laid.banks)) - sum(ticks_of.values())
    uneven = Counter[str]()
    for (resource, _), more in state.uneven.items():
        uneven[resource] += more // task.parts + (0 if _part(task, state) else more % task.parts)
    for resource, more in uneven.items():
        asked[resource] = asked.get(resource, 0) + more
        found.conflict[resource] = found.conflict.get(resource, 0) + more
    asked = {resource: ticks for resource, ticks in asked.items() if ticks}
    if asked.get(found.timed) and found.service:
        asked[found.timed] = found.service.pop(0)
    work = _issues(task, state.digits) * task.issue_ticks if task.kind == COMPUTE else 0
    if not asked and task.kind not in (COMPUTE, BARRIER):
        state.lost.append(state.lost[-1] if state.lost else 0)
        state.ends.append(before)
        found.log.append(_idle(task, state))
        return
    part, awaited = _part(task, state), start
    if task.kind == COMPUTE:
        start = max(start, free.get(task.unit, 0))
        if task.fold is not None:
            opened, emptied = found.grids.get(task.unit, (0, 0))
            if task.fold.stays == OPERAND:
                start = max(start, opened + rows)
            elif not task.fold.grid.shadow:
                start = max(start, opened)
            elif task.fold.grid.exit == "edge":  # its own results find the rows empty
                start = max(start, emptied - work)
    finish = even = start + work
    for resource, ticks in asked.items():
        held = starts.setdefault(resource, [])
        since = start
        if task.kind != COMPUTE and resource != task.uses[0].resource:
            since = held[-OUTSTANDING] if len(held) >= OUTSTANDING else 0
        free[resource] = max(free.get(resource, 0), since) + ticks
        held.append(start)
        finish = max(finish, start + ticks, free[resource])
        less = ticks - uneven[resource]  # what the port is asked for, and when it would be free, if words were spread evenly
        found.even[resource] = max(found.even.get(resource, 0), since) + less
        even = max(even, start + less, found.even[resource])
        found.busy[resource] = found.busy.get(resource, 0) + ticks
    if task.kind == COMPUTE:
        stood = min(start - free.get(task.unit, 0), lost) if start == awaited and found.busy.get(task.unit) else 0
        found.stood[task.unit] = found.stood.get(task.unit, 0) + stood + finish - even
        free[task.unit] = finish
        found.busy[task.unit] = found.busy.get(task.unit, 0) + work
        if task.fold is not None:
            found.grids[task.unit] = (start if task.fold.grid.shadow else finish + late - task.latency), finish + rows
    state.lost.append(finish - even if finish + late >= before else state.lost[-1])
    state.ends.append(max(before, finish + late))
    after = tuple((wait.task, number) for wait, number in _numbers(task, state.digits))
    found.log.append(
        Firing(task, len(state.ends) - 1, tuple(state.digits), start, finish, state.ends[-1], asked, part, opens, after, False)
    )
    found.firings.setdefault(id(task), []).append((start, finish))
    found.ticks = max(found.ticks, state.ends[-1])


def _opens_and_closes(task: Task, digits: list[int]) -> tuple[bool, bool]:
    """Whether a firing is the first on its tile of the result that does something, and whether it is the last."""
    if not task.needs:
        here = [(interval(slot, digits), slot.extent) for slot in task.again]
        return all(part.start == 0 for part, _ in here), all(part.stop == extent for part, extent in here)
    sums = {loop for slot in task.again for loop, _ in slot.entries if loop >= 0}
    turns = product(*(range(trips) if loop in sums else [digits[loop]] for loop, trips in enumerate(task.loops)))
    real = [turn for turn in map(list, turns) if _does_something(task, turn)]
    return digits == real[0], digits == real[-1]


def _idle(task: Task, state: _State) -> Firing:
    """The last firing, which did nothing."""
    end = state.ends[-1]
    return Firing(task, len(state.ends) - 1, tuple(state.digits), end, end, end, {}, 0, False, (), True)


def _shape(task: Task, digits: list[int], per_cycle: int) -> tuple[int, int]:
    """Ticks that the rows in use of a systolic array take to load or to empty, and those after the work until all results are out."""
    if task.fold is None:
        return 0, task.latency
    grid = task.fold.grid
    if grid.folds == "full":
        rows, columns = grid.rows, grid.columns
    else:
        rows, columns = (
            prod(len(range(0, len(interval(slot, digits)), tile)) for slot, tile in side) for side in (task.fold.down, task.fold.across)
        )
    last = rows + columns - 2  # the last element takes its last step so long after the first one
    out = grid.rows - rows if task.fold.stays == OPERAND else grid.rows if grid.exit == "edge" else 0
    return rows * per_cycle, task.latency + (last + out) * per_cycle


def interval(slot: Slot, digits: list[int]) -> range:
    """The part of a rank that a firing works on."""
    part = range(slot.extent)
    if slot.window is not None:
        part = _demanded(slot.window, _cut(range(slot.window.extent), slot.window.entries, digits), part)
    return _cut(part, slot.entries, digits)


def _cut(part: range, entries: Sequence[Entry], digits: list[int]) -> range:
    for loop, tile in entries:
        begin = digits[loop] * tile if loop >= 0 else 0
        part = part[begin : begin + tile]
    return part


def _demanded(window: Window, turn: range, whole: range) -> range:
    """What a turn of a consumer's loops needs, coordinate by coordinate, from the first to the last."""
    wanted = {window.factor * value + window.offset + at for value in turn for at in range(window.width)} & set(whole)
    if window.retained and turn:
        made = {window.factor * value + window.offset + at for value in range(turn[0]) for at in range(window.width)}
        wanted -= set(range(max(made, default=-1) + 1))
    return range(min(wanted), max(wanted) + 1) if wanted else range(0)


def _places(slot: Slot, digits: list[int]) -> list[int]:
    """The same of all copies that have a part of their own."""
    found = list(interval(slot, digits))
    for count, apart in slot.spread:
        found = [place + number * apart for number in range(count) for place in found]
    return found


def _copies(box: Box, digits: list[int]) -> dict[tuple[int, ...], Box]:
    """Of a box whose copies hold parts of windows, the box of each, by the number of its part at each level."""
    found: dict[tuple[int, ...], Box] = {(): box}
    for level in () if box.met else box.levels:
        cut: dict[tuple[int, ...], Box] = {}
        for copy, each in found.items():
            whole = interval(each.slots[level.rank], digits)
            for number, at in enumerate(range(0, max(1, len(whole)), level.tile)):
                cut[*copy, number] = replace(each, slots=each.slots | {level.rank: _fixed(whole[at : at + level.tile])})
        found = cut
    return found


def _moved(task: Task, use: Use, digits: list[int], left: _Left) -> list[tuple[Any, ...]]:
    """Words that a use moves, those for several copies that are served at once one time; notes in `left` what each copy holds then."""
    box, groups = use.box, dict[tuple[tuple[int, ...], frozenset[Any]], set[Any]]()
    keeps = box.delta and not box.is_afresh(digits)
    for copy, mine in _copies(box, digits).items():
        touched, there = _touched(mine, digits), left.get((id(use), copy), set())
        if box.leaving:
            touched -= _staying(task, box, copy, digits)
        own = tuple(number for number, level in zip(copy, () if box.met else box.levels, strict=True) if not level.serves)
        group = own, frozenset(touched)
        groups[group] = groups.get(group, touched) & there if keeps else set()
        is_there = all(interval(mine.slots[rank], digits) for index, _, _ in mine.dims for rank in index.ranks)
        left[id(use), copy] = touched if is_there else there
    return [word for (_, touched), held in groups.items() for word in touched - held]


def _fixed(part: range) -> Slot:
    """A slot that has the same interval at every firing."""
    return Slot(part.start + len(part), (), window=Window(1, (), False, 0, part.start, len(part)))


def _touched(box: Box, digits: list[int]) -> set[tuple[int, ...]]:
    """Coordinates that a box holds at a firing."""
    sides = []
    for place, (index, low, high) in enumerate(box.dims):
        side: set[Any] = set()
        for point in product(*(_places(box.slots[rank], digits) for rank, _ in index.terms)):
            value = (index.offset + sum(factor * place for (_, factor), place in zip(index.terms, point, strict=True))) // index.divisor
            value = value % index.modulus if index.modulus else value
            if low <= value < high:
                side.add(point if place in box.counted else (value, *_moment(box, index, point, digits)) if place in box.met else value)
        sides.append(side)
    return set(product(*sides))


def _staying(task: Task, box: Box, copy: tuple[int, ...], digits: list[int]) -> set[tuple[Any, ...]]:
    """What a copy touches at its next firing at which it touches anything, unless its keep is emptied before."""
    turns = list(product(*map(range, task.loops)))
    for later in turns[turns.index(tuple(digits)) + 1 :]:
        if box.is_afresh(later):
            return set()
        mine = _copies(box, list(later)).get(copy) if _does_something(task, list(later)) else None
        touched = _touched(mine, list(later)) if mine else set()
        if touched:
            return set() if _opens_and_closes(task, list(later))[0] else touched  # sums that begin are others
    return set()


def _moment(box: Box, index: IndexMap, point: tuple[int, ...], digits: list[int]) -> Iterator[int]:
    """When a point of copies that are served at once has its turn, and in which of those that are not."""
    for rank, place in zip(index.ranks, point, strict=True):
        inside = place - interval(box.slots[rank], digits).start
        for level in box.levels:
            if level.rank == rank:
                if not level.serves:
                    yield inside // level.tile
                inside %= level.tile
        yield inside


def _bank(use: Use, laid: Laid, word: tuple[Any, ...]) -> int:
    """The bank in which a word lies: its coordinates as an address in the array that is reserved, modulo the number of banks."""
    if use.by_point:  # a value of every rank, of those that a window counts together a tuple
        values = dict[str, int]()
        for place, (index, _, _) in enumerate(use.box.dims):
            each = word[place] if place in use.box.counted else (word[place],)
            values |= dict(zip(index.ranks, each, strict=True))
        coordinates = []
        for index in laid.maps:
            at = (index.offset + sum(factor * values[rank] for rank, factor in index.terms)) // index.divisor
            coordinates.append(at % index.modulus if index.modulus else at)
    else:
        moving = iter(word)
        coordinates = [next(moving) if index.terms else index.offset for index in laid.maps]
    address = 0
    for place in laid.order:
        address = address * laid.shape[place] + coordinates[place]
    return int(address % laid.banks)


def _does_something(task: Task, digits: list[int]) -> bool:
    for place, turn in task.turns.items():
        if (turn == FIRST_TURN and digits[place] > 0) or (turn == LAST_TURN and digits[place] < task.loops[place] - 1):
            return False
    if any(not interval(slot, digits) for slot, _ in task.points):
        return False
    for terms, bound in task.needs:
        parts = [(interval(slot, digits), factor) for slot, factor in terms]
        if any(not part for part, _ in parts) or sum(min(factor * part[0], factor * part[-1]) for part, factor in parts) > bound:
            return False
    return True


def _issues(task: Task, digits: list[int]) -> int:
    """Residual tiles one by one, each shared out over the lanes."""
    pieces: list[list[int]] = []
    for slot, tile in task.points:
        part = interval(slot, digits)
        pieces.append([len(part[at : at + tile]) for at in range(0, len(part), tile)])
    total = 0
    for sizes in product(*pieces):
        points = 1
        for size in sizes:
            points *= size
        total += -(-points // task.lanes)
    return total


def _plan(task: Task, digits: list[int]) -> float:
    key = task.offset
    for digit, stride in zip(digits, task.strides, strict=False):
        key += digit * stride
    return key


def _key(task: Task, state: _State) -> float:
    """When the next firing is planned."""
    own = _plan(task, state.digits)
    if state.held is not None:
        return state.held
    if not task.copies:
        return own
    number, copies, part = len(state.ends) // task.parts, min(task.copies, 8), _part(task, state)
    real = state.digits[: len(task.loops) - len(task.split)]
    if task.copies > 1 and task.within >= 0 and number and not any(real[task.within :]):
        copies = 1
    key = own + (task.ready - task.offset)
    if number and copies > 1:
        key = max(key, state.plans[number - 1])
    if number >= copies:
        key = max(key, state.plans[number - copies] + task.span)
    if not part:
        return key
    turns, fine = (*task.split, 1)[:2]
    between = max(0.0, own - key) / turns // task.grain * task.grain
    return key + (part // fine * between + part % fine * (between / fine))


def _part(task: Task, state: _State) -> int:
    """Which part of its tile a load brings next."""
    return len(state.ends) % task.parts


def _rank(task: Task, tasks: list[Task]) -> Any:
    """Whose turn it is among tasks that are planned for the same moment."""
    place = next(number for number, each in enumerate(tasks) if each is task)
    if task.kind == COMPUTE:
        return 0, place
    if task.kind == BARRIER:
        return 4, place
    if task.copies:
        return (-1 if task.copies > 1 and task.within < 0 else 3), place
    return 2, -place
