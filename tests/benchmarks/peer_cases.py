"""Mapping problems on which mappers are compared, with the machines they run on.

`ARCHITECTURES` holds two machines: memories outermost first, arrays (copies along named axes) and units, with sizes in bits, prices in
pJ and rates per second; None is unlimited. `keep` says which tensors a memory must or may hold.

`CASES` holds the problems. Each has
  id            unique name
  architecture  key of `ARCHITECTURES`
  objective     "energy", "latency" or "energy x latency"
  options       `max_fused_loops`: most loops above an intermediate tensor that stays on chip (None: no limit); `max_fused_loops_per_rank`;
                `tiles`: "divisors only" or "uneven"
  workload      `einsums` in the order run, `shape` of every index, `bits_per_value` of every tensor, and on machines that ask for it
                `roles`: which operand is the input, the weight and the output. `*` only lists the operands: every point of an Einsum is
                one operation, whatever it computes. A tensor's indices count by position: `K[b,p]` reads what `K[b,m]` wrote.

`RECORDED` holds what AccelForge 1.0.467 (Python 3.12) returns: energy in J, latency in s and, of the runs on an otherwise idle 2-core x86
server, CPU seconds of its mapper in one process. Energy and latency are None where its search ends without a valid mapping. It computes in
32-bit floats: compare with a relative tolerance of 1e-6.
"""

from __future__ import annotations

import re
from typing import Any

ONE_FUSED_LOOP = "-one-fused-loop"
MEMORY_HOLDS_ALL = "every tensor that is not an intermediate; intermediates may be kept"
BUFFER_HOLDS_REST = "every tensor that MainMemory does not keep; others may be kept"

ARCHITECTURES: dict[str, dict[str, Any]] = {
    # Three parts with round numbers. Reads and writes of a memory share its bandwidth.
    "simple": {
        "memories": [
            {
                "name": "MainMemory",
                "feeds": "GlobalBuffer",
                "size_bits": None,
                "read_pj_per_bit": 8,
                "write_pj_per_bit": 8,
                "read_bits_per_s": 800e9,
                "write_bits_per_s": 800e9,
                "ports": "shared",
                "keep": MEMORY_HOLDS_ALL,
            },
            {
                "name": "GlobalBuffer",
                "feeds": "MAC",
                "size_bits": 8388608,
                "read_pj_per_bit": 0.5,
                "write_pj_per_bit": 0.5,
                "read_bits_per_s": 16e12,
                "write_bits_per_s": 16e12,
                "ports": "shared",
                "keep": BUFFER_HOLDS_REST,
            },
        ],
        "arrays": [],
        "units": [
            {
                "name": "MAC",
                "under": "GlobalBuffer",
                "copies": 1,
                "pj_per_operation": 0.1,
                "operations_per_s": 1024e9,
                "runs": "every Einsum",
            }
        ],
        "leakage_w": 0,
        "area_m2": 0,
    },
    # Four levels after published TPU v4i figures (doi:10.1145/3579371.3589350). Registers and the scalar unit cost no energy.
    "tpu_v4i": {
        "memories": [
            {
                "name": "MainMemory",
                "feeds": "GlobalBuffer",
                "size_bits": None,
                "read_pj_per_bit": 7.03,
                "write_pj_per_bit": 7.03,
                "read_bits_per_s": 4912e9,
                "write_bits_per_s": 4912e9,
                "ports": "shared",
                "area_m2": 0,
                "keep": MEMORY_HOLDS_ALL,
            },
            {
                "name": "GlobalBuffer",
                "feeds": "LocalBuffer",
                "size_bits": 1073741824,
                "read_pj_per_bit": 1.88,
                "write_pj_per_bit": 2.36,
                "read_bits_per_s": 16384e9,
                "write_bits_per_s": 8192e9,
                "ports": "separate read and write",
                "area_m2": 112e-6,
                "keep": BUFFER_HOLDS_REST,
            },
            {
                "name": "LocalBuffer",
                "feeds": "ScalarUnit and ProcessingElement",
                "copies": 4,
                "size_bits": 33554432,
                "read_pj_per_bit": 0.249,
                "write_pj_per_bit": 0.293,
                "read_bits_per_s": None,
                "write_bits_per_s": None,
                "ports": "shared",
                "area_m2": 51e-6,
                "keep": "the input and the output of each Einsum; never its weight",
            },
            {
                "name": "Register",
                "feeds": "MAC",
                "copies": "one per processing element",
                "size_bits": "one weight value",
                "read_pj_per_bit": 0,
                "write_pj_per_bit": 0,
                "read_bits_per_s": None,
                "write_bits_per_s": None,
                "area_m2": 8.5e-11,
                "keep": "the weight",
            },
        ],
        "arrays": [
            {
                "name": "LocalBuffer",
                "under": "GlobalBuffer",
                "axes": [{"name": "Z", "fanout": 4, "reuses": "nothing", "use": "as full as factors allow"}],
            },
            {
                "name": "ProcessingElement",
                "under": "LocalBuffer",
                "axes": [
                    {
                        "name": "reuse_input",
                        "fanout": 128,
                        "reuses": "input",
                        "use": "as full as factors allow; only ranks the input does not index",
                    },
                    {
                        "name": "reuse_output",
                        "fanout": 128,
                        "reuses": "output",
                        "use": "as full as factors allow; only ranks the output does not index",
                    },
                ],
            },
        ],
        "units": [
            {
                "name": "ScalarUnit",
                "under": "LocalBuffer",
                "copies": 4,
                "pj_per_operation": 0,
                "operations_per_s": 134.4e9,
                "runs": "Einsums with two tensors",
                "area_m2": 8.7e-6,
            },
            {
                "name": "MAC",
                "under": "Register",
                "copies": "one per processing element",
                "pj_per_operation": 0.084,
                "operations_per_s": 1.05e9,
                "runs": "Einsums with three tensors",
                "area_m2": 8.5e-10,
            },
        ],
        "leakage_w": 0,
    },
}


