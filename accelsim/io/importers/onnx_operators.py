"""The ONNX operators that are known, by name. To add one: a row."""

from __future__ import annotations

from collections.abc import Callable

from accelsim.io.importers import onnx_layers, onnx_sums, onnx_views
from accelsim.io.importers.onnx_node import Node
from accelsim.io.importers.onnx_points import POINTS, point
from accelsim.io.importers.sketch import View

OPERATORS: dict[str, Callable[[Node], list[View]]] = {
    **dict.fromkeys(POINTS, point),
    "Conv": onnx_layers.conv, "ConvInteger": onnx_layers.conv_of_integers, "QLinearConv": onnx_layers.quantised_conv,
    "Gemm": onnx_layers.gemm, "MatMul": onnx_layers.product, "MatMulInteger": onnx_layers.product_of_integers,
    "QLinearMatMul": onnx_layers.quantised_product, "Einsum": onnx_sums.einsum,
    "MaxPool": onnx_sums.pooled, "AveragePool": onnx_sums.pooled,
    "GlobalMaxPool": onnx_sums.pooled_whole, "GlobalAveragePool": onnx_sums.pooled_whole,
    "ReduceSum": onnx_sums.reduced, "ReduceMean": onnx_sums.reduced, "ReduceMax": onnx_sums.reduced, "ReduceMin": onnx_sums.reduced,
    "ReduceProd": onnx_sums.reduced, "ReduceSumSquare": onnx_sums.reduced, "ReduceL1": onnx_sums.reduced, "ReduceL2": onnx_sums.reduced,
    "Softmax": onnx_sums.softmaxed, "LogSoftmax": onnx_sums.softmaxed, "LayerNormalization": onnx_sums.layer_normalised,
    "RMSNormalization": onnx_sums.layer_normalised, "SimplifiedLayerNormalization": onnx_sums.layer_normalised,
    "InstanceNormalization": onnx_sums.instance_normalised, "GroupNormalization": onnx_sums.group_normalised,
    "BatchNormalization": onnx_sums.batch_normalised,
    "QuantizeLinear": onnx_sums.quantised, "DequantizeLinear": onnx_sums.dequantised,
    "Identity": onnx_views.same, "Dropout": onnx_views.same, "Cast": onnx_views.cast, "CastLike": onnx_views.cast,
    "Reshape": onnx_views.reshaped, "Flatten": onnx_views.flattened, "Squeeze": onnx_views.squeezed, "Unsqueeze": onnx_views.unsqueezed,
    "Transpose": onnx_views.transposed, "Expand": onnx_views.repeated, "Slice": onnx_views.sliced, "Split": onnx_views.split,
    "Concat": onnx_views.joined, "Pad": onnx_views.padded, "Gather": onnx_views.gathered,
}  # fmt: skip
