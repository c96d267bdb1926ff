"""Quantize the large convolutions of an ONNX network to 8 bits."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from eseg_keras.export.quiet import quiet
from eseg_keras.files import temporary_directory
from eseg_keras.optional import require

# Quantized operators. Sigmoid and Mul compute SiLU and squeeze-and-excitation. They are quantized,
# too: in float, they and the conversions around them took longer than all other operators together.
_OPERATORS = ["Conv", "Relu", "Clip", "Add", "Sigmoid", "Mul"]
# Convolutions larger than 1x1 with fewer filters stay in float, which is faster for them, because
# 8-bit matrix products compute 32 filters at once.
_FEWEST_FILTERS = 32


def quantize_onnx(model, images: Sequence[np.ndarray]):
    """Return a quantized `onnx.ModelProto`, calibrated on uint8 images [H, W, C]."""
    # The QDQ format (pairs of QuantizeLinear and DequantizeLinear) works in every runtime, and ONNX
    # Runtime fuses the pairs into 8-bit convolutions.
    onnx = require("onnx", "export")
    quantization = require("onnxruntime.quantization", "export")
    model = onnx.shape_inference.infer_shapes(model)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(model.graph.input[0].type.tensor_type.elem_type)
    name = model.graph.input[0].name

    class Reader(quantization.CalibrationDataReader):
        def __init__(self):
            self.images = iter(images)

        def get_next(self):
            image = next(self.images, None)
            return None if image is None else {name: image[None].astype(dtype)}

    with temporary_directory() as folder, quiet(""):
        path, ranges = Path(folder) / "int8.onnx", Path(folder) / "ranges.json"
        _save_ranges(model, Reader(), ranges)
        quantization.quantize_static(
            model,
            path,
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=_OPERATORS,
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            nodes_to_exclude=_kept_in_float(model.graph),
            calibration_cache_path=ranges,
        )
        return onnx.load(path)


def _save_ranges(model, reader, output):
    """Write a JSON file with the minimum and maximum of each feature map that may be quantized."""
    # ONNX Runtime's own calibration computes all ranges after the last layer and therefore keeps
    # all feature maps in memory: 4 GB for eseg_m at 512x1024. This function takes 0.7 GB and a
    # third of the time.
    onnx = require("onnx", "export")
    onnxruntime = require("onnxruntime", "export")
    calibrate = require("onnxruntime.quantization.calibrate", "export")
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # PRIORITY_BASED computes the range of a feature map right after the feature map.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    with temporary_directory() as folder:
        path, augmented = Path(folder) / "float.onnx", str(Path(folder) / "augmented.onnx")
        onnx.save(model, path)
        calibrator = calibrate.MinMaxCalibrater(path, _OPERATORS, augmented)
        calibrator.augment_graph()
        calibrator.infer_session = onnxruntime.InferenceSession(augmented, options)
        calibrator.collect_data(reader)
    calibrate.save_tensors_data(calibrator.compute_data(), output)


def _kept_in_float(graph):
    """Return the names of the nodes that stay in float."""
    # - The first convolution: its rounding errors propagate through the whole network.
    # - The head: it takes a small part of the time, and rounded logits change labels.
    # - Convolutions with few filters: see `_FEWEST_FILTERS`.
    # - Sums and products of pooled levels: the pooling would be quantized, too, which is slow in
    #   ONNX Runtime.
    # - Everything else outside encoder and decoder, and depthwise convolutions before a SiLU.
    filters = {
        tensor.name: tensor.dims[0]
        for tensor in graph.initializer
        if len(tensor.dims) == 4 and tensor.dims[2] * tensor.dims[3] > 1
    }
    pooled = {node.output[0] for node in graph.node if node.op_type == "AveragePool"}
    clipped = {node.input[0] for node in graph.node if node.op_type in ("Clip", "Relu")}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    kept = [convolutions[0].name]
    for node in graph.node:
        # Node names contain the Keras name "encoder", "decoder" or "head", followed by a number if
        # Keras repeats the name. tf2onnx gives other names to depthwise convolutions with folded
        # batch normalisation: those before a Clip or Relu are quantized, those before a SiLU are
        # not.
        is_body = re.search(r"(^|/)(encoder|decoder)(_\d+)?/", node.name)
        if node.op_type == "Conv":
            is_head = re.search(r"(^|/)head(_\d+)?/", node.name)
            is_narrow = filters.get(node.input[1], _FEWEST_FILTERS) < _FEWEST_FILTERS
            is_kept = is_head or is_narrow or not (is_body or node.output[0] in clipped)
        else:
            is_kept = not is_body or pooled & set(node.input)
        if is_kept:
            kept.append(node.name)
    return kept
