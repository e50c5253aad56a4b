"""Published organisations as files: a product by rows with a fiber cache, one in tiles that are intersected at three levels, and an outer
product in two phases.
"""

from __future__ import annotations

from pathlib import Path

PRODUCT = """
workload: product
shape: {m: 64, k: 64, n: 64}
type: {default: fp32}
format:
  A: {ranks: csr, coordinate: 32 bit, pointer: 32 bit, line: 64 bit, value: 64 bit}
  B: {ranks: csr, coordinate: 32 bit, pointer: 32 bit, line: 64 bit, value: 64 bit}
  Z: {ranks: csr, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}
einsums:
  - Z[m,n] = A[m,k] * B[k,n]
"""

# Gamma (G. Zhang et al., ASPLOS 2021) with the parameters of TeAAL's artifact (MICRO 2023).
BY_ROWS = """
machine: by-rows
source: "Gamma, ASPLOS 2021, as in the artifact of TeAAL, MICRO 2023"
clock: 1 GHz
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 128 GiB/s
  energy: unpriced
  interface_energy: unpriced
  intersect: {by: leading, energy: unpriced}
  feeds:
    memory: Cache
    size: 3 MiB
    bandwidth: unlimited
    energy: unpriced
    replacement: least_recent
    feeds:
      array: elements
      axes: {pe: {size: 32, multicast: false, assign: ASSIGN}}
      feeds:
        memory: Registers
        size: unlimited
        bandwidth: unlimited
        energy: unpriced
        intersect: {by: leading, energy: unpriced}
        feeds:
          unit: MAC
          executes: {mac: unpriced}
          intersect: {by: leading, energy: unpriced}
          merge: {radix: 64, energy: unpriced}
"""

ROWS = """
mapping: by rows
tree:
  - keep DRAM: [A, B, Z]
  - keep Cache: [B]
  - for m: min(32, M)
  - spatial pe m: 1
  - keep Registers: [A, Z]
  - for k: 1
  - keep Registers: [B]
  - for n: 1
  - {einsum: Z, unit: MAC}
"""

# ExTensor (K. Hegde et al., MICRO 2019), likewise; tiles of 16 and of 8 as in the metrics that are recorded.
TILED = """
machine: tiled
source: "ExTensor, MICRO 2019, as in the artifact of TeAAL, MICRO 2023"
clock: 1 GHz
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 68.256 GiB/s
  energy: unpriced
  interface_energy: unpriced
  intersect: {by: skip_ahead, energy: unpriced}
  feeds:
    memory: Shared
    size: 30 MB
    bandwidth: unlimited
    energy: unpriced
    fetch: on_demand
    intersect: {by: skip_ahead, energy: unpriced}
    feeds:
      array: elements
      axes: {pe: {size: 128, reduces: [add]}}
      feeds:
        memory: Local
        size: 64 KB
        bandwidth: unlimited
        energy: unpriced
        intersect: {by: skip_ahead, energy: unpriced}
        feeds:
          unit: MAC
          executes: {mac: unpriced}
          intersect: {by: skip_ahead, energy: unpriced}
"""

TILES = """
mapping: tiles
let: {outer: 16, inner: 8}
tree:
  - keep DRAM: [A, B, Z]
  - for n: min(outer, N)
  - for k: min(outer, K)
  - for m: min(outer, M)
  - keep Shared: [A, B, Z]
  - for m: min(inner, M)
  - for n: min(inner, N)
  - spatial pe k: min(inner, K)
  - keep Local: [A, B]
  - for m: 1
  - for n: 1
  - for k: 1
  - {einsum: Z, unit: MAC}
"""


# Tiles as large as the published ones: results are lists of coordinates, of which tiles of 128 x 128 come back and leave whole.
IN_TILES = PRODUCT.replace("csr", "dcsr").replace("Z: {ranks", "Z: {tiles: whole, ranks")

LARGE_TILES = """
mapping: large tiles
let: {height: 1536}
tree:
  - keep DRAM: [A, B, Z]
  - for n: min(16384, N)
  - for k: min(8192, K)
  - for m: min(height, M)
  - keep Shared: [A, B]
  - for m: min(128, M)
  - for n: min(128, N)
  - keep Shared: [Z]
  - spatial pe k: min(128, K)
  - keep Local: [A, B]
  - for m: 1
  - for n: 1
  - for k: 1
  - {einsum: Z, unit: MAC}
"""

# OuterSPACE (S. Pal et al., HPCA 2018), likewise: products go out as lists, which the second phase reads and adds up row by row.
OUTER = """
workload: outer-product
shape: {m: 64, k: 64, n: 64}
type: {default: fp32}
format:
  A: {ranks: [compressed, uncompressed], coordinate: 32 bit, pointer: 32 bit, line: 64 bit, value: 64 bit}
  B: {ranks: csr, coordinate: 32 bit, pointer: 32 bit, line: 64 bit, value: 64 bit}
  T: {ranks: [compressed, compressed, compressed], coordinate: 32 bit, pointer: 32 bit, value: 64 bit}
  Z: {ranks: csr, coordinate: 32 bit, pointer: 32 bit, value: 64 bit}
einsums:
  - T[k,m,n] = A[m,k] * B[k,n]
  - Z[m,n] = T[k,m,n]
"""

PHASES = """
machine: phases
source: "OuterSPACE, HPCA 2018, as in the artifact of TeAAL, MICRO 2023"
clock: 1.5 GHz
tree:
  memory: DRAM
  size: unlimited
  bandwidth: 128 GiB/s
  energy: unpriced
  interface_energy: unpriced
  intersect: {by: leading, energy: unpriced}
  feeds:
    memory: Shared
    size: 256 KB
    bandwidth: unlimited
    energy: unpriced
    intersect: {by: leading, energy: unpriced}
    feeds:
      array: elements
      axes: {pe: {size: 256, multicast: true}}
      feeds:
        memory: Registers
        size: unlimited
        bandwidth: unlimited
        energy: unpriced
        intersect: {by: leading, energy: unpriced}
        feeds:
          unit: MAC
          executes: {mul: unpriced, add: unpriced}
          intersect: {by: leading, energy: unpriced}
"""

OUTERMOST = """
mapping: phases
tree:
  - keep DRAM: [A, B, T, Z]
  - fuse sequential:
    - - for k: 1
      - keep Shared: [B]
      - for m: min(256, M)
      - spatial pe m: 1
      - keep Registers: [A]
      - for n: 1
      - {einsum: T, unit: MAC}
    - - for m: min(256, M)
      - spatial pe m: 1
      - keep Registers: [T, Z]
      - for k: 1
      - for n: 1
      - {einsum: Z, unit: MAC}
"""


def write(folder: Path, assign: str = "static") -> None:
    """All files, in a folder."""
    texts = {"product": PRODUCT, "by-rows": BY_ROWS.replace("ASSIGN", assign), "rows": ROWS, "tiled": TILED, "tiles": TILES}
    texts |= {"product-in-tiles": IN_TILES, "large-tiles": LARGE_TILES}
    texts |= {"outer-product": OUTER, "phases": PHASES, "outermost": OUTERMOST}
    for name, text in texts.items():
        (folder / f"{name}.yaml").write_text(text.lstrip())