def roles_of(statement: str, stationary: set[str]) -> dict[str, str]:
    """Input and output of an Einsum, and its weight where it has two operands of which one is stationary."""
    output, *operands = [access.partition("[")[0].strip() for access in re.split("[=*]", statement)]
    weights = [operand for operand in operands if operand in stationary] if len(operands) == 2 else []
    [moving] = [operand for operand in operands if operand not in weights]
    return dict(zip(("input", "output", "weight"), (moving, output, *weights), strict=False))


def workload(statements: list[str], shape: dict[str, int], stationary: str) -> dict[str, Any]:
    """Einsums named after their outputs. Of two operands, the one listed as stationary is the weight and the other the input."""
    einsums = {statement.partition("[")[0]: statement for statement in statements}
    roles = {name: roles_of(statement, set(stationary.split())) for name, statement in einsums.items()}
    return {"einsums": einsums, "shape": shape, "bits_per_value": 8, "roles": roles}


def chain(length: int, size: int) -> dict[str, Any]:
    """Matrix products T1 = T0 W0, T2 = T1 W1, …, all of one size."""
    statements = [f"T{k + 1}[m,n{k + 1}] = T{k}[m,n{k}] * W{k}[n{k},n{k + 1}]" for k in range(length)]
    return workload(statements, {"m": size} | {f"n{k}": size for k in range(length + 1)}, " ".join(f"W{k}" for k in range(length)))


def attention(tokens: int) -> dict[str, Any]:
    """16 heads of 128; the softmax is one elementwise Einsum."""
    statements = [
        "QK[b,m,p,h] = Q[b,m,h,e] * K[b,p,h,e]",
        "QK_softmax[b,m,p,h] = QK[b,m,p,h]",
        "AV[b,m,h,f] = QK_softmax[b,m,p,h] * V[b,p,h,f]",
    ]
    return workload(statements, {"b": 1, "m": tokens, "h": 16, "e": 128, "p": tokens, "f": 128}, "K V")


