"""Times of single operators on an NVIDIA GPU, as rows that a machine file can be scored with.

Run on the GPU machine, where PyTorch and Triton are: ``python tests/benchmarks/gpu.py rows.csv``. It imports nothing
of accelsim. Each row is one operator at one shape: the median, the 20th and the 80th percentile of the time between
two device events around one call, after a warm-up, with the second-level cache overwritten before each call. Then the
operator is repeated for a second, its operands where the last call left them: the card's own energy counter and its
clocks give the joules of a call (all the card's, idle power too) and the seconds of one in that row of calls. Every
operator is compared with float64 before it is timed.
"""

import csv
import platform
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pynvml
import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.sparse import to_sparse_semi_structured

COLUMNS = [
    "device", "operator", "type", "shape", "operations", "bytes",
    "seconds", "seconds_p20", "seconds_p80", "seconds_repeated", "joules", "sm_mhz", "memory_mhz", "error",
]  # fmt: skip


@dataclass(frozen=True)
class Case:
    """One operator at one shape: ``run`` is timed; ``error`` is its distance from float64 at a small shape.

    ``operations`` counts a multiply-add as two; ``bytes`` is every input read once and every output written once.
    """

    operator: str
    type: str
    shape: str
    operations: int
    bytes: int
    run: Callable[[], object]
    error: float


# ------------------------------------------------------------------------------------------------------ the scan


@triton.jit
def _combine(a, b, c, d):  # type: ignore[no-untyped-def]
    return a * c, b * c + d


@triton.jit
def _scan(a, b, h, length, CHANNELS: tl.constexpr, CHUNK: tl.constexpr):  # type: ignore[no-untyped-def]
    """``h[t] = a[t] h[t-1] + b[t]`` of CHANNELS neighbouring channels, CHUNK steps at a time in parallel."""
    width = tl.num_programs(0) * CHANNELS
    channel = tl.program_id(0) * CHANNELS + tl.arange(0, CHANNELS)
    steps = tl.arange(0, CHUNK)
    carry = tl.zeros((CHANNELS,), tl.float32)
    for start in range(0, length, CHUNK):
        at = (start + steps)[:, None] * width + channel[None, :]
        inside = (start + steps < length)[:, None]
        decay = tl.load(a + at, inside, 1.0)
        into = tl.load(b + at, inside, 0.0)
        product, sum_ = tl.associative_scan((decay, into), 0, _combine)
        state = product * carry[None, :] + sum_
        tl.store(h + at, state, inside)
        carry = tl.sum(tl.where((steps == CHUNK - 1)[:, None], state, 0.0), 0)


