"""The exact mapper beside AccelForge's, and its cost against the number of Einsums.

python -m tests.benchmarks.mapper [--peer | --recorded FILE] [--case ID ...]    objectives, CPU seconds, start and memory, case by case
python -m tests.benchmarks.mapper --scale [--plot FILE]                         chains and transformer layers, longer and longer

Every search runs in a process of its own. CPU seconds of a mapper go from problem to mapping: for accelsim an Evaluator, an Exact and its
run; for AccelForge its mapper, without the specification. Start is the interpreter, all imports and, for accelsim, loading its compiled
kernels. Of searches below 10 CPU seconds, of either, the middle one of three counts. The value is what the front-door Evaluator says of
the mapping found. AccelForge's rows are `peer_cases.RECORDED`; with --recorded, those that `peer_accelforge.py` printed before, as a JSON
list, or what --json wrote; with --peer, it runs. If they hold mappings, these are evaluated here too ("recount": what AccelForge's mapping
costs by our count). "gap" is how far below the value the bound is.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import product
from math import exp, log
from pathlib import Path
from typing import Any

from tests.benchmarks.peer_cases import ARCHITECTURES, CASES, RECORDED, case, chain

Record = dict[str, Any]

ROOT = Path(__file__).resolve().parents[2]
PEER_PYTHON = "ACCELSIM_PEER_PYTHON"
MACHINES = ("hw/arch/simple.yaml", "hw/arch/tpu_like.yaml")
SHORT = 10.0  # CPU seconds of a search that is run three times
TOLERANCE = 1e-6  # AccelForge computes in 32-bit floats
ROUNDED = 2e-6  # and `RECORDED` holds seven digits
NO_PEER = (
    f"{PEER_PYTHON} names no Python that has accelforge; python3 -m venv peer && peer/bin/pip install accelforge==1.0.467, "
    f"then {PEER_PYTHON}=peer/bin/python, or give --recorded FILE"
)


# --- one search, in its own process -------------------------------------------------------------------------------------------------


def solve(job: Record) -> Record:
    """Row of a job: a `case` of `peer_cases`, or `statements` with a `shape` on a shipped machine. All of accelsim is imported here."""
    from accelsim.io.hardware import load_architecture
    from accelsim.kernel_cache import cpu_seconds
    from accelsim.mapper.exact import Exact
    from accelsim.mapper.figures import Scale, aim
    from accelsim.mapper.options import Limits
    from accelsim.mapping.text import nest
    from accelsim.model.evaluation import Evaluator
    from accelsim.workload.build import cascade
    from tests.benchmarks import peer_problems

    peer_problems.search(peer_problems.problem(case("start", "tpu_v4i", "energy x latency", chain(2, 2)))).run()  # loads the kernels
    row: Record = {"start_cpu_s": time.process_time(), "error": None}
    limits = Limits(cpu_seconds() + job["cpu_limit"] if job["cpu_limit"] else float("inf"))
    problem = job.get("case")
    if problem is None:
        work, machine = cascade("long", job["statements"], job["shape"]), load_architecture(ROOT / job["machine"], {})
    else:
        asked = peer_problems.problem(problem, job["rules"])
    before = time.process_time()
    if problem is None:
        evaluator = Evaluator(work, machine)
        search = Exact(evaluator, aim(job["objective"], Scale.of(evaluator)), limits=limits)
    else:
        search = peer_problems.search(asked, limits)
    found = search.run()
    row |= {"mapper_cpu_s": time.process_time() - before, "einsums": len(search.order)}
    if found is None:
        return row | {"error": "no mapping found"}
    evaluation = search.evaluator.evaluate(found.mapping)
    row |= {"energy_j": evaluation.energy_pj * 1e-12, "latency_s": evaluation.seconds, "gap": 1 - found.bound / found.value}
    row |= {"covered": found.covered, "evaluated": found.evaluated, "mapping": nest(found.mapping)}
    row["peak_rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6
    if problem is not None:
        row |= {"objective_value": peer_problems.value(problem, evaluation), "wider": peer_problems.wider(problem, job["rules"])}
        row["recount"] = peer_problems.recount(problem, search.evaluator, job["peer_mapping"]) if job.get("peer_mapping") else None
    return row


def run_job(job: Record) -> Record:
    """The row of a job from a fresh process, which is ended when it takes much longer than it may."""
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-m", "tests.benchmarks.mapper", "--solve"]
    limit = int(1.5 * job["cpu_limit"] + 10) if job["cpu_limit"] else resource.RLIM_INFINITY
    done = subprocess.run(
        command, input=json.dumps(job), capture_output=True, text=True, cwd=ROOT, env=environment,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (limit, limit)),
    )  # fmt: skip
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"ended after {limit} CPU seconds or by a signal"
        return {"error": reason}
    row: Record = json.loads(done.stdout)
    return row


def run_peer(problem: Record, cpu_limit: float) -> Record:
    """The row of a case from AccelForge, in its own Python."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "case.json"
        file.write_text(json.dumps(problem | {"architecture": ARCHITECTURES[problem["architecture"]]}), encoding="utf-8")
        command = [os.environ[PEER_PYTHON], str(ROOT / "tests" / "benchmarks" / "peer_accelforge.py"), str(file), "--mapping"]
        command += ["--cpu-limit", str(cpu_limit)] if cpu_limit else []
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        return {"error": (done.stderr.strip().splitlines() or ["failed without a word"])[-1]}
    row: Record = json.loads(done.stdout)
    return row


