"""What TensorRT's ONNX parser takes, as published."""

from eseg_keras.optional import require

# Operators that TensorRT 10.15 supports with floats, of those a segmentation network may have.
# "UINT8 is only supported as network input or output tensor types."
SOURCE = "https://github.com/onnx/onnx-tensorrt/blob/main/docs/operators.md"
SUPPORTED = frozenset(
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
RESIZE_TRANSFORMATIONS = frozenset(
    ["half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners"]
)
RESIZE_MODES = frozenset(["nearest", "linear"])
RESIZE_NEAREST_MODES = frozenset(["floor", "ceil", "round_prefer_floor", "round_prefer_ceil"])
OPSETS = range(9, 25)


def check_tensorrt_operators(model) -> None:
    """Refuse a graph that TensorRT cannot take.

    Args:
        model: `onnx.ModelProto` of one version of standard operators, with static shapes.

    Raises:
        ValueError: With every reason, if the graph holds an operator, a way to resize or 8-bit
            values inside that TensorRT does not support, or if a shape is not fixed.
    """
    onnx = require("onnx", "export")
    problems = []
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx") and entry.version not in OPSETS:
            problems.append(f"operators of version {entry.version}")
    for value in (*model.graph.input, *model.graph.output):
        if not all(dimension.dim_value for dimension in value.type.tensor_type.shape.dim):
            problems.append(f"a shape of {value.name} that is not fixed")
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    uint8 = {
        value.name
        for value in (*inferred.input, *inferred.value_info, *inferred.output)
        if value.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    }
    for node in model.graph.node:
        if node.op_type not in SUPPORTED or node.domain not in ("", "ai.onnx"):
            problems.append(f"the operator {node.op_type}")
        if node.op_type == "Resize":
            problems += _resize_problems(node)
        if node.op_type != "Cast" and uint8.intersection([*node.input, *node.output]):
            problems.append(f"{node.op_type} of uint8 values")
    if problems:
        raise ValueError(
            f"TensorRT does not support: {', '.join(dict.fromkeys(problems))} (see {SOURCE})."
        )


def _resize_problems(node):
    # The defaults of ONNX, where nothing is said.
    said = {"mode": b"nearest", "coordinate_transformation_mode": b"half_pixel"}
    said.update({a.name: a.s for a in node.attribute})
    allowed = {"mode": RESIZE_MODES, "coordinate_transformation_mode": RESIZE_TRANSFORMATIONS}
    if said["mode"] == b"nearest":
        said.setdefault("nearest_mode", b"round_prefer_floor")
        allowed["nearest_mode"] = RESIZE_NEAREST_MODES
    return [
        f"Resize with {name} {said[name].decode()}"
        for name, values in allowed.items()
        if said[name].decode() not in values
    ]
