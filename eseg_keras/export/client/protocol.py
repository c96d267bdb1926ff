"""Protobuf messages of TF Serving's Predict API.

They are defined here because the package `tensorflow-serving-api` imports TensorFlow, which takes
seconds and half a gigabyte of memory. The field numbers are those of TF Serving, so the serialized
messages are the same. The messages use a separate descriptor pool, so that they do not conflict
with `tensorflow-serving-api` in the same process.
"""

import functools
import math
from types import SimpleNamespace

import numpy as np

from eseg_keras.optional import require

# {message: {field: (number, type)}}. A type that starts with a dot is a message, "[type]" is a
# repeated field, and "{type}" is a map from strings to the type. Field names are not serialized.
_MESSAGES = {
    "Dim": {"size": (1, "int64")},
    "TensorShape": {"dim": (2, "[.Dim]"), "unknown_rank": (3, "bool")},
    # TF Serving returns values in the `*_val` list of their type. Requests use `tensor_content`,
    # which is shorter.
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

# Values of the enum tensorflow.DataType.
_DTYPES = {1: "float32", 3: "int32", 4: "uint8", 7: "bytes"}
_PACKAGE = "eseg_keras.serving"


@functools.cache
def messages() -> SimpleNamespace:
    """Return the message classes as attributes, named as in TF Serving (`PredictRequest`, ...)."""
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
    """Return a `PredictRequest`; inputs are float32, int32 or uint8 arrays, or lists of bytes."""
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

    Raises `ValueError` for a shape with more than `most_values` values: TensorFlow omits repeated
    values, so that a few bytes can encode a tensor of any size.
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
            f"The server's output {name!r} has TensorFlow's data type {tensor.dtype}. Expected one "
            f"of {sorted(_DTYPES.values())}. Check that the model was exported by eseg-keras."
        )
    if dtype == "bytes":
        return list(tensor.string_val)
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    if min(shape, default=0) < 0 or math.prod(shape) > most_values:
        raise ValueError(
            f"The server's output {name!r} has the shape {shape}. Expected at most {most_values} "
            "values. Check that the model was exported by eseg-keras."
        )
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, dtype).reshape(shape)
    # TensorFlow omits repeated values at the end of a `*_val` list: repeat the last value.
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