def middle(run: Callable[[], Record]) -> Record:
    """A row; of a search that takes less than 10 CPU seconds, the middle one of three, each from a fresh process."""
    first = run()
    if first["error"] is not None or first["mapper_cpu_s"] >= SHORT:
        return first
    return sorted((first, run(), run()), key=lambda row: row.get("mapper_cpu_s", 0.0))[1]


def recorded(file: Path | None) -> dict[str, Record]:
    """Rows of AccelForge by case: those of a file, else what `peer_cases` records."""
    if file is not None:
        return {row["id"]: row.get("peer", row) for row in json.loads(file.read_text(encoding="utf-8"))}
    rows: dict[str, Record] = {}
    goals = {problem["id"]: problem["objective"] for problem in CASES}
    for name, (energy, latency, seconds) in RECORDED.items():
        if energy is None or latency is None:
            rows[name] = {"error": "no valid mapping found"}
        else:
            value = {"energy": energy, "latency": latency, "energy x latency": energy * latency}[goals[name]]
            rows[name] = {"objective_value": value, "mapper_cpu_s": seconds, "tolerance": ROUNDED}
    return rows


# --- against the peer ---------------------------------------------------------------------------------------------------------------


def tell(what: str, row: Record) -> None:
    """A line of progress."""
    print(f"{what}: {row['error'] or format(row['mapper_cpu_s'], '.2f') + ' CPU s'}", file=sys.stderr, flush=True)


def compare(problems: list[Record], peer: dict[str, Record] | None, rules: bool, cpu_limit: float) -> list[Record]:
    """Rows {id, ours, peer} of some cases; without rows of the peer it runs. A first search on each machine leaves all kernels compiled."""
    for machine in sorted({problem["architecture"] for problem in problems}):
        run_job({"case": case("warm", machine, "energy x latency", chain(2, 8)), "rules": rules, "cpu_limit": 0})
    rows = []
    for problem in problems:
        if peer is None:
            theirs = middle(partial(run_peer, problem, cpu_limit))
        else:
            theirs = peer.get(problem["id"], {"error": "no row of this case"})
        job = {"case": problem, "rules": rules, "cpu_limit": cpu_limit, "peer_mapping": theirs.get("mapping")}
        ours = middle(partial(run_job, job))
        rows.append({"id": problem["id"], "ours": ours, "peer": theirs})
        tell(problem["id"], ours)
    return rows


