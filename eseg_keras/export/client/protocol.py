"""TF Serving's messages, as few of them as a prediction needs.

`tensorflow-serving-api` holds them all, and imports TensorFlow for it: seconds and half a gigabyte
for a client that only sends photos. Field numbers are TF Serving's, so the bytes are the same. The
messages live in a pool of their own, where they are in nobody's way.
"""

import functools
from types import SimpleNamespace

import numpy as np

from eseg_keras.optional import require

# Message: {field: (number, type)}. A type with a dot is a message, "[...]" is repeated, and
# "{...}" is a map from names. Names are TF Serving's own: they never appear in the bytes.
_MESSAGES = {
    "Dim": {"size": (1, "int64")},
    "TensorShape": {"dim": (2, "[.Dim]"), "unknown_rank": (3, "bool")},
    # TF Serving answers with one list for each type; `tensor_content` is shorter, and as welcome.
    "Tensor": {
        "dtype": (1, "int32"),
        "tensor_shape": (2, ".TensorShape"),
        "tensor_content": (4, "bytes"),
        "float_val": (5, "[float]"),
        "int_val": (7, "[int32]"),
        "string_val": (8, "[bytes]"),
    },
    "Version": {"value": (1, "int64")},
    "ModelSpec": {
        "name": (1, "string"),
        "version": (2, ".Version"),
        "signature_name": (3, "string"),
    },
    "PredictRequest": {"model_spec": (1, ".ModelSpec"), "inputs": (2, "{.Tensor}")},
    "PredictResponse": {"outputs": (1, "{.Tensor}"), "model_spec": (2, ".ModelSpec")},
    "PredictLog": {"request": (1, ".PredictRequest")},
    "PredictionLog": {"predict_log": (6, ".PredictLog")},
}

# Numbers of tensorflow.DataType.
_DTYPES = {1: "float32", 3: "int32", 4: "uint8", 7: "bytes"}
_PACKAGE = "eseg_keras.serving"


@functools.cache
def messages() -> SimpleNamespace:
    """Make the message classes: `PredictRequest`, `PredictResponse`, `PredictionLog`, ...

    Returns:
        A namespace of classes, by TF Serving's names.

    Raises:
        ImportError: If protobuf is not installed.
    """
    descriptor_pb2 = require("google.protobuf.descriptor_pb2", "serving")
    descriptor_pool = require("google.protobuf.descriptor_pool", "serving")
    message_factory = require("google.protobuf.message_factory", "serving")
    file = descriptor_pb2.FileDescriptorProto(
        name="eseg_keras/serving.proto", package=_PACKAGE, syntax="proto3"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            _add_field(message, field, number, kind)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return SimpleNamespace(
        **{
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}"))
            for name in _MESSAGES
        }
    )


def predict_request(model: str, signature: str, inputs: dict, version: int | None = None):
    """Fill in a `PredictRequest`.

    Args:
        model: Name of the model on the server.
        signature: Name of the signature.
        inputs: {name: float32, int32 or uint8 array, or list of bytes}.
        version: Version of the model; the server's choice by default.

    Returns:
        The message.

    Raises:
        ValueError: If an array is of another dtype.
    """
    request = messages().PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        _fill(request.inputs[name], value)
    return request


def arrays(response) -> dict:
    """Read the outputs of a `PredictResponse`.

    Args:
        response: The message.

    Returns:
        {name: array, or list of bytes}.

    Raises:
        ValueError: If an output is of a type that no signature of ours has.
    """
    return {name: _array(name, tensor) for name, tensor in response.outputs.items()}


def _fill(tensor, value):
    if isinstance(value, list):
        tensor.dtype = 7
        shape = (len(value),)
        tensor.string_val.extend(value)
    else:
        numbers = {dtype: number for number, dtype in _DTYPES.items()}
        if value.dtype.name not in numbers or value.dtype.kind in "SO":
            raise ValueError(
                f"Expected an array of uint8, int32 or float32. Received: {value.dtype}"
            )
        tensor.dtype = numbers[value.dtype.name]
        shape = value.shape
        tensor.tensor_content = np.ascontiguousarray(value).tobytes()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)


def _array(name, tensor):
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        raise ValueError(
            f"The server's output {name!r} is of TensorFlow's data type {tensor.dtype}. Expected "
            f"one of {sorted(_DTYPES.values())}: was the model exported by eseg-keras?"
        )
    if dtype == "bytes":
        return list(tensor.string_val)
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    # TensorFlow cuts off the repetitions at the end of such a list.
    values = np.array(tensor.float_val if dtype == "float32" else tensor.int_val, dtype)
    missing = int(np.prod(shape)) - len(values)
    return np.pad(values, (0, missing), "edge" if len(values) else "constant").reshape(shape)


def _add_field(message, name, number, kind):
    field_type = message.field.add(name=name, number=number)
    types = type(field_type)
    field_type.label = types.LABEL_OPTIONAL
    if kind[0] in "[{":
        field_type.label = types.LABEL_REPEATED
    if kind[0] == "{":
        entry = message.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        _add_field(entry, "key", 1, "string")
        _add_field(entry, "value", 2, kind[1:-1])
        kind = f".{message.name}.{entry.name}"
    kind = kind.strip("[]")
    if kind[0] == ".":
        field_type.type = types.TYPE_MESSAGE
        field_type.type_name = f".{_PACKAGE}{kind}"
    else:
        field_type.type = getattr(types, f"TYPE_{kind.upper()}")
