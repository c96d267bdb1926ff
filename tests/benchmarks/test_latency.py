"""The latency benchmark runs and resumes, and its plot is drawn."""

import csv
import pathlib

import keras
import pytest
from PIL import Image

BENCHMARKS = pathlib.Path(__file__).parents[2] / "benchmarks"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="exports need TensorFlow"),
]


def a_peer(path):
    onnx = pytest.importorskip("onnx")
    helper = onnx.helper
    image = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ("n", 3, "h", "w"))
    labels = helper.make_tensor_value_info("y", onnx.TensorProto.INT64, None)
    node = helper.make_node("ArgMax", ["x"], ["y"], axis=1, keepdims=0)
    graph = helper.make_graph([node], "peer", [image], [labels])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), path)
    return path


def test_rows_are_measured_once_kept_and_drawn(tmp_path, run, run_here):
    pytest.importorskip("tf2onnx")
    pytest.importorskip("matplotlib")
    output = tmp_path / "latency.csv"
    options = ["--presets", "eseg_lite_s", "--sizes", "64x96", "--rounds", 2, "--threads", 1]
    options += ["--cache_dir", tmp_path / "files", "--output", output]
    done = run("latency", *options, "--formats", "onnx")
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    (row,) = csv.DictReader(output.open())
    assert (row["network"], row["format"], row["size"]) == ("eseg_lite_s", "onnx", "64x96")
    assert (row["ratio"], row["reference"]) == ("1.0", "eseg_lite_s onnx")
    assert (row["weights"], row["threads"], row["batch_size"]) == ("random", "1", "1")
    assert row["load_average"] and row["cpu"] and row["keras"]

    before = output.read_text()
    done = run_here("latency", *options, "--formats", "onnx")
    assert done.returncode == 0 and "measured before" in done.stdout
    assert output.read_text() == before

    # New variants are measured together with the reference, whose row is kept.
    options += ["--formats", "keras", "onnx", "--against", a_peer(tmp_path / "peer.onnx")]
    done = run("latency", *options)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
    rows = list(csv.DictReader(output.open()))
    assert output.read_text().startswith(before)
    assert [(row["network"], row["format"]) for row in rows[1:]] == [
        ("eseg_lite_s", "keras"),
        ("peer", "external"),
    ]
    assert {row["reference"] for row in rows} == {"eseg_lite_s onnx"}
    assert rows[2]["output"] == "int64 1x64x96"

    picture = tmp_path / "latency.png"
    drawing = ["--latencies", output, "--size", "64x96", "--output", picture]
    done = run_here("latency_plot", *drawing)
    assert done.returncode == 0, done.stderr[-2000:]
    assert Image.open(picture).width > 1000
    done = run_here("latency_plot", "--latencies", output, "--output", picture)
    assert done.returncode == 2 and "no row of 1024x2048" in done.stderr


def test_published_figures_of_ours_are_those_of_the_paper():
    rows = list(csv.DictReader((BENCHMARKS / "published.csv").open()))
    assert {row["source"] for row in rows} == {"mmsegmentation 1.2.2"}
    from eseg_keras.latency import PAPER_MEAN_IOU
    from eseg_keras.training.paper import PAPER_TABLES

    rows = (*PAPER_TABLES[4].rows, *PAPER_TABLES[6].rows)
    full = {row["model"]: row for row in rows if row["input_size"] != "512x1024"}
    for name, accuracy in PAPER_MEAN_IOU.items():
        title = "-".join(part.capitalize() for part in name.split("_")).replace("Eseg", "ESeg")
        assert float(full[title]["miou"]) == accuracy