def ratio(row: Record) -> float | None:
    """Our value over AccelForge's, None if one of them has none."""
    ours, theirs = row["ours"].get("objective_value"), row["peer"].get("objective_value")
    return None if ours is None or theirs is None else ours / theirs


def is_worse(row: Record) -> bool:
    """Whether we have no mapping, or one that is worse than AccelForge's by more than rounding."""
    found = ratio(row)
    return bool(row["ours"]["error"]) or (found is not None and found > 1 + row["peer"].get("tolerance", TOLERANCE))


def notes(row: Record) -> Iterator[str]:
    """What is to be said about a row."""
    ours, theirs = row["ours"], row["peer"]
    for who, found in (("accelsim", ours), ("AccelForge", theirs)):
        if found.get("error"):
            yield f"{who}: {found['error']}"
    if ours.get("gap", 0) > TOLERANCE:
        yield f"accelsim was stopped, its bound is {ours['gap']:.1%} below its value; its time is not compared"
    recount = ours.get("recount") or {}
    if recount.get("illegal"):
        yield f"AccelForge's mapping is not legal here: {recount['illegal']}"
    if is_worse(row) and not ours["error"]:
        better = recount.get("objective_value", 0) >= ours["objective_value"] * (1 - TOLERANCE)
        yield f"worse{' than AccelForge reports, but not than its mapping by our count' if better else ''}"


def speed_up(row: Record) -> float | None:
    """AccelForge's CPU seconds over ours, where both finished."""
    ours, theirs = row["ours"], row["peer"]
    if ours["error"] or theirs.get("error") or ours["gap"] > TOLERANCE or not theirs.get("mapper_cpu_s"):
        return None
    return float(theirs["mapper_cpu_s"] / ours["mapper_cpu_s"])


def number(found: float | None, form: str) -> str:
    """A figure as text."""
    return "—" if found is None else format(found, form)


