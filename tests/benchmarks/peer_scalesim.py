"""SCALE-Sim 3.0.0 on products, in its own Python (numpy below 2). Reads JSON {rows, columns, dataflow, layers: [[M, N, K], ...]} from
standard input and writes a row {cycles, cpu_s} for each layer; cycles are one more than what it prints, the index of the last cycle.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """\
[general]
run_name = peer

[architecture_presets]
ArrayHeight: {rows}
ArrayWidth: {columns}
IfmapSramSzkB: 64
FilterSramSzkB: 64
OfmapSramSzkB: 64
IfmapOffset: 0
FilterOffset: 10000000
OfmapOffset: 20000000
Dataflow: {dataflow}
Bandwidth: 10
ReadRequestBuffer: 32
WriteRequestBuffer: 32

[layout]
IfmapCustomLayout: False
IfmapSRAMBankBandwidth: 10
IfmapSRAMBankNum: 10
IfmapSRAMBankPort: 2
FilterCustomLayout: False
FilterSRAMBankBandwidth: 10
FilterSRAMBankNum: 10
FilterSRAMBankPort: 2

[sparsity]
SparsitySupport: false
SparseRep: ellpack_block
OptimizedMapping: false
BlockSize: 8
RandomNumberGeneratorSeed: 40

[run_presets]
InterfaceBandwidth: CALC
UseRamulatorTrace: False
"""


def layer(problem: dict[str, object], size: list[int]) -> dict[str, float]:
    """One layer, cold."""
    from scalesim.scale_sim import scalesim  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as folder:
        config, topology, layout = (Path(folder) / name for name in ("config.cfg", "topology.csv", "layout.csv"))
        config.write_text(CONFIG.format(**problem))
        topology.write_text("Layer,M,N,K,\nL," + ",".join(map(str, size)) + ",\n")
        layout.write_text("")
        before = time.process_time()
        with contextlib.redirect_stdout(io.StringIO()):
            run = scalesim(True, False, str(config), str(topology), str(layout), True)
            run.run_scale(top_path=folder)
        spent = time.process_time() - before
        (report,) = Path(folder).glob("**/COMPUTE_REPORT.csv")
        rows = list(csv.DictReader(report.open()))
    totals = {key.strip(): value for key, value in rows[0].items() if key}
    return {"cycles": float(totals["Total Cycles"]) + 1, "cpu_s": spent}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    json.dump([layer(asked, size) for size in asked["layers"]], sys.stdout)
