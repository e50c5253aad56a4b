"""One case of the mapper benchmark, solved by AccelForge.

Run by a Python that has accelforge 1.0.467: python tests/benchmarks/peer_accelforge.py CASE.json [--cpu-limit SECONDS] [--mapping]

CASE.json holds one case in the vocabulary of `peer_cases.py`; its architecture is a record, or the name of one there. The record is
translated to an AccelForge specification, AccelForge's own mapper runs in this one process, and one line of JSON goes to standard output:
energy, latency and objective of the mapping it returns, processor and wall seconds of the import, of building the specification and of the
mapper, and the largest memory use. A failure is reported in `error`, and the measured times are kept.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import re
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

MISSING = "inf"  # How AccelForge writes a size or a rate without limit
METRICS = {"energy": "ENERGY", "latency": "LATENCY", "energy x latency": "ENERGY_DELAY_PRODUCT"}
KEEPS = {
    r"every tensor that is not an intermediate; intermediates may be kept": {"keep": "~Intermediates", "may_keep": "All"},
    r"every tensor that (\w+) does not keep; others may be kept": {"keep": r"~\1", "may_keep": "All"},
    r"the input and the output of each Einsum; never its weight": {"keep": "input | output"},
    r"the weight": {"keep": "weight"},
}
PORTS = {"shared": "sum", "separate read and write": "max"}
SIZES = {"one weight value": "weight.bits_per_value if weight else 0"}
USES = {
    r"as full as factors allow": {"min_usage": 1},
    r"as full as factors allow; only ranks the (\w+) does not index": {"min_usage": 1, "reuse": r"\1"},
}
RUNS = {"every Einsum": True, "Einsums with two tensors": "len(All) == 2", "Einsums with three tensors": "len(All) == 3"}
TILES = {"divisors only": False, "uneven": True}
TENSOR = re.compile(r"(\w+)\[([^\]]*)\]")


class CpuLimitReached(BaseException):
    """The mapper used the processor time it was given. Not an Exception, so that no handler inside the mapper takes it."""


class Meter:
    """Processor and wall seconds of a block, threads and child processes included."""

    def __init__(self) -> None:
        self.cpu_s = self.wall_s = 0.0

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        cpu, wall = cpu_seconds(), time.perf_counter()
        try:
            yield
        finally:
            self.cpu_s, self.wall_s = cpu_seconds() - cpu, time.perf_counter() - wall


def cpu_seconds() -> float:
    """User and system seconds of this process and of its finished children."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def peak_rss_mb() -> float:
    """Largest resident set of this process or of a child, in 10^6 bytes."""
    factor = 1 if sys.platform == "darwin" else 1024
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) * factor / 1e6


def phrase(table: dict[str, dict[str, Any]], text: str) -> dict[str, Any]:
    """The entry of a table whose pattern is the whole text, with the words that the pattern captured filled in."""
    for pattern, entry in table.items():
        if match := re.fullmatch(pattern, text):
            return {key: match.expand(value) if isinstance(value, str) else value for key, value in entry.items()}
    raise ValueError(f"no translation for {text!r}")


def joules(picojoules: float) -> float:
    return picojoules * 1e-12


def spatial(axis: dict[str, Any]) -> dict[str, Any]:
    """A fan-out along one axis. A tensor that the axis must reuse is also the only one it may reuse."""
    entry = {"name": axis["name"], "fanout": axis["fanout"], **phrase(USES, axis["use"])}
    return entry if "reuse" in entry else entry | {"may_reuse": axis["reuses"].capitalize()}


def memory(record: dict[str, Any], axes: list[dict[str, Any]]) -> dict[str, Any]:
    """Node of a memory; reads and writes share its time unless it has a port for each."""
    size = record["size_bits"]
    port = PORTS[record.get("ports", "shared")]
    return {
        "name": record["name"],
        "size": MISSING if size is None else SIZES.get(size, size),
        "leak_power": 0,
        "area": record.get("area_m2", 0),
        "spatial": axes,
        "tensors": phrase(KEEPS, record["keep"]),
        "total_latency": f"{port}(a.n_calls / a.throughput for a in actions)",
        "actions": [
            {"name": way, "energy": joules(record[f"{way}_pj_per_bit"]), "throughput": record[f"{way}_bits_per_s"] or MISSING}
            for way in ("read", "write")
        ],
    }