def softmax_attention(tokens: int) -> dict[str, Any]:
    """16 heads of 128; the softmax is a maximum, an exponential of a difference, a sum and a quotient."""
    statements = [
        "QK[b,m,p,h] = Q[b,m,h,e] * K[b,p,h,e]",
        "GM[b,m,h] = QK[b,m,p,h]",
        "SN[b,m,p,h] = QK[b,m,p,h] * GM[b,m,h]",
        "SD[b,m,h] = SN[b,m,p,h]",
        "A[b,m,p,h] = SN[b,m,p,h] * SD[b,m,h]",
        "AV[b,m,h,f] = A[b,m,p,h] * V[b,p,h,f]",
    ]
    return workload(statements, {"b": 1, "m": tokens, "h": 16, "e": 128, "p": tokens, "f": 128}, "K V QK SN")


def decoder_layer(new_tokens: int, tokens: int, cached: bool) -> dict[str, Any]:
    """GPT-3 175B, batch 1, in 8 bits. With a cache, keys and values of earlier tokens are read and those of new tokens only written."""
    new, past = ("_new", "K_cache V_cache") if cached else ("", "K V")
    key, value = past.split()
    statements = [
        "I[b,m,d] = I_in[b,m,d]",
        f"V{new}[b,m,h,e] = I[b,m,d] * WV[h,e,d]",
        f"K{new}[b,m,h,e] = I[b,m,d] * WK[h,e,d]",
        "Q[b,m,h,e] = I[b,m,d] * WQ[h,e,d]",
        f"QK[b,m,p,h] = Q[b,m,h,e] * {key}[b,p,h,e]",
        "QK_softmax[b,m,p,h] = QK[b,m,p,h]",
        f"AV[b,m,h,f] = QK_softmax[b,m,p,h] * {value}[b,p,h,f]",
        "Z[b,m,g] = AV[b,m,h,f] * WZ[h,f,g]",
        "FFA[b,m,c] = Z[b,m,g] * WFFA[g,c]",
        "FFB[b,m,j] = FFA[b,m,c] * WFFB[c,j]",
    ]
    width = 96 * 128
    shape = {"b": 1, "m": new_tokens, "p": tokens, "h": 96, "e": 128, "f": 128, "d": width, "g": width, "c": 4 * width, "j": width}
    return workload(statements, shape, f"WV WK WQ {past} WZ WFFA WFFB")


def state_space_step() -> dict[str, Any]:
    """One token step of a selective state-space layer, without the recurrence."""
    statements = [
        "B[b,n] = WB[d,n] * X[b,d]",
        "C[b,n] = WC[d,n] * X[b,d]",
        "TTD[b,r] = WTTD[d,r] * X[b,d]",
        "TD[b,d] = WTD[d,r] * TTD[b,r]",
        "DELTA[b,d] = TD[b,d]",
        "AD[b,d,n] = A[d,n] * DELTA[b,d]",
        "HH[b,d,n] = H_prev[b,d,n] * AD[b,d,n]",
        "HX[b,d,n] = BD[b,d,n] * X[b,d]",
        "H[b,d,n] = HX[b,d,n] * HH[b,d,n]",
        "S[b,d] = C[b,n] * H[b,d,n]",
        "DX[b,d] = D[d] * X[b,d]",
        "L[b,d] = DX[b,d]",
    ]
    return workload(statements, {"d": 4096, "n": 128, "b": 1, "r": 128}, "WB WC WTTD WTD A H_prev BD HH H D")


def case(name: str, machine: str, objective: str, work: dict[str, Any], max_fused_loops: int | None = None) -> dict[str, Any]:
    """A problem with AccelForge's usual options; its id tells the machine, the objective and the limit of fused loops."""
    short = {"energy": "energy", "energy x latency": "edp"}[objective]
    return {
        "id": f"{name}-{machine.partition('_')[0]}-{short}{'' if max_fused_loops is None else ONE_FUSED_LOOP}",
        "architecture": machine,
        "objective": objective,
        "options": {"max_fused_loops": max_fused_loops, "max_fused_loops_per_rank": 1, "tiles": "divisors only"},
        "workload": work,
    }