def scan(a: torch.Tensor, b: torch.Tensor, channels: int, chunk: int) -> torch.Tensor:
    """The first-order recurrence of ``a`` and ``b`` ([steps, channels], float32) along the steps, from zero."""
    h = torch.empty_like(a)
    _scan[(a.shape[1] // channels,)](a, b, h, a.shape[0], channels, chunk)
    return h


def _distance(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found.double() - expected).norm() / expected.norm())


# ----------------------------------------------------------------------------------------------------- the cases


def _random(*shape: int, type: torch.dtype) -> torch.Tensor:
    return torch.randn(shape, device="cuda", dtype=torch.float32).to(type)


def matmuls() -> Iterator[Case]:
    """C[m,n] = A[m,k] B[k,n]: squares, tall ones with the sizes of a GPT-3 layer, and sizes that divide badly."""
    squares = [(n, n, n) for n in (256, 512, 1024, 2048, 4096, 8192, 16384)]
    tall = [(1 << p, 12288, n) for p in range(0, 15, 1) for n in (12288, 49152)]
    odd = [(1009, 1009, 1009), (1000, 1000, 1000), (4097, 4097, 4097), (130, 4096, 4096), (4096, 130, 4096)]
    for type, name in ((torch.bfloat16, "bf16"), (torch.float16, "fp16")):
        a, b = _random(512, 640, type=type), _random(640, 384, type=type)
        error = _distance(a @ b, a.double() @ b.double())
        for m, k, n in squares + tall + odd if name == "bf16" else squares + tall[::2]:
            x, y = _random(m, k, type=type), _random(k, n, type=type)
            out = torch.empty((m, n), device="cuda", dtype=type)
            yield Case(
                "matmul", name, f"m={m} k={k} n={n}", 2 * m * k * n, 2 * (m * k + k * n + m * n),
                lambda x=x, y=y, out=out: torch.matmul(x, y, out=out), error,
            )  # fmt: skip


def narrow_matmuls() -> Iterator[Case]:
    """fp8 (e4m3) with one scale, and a bf16 matrix of which two in every four are zero (2:4), both on tensor cores."""
    scale = torch.ones((), device="cuda")
    for m, k, n in [(1024,) * 3, (4096,) * 3, (8192,) * 3, (128, 12288, 12288), (2048, 12288, 12288)]:
        wide = _random(m, k, type=torch.bfloat16), _random(n, k, type=torch.bfloat16)
        x, y = (matrix.to(torch.float8_e4m3fn) for matrix in wide)
        few = torch._scaled_mm(x[:256], y[:128].T, scale, scale, out_dtype=torch.bfloat16)
        yield Case(
            "matmul", "fp8 e4m3", f"m={m} k={k} n={n}", 2 * m * k * n, m * k + k * n + 2 * m * n,
            lambda x=x, y=y: torch._scaled_mm(x, y.T, scale, scale, out_dtype=torch.bfloat16),
            _distance(few, x[:256].double() @ y[:128].double().T),
        )  # fmt: skip
        left, right = wide[0], wide[1].T.contiguous()
        kept = left * torch.tensor([1, 1, 0, 0], device="cuda", dtype=torch.bfloat16).repeat(k // 4)
        packed = to_sparse_semi_structured(kept)
        yield Case(
            "matmul 2:4", "bf16", f"m={m} k={k} n={n}", m * k * n, 2 * (m * k // 2 + k * n + m * n) + m * k // 8 * 2,
            lambda packed=packed, right=right: torch.mm(packed, right),
            _distance(torch.mm(packed, right)[:64], kept[:64].double() @ right.double()),
        )  # fmt: skip


def softmaxes() -> Iterator[Case]:
    """Softmax along the columns: PyTorch's own kernel."""
    small = _random(64, 1000, type=torch.bfloat16)
    error = _distance(torch.softmax(small, -1), torch.softmax(small.double(), -1))
    shapes = [(4096, 1 << p) for p in range(5, 16)] + [(1 << p, 4096) for p in range(4, 17, 2)]
    for rows, columns in shapes:
        x = _random(rows, columns, type=torch.bfloat16)
        yield Case(
            "softmax", "bf16", f"rows={rows} columns={columns}", 4 * rows * columns, 4 * rows * columns,
            lambda x=x: torch.softmax(x, -1), error,
        )  # fmt: skip


def attentions() -> Iterator[Case]:
    """Scaled dot-product attention: the flash kernel of PyTorch, prefill (also causal) and one-token decode."""

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
        return F.scaled_dot_product_attention(q, k, v, is_causal=causal)

    for d in (64, 128):
        q, k, v = (_random(1, 2, 384, d, type=torch.bfloat16) for _ in range(3))
        exact = torch.softmax(q.double() @ k.double().mT / d**0.5, -1) @ v.double()
        error = _distance(attend(q, k, v, False), exact)
        h = 2048 // d
        for tokens in (512, 1024, 2048, 4096, 8192, 16384, 32768, 65536):
            batch = max(1, 16384 // tokens)
            q, k, v = (_random(batch, h, tokens, d, type=torch.bfloat16) for _ in range(3))
            for causal in (False, True):
                pairs = tokens * (tokens + 1) // 2 if causal else tokens * tokens
                yield Case(
                    "attention" + (" causal" if causal else ""), "bf16", f"b={batch} h={h} m={tokens} d={d}",
                    4 * batch * h * pairs * d, 2 * 4 * batch * h * tokens * d,
                    lambda q=q, k=k, v=v, causal=causal: attend(q, k, v, causal), error,
                )  # fmt: skip
    for batch in (1, 16, 64):
        for tokens in (1024, 8192, 32768):
            q = _random(batch, 16, 1, 128, type=torch.bfloat16)
            k, v = (_random(batch, 16, tokens, 128, type=torch.bfloat16) for _ in range(2))
            yield Case(
                "attention decode", "bf16", f"b={batch} h=16 m={tokens} d=128", 4 * batch * 16 * tokens * 128,
                2 * 2 * batch * 16 * tokens * 128, lambda q=q, k=k, v=v: attend(q, k, v, False), error,
            )  # fmt: skip


def scans() -> Iterator[Case]:
    """First-order recurrences (a, b) in float32: the Triton kernel above; and PyTorch's running sum."""
    a, b = torch.rand((300, 64), device="cuda"), torch.randn((300, 64), device="cuda")
    state, states = torch.zeros(64, device="cuda", dtype=torch.float64), []
    for t in range(300):
        state = a[t].double() * state + b[t].double()
        states.append(state)
    exact = torch.stack(states)
    for channels, chunk in ((16, 64), (64, 32), (32, 1)):
        error = _distance(scan(a, b, channels, chunk), exact)
        for width in (1536, 24576, 98304):
            for steps in (256, 1024, 2048, 4096, 16384):
                if width * steps > 1 << 29:
                    continue
                a_, b_ = torch.rand((steps, width), device="cuda"), torch.randn((steps, width), device="cuda")
                yield Case(
                    "scan", "fp32", f"steps={steps} channels={width} chunk={chunk} block={channels}",
                    2 * steps * width, 12 * steps * width,
                    lambda a_=a_, b_=b_, c=channels, k=chunk: scan(a_, b_, c, k), error,
                )  # fmt: skip
    x = torch.randn((512, 300), device="cuda")
    error = _distance(torch.cumsum(x, -1), torch.cumsum(x.double(), -1))
    for rows, columns in [(4096, 1 << p) for p in range(6, 16)]:
        y = torch.randn((rows, columns), device="cuda")
        yield Case(
            "running sum", "fp32", f"rows={rows} columns={columns}", rows * columns, 8 * rows * columns,
            lambda y=y: torch.cumsum(y, -1), error,
        )  # fmt: skip


def ceilings() -> Iterator[Case]:
    """What the machine can do at all: copies (bytes read and written) and the shortest call."""
    for size in (1 << 10, 1 << 20, 1 << 25, 1 << 28, 1 << 32):
        x = torch.randint(0, 100, (size,), device="cuda", dtype=torch.int8)
        out = torch.empty_like(x)
        yield Case("copy", "int8", f"bytes={size}", 0, 2 * size, lambda x=x, out=out: out.copy_(x), 0.0)


# ---------------------------------------------------------------------------------------------------- the timing


class Meter:
    """The card's energy in joules over a block, and its clocks in MHz (medians of readings every 20 ms)."""

    def __enter__(self) -> "Meter":
        pynvml.nvmlInit()
        self._card = pynvml.nvmlDeviceGetHandleByIndex(0)
        self._clocks: list[tuple[int, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        self._before = self._energy()
        return self

    def _watch(self) -> None:
        kinds = pynvml.NVML_CLOCK_SM, pynvml.NVML_CLOCK_MEM
        while not self._stop.wait(0.02):
            self._clocks.append(tuple(pynvml.nvmlDeviceGetClockInfo(self._card, kind) for kind in kinds))

    def _energy(self) -> float:
        return float(pynvml.nvmlDeviceGetTotalEnergyConsumption(self._card)) / 1e3

    def __exit__(self, *_: object) -> None:
        self.joules = self._energy() - self._before
        self._stop.set()
        self._thread.join()
        self.sm, self.memory = (int(statistics.median(column)) for column in zip(*self._clocks, strict=True))


def repeat(run: Callable[[], object], each: float, total: float = 1.0) -> int:
    """Call ``run`` for about ``total`` seconds, in groups that keep the card busy; how often it was called."""
    group, calls, end = max(1, int(0.05 / each)), 0, time.perf_counter() + total
    while time.perf_counter() < end:
        for _ in range(group):
            run()
        torch.cuda.synchronize()
        calls += group
    return calls


def main(path: str) -> None:
    """Time every case and write the rows to ``path``, after one comment line that says what they were measured with."""
    card = torch.cuda.get_device_properties(0)
    driver = subprocess.run(
        ["nvidia-smi", "--query-gpu=driver_version,power.limit", "--format=csv,noheader"],
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    torch.manual_seed(0)
    with open(path, "w", newline="", encoding="utf-8") as file:
        file.write(
            f"# {card.name}, {card.multi_processor_count} SMs, {card.total_memory >> 20} MiB, driver and power limit "
            f"{driver}; PyTorch {torch.__version__}, CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, "
            f"Triton {triton.__version__}, Python {platform.python_version()}; {time.strftime('%Y-%m-%d')}\n"
        )
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(COLUMNS)
        for make in (ceilings, matmuls, narrow_matmuls, softmaxes, attentions, scans):
            with sdpa_kernel(SDPBackend.FLASH_ATTENTION):  # once: choosing it takes longer than a short kernel runs
                for case in make():
                    if not case.error < 1e-2:
                        raise SystemExit(f"{case.operator} {case.type}: {case.error} from float64")
                    middle, low, high = triton.testing.do_bench(case.run, warmup=25, rep=150, quantiles=[0.5, 0.2, 0.8])
                    with Meter() as meter:
                        start = time.perf_counter()
                        calls = repeat(case.run, middle / 1e3)
                        elapsed = time.perf_counter() - start
                    rows.writerow(
                        [
                            card.name, case.operator, case.type, case.shape, case.operations, case.bytes,
                            f"{middle / 1e3:.4g}", f"{low / 1e3:.4g}", f"{high / 1e3:.4g}",
                            f"{elapsed / calls:.4g}", f"{meter.joules / calls:.4g}", meter.sm, meter.memory, f"{case.error:.2g}",
                        ]
                    )  # fmt: skip
                    file.flush()
            print(make.__name__, "done", flush=True)
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main(sys.argv[1])