def show(rows: list[Record]) -> None:
    """The table, its notes and the summary."""
    from rich.console import Console
    from rich.table import Table

    table = Table("case", title="objectives in J, s or J s; seconds of CPU; start and memory: AccelForge / accelsim", title_justify="left")
    for head in ("AccelForge", "recount", "accelsim", "ratio", "gap", "AccelForge s", "accelsim s", "speed-up", "start s", "MB"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        ours, theirs = row["ours"], row["peer"]
        table.add_row(
            row["id"], number(theirs.get("objective_value"), ".6g"), number((ours.get("recount") or {}).get("objective_value"), ".6g"),
            number(ours.get("objective_value"), ".6g"), number(ratio(row), ".6f"), number(ours.get("gap"), ".1%"),
            number(theirs.get("mapper_cpu_s"), ".2f"), number(ours.get("mapper_cpu_s"), ".2f"), number(speed_up(row), ".1f"),
            f"{number(theirs.get('import_cpu_s'), '.2f')} / {number(ours.get('start_cpu_s'), '.2f')}",
            f"{number(theirs.get('peak_rss_mb'), '.0f')} / {number(ours.get('peak_rss_mb'), '.0f')}",
        )  # fmt: skip
    lines = [f"{row['id']}: {note}" for row in rows for note in notes(row)]
    speedups = {row["id"]: found for row in rows if (found := speed_up(row)) is not None}
    if speedups:
        mean, worst = exp(sum(map(log, speedups.values())) / len(speedups)), min(speedups, key=lambda name: speedups[name])
        lines.append(f"speed-up over {len(speedups)} cases: {mean:.2f} in the geometric mean, {speedups[worst]:.2f} at worst ({worst})")
    worse = [row["id"] for row in rows if is_worse(row)]
    lines.append(f"never worse: {'no, see ' + ', '.join(worse) if worse else 'yes'}")
    console = Console(width=None if sys.stdout.isatty() else 190)
    console.print(table)
    for line in [*widenings(rows), *lines]:
        console.print(line, highlight=False, soft_wrap=True, markup=False)


def widenings(rows: list[Record]) -> Iterator[str]:
    """What our spaces have that the peer's have not, with the cases."""
    found: dict[str, list[str]] = {}
    for row in rows:
        for what in row["ours"].get("wider", []):
            found.setdefault(what, []).append(row["id"])
    for what, names in found.items():
        yield f"wider here: {what} ({len(names)} cases)"


# --- longer and longer --------------------------------------------------------------------------------------------------------------


def layer(at: int) -> list[str]:
    """A transformer layer with residuals; X{at} goes in, X{at + 1} comes out."""
    statements = [
        "Q@[m,h,e] = X@[m,d] * WQ@[h,e,d]",
        "K@[m,h,e] = X@[m,d] * WK@[h,e,d]",
        "V@[m,h,f] = X@[m,d] * WV@[h,f,d]",
        "S@[m,p,h] = Q@[m,h,e] * K@[p,h,e]",
        "P@[m,p,h] = exp(S@[m,p,h])",
        "A@[m,h,f] = P@[m,p,h] * V@[p,h,f]",
        "Z@[m,d] = A@[m,h,f] * WZ@[h,f,d]",
        "Y@[m,d] = Z@[m,d] + X@[m,d]",
        "F@[m,c] = Y@[m,d] * WF@[d,c]",
        "G@[m,d] = F@[m,c] * WG@[c,d]",
        f"X{at + 1}[m,d] = G@[m,d] + Y@[m,d]",
    ]
    return [text.replace("@", str(at)) for text in statements]


def long_problems() -> dict[str, list[Record]]:
    """Series of ever longer problems, as jobs: chains of products, of one size or of many, and stacks of layers."""
    series: dict[str, list[Record]] = {"chain, equal sizes": [], "chain, different sizes": [], "transformer layers": []}
    for length in (2, 4, 8, 16, 32, 64):
        work = chain(length, 512)
        job = {"statements": list(work["einsums"].values()), "shape": work["shape"]}
        series["chain, equal sizes"].append(job)
        sizes = {f"n{at}": 256 + 8 * (37 * at % 65) for at in range(length + 1)}  # all different, whatever the length from 256 to 768
        series["chain, different sizes"].append(job | {"shape": {"m": 512} | sizes})
    shape = {"m": 512, "p": 512, "h": 8, "e": 64, "f": 64, "d": 512, "c": 2048}
    for count in (1, 2, 4):
        series["transformer layers"].append({"statements": [text for at in range(count) for text in layer(at)], "shape": shape})
    return series


def measure_scale(cpu_limit: float) -> list[Record]:
    """A row for every problem, machine and objective; after one that failed or was stopped, longer ones of its series are not tried."""
    rows = []
    warm = {"statements": ["B[m] = abs(A[m])", "C[m] = abs(B[m])"], "shape": {"m": 4}, "objective": "latency", "cpu_limit": 0}
    for machine in MACHINES:
        run_job(warm | {"machine": machine})  # compiles the kernels
    for machine, objective in product(MACHINES, ("energy", "latency")):
        for name, jobs in long_problems().items():
            reason = ""
            for job in jobs:
                asked = {"series": name, "machine": machine, "objective": objective, "einsums": len(job["statements"])}
                row: Record = {"error": reason} if reason else run_job(job | asked | {"cpu_limit": cpu_limit})
                rows.append(row | asked)
                tell(f"{name}, {len(job['statements'])} Einsums, {machine}, {objective}", row)
                if not reason and (row["error"] or row["gap"] > TOLERANCE):
                    reason = f"not run: {row['error'] or 'stopped'} at {len(job['statements'])} Einsums"
    return rows


def show_scale(rows: list[Record], plot: Path | None) -> None:
    """The table, and the plot if it is asked for."""
    from rich.console import Console
    from rich.table import Table

    figures = ("mapper_cpu_s", ".2f"), ("gap", ".1%"), ("covered", ".3g"), ("evaluated", "d"), ("peak_rss_mb", ".0f")
    table = Table("series", "machine", "objective", "Einsums", "CPU s", "gap", "covered", "evaluated", "MB", "note")
    for row in rows:
        cells = [number(row.get(key), form) for key, form in figures]
        table.add_row(row["series"], Path(row["machine"]).stem, row["objective"], str(row["einsums"]), *cells, row["error"] or "")
    Console(width=None if sys.stdout.isatty() else 190).print(table)
    if plot is not None:
        draw(rows, plot)


def draw(rows: list[Record], file: Path) -> None:
    """CPU seconds over Einsums, a panel for each machine, with a line of slope one."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.5), layout="constrained")
    panels = figure.subplots(1, len(MACHINES), sharey=True)
    colours = {name: f"C{at}" for at, name in enumerate(long_problems())}
    for panel, machine in zip(panels, MACHINES, strict=True):
        for (name, colour), (objective, line) in product(colours.items(), (("energy", "-"), ("latency", "--"))):
            wanted = (name, machine, objective, None)
            found = [row for row in rows if (row["series"], row["machine"], row["objective"], row["error"]) == wanted]
            einsums, seconds = [row["einsums"] for row in found], [row["mapper_cpu_s"] for row in found]
            panel.plot(einsums, seconds, line, color=colour, marker="o", markersize=4, label=f"{name}, {objective}")
            stopped = [(row["einsums"], row["mapper_cpu_s"]) for row in found if row["gap"] > TOLERANCE]
            panel.plot(*zip(*stopped, strict=True), "o", color=colour, markerfacecolor="white", markersize=6) if stopped else None
        done = [row["mapper_cpu_s"] for row in rows if row["machine"] == machine and not row["error"]]
        least = min(done, default=1.0)
        panel.plot([2, 64], [least, 32 * least], color="0.6", linewidth=1, label="slope one")
        panel.set(xscale="log", yscale="log", title=Path(machine).stem, xlabel="Einsums")
        panel.set_xticks([2, 4, 8, 16, 32, 64], ["2", "4", "8", "16", "32", "64"], minor=False)
        panel.minorticks_off()
        panel.grid(color="0.9")
    panels[0].set_ylabel("CPU seconds (hollow: stopped, not proved)")
    panels[0].legend(fontsize=8, frameon=False)
    figure.savefig(file, dpi=150)


# --- command line -------------------------------------------------------------------------------------------------------------------


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(description="Benchmark of the exact mapper.")
    parser.add_argument("--peer", action="store_true", help=f"run AccelForge too, with the Python that {PEER_PYTHON} names")
    parser.add_argument("--recorded", type=Path, metavar="FILE", help="take AccelForge's rows from a JSON file")
    parser.add_argument("--case", nargs="+", metavar="ID", help="only these cases")
    parser.add_argument("--wide", action="store_true", help="without the rules that go by an Einsum's roles")
    parser.add_argument("--scale", action="store_true", help="cost against the number of Einsums")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="with --scale: draw a PNG")
    parser.add_argument("--cpu-limit", type=float, default=0, metavar="S", help="stop every search after so many CPU seconds")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows")
    parser.add_argument("--solve", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.solve:
        print(json.dumps(solve(json.load(sys.stdin))))
        return 0
    if arguments.peer and not os.environ.get(PEER_PYTHON):
        parser.error(NO_PEER)
    known = {problem["id"]: problem for problem in CASES}
    if unknown := [name for name in arguments.case or [] if name not in known]:
        parser.error(f"there is no case {unknown[0]}; the cases: {', '.join(known)}")
    if arguments.scale:
        rows = measure_scale(arguments.cpu_limit)
        show_scale(rows, arguments.plot)
    else:
        problems = [known[name] for name in arguments.case] if arguments.case else CASES
        rows = compare(problems, None if arguments.peer else recorded(arguments.recorded), not arguments.wide, arguments.cpu_limit)
        show(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