def unit(record: dict[str, Any]) -> dict[str, Any]:
    action = {"name": "compute", "energy": joules(record["pj_per_operation"]), "throughput": record["operations_per_s"]}
    enabled = RUNS[record["runs"]]
    return {"name": record["name"], "leak_power": 0, "area": record.get("area_m2", 0), "enabled": enabled, "actions": [action]}


def architecture_nodes(af: ModuleType, record: dict[str, Any]) -> list[Any]:
    """Nodes from outside in: below each memory its units, then its arrays; an array of a memory's name copies that memory."""
    if record["leakage_w"]:
        raise ValueError("leakage is not translated")
    axes = {array["name"]: [spatial(axis) for axis in array["axes"]] for array in record["arrays"]}
    memories = {entry["name"] for entry in record["memories"]}
    nodes: list[Any] = []
    for entry in record["memories"]:
        name = entry["name"]
        nodes.append(af.arch.Memory(**memory(entry, axes.get(name, []))))
        nodes += [af.arch.Compute(**unit(compute)) for compute in record["units"] if compute["under"] == name]
        inner = [array["name"] for array in record["arrays"] if array["under"] == name and array["name"] not in memories]
        nodes += [af.arch.Container(name=array, spatial=axes[array]) for array in inner]
    return nodes


def named_ranks(einsums: dict[str, str]) -> dict[str, str]:
    """Statements in which every use of a tensor names its ranks as the first use does: `K[b,p]` after `K[b,m]` is `K[b,M:p]`."""
    ranks: dict[str, list[str]] = {}

    def access(match: re.Match[str]) -> str:
        tensor, indices = match[1], [index.strip() for index in match[2].split(",")]
        known = ranks.setdefault(tensor, [index.upper() for index in indices])
        pairs = zip(known, indices, strict=True)
        return f"{tensor}[{','.join(index if index.upper() == rank else f'{rank}:{index}' for rank, index in pairs)}]"

    return {name: TENSOR.sub(access, statement) for name, statement in einsums.items()}


def renames(roles: dict[str, str]) -> dict[str, str]:
    """Tensors that architecture constraints call input, weight and output; a role that nothing has is the empty set."""
    return {role: roles.get(role, "Nothing") for role in ("input", "weight", "output")} if roles else {}


def workload(af: ModuleType, record: dict[str, Any]) -> Any:
    """Einsums in the order run, with the size of every index."""
    roles = record.get("roles", {})
    return af.Workload(
        iteration_space_shape={index: f"0 <= {index} < {size}" for index, size in record["shape"].items()},
        bits_per_value={"All": record["bits_per_value"]},
        einsums=[
            {"einsum": statement, "renames": renames(roles.get(name, {}))} for name, statement in named_ranks(record["einsums"]).items()
        ],
    )


def specification(af: ModuleType, case: dict[str, Any]) -> Any:
    """The case as AccelForge's input, mapper options included."""
    options = case["options"]
    limit = options["max_fused_loops"]
    spec = af.Spec(arch=af.Arch(nodes=architecture_nodes(af, case["architecture"])), workload=workload(af, case["workload"]))
    spec.mapper.metrics = af.Metrics[METRICS[case["objective"]]]
    spec.mapper.max_fused_loops = float("inf") if limit is None else limit
    spec.mapper.max_fused_loops_per_rank_variable = options["max_fused_loops_per_rank"]
    spec.mapper.explore_imperfect_temporal_loops = spec.mapper.explore_imperfect_spatial_loops = TILES[options["tiles"]]
    return spec


def find(spec: Any, cpu_limit: float | None) -> Any:
    """The mapper's answer in one process, without the drawing that `Spec.map_workload_to_arch` adds."""
    from accelforge.mapper.FFM.main import map_workload_to_arch

    def stop(_signal: int, _frame: FrameType | None) -> None:
        raise CpuLimitReached(f"cut after {cpu_limit:g} CPU seconds")

    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, cpu_limit or 0)
    try:
        return map_workload_to_arch(spec, print_progress=False, eval_in_detail=False)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def evaluate(spec: Any, found: Any) -> tuple[float, float]:
    """Joules and seconds of the mapping found, from AccelForge's model."""
    from accelforge.model.main import evaluate_mapping

    spec = copy.deepcopy(spec)
    spec.model.metrics = spec.mapper.info_metrics
    spec.mapping = found.data.iloc[0]["Total<SEP>mapping"](_for_model=True)
    result = evaluate_mapping(spec, flattened_arches=found.flattened_arches, evaluated_specs=found.evaluated_specs)
    return float(result.energy()), float(result.latency())


