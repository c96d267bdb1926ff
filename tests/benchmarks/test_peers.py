"""The last steps of the compared networks, upsampling and argmax, in both layouts."""

import importlib.util
from pathlib import Path

import keras
import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

path = Path(__file__).parents[2] / "benchmarks" / "peers.py"
spec = importlib.util.spec_from_file_location("peers", path)
peers = importlib.util.module_from_spec(spec)
spec.loader.exec_module(peers)


@pytest.mark.parametrize("tuned", [False, True])
def test_labels_are_those_of_upsampled_logits(tuned):
    shape, size = (1, 5, 4, 6), (13, 24)
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    given = helper.make_tensor_value_info("x", kind, shape)
    result = helper.make_tensor_value_info("logits", kind, shape)
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["logits"])], "peer", [given], [result]
    )
    opsets = [helper.make_opsetid("", peers.OPSET)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    labelled = peers.with_labels(model, size, tuned)
    assert ("Transpose" in {node.op_type for node in labelled.graph.node}) == tuned
    assert [output.name for output in model.graph.output] == ["logits"]  # The input is not changed.

    logits = np.random.default_rng(0).normal(size=shape).astype("float32")
    session = onnxruntime.InferenceSession(labelled.SerializeToString())
    (labels,) = session.run(None, {"x": logits})
    upsampled = keras.ops.image.resize(logits.transpose(0, 2, 3, 1), size, "bilinear")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, keras.ops.convert_to_numpy(upsampled).argmax(-1))
