"""The operators that TensorRT's ONNX parser supports, according to the parser's documentation."""

from eseg_keras.optional import require

# Float operators that TensorRT 10.15 supports and a segmentation network may contain. For uint8,
# SOURCE says: "UINT8 is only supported as network input or output tensor types."
SOURCE = "https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md"
_SUPPORTED = frozenset(
    """
    Abs Add And ArgMax ArgMin AveragePool BatchNormalization Cast Ceil Celu Clip Concat Constant
    ConstantOfShape Conv ConvTranspose CumSum DepthToSpace Div Dropout Einsum Elu Equal Erf Exp
    Expand Flatten Floor Gather GatherElements GatherND Gelu Gemm GlobalAveragePool GlobalMaxPool
    Greater GreaterOrEqual GroupNormalization HardSigmoid HardSwish Hardmax Identity If
    InstanceNormalization LayerNormalization LeakyRelu Less LessOrEqual Log LogSoftmax LpPool MatMul
    Max MaxPool Mean MeanVarianceNormalization Min Mish Mod Mul Neg NonZero Not OneHot Or PRelu Pad
    Pow Range Reciprocal ReduceL1 ReduceL2 ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum
    ReduceSumSquare Relu Reshape Resize RMSNormalization Round ScatterElements ScatterND Selu Shape
    Sigmoid Sign Size Slice Softmax Softplus Softsign SpaceToDepth Split Sqrt Squeeze Sub Sum Tanh
    ThresholdedRelu Tile TopK Transpose Trilu Unsqueeze Upsample Where Xor
    """.split()
)
# {attribute of Resize: supported values, ONNX's default first}. Every nearest_mode is supported.
_RESIZE = {
    "mode": ("nearest", "linear"),
    "coordinate_transformation_mode": (
        *("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric"),
        "align_corners",
    ),
}
_OPSETS = range(9, 25)


def check_tensorrt_operators(model) -> None:
    """Raise `ValueError`, with all reasons, if TensorRT does not support an `onnx.ModelProto`."""
    onnx = require("onnx", "export")
    problems = []
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version not in _OPSETS:
            problems.append(f"the operator set version {entry.version}")
    for value in (*model.graph.input, *model.graph.output):
        if not all(dimension.dim_value for dimension in value.type.tensor_type.shape.dim):
            problems.append(f"the dynamic shape of {value.name}")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    uint8 = {
        value.name
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    }
    for node in model.graph.node:
        if node.op_type not in _SUPPORTED or node.domain not in ("", "ai.onnx"):
            problems.append(f"the operator {node.op_type}")
        if node.op_type == "Resize":
            problems += _resize_problems(node)
        if node.op_type != "Cast" and uint8.intersection([*node.input, *node.output]):
            problems.append(f"{node.op_type} on uint8 values")
    if problems:
        raise ValueError(
            f"TensorRT does not support: {', '.join(dict.fromkeys(problems))} (see {SOURCE})."
        )


def _resize_problems(node):
    values = {attribute.name: attribute.s.decode() for attribute in node.attribute}
    return [
        f"Resize with {name} {values[name]}"
        for name, supported in _RESIZE.items()
        if values.get(name, supported[0]) not in supported
    ]
