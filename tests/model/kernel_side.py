"""The kernel's counts in the shape of the replay's, so that tests can compare the two."""

from __future__ import annotations

from typing import Any

from accelsim.hardware.architecture import Architecture
from accelsim.mapping.tree import Mapping
from accelsim.model.counts import DIRECTIONS, READS, UPDATES, count
from accelsim.model.options import Counting
from accelsim.model.program import Program
from accelsim.workload.cascade import Cascade


def kernel_count(cascade: Cascade, architecture: Architecture, mapping: Mapping, counting: Counting) -> dict[str, Any]:
    """`reference.count` as the kernel sees it."""
    program = Program(cascade, architecture, counting)
    program.many = {name: architecture.copies(name) > 1 for name in architecture.memories}  # also where no port needs them
    counts = count(program, mapping)
    machine = {network: array.name for network, (array, _) in architecture.networks.items()}

    def named(rows: dict[tuple[str, str, str], list[int]]) -> dict[tuple[str, str, str], dict[str, int]]:
        return {key: dict(zip(DIRECTIONS, row, strict=True)) for key, row in rows.items()}

    return {
        "einsums": {
            name: {"operations": counts.operations[name], "masked": counts.masked[name], "issues": counts.issues[name]}
            for name in counts.operations
        },
        "words": named(counts.words),
        "first_copy": named(counts.first),
        "networks": {
            (einsum, tensor, machine[network]): {
                "down": row[READS],
                "up": row[UPDATES],
                "first_down": counts.crossed_first[einsum, tensor, network][READS],
                "first_up": counts.crossed_first[einsum, tensor, network][UPDATES],
            }
            for (einsum, tensor, network), row in counts.crossed.items()
        },
    }
