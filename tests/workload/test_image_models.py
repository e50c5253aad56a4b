"""Shipped image networks: values against networks in numpy, totals against the networks' own tables and against published totals.

A total counts every weight: filters, factors and offsets of normalisations (in training their scale and shift; means and variances
become part of them), and the last layer with its offsets. Multiply-adds are those of convolutions and of the last layer, as published
counts have them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from accelsim.io.catalogue import WORKLOAD, resolve
from accelsim.io.serving import load_kept
from accelsim.io.workload import load_workload
from accelsim.workload.cascade import Cascade, Model
from accelsim.workload.interpreter import model_inputs, run_model
from tests.workload import convolutions as c

Arrays = dict[str, Any]
Conv = tuple[int, int, int, int, int]  # outputs, inputs of each group's channels, filter side, places along a side of its result, times


def network(name: str, **shape: int) -> Model:
    found = load_workload(resolve(name, WORKLOAD), {f"shape.{rank}": str(size) for rank, size in shape.items()})
    assert isinstance(found, Model)
    return found


# Tables of the papers, at 224 x 224: what every convolution is.


def residual(depths: tuple[int, ...], wide: bool) -> Iterator[Conv]:
    """ResNet, table 1."""
    yield 64, 3, 7, 112, 1
    before = 64
    for stage, depth in enumerate(depths):
        m, side = 64 << stage, 56 >> stage
        after = 4 * m if wide else m
        first = 2 * side if stage else side
        if wide:
            yield m, before, 1, first, 1
            yield m, m, 3, side, 1
            yield after, m, 1, side, 1
            yield from ((m, after, 1, side, depth - 1), (m, m, 3, side, depth - 1), (after, m, 1, side, depth - 1))
        else:
            yield m, before, 3, side, 1
            yield m, m, 3, side, 2 * depth - 1
        if before != after:
            yield after, before, 1, side, 1
        before = after


def separable() -> Iterator[Conv]:
    """MobileNet, table 1."""
    yield 32, 3, 3, 112, 1
    before, side = 32, 112
    for after, stride in [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)]:
        side //= stride
        yield before, 1, 3, side, 1
        yield after, before, 1, side, 1
        before = after


def inverted() -> Iterator[Conv]:
    """MobileNetV2, table 2: expansion, channels, repeats, stride."""
    yield 32, 3, 3, 112, 1
    before, side = 32, 112
    for expansion, after, repeats, stride in [
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    ]:  # fmt: skip
        for repeat in range(repeats):
            inner = expansion * before
            if expansion > 1:
                yield inner, before, 1, side, 1
            side //= stride if repeat == 0 else 1
            yield inner, 1, 3, side, 1
            yield after, inner, 1, side, 1
            before = after
    yield 1280, 320, 1, 7, 1


TABLES: dict[str, tuple[list[Conv], int]] = {
    "resnet18": (list(residual((2, 2, 2, 2), wide=False)), 512),
    "resnet50": (list(residual((3, 4, 6, 3), wide=True)), 2048),
    "mobilenet-v1": (list(separable()), 1024),
    "mobilenet-v2": (list(inverted()), 1280),
}
# (parameters, multiply-adds, how exact these are): torchvision's documentation of its weights (num_params, GFLOPS) for the ResNets and
# MobileNetV2; trainable parameters of keras.applications.MobileNet, and table 8 of arXiv 1704.04861 (4.2 and 569 million), for MobileNet.
PUBLISHED = {
    "resnet18": (11_689_512, 1.81e9, 0.005),
    "resnet50": (25_557_032, 4.09e9, 0.005),
    "mobilenet-v1": (4_231_976, 569e6, 0.001),
    "mobilenet-v2": (3_504_872, 300e6, 0.003),
}


# arXiv 2303.03667, table of variants, T0: channels, side of the image and blocks of each stage.
FASTERNET = ((40, 56, 1), (80, 28, 2), (160, 14, 8), (320, 7, 2))


def test_a_network_of_partial_convolutions_has_the_published_totals() -> None:
    """FasterNet-T0: 3.9 million parameters, 0.34 billion multiply-adds; of a block 9 (d/4)^2 + 2 d 2d weights, and 4d for its norm."""
    model = network("fasternet-t0")
    blocks = [(times * (9 * (d // 4) ** 2 + 4 * d * d), times * 4 * d, side) for d, side, times in FASTERNET]
    joints = [(48 * 40, 80, 56), (4 * 40 * 80, 160, 28), (4 * 80 * 160, 320, 14), (4 * 160 * 320, 640, 7)]
    last = 320 * 1280 + 1280 * 1000
    parameters = sum(products + norms for products, norms, _ in (*blocks, *joints)) + last + 1000
    macs = sum(products * side**2 for products, _, side in (*blocks, *joints)) + last
    assert weights(model, {"PHOTO"}) == parameters and round(parameters / 1e6, 1) == 3.9
    assert multiply_adds(model) == macs and round(macs / 1e9, 2) == 0.34


def weights(model: Model, images: set[str]) -> int:
    """Elements of all that is read and neither made by a layer nor an image; of a layer that is used several times, so many."""
    made = {layer.called(name) for layer in model.layers for name, tensor in layer.cascade.tensors.items() if tensor.is_output}
    return sum(
        layer.times * math.prod(tensor.shape)
        for layer in model.layers
        for name, tensor in layer.cascade.tensors.items()
        if tensor.is_input and layer.called(name) not in made | images
    )


def multiply_adds(model: Model) -> int:
    """Points of the sums of products."""
    return sum(
        layer.times * layer.cascade.bounds.points[einsum.name]
        for layer in model.layers
        for einsum in layer.cascade.work
        if einsum.reduced and layer.cascade.bounds.operations[einsum.name].get("mac")
    )


@pytest.mark.parametrize("name", TABLES)
def test_totals_are_those_of_the_table_of_the_network_and_the_published_ones(name: str) -> None:
    model, (convolutions, last) = network(name), TABLES[name]
    parameters = sum(times * (k * each * r * r + 2 * k) for k, each, r, _, times in convolutions) + 1000 * last + 1000
    macs = sum(times * k * each * r * r * side * side for k, each, r, side, times in convolutions) + 1000 * last
    assert weights(model, {"PHOTO"}) == parameters
    assert load_kept(resolve(name, WORKLOAD), {"shape.b": "3"})[1].parameters == parameters
    assert multiply_adds(model) == macs
    published, published_macs, near = PUBLISHED[name]
    assert parameters == published
    assert abs(macs / published_macs - 1) <= near


def test_batch_and_image_are_parameters() -> None:
    """Operations grow with images, and those of convolutions with their points; weights stay."""
    whole, batch = network("mobilenet-v2"), network("mobilenet-v2", b=4)
    assert multiply_adds(batch) == 4 * multiply_adds(whole)
    small = network("mobilenet-v2", image=64)
    assert weights(small, {"PHOTO"}) == weights(batch, {"PHOTO"}) == weights(whole, {"PHOTO"})
    assert (multiply_adds(small) - 1_280_000) * 49 == (multiply_adds(whole) - 1_280_000) * 4


def test_super_resolution_has_the_weights_and_operations_of_its_paper() -> None:
    """SESR-M5, arXiv 2103.09404: 13.52K weights without slopes; 28G multiply-adds from 1080p to 4K, 3.11G to 720p."""
    model = network("sesr-m5")
    slopes = 6 * 16
    assert weights(model, {"I"}) - slopes == 25 * 16 + 5 * 9 * 16 * 16 + 25 * 16 * 4 == 13_520
    assert multiply_adds(model) == 1080 * 1920 * 13_520
    assert round(multiply_adds(model) / 1e9) == 28
    assert round(multiply_adds(network("sesr-m5", p=360, q=640)) / 1e9, 2) == 3.12  # printed as 3.11, cut off


def conv(i: Arrays, name: str, image: Any, stride: int = 1) -> Any:
    """A convolution and its normalisation."""
    filters = i[f"{name}/F"]
    made = c.depthwise(image, filters, stride, 1) if filters.ndim == 3 else c.convolution(image, filters, stride, filters.shape[2] // 2)
    return c.scaled(made, i[f"{name}/G"], i[f"{name}/B"])


def classes(i: Arrays, image: Any) -> Any:
    return image.mean((2, 3)) @ i["classifier/W"].T + i["classifier/B"]


def stem(i: Arrays) -> Any:
    made = c.relu(conv(i, "stem", i["PHOTO"], 2))
    return c.windows(made, 3, 3, 2, 1, -np.inf).max((-2, -1))


def resnet(i: Arrays, wide: bool) -> Any:
    x = stem(i)
    for stage in range(1, 5):
        for block in (f"stage{stage}-down", f"stage{stage}"):
            if f"{block}/{'reduce' if wide else 'first'}/F" not in i:
                continue
            stride = 2 if block.endswith("down") and stage > 1 else 1
            if wide:
                made = c.relu(conv(i, f"{block}/reduce", x))
                made = conv(i, f"{block}/expand", c.relu(conv(i, f"{block}/middle", made, stride)))
            else:
                made = conv(i, f"{block}/second", c.relu(conv(i, f"{block}/first", x, stride)))
            x = c.relu(made + (conv(i, f"{block}/shortcut", x, stride) if block.endswith("down") else x))
    return classes(i, x)


def mobilenet_1(i: Arrays) -> Any:
    x = c.relu(conv(i, "stem", i["PHOTO"], 2))
    strides = iter((1, 2, 1, 2, 1, 2, 1, 2, 1))
    for block in range(1, 10):
        x = c.relu(conv(i, f"block{block}/pointwise", c.relu(conv(i, f"block{block}/depthwise", x, next(strides)))))
    return classes(i, x)


def mobilenet_2(i: Arrays) -> Any:
    x = c.relu6(conv(i, "stem", i["PHOTO"], 2))
    x = conv(i, "first-project", c.relu6(conv(i, "first-depthwise", x)))
    for stage, stride in enumerate((2, 2, 2, 1, 2, 1), 1):
        for block in (f"stage{stage}", f"stage{stage}-add"):
            if f"{block}/expand/F" in i:
                deep = c.relu6(
                    conv(i, f"{block}/depthwise", c.relu6(conv(i, f"{block}/expand", x)), 1 if block.endswith("add") else stride)
                )
                made = conv(i, f"{block}/project", deep)
                x = x + made if block.endswith("add") else made
    return classes(i, c.relu6(conv(i, "last", x)))


def fasternet(i: Arrays) -> Any:
    def patches(name: str, image: Any) -> Any:
        filters = i[f"{name}/F"]
        return c.scaled(c.convolution(image, filters, stride=filters.shape[2]), i[f"{name}/G"], i[f"{name}/B"])

    x = patches("embed", i["PHOTO"])
    for stage in range(1, 5):
        x = patches(f"merge{stage - 1}", x) if stage > 1 else x
        first, second, filters = (i[f"stage{stage}/{each}"] for each in ("expand/W1", "project/W2", "mix/F"))
        mixed = np.concatenate([c.convolution(x[:, : len(filters)], filters, pad=1), x[:, len(filters) :]], axis=1)
        wide = gelu(c.scaled(c.pointwise(mixed, first), i[f"stage{stage}/expand/G"], i[f"stage{stage}/expand/B"]))
        x = x + c.pointwise(wide, second)
    return gelu(x.mean((2, 3)) @ i["head/W3"].T) @ i["head/W"].T + i["head/B"]


def mixer(i: Arrays, x: Any) -> Any:
    """Places as rows: a softmax over places for each state, states mixed and gated, and given back."""
    smooth = {}
    for each in "BCT":
        smooth[each] = c.depthwise(c.pointwise(x, i[f"W{each}"]), i[f"F{each}"], pad=1).reshape(len(x), -1, x.shape[2] * x.shape[3])
    power = np.exp(smooth["T"] + i["A"][:, None])
    states = x.reshape(*x.shape[:2], -1) @ (power / power.sum(-1, keepdims=True) * smooth["B"]).transpose(0, 2, 1)
    inner, gate = i["WH"] @ states, i["WZ"] @ states
    out = i["WO"] @ (inner * gate / (1 + np.exp(-gate)) + inner * i["D"])
    return (out @ smooth["C"]).reshape(x.shape)


def vision(i: Arrays) -> Any:
    x = i["PHOTO"]
    for stem in range(1, 5):
        x = c.relu(conv(i, f"stem{stem}", x, 2))
    for stage in range(1, 4):
        at = f"stage{stage}"
        x = conv(i, f"merge{stage - 1}", x, 2) if stage > 1 else x
        x = x + conv(i, f"{at}/local", x)
        even = (x - x.mean(1, keepdims=True)) / np.sqrt(x.var(1, keepdims=True) + 1e-6)
        even = c.scaled(even, i[f"{at}/norm/G"], i[f"{at}/norm/B"])
        x = x + mixer({name.rsplit("/", 1)[-1]: each for name, each in i.items() if name.startswith(f"{at}/mixer/")}, even)
        x = x + conv(i, f"{at}/local-again", x)
        first, second = (i[f"{at}/feed-forward/{each}"] for each in ("W1", "W2"))
        up, down = ([i[f"{at}/feed-forward/{each}{side}"] for each in "GB"] for side in "UO")
        x = x + c.scaled(c.pointwise(c.relu(c.scaled(c.pointwise(x, first), *up)), second), *down)
    return classes(i, x)


def test_a_mixer_of_hidden_states_multiplies_matrices_over_states_and_not_over_places() -> None:
    """EfficientViM, section 3: beside projections and convolutions of 3n channels, 2 L n d for going to states and back, and 3 n d^2."""
    made = load_workload(resolve("hidden-state-mixer", WORKLOAD), {})
    assert isinstance(made, Cascade)
    side, d, n = 14, 128, 49
    places = side * side
    counted = made.bounds.points
    assert counted["BP"] + counted["CP"] + counted["TP"] == 3 * places * n * d
    assert counted["BD"] + counted["CD"] + counted["TD"] == 3 * places * n * 9
    assert counted["H"] + counted["Y"] == 2 * places * n * d
    assert counted["HH"] + counted["HZ"] + counted["HO"] == 3 * n * d * d


def gelu(x: Any) -> Any:
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


NETWORKS = {
    "fasternet-t0": fasternet,
    "efficientvim-m1-like": vision,
    "resnet18": lambda i: resnet(i, wide=False),
    "resnet50": lambda i: resnet(i, wide=True),
    "mobilenet-v1": mobilenet_1,
    "mobilenet-v2": mobilenet_2,
}


def test_totals_on_the_page_are_those_of_the_files() -> None:
    page = (Path(__file__).parents[2] / "docs" / "workloads.md").read_text("utf-8")
    rows = re.findall(r"^\| \[([\w-]+)\]\(\.\./workloads/cnn/[\w-]+\.yaml\) \| ([\d,]+) \| ([\d,]+) \|", page, re.MULTILINE)
    assert {name for name, _, _ in rows} == {*NETWORKS, *OTHERS}
    for name, parameters, macs in rows:
        model = network(name)
        assert (f"{weights(model, {'PHOTO', 'I'}):,}", f"{multiply_adds(model):,}") == (parameters, macs), name


OTHERS = ("sesr-m5",)
FINER = ("efficientvim-m1-like",)  # halves its image six times


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_computes_what_it_does_in_numpy(name: str) -> None:
    """Of blocks that are repeated, each once; weights such that values neither vanish nor leave the reach of exponentials."""
    model = network(name, b=1, image=64 if name in FINER else 32)
    inputs = {
        each: value * (4 / math.sqrt(math.prod(value.shape[1:])) if value.ndim > 1 and "/" in each else 1)
        for each, value in model_inputs(model, np.random.default_rng(3)).items()
    }
    found = run_model(model, inputs)[model.layers[-1].cascade.name].values["Y"]
    expected = NETWORKS[name](inputs)
    assert found.shape == (1, 1000) and len(np.unique(found)) > 900
    assert np.max(np.abs(found - expected)) <= 1e-9 * np.max(np.abs(expected))


def test_super_resolution_computes_what_it_does_in_numpy() -> None:
    model = network("sesr-m5", b=2, p=7, q=8)
    i = model_inputs(model, np.random.default_rng(5))
    image = i["I"][:, None]

    def rectified(x: Any, slope: Any) -> Any:
        return np.where(x > 0, x, slope[:, None, None] * x)

    first = rectified(c.convolution(image, i["F1"][:, None], pad=2), i["A"])
    middle = rectified(c.convolution(first, i["F3"], pad=1), i["AM"])
    expected = c.convolution(first + middle, i["F5"], pad=2) + image
    assert np.allclose(run_model(model, i)["last"].values["Y"], expected, rtol=0, atol=1e-9 * np.abs(expected).max())