def loop_tree(nodes: list[Any]) -> list[dict[str, Any]]:
    """A mapping from outside in: tensors kept, loops in time and space with the tile left inside, branches run in order, units.

    A tensor is kept where its space is reserved: AccelForge lifts the storage node of a tensor that branches share above their loops.
    """
    tree: list[dict[str, Any]] = []
    for node in nodes:
        match type(node).__name__:
            case "Reservation":
                tree.append({"keep": {"memory": node.resource, "tensors": list(node.purposes)}})
            case "Temporal":
                tree.append({"for": {"rank": node.rank_variable, "tile": int(node.tile_shape)}})
            case "Spatial":
                place = {"array": node.component, "axis": node.name}
                tree.append({"spatial": {"rank": node.rank_variable, "tile": int(node.tile_shape), **place}})
            case "Sequential":
                tree.append({"fuse": {"run": "sequential", "branches": [loop_tree(branch.nodes) for branch in node.nodes]}})
            case "Compute":
                tree.append({"compute": {"einsum": node.einsum, "unit": node.component}})
    return tree


def objective_value(objective: str, energy: float, latency: float) -> float:
    return {"energy": energy, "latency": latency, "energy x latency": energy * latency}[objective]


def solve(case: dict[str, Any], cpu_limit: float | None = None, with_mapping: bool = False) -> dict[str, Any]:
    """The row of a case; what fails inside AccelForge becomes its `error`."""
    importing, setup, mapper = Meter(), Meter(), Meter()
    row: dict[str, Any] = {"id": case["id"], "energy_j": None, "latency_s": None, "objective_value": None}
    error = None
    try:
        with importing.running():
            import accelforge as af
            import accelforge.mapper.FFM.main
        with setup.running():
            af.set_n_parallel_jobs(1)
            spec = specification(af, case)
        with mapper.running():
            found = find(spec, cpu_limit)
        energy, latency = evaluate(spec, found)
        row |= {"energy_j": energy, "latency_s": latency, "objective_value": objective_value(case["objective"], energy, latency)}
        if with_mapping:
            row["mapping"] = loop_tree(found.mapping().nodes)
    except (Exception, CpuLimitReached) as problem:  # Any failure of the peer is a result of the comparison
        error = f"{type(problem).__name__}: {' '.join(str(problem).split())}"
    return row | {
        "mapper_cpu_s": round(mapper.cpu_s, 4),
        "mapper_wall_s": round(mapper.wall_s, 4),
        "setup_cpu_s": round(setup.cpu_s, 4),
        "import_cpu_s": round(importing.cpu_s, 4),
        "import_wall_s": round(importing.wall_s, 4),
        "peak_rss_mb": round(peak_rss_mb(), 1),
        "error": error,
    }


def load(path: Path) -> dict[str, Any]:
    """The case of a file, with its architecture's record in place of a name."""
    case = json.loads(path.read_text(encoding="utf-8"))
    if isinstance(case["architecture"], str):
        from peer_cases import ARCHITECTURES

        case["architecture"] = ARCHITECTURES[case["architecture"]]
    return case


def main() -> None:
    """Solve the case of the command line in an empty directory, quietly, and print its row."""
    parser = argparse.ArgumentParser(description="Solve one mapping problem with AccelForge and print a line of JSON.")
    parser.add_argument("case", type=Path, help="JSON file with one case")
    parser.add_argument("--cpu-limit", type=float, help="stop the mapper after so many CPU seconds")
    parser.add_argument("--mapping", action="store_true", help="add the mapping that was found to the row")
    arguments = parser.parse_args()
    case = load(arguments.case)
    with (
        tempfile.TemporaryDirectory() as empty,
        contextlib.chdir(empty),
        open(os.devnull, "w", encoding="utf-8") as nothing,
        contextlib.redirect_stdout(nothing),
        contextlib.redirect_stderr(nothing),
    ):
        row = solve(case, arguments.cpu_limit, arguments.mapping)
    print(json.dumps(row))


if __name__ == "__main__":
    main()
