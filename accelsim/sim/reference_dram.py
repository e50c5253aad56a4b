"""A DRAM controller cycle by cycle, to be believed at sight: in every cycle, the first command of its list that every rule allows.

`kernels_dram.serve` does the same without looking at every cycle; the two share nothing but the nouns.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from accelsim.hardware.dram import AddressMap, Dram, Policy, Where

Scope = tuple[int, ...]  # (rank,), (rank, group) or (rank, group, bank) of one channel


@dataclass(slots=True)
class Request:
    """A burst that someone wants."""

    number: int
    arrival: int
    where: Where
    write: bool
    first_command: str = ""

    @property
    def bank(self) -> Scope:
        return (self.where.rank, self.where.group, self.where.bank)


@dataclass(frozen=True, slots=True)
class Rule:
    """`after` comes at least `distance` cycles after `before` in the same scope; scope 1 is the rank, 2 the bank group, 3 the bank."""

    before: str
    after: str
    scope: int
    distance: int
    cause: str = ""


@dataclass(slots=True)
class Replay:
    """What a run did: `done` by request, `counters`, and the trace as (cycle, kind, channel, rank, group, bank, request)."""

    done: list[int]
    counters: Counter[str] = field(default_factory=Counter)
    trace: list[tuple[int, str, int, int, int, int, int]] = field(default_factory=list)


def rules(dram: Dram) -> list[Rule]:
    """Every distance between two commands of a rank."""
    t = dram.timings
    written = t.tCWL + dram.burst_cycles  # from a write to its last beat
    return [
        Rule("ACT", "RD", 3, t.tRCD, "row"),
        Rule("ACT", "WR", 3, t.tRCD_WR, "row"),
        Rule("ACT", "PRE", 3, t.tRAS),
        Rule("ACT", "ACT", 3, t.tRC, "bank"),
        Rule("PRE", "ACT", 3, t.tRP, "bank"),
        Rule("REF", "ACT", 1, t.tRFC, "bank"),
        Rule("ACT", "ACT", 2, t.tRRD_L, "rank"),
        Rule("ACT", "ACT", 1, t.tRRD_S, "rank"),
        Rule("RD", "PRE", 3, t.tRTP),
        Rule("WR", "PRE", 3, written + t.tWR),
        Rule("RD", "RD", 2, t.tCCD_L, "column"),
        Rule("RD", "RD", 1, t.tCCD_S, "column"),
        Rule("WR", "WR", 2, t.tCCD_L_WR, "column"),
        Rule("WR", "WR", 1, t.tCCD_S, "column"),
        Rule("RD", "WR", 1, t.tRTW, "turn"),
        Rule("WR", "RD", 2, written + t.tWTR_L, "turn"),
        Rule("WR", "RD", 1, written + t.tWTR_S, "turn"),
        Rule("ACT", "REF", 1, t.tRC),
        Rule("PRE", "REF", 1, t.tRP),
        Rule("REF", "REF", 1, t.tRFC),
    ]


class Channel:
    """The controller and the banks of one channel."""

    def __init__(self, dram: Dram, policy: Policy, number: int, requests: list[Request], replay: Replay) -> None:
        self.dram, self.policy, self.number, self.replay = dram, policy, number, replay
        self.rules = rules(dram)
        self.pending = requests  # in program order, not yet served
        self.last: dict[tuple[str, Scope], int] = {}  # the latest cycle of a kind in a scope
        self.activates: dict[int, list[int]] = {rank: [] for rank in range(dram.ranks)}
        self.open: dict[Scope, int] = {}  # bank to row
        self.rate_limited: dict[Scope, bool] = {}
        interval = dram.timings.tREFI
        self.due = {rank: interval + rank * interval // dram.ranks for rank in range(dram.ranks)} if policy.refresh else {}
        self.bus_free, self.bus_rank, self.bus_write = 0, -1, False
        self.refreshed: set[int] = set()  # ranks, since the last column command
        self.overtaken = 0  # how often the oldest request was, since it is the oldest

    def run(self) -> None:
        """Every cycle until all is served."""
        cycle = 0
        while self.pending:
            queue = [request for request in self.pending if request.arrival <= cycle][: self.policy.depth]
            if self.overtaken >= self.policy.overtakes:
                queue = queue[:1]
            self.refresh(cycle) or self.column(queue, cycle) or self.row(queue, cycle)
            cycle += 1

    def limit(self, kind: str, bank: Scope, *causes: str) -> int:
        """The first cycle in which the rules (of these causes, if any are given) allow a command."""
        found = [
            self.last[rule.before, bank[: rule.scope]] + rule.distance
            for rule in self.rules
            if rule.after == kind and (rule.before, bank[: rule.scope]) in self.last and (not causes or rule.cause in causes)
        ]
        if kind == "ACT" and len(self.activates[bank[0]]) >= 4 and (not causes or "rank" in causes):
            found.append(self.activates[bank[0]][-4] + self.dram.timings.tFAW)
        return max(found, default=-1)

    def switch(self, kind: str, rank: int) -> int:
        """The first cycle in which the data bus allows a column command."""
        rest = self.dram.timings.tRTRS if self.bus_rank not in (-1, rank) else 0
        return self.bus_free + rest - self.latency(kind)

    def latency(self, kind: str) -> int:
        return self.dram.timings.tCL if kind == "RD" else self.dram.timings.tCWL

    def note(self, kind: str, bank: Scope, cycle: int) -> None:
        """Remember a command for the rules."""
        for scope in (bank[:1], bank[:2], bank[:3]):
            self.last[kind, scope] = max(cycle, self.last.get((kind, scope), -1))

    def tell(self, cycle: int, kind: str, bank: Scope, request: int = -1) -> bool:
        """Write a command into the trace."""
        self.replay.trace.append((cycle, kind, self.number, bank[0], bank[1], bank[2], request))
        return True

    def locked(self, rank: int, cycle: int) -> bool:
        """Whether a refresh of the rank is due, so that nothing else is sent to it."""
        return rank in self.due and cycle >= self.due[rank]

    def refresh(self, cycle: int) -> bool:
        """Close all banks of a rank that is due, or refresh it."""
        for rank in self.due:
            if not self.locked(rank, cycle):
                continue
            opened = [bank for bank in self.open if bank[0] == rank]
            if opened and all(self.limit("PRE", bank) <= cycle for bank in opened):
                for bank in opened:
                    self.close(bank, cycle)
                return self.tell(cycle, "PREA", (rank, 0, 0))
            if not opened and self.limit("REF", (rank, 0, 0)) <= cycle:
                self.note("REF", (rank,), cycle)
                self.due[rank] += self.dram.timings.tREFI
                self.refreshed.add(rank)
                self.replay.counters["refreshes"] += 1
                return self.tell(cycle, "REF", (rank, 0, 0))
        return False

    def close(self, bank: Scope, cycle: int) -> None:
        del self.open[bank]
        self.note("PRE", bank, cycle)
        self.replay.counters["precharges"] += 1

    def column(self, queue: list[Request], cycle: int) -> bool:
        """Send the column command of the oldest request whose row is open and which every rule allows."""
        for request in queue:
            kind, bank = "WR" if request.write else "RD", request.bank
            if self.locked(bank[0], cycle) or self.open.get(bank) != request.where.row:
                continue
            if cycle < self.limit(kind, bank) or cycle < self.switch(kind, bank[0]):
                continue
            self.begin(request, "hits")
            self.account(kind, bank, cycle)
            self.replay.done[request.number] = self.bus_free
            self.note(kind, bank, cycle)
            if self.policy.page == "closed":
                self.close(bank, self.limit("PRE", bank))
            self.overtaken = 0 if request is self.pending[0] else self.overtaken + 1
            self.pending.remove(request)
            return self.tell(cycle, kind + "A" * (self.policy.page == "closed"), bank, request.number)
        return False

    def account(self, kind: str, bank: Scope, cycle: int) -> None:
        """Say what the data bus did since its last burst, and give it the next one."""
        counters, latency = self.replay.counters, self.latency(kind)
        begins = cycle + latency
        resting = range(self.bus_free, begins)
        idle = [each for each in resting if each < self.pending[0].arrival + latency]
        counters["waiting_cycles"] += len(idle)
        counters[self.cause(kind, bank)] += len(resting) - len(idle)
        counters["data_cycles"] += self.dram.burst_cycles
        counters["turns"] += self.bus_rank >= 0 and self.bus_write != (kind == "WR")
        self.bus_free, self.bus_rank, self.bus_write = begins + self.dram.burst_cycles, bank[0], kind == "WR"
        self.refreshed.clear()

    def cause(self, kind: str, bank: Scope) -> str:
        """What held a column command back longest."""
        if bank[0] in self.refreshed:
            return "refresh_cycles"
        turn = self.limit(kind, bank, "turn")
        if self.bus_rank not in (-1, bank[0]):
            turn = max(turn, self.switch(kind, bank[0]))
        row = "activate_cycles" if self.rate_limited[bank] else "row_cycles"
        limits = [(turn, "turn_cycles"), (self.limit(kind, bank, "column"), "column_cycles"), (self.limit(kind, bank, "row"), row)]
        return next(cause for limit, cause in limits if limit == max(limits)[0])

    def row(self, queue: list[Request], cycle: int) -> bool:
        """Open or close a row for the oldest request for which every rule allows it; what others in the queue want stays open."""
        banks: set[Scope] = set()
        for request in queue:
            bank, row = request.bank, request.where.row
            if self.locked(bank[0], cycle) or bank in banks or self.open.get(bank) == row:
                continue
            banks.add(bank)  # only the oldest of a bank says which row it opens
            if bank not in self.open:
                if self.limit("ACT", bank) <= cycle:
                    self.begin(request, "misses")
                    ready = max(self.limit("ACT", bank, "bank"), request.arrival)
                    self.rate_limited[bank] = self.limit("ACT", bank, "rank") > ready
                    self.open[bank] = row
                    self.note("ACT", bank, cycle)
                    self.activates[bank[0]].append(cycle)
                    self.replay.counters["activates"] += 1
                    return self.tell(cycle, "ACT", bank, request.number)
                continue
            wanted = any(other.bank == bank and other.where.row == self.open[bank] for other in queue)
            if not wanted and self.limit("PRE", bank) <= cycle:
                self.begin(request, "conflicts")
                self.close(bank, cycle)
                return self.tell(cycle, "PRE", bank, request.number)
        return False

    def begin(self, request: Request, what: str) -> None:
        """Count a request by its first command."""
        if not request.first_command:
            request.first_command = what
            self.replay.counters[what] += 1


def serve(dram: Dram, order: AddressMap, policy: Policy, addresses: list[int], writes: list[bool], arrivals: list[int]) -> Replay:
    """Serve requests, channel by channel; counters as in `serving.Counters`."""
    replay = Replay([0] * len(addresses))
    requests = [
        Request(number, arrival, order.decode(address, dram), write)
        for number, (address, write, arrival) in enumerate(zip(addresses, writes, arrivals, strict=True))
    ]
    for channel in range(dram.channels):
        Channel(dram, policy, channel, [each for each in requests if each.where.channel == channel], replay).run()
    return replay
