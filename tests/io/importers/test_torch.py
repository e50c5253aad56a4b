"""Programs of torch.export beside PyTorch itself: single operators, a residual network, a transformer block, a file."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.errors import InputError
from accelsim.io.importers.network import Request
from accelsim.io.importing import import_file
from tests.io.importers.reference import found, needs

needs_torch = pytest.fixture(autouse=True, scope="module")(lambda: needs("torch", "pip install 'accelsim[torch]'"))


def exported(module: Any, *inputs: Any) -> Any:
    import torch

    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(module.eval(), inputs)


def agree(module: Any, *inputs: Any, layers: str = "each") -> str:
    """Compare what a module makes of inputs both ways; the text of the import."""
    import torch

    from accelsim.io.importers.formats.torch import from_exported

    imported = from_exported(exported(module, *inputs), "program.pt2", Request(layers=layers))
    with torch.no_grad():
        wanted = module(*inputs).numpy()
    (got,) = found(imported, dict(zip(imported.feeds, [each.numpy() for each in inputs], strict=True))).values()
    assert np.allclose(got, wanted, rtol=0, atol=1e-4 * max(1.0, float(np.abs(wanted).max()))), imported.text
    return imported.text


def function(of: Any) -> Any:
    import torch

    class Module(torch.nn.Module):
        def forward(self, *parts: Any) -> Any:
            return of(*parts)

    return Module()


def operators() -> dict[str, Any]:
    import torch
    from torch.nn import functional as f

    return {
        "gelu": f.gelu,
        "silu": f.silu,
        "relu6": f.relu6,
        "hardswish": f.hardswish,
        "hardsigmoid": f.hardsigmoid,
        "softmax": lambda x: x.softmax(1),
        "log_softmax": lambda x: x.log_softmax(-1),
        "mean": lambda x: x.mean((1, 2)),
        "sum": lambda x: x.sum(-1, keepdim=True),
        "amax": lambda x: x.amax(1),
        "rsqrt": lambda x: (x * x + 1).rsqrt(),
        "clamp": lambda x: x.clamp(-0.5, 0.5),
        "pow": lambda x: x**2,
        "rsub": lambda x: x * 2 + 1,
        "cat": lambda x: torch.cat([x, x * 2], 1),
        "slice": lambda x: x[:, 1:, ::2] * 2,
        "chunk": lambda x: x.chunk(2, -1)[0] * x.chunk(2, -1)[1],
        "flatten": lambda x: x.flatten(1) * 2,
        "squeeze": lambda x: x[:, :1].squeeze(1) + 1,
        "expand": lambda x: x[:, :1].expand(-1, 3, -1) * x[:, :1],
        "pad": lambda x: f.pad(x, (1, 2)) * 3,
        "rms_norm": lambda x: f.rms_norm(x, (4,)),
        "avg_pool": lambda x: f.avg_pool2d(x[None], 2, 1),
        "max_pool": lambda x: f.max_pool2d(x[None], 2, 2, 1),
        "einsum": lambda x: torch.einsum("abc,dbc->ad", x, x),
        "where": lambda x: torch.where(x > 0, x, -x),
        "adaptive": lambda x: f.adaptive_avg_pool2d(x[None], (1, 2)),
        "group_norm": lambda x: f.group_norm(x[None].transpose(1, 3), 2),
        "matmul": lambda x: x @ x.transpose(1, 2),
        "unbind": lambda x: x.unbind(1)[1] + 1,
    }


def test_operators() -> None:
    import torch

    x = torch.linspace(-2, 2, 2 * 3 * 4).reshape(2, 3, 4) * torch.tensor([1.0, -0.7, 0.3]).reshape(3, 1)
    for name, of in operators().items():
        try:
            agree(function(of), x)
        except Exception as error:
            raise AssertionError(f"{name}: {error}") from error


@pytest.mark.parametrize("case", ["plain", "causal", "mask", "choice", "shared"])
def test_weighted_sums_of_values(case: str) -> None:
    import torch
    from torch.nn import functional as f

    torch.manual_seed(1)
    q, k, v = torch.randn(2, 4, 3, 5), torch.randn(2, 4, 6, 5), torch.randn(2, 4, 6, 7)
    attend = f.scaled_dot_product_attention
    if case == "plain":
        agree(function(lambda q, k, v: attend(q, k, v, scale=0.3)), q, k, v)
    elif case == "causal":
        text = agree(function(lambda q, k, v: attend(q, k, v, is_causal=True)), torch.randn(2, 4, 6, 5), k, v)
        assert text.count(" where ") == 6
    elif case == "mask":
        agree(function(lambda q, k, v, m: attend(q, k, v, m)), q, k, v, torch.randn(3, 6))
    elif case == "choice":
        agree(function(lambda q, k, v, m: attend(q, k, v, m > 0)), q, k, v, torch.arange(18.0).reshape(3, 6) - 2)
    else:
        agree(function(lambda q, k, v: attend(q, k, v, enable_gqa=True)), q, k[:, :2], v[:, :2])


def residual() -> Any:
    """Two residual blocks, one with stride 2, between a stem and a classifier."""
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self, inside: int, outside: int, stride: int) -> None:
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside)
            self.conv2, self.bn2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False), nn.BatchNorm2d(outside)
            self.down = nn.Conv2d(inside, outside, 1, stride, bias=False) if stride > 1 else nn.Identity()

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            return torch.relu(y + self.down(x))

    torch.manual_seed(0)
    stem = [nn.Conv2d(3, 4, 7, 2, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    rest = [Residual(4, 4, 1), Residual(4, 4, 1), Residual(4, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)]
    return nn.Sequential(*stem, *rest)


def test_residual_network() -> None:
    import torch

    torch.manual_seed(0)
    text = agree(residual(), torch.randn(1, 3, 16, 16))
    assert "name: '4.conv1'" in text


def block() -> Any:
    """A transformer block with one projection to queries, keys and values."""
    import torch
    from torch import nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.before, self.qkv, self.out = nn.LayerNorm(16), nn.Linear(16, 48), nn.Linear(16, 16)
            self.after, self.up, self.down = nn.LayerNorm(16), nn.Linear(16, 32), nn.Linear(32, 16)

        def forward(self, x: Any) -> Any:
            batch, long, wide = x.shape
            q, k, v = self.qkv(self.before(x)).view(batch, long, 3, 2, 8).permute(2, 0, 3, 1, 4)
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2)
            x = x + self.out(mixed.reshape(batch, long, wide))
            return x + self.down(nn.functional.gelu(self.up(self.after(x))))

    torch.manual_seed(0)
    return Block()


@pytest.mark.parametrize("layers", ["each", "one"])
def test_transformer_block(layers: str) -> None:
    import torch

    torch.manual_seed(0)
    agree(block(), torch.randn(2, 6, 16), layers=layers)


def test_equal_blocks_are_one_block_some_times() -> None:
    import torch
    from torch import nn

    from accelsim.io.importers.formats.torch import from_exported

    program = exported(nn.Sequential(block(), block(), block()), torch.randn(2, 6, 16))
    merged, each = (from_exported(program, "program.pt2", Request(layers=how)).text for how in ("merged", "each"))
    assert merged.count("  - name:") < each.count("  - name:")
    assert "times: 3" in merged


def test_a_file_is_read_by_torch_export_alone(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "block.pt2"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.export.save(exported(block(), torch.randn(2, 6, 16)), str(path))
    assert import_file(path).text.startswith("workload: block\n")
    path.write_bytes(b"no program")
    with pytest.raises(InputError, match=r"not a program of torch\.export"):
        import_file(path)


def test_unknown_operators_are_named_or_counted() -> None:
    import torch

    from accelsim.io.importers.formats.torch import from_exported

    program = exported(function(lambda x: torch.cumsum(x * 2, 0) * 3), torch.randn(4, 5))
    with pytest.raises(InputError) as error:
        from_exported(program, "program.pt2")
    assert str(error.value) == (
        "program.pt2: node 'cumsum' (cumsum): this operator is not known; --unsupported count counts the traffic of such operators alone"
    )
    assert from_exported(program, "program.pt2", Request("count")).counted == ("cumsum (cumsum)",)
