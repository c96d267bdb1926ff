"""The protobuf messages of TF Serving for predictions.

The package `tensorflow-serving-api` has them too, but imports TensorFlow, which takes seconds and
half a gigabyte. Field numbers are TF Serving's, so the bytes are the same. The messages have a
descriptor pool of their own, so that both can be imported.
"""

import functools
import math
from types import SimpleNamespace

import numpy as np

from eseg_keras.optional import require

# Message: {field: (number, type)}. A type with a dot is a message, "[...]" is repeated, and
# "{...}" is a map from strings. Field names are not part of the bytes.
_MESSAGES = {
    "Dim": {"size": (1, "int64")},
    "TensorShape": {"dim": (2, "[.Dim]"), "unknown_rank": (3, "bool")},
    # TF Serving responds with one list for each type. It also accepts the shorter `tensor_content`.
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
    """Return the message classes by TF Serving's names: `PredictRequest` and others."""
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
    """Return a `PredictRequest` of {name: float32, int32 or uint8 array, or list of bytes}."""
    request = messages().PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for name, value in inputs.items():
        _fill(request.inputs[name], value)
    return request


def arrays(response, most_values: int) -> dict:
    """Return the outputs of a `PredictResponse`, {name: array, or list of bytes}.

    A shape of more than `most_values` is refused: a few bytes may stand for a tensor of any size.
    """
    return {name: _array(name, tensor, most_values) for name, tensor in response.outputs.items()}


def _fill(tensor, value):
    if isinstance(value, list):
        tensor.dtype = 7
        shape = (len(value),)
        tensor.string_val.extend(value)
    else:
        numbers = {dtype: number for number, dtype in _DTYPES.items()}
        if value.dtype.name not in numbers:
            raise ValueError(
                f"Expected an array of uint8, int32 or float32. Received: {value.dtype}"
            )
        tensor.dtype = numbers[value.dtype.name]
        shape = value.shape
        tensor.tensor_content = np.ascontiguousarray(value).tobytes()
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)


def _array(name, tensor, most_values):
    dtype = _DTYPES.get(tensor.dtype)
    if dtype is None:
        raise ValueError(
            f"The server's output {name!r} is of TensorFlow's data type {tensor.dtype}. Expected "
            f"one of {sorted(_DTYPES.values())}: was the model exported by eseg-keras?"
        )
    if dtype == "bytes":
        return list(tensor.string_val)
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if min(shape, default=0) < 0 or math.prod(shape) > most_values:
        raise ValueError(f"The server's output {name!r} is of shape {shape}")
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    # TensorFlow drops repeated values at the end of such a list.
    values = np.array(tensor.float_val if dtype == "float32" else tensor.int_val, dtype)
    missing = math.prod(shape) - len(values)
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