def cases() -> list[dict[str, Any]]:
    """All problems, shortest families first."""
    product = "energy x latency"
    found = [
        case("matmul-1024", "simple", "energy", chain(1, 1024)),
        case("matmul-4096", "tpu_v4i", product, chain(1, 4096)),
        case("chain-2", "simple", product, chain(2, 1024)),
    ]
    families = [(f"attention-{tokens}", attention(tokens), (None, 1)) for tokens in (1024, 4096, 16384, 65536)]
    families += [(f"softmax-attention-{tokens}", softmax_attention(tokens), (None, 1)) for tokens in (1024, 4096)]
    families += [("mamba-step", state_space_step(), (None, 1))]
    families += [("gpt3-decode-2048", decoder_layer(1, 2048, cached=True), (1,))]
    families += [("gpt3-prefill-2048", decoder_layer(2048, 2048, cached=False), (1,))]
    for name, work, limits in families:
        found += [case(name, machine, product, work, limit) for machine in ARCHITECTURES for limit in limits]
    return found


CASES = cases()

RECORDED: dict[str, tuple[float | None, float | None, float | None]] = {
    "matmul-1024-simple-energy": (0.01756826, 0.002149056, 0.8),
    "matmul-4096-tpu-edp": (0.01422654, 0.0009986438, 6.64),
    "chain-2-simple-edp": (0.03499392, 0.004297065, 2.99),
    "attention-1024-simple-edp": (0.0697798, 0.008601469, 6.43),
    "attention-1024-simple-edp-one-fused-loop": (0.07407476, 0.008937013, None),
    "attention-1024-tpu-edp": (0.002372785, 9.362286e-05, None),
    "attention-1024-tpu-edp-one-fused-loop": (0.002372785, 9.362286e-05, None),
    "attention-4096-simple-edp": (None, None, None),
    "attention-4096-simple-edp-one-fused-loop": (1.178452, 0.1429545, 3.46),
    "attention-4096-tpu-edp": (0.03224427, 0.001497966, None),
    "attention-4096-tpu-edp-one-fused-loop": (0.03224427, 0.001497966, None),
    "attention-16384-simple-edp": (None, None, None),
    "attention-16384-simple-edp-one-fused-loop": (18.84194, 2.287221, None),
    "attention-16384-tpu-edp": (0.5062768, 0.02396745, None),
    "attention-16384-tpu-edp-one-fused-loop": (0.6234867, 0.02396745, None),
    "attention-65536-simple-edp": (284.1178, 35.22309, None),
    "attention-65536-simple-edp-one-fused-loop": (301.4179, 36.59534, None),
    "attention-65536-tpu-edp": (8.044491, 0.3834792, None),
    "attention-65536-tpu-edp-one-fused-loop": (17.06335, 0.3834792, None),
    "softmax-attention-1024-simple-edp": (0.07045579, 0.008685339, None),
    "softmax-attention-1024-simple-edp-one-fused-loop": (0.07575739, 0.009129943, None),
    "softmax-attention-1024-tpu-edp": (0.00374204, 0.0001872457, None),
    "softmax-attention-1024-tpu-edp-one-fused-loop": (0.00374204, 0.0001872457, None),
    "softmax-attention-4096-simple-edp": (None, None, None),
    "softmax-attention-4096-simple-edp-one-fused-loop": (1.205375, 0.1460414, None),
    "softmax-attention-4096-tpu-edp": (None, None, None),
    "softmax-attention-4096-tpu-edp-one-fused-loop": (0.05414838, 0.002995931, None),
    "mamba-step-simple-edp": (0.0002900019, 3.882726e-05, None),
    "mamba-step-simple-edp-one-fused-loop": (0.0002900019, 3.882726e-05, 16.95),
    "mamba-step-tpu-edp": (0.0002941898, 0.0002562939, None),
    "mamba-step-tpu-edp-one-fused-loop": (0.0002941898, 0.0002562939, None),
    "gpt3-decode-2048-simple-edp-one-fused-loop": (0.1417225, 0.0186234, None),
    "gpt3-decode-2048-tpu-edp-one-fused-loop": (0.1050089, 0.003033463, None),
    "gpt3-prefill-2048-simple-edp-one-fused-loop": (62.10847, 7.640885, None),
    "gpt3-prefill-2048-tpu-edp-one-fused-loop": (0.6935695, 0.05622053, None),
}
