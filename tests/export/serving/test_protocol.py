"""Protocol messages of the package and of tensorflow-serving-api read each other's bytes."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

from eseg_keras.export.client.protocol import arrays, messages, predict_request

IMAGES = np.arange(24, dtype=np.uint8).reshape(1, 2, 4, 3)


def official_request(**inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "é"
    request.model_spec.signature_name = "encoded"
    request.model_spec.version.value = 1 << 40
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


@pytest.mark.parametrize(
    "value", [IMAGES, IMAGES.astype("float32"), IMAGES.astype("int32"), [b"\xff\0", b""]], ids=str
)
def test_requests(value):
    ours = predict_request("é", "encoded", {"x": value}, version=1 << 40)
    theirs = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
    expected = official_request(x=np.array(value, object) if isinstance(value, list) else value)
    assert theirs == expected


def test_the_version_is_the_servers_choice():
    ours = predict_request("m", "encoded", {})
    theirs = predict_pb2.PredictRequest.FromString(ours.SerializeToString())
    assert not theirs.model_spec.HasField("version")


def test_logs():
    log = messages().PredictionLog()
    log.predict_log.request.CopyFrom(predict_request("é", "encoded", {"x": IMAGES}, 1 << 40))
    theirs = prediction_log_pb2.PredictionLog.FromString(log.SerializeToString())
    assert theirs.predict_log.request == official_request(x=IMAGES)


def response(**outputs):
    message = predict_pb2.PredictResponse()
    for name, proto in outputs.items():
        message.outputs[name].CopyFrom(proto)
    return messages().PredictResponse.FromString(message.SerializeToString())


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32"])
@pytest.mark.parametrize("form", ["content", "list", "shortened"])
def test_arrays(dtype, form):
    values = np.array([[3, 0, 200], [7, 7, 7]], dtype)
    proto = tf.make_tensor_proto(values)
    if form != "content":
        proto.ClearField("tensor_content")
        numbers = values.ravel().tolist()[: -2 if form == "shortened" else None]
        (proto.float_val if dtype == "float32" else proto.int_val).extend(numbers)
    (found,) = arrays(response(x=proto), values.size).values()
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, values)


def test_bytes_and_nothing():
    outputs = arrays(
        response(
            png_bytes=tf.make_tensor_proto(np.array([b"\x89PNG", b""], object)),
            nothing=tf.make_tensor_proto(np.zeros((0, 3), "float32")),
        ),
        2,
    )
    assert outputs["png_bytes"] == [b"\x89PNG", b""]
    assert outputs["nothing"].shape == (0, 3)


def test_types_that_we_do_not_send():
    with pytest.raises(ValueError, match="output 'x' has TensorFlow's data type 9"):
        arrays(response(x=tf.make_tensor_proto(np.zeros(3, "int64"))), 3)
