"""Write the standard metadata of TFLite files: descriptions of the input and the output.

Reference:
    [TFLite metadata](https://ai.google.dev/edge/litert/models/metadata) and its schema,
    `metadata_schema.fbs`. Only the tables that are needed here are written.
"""

from collections.abc import Mapping, Sequence

import keras

from eseg_keras.optional import require

_MODEL_ENTRY = "TFLITE_METADATA"  # Name of the buffer in the model.
_FILE_IDENTIFIER = b"M001"
_PARSER_VERSION = "1.0.0"
# Values of the schema's unions and enumerations.
_NORMALIZATION_OPTIONS = 1
_FEATURE_PROPERTIES, _IMAGE_PROPERTIES = 1, 2
_RGB = 1
_AXIS_LABELS, _VALUE_LABELS = 2, 3


def add_metadata(
    content: bytes, model: keras.Model, output_kind: str, labels_file: str | None
) -> bytes:
    """Return a TFLite file with metadata: descriptions of the network, its input and its output.

    `labels_file` is the name of the file with one class name per line that the caller appends to
    the TFLite file, or `None`.
    """
    schema = require("tensorflow.lite.python.schema_py_generated", "tensorflow-cpu")
    flatbuffers = require("flatbuffers", "tensorflow-cpu")
    file = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = _metadata(model, output_kind, labels_file)
    entry.name, entry.buffer = _MODEL_ENTRY.encode(), len(file.buffers)
    file.buffers.append(buffer)
    file.metadata = [*(file.metadata or ()), entry]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(file.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _metadata(model, output_kind, labels_file) -> bytes:
    channels = model.image_shape[-1]
    flatbuffers = require("flatbuffers", "tensorflow-cpu")
    tables = _Tables(flatbuffers.Builder(1024))
    # Mean 0 and standard deviation 1: the input is 0..255, without normalisation.
    normalization = tables.add({0: [0.0] * channels, 1: [1.0] * channels})
    properties = tables.add({0: ("Int8", _RGB if channels == 3 else 0)})
    image = tables.add(
        {
            0: "images",
            1: "An image of values from 0 to 255.",
            3: tables.add({0: ("Uint8", _IMAGE_PROPERTIES), 1: properties}),
            4: [tables.add({0: ("Uint8", _NORMALIZATION_OPTIONS), 1: normalization})],
        }
    )
    kind = _VALUE_LABELS if output_kind == "labels" else _AXIS_LABELS
    description = {
        "labels": "The class of each pixel.",
        "logits": "The logits of the classes at each pixel.",
        "probabilities": "The probabilities of the classes at each pixel.",
    }[output_kind]
    feature = tables.add({0: ("Uint8", _FEATURE_PROPERTIES), 1: tables.add({})})
    output = {0: output_kind, 1: description, 3: feature}
    if labels_file is not None:
        names = {0: labels_file, 1: "One class name per line.", 2: ("Int8", kind)}
        output[6] = [tables.add(names)]
    graph = tables.add({2: [image], 3: [tables.add(output)]})
    name = f"{model.name}: semantic segmentation"
    root = tables.add({0: model.name, 1: name, 3: [graph], 7: _PARSER_VERSION})
    tables.builder.Finish(root, _FILE_IDENTIFIER)
    return bytes(tables.builder.Output())


class _Tables:
    """Writes tables of a FlatBuffer from {field number: value}."""

    def __init__(self, builder):
        self.builder = builder

    def add(self, fields: Mapping[int, object]) -> int:
        """Write a table and return its offset.

        A value is a string, the offset of a table, a list of floats or of offsets, or a pair
        (FlatBuffers type, number).
        """
        # Strings, lists and tables are written before the table that refers to them.
        written = {number: self._write(value) for number, value in fields.items()}
        self.builder.StartObject(max(written, default=-1) + 1)
        for number, value in written.items():
            if isinstance(value, tuple):
                getattr(self.builder, f"Prepend{value[0]}Slot")(number, value[1], 0)
            else:
                self.builder.PrependUOffsetTRelativeSlot(number, value, 0)
        return self.builder.EndObject()

    def _write(self, value):
        if isinstance(value, str):
            return self.builder.CreateString(value)
        return self._write_list(value) if isinstance(value, list) else value

    def _write_list(self, values: Sequence[float | int]) -> int:
        is_float = isinstance(values[0], float)
        self.builder.StartVector(4, len(values), 4)
        for value in reversed(values):
            if is_float:
                self.builder.PrependFloat32(value)
            else:
                self.builder.PrependUOffsetTRelative(value)
        return self.builder.EndVector()
