import csv
import os
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from eseg_keras.latency import (
    EXTERNAL,
    Variant,
    Variants,
    exporting,
    load_variants,
    measure,
    result_rows,
)
from eseg_keras.latency.measurement import network_name


def variants_of(**calls):
    variants = Variants((64, 96))
    for name, call in calls.items():
        variants.calls[Variant(name, "onnx")] = call
        variants.facts[Variant(name, "onnx")] = {
            "threads": 2,
            "weights": "random",
            "runtime": "none",
        }
    return variants


def test_rounds_become_rows():
    variants = variants_of(
        array=lambda: np.zeros((64, 96), "uint8"),
        several=lambda: [np.zeros((1, 64, 96), "int64"), np.zeros((1, 2), "float32")],
    )
    rounds = list(measure(variants, rounds=3))
    assert len(rounds) == 3 and not variants.skipped
    first, second = result_rows(variants, rounds, reference=Variant("several", "onnx"))
    assert (second["ratio"], second["ratio_lower_quartile"], first["reference"]) == (
        1.0,
        1.0,
        "several onnx",
    )
    assert first["output"] == "uint8 64x96"
    assert second["output"] == "int64 1x64x96, float32 1x2"
    milliseconds = [times[Variant("array", "onnx")] for times in rounds]
    assert first["median_ms"] == pytest.approx(np.median(milliseconds), abs=0.005)
    assert first["lower_quartile_ms"] <= first["median_ms"] <= first["upper_quartile_ms"]
    assert (first["size"], first["threads"], first["rounds"]) == ("64x96", 2, 3)


def test_what_fails_is_skipped_and_the_rest_is_timed():
    def fails():
        raise RuntimeError("no memory\nat all")

    variants = variants_of(good=lambda: np.zeros(1), bad=fails)
    (times,) = measure(variants, rounds=1)
    assert set(times) == {Variant("good", "onnx")}
    assert variants.skipped == {
        Variant("bad", "onnx"): "The first call failed: RuntimeError: no memory"
    }
    assert list(measure(variants_of(bad=fails), rounds=1)) == []


def test_a_missing_runtime_is_skipped_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "ai_edge_litert.interpreter", None)
    names = ["onnx", "onnx_int8", "tflite"]
    variants = load_variants(["eseg_lite_s"], names, (64, 96), 1, tmp_path, against=["net.onnx"])
    assert not variants.calls
    assert set(variants.skipped) == {
        *(Variant("eseg_lite_s", name) for name in names),
        Variant("net", EXTERNAL),
    }
    for reason in variants.skipped.values():
        assert 'pip install "eseg-keras[export]"' in reason


def test_unknown_presets_and_equal_names_are_refused(tmp_path):
    with pytest.raises(ValueError, match="eseg_lite_x"):
        load_variants(["eseg_s", "eseg_lite_x"], ["onnx"], (64, 96), 1, tmp_path)
    with pytest.raises(ValueError, match="same name: eseg_s, eseg_s"):
        load_variants(["eseg_s"], ["onnx"], (64, 96), 1, tmp_path, against=["peers/eseg_s.onnx"])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "preset, name",
    [
        ("eseg_s", "eseg_s"),
        ("presets/mine", "mine"),
        ("runs/demo/preset", "demo"),
        ("hf://user/repository", "repository"),
    ],
)
def test_network_name(preset, name):
    assert network_name(preset) == name


def test_columns_are_those_of_every_row(tmp_path):
    variants = variants_of(a=lambda: np.zeros(1), b=lambda: np.zeros(1))
    rows = result_rows(variants, list(measure(variants, rounds=1)), Variant("a", "onnx"))
    path = tmp_path / "rows.csv"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    with open(path, newline="") as file:
        assert [row["network"] for row in csv.DictReader(file)] == ["a", "b"]
    # A row describes what was measured.
    assert {"network", "format", "size", "batch_size", "threads", "reference"} <= set(rows[0])


def test_an_exporter_without_memory_is_skipped(tmp_path, monkeypatch):
    pytest.importorskip("tf2onnx")

    class Killed(ProcessPoolExecutor):
        def submit(self, task, *arguments):
            return super().submit(os._exit, 1)

    monkeypatch.setattr(exporting, "ProcessPoolExecutor", Killed)
    variants = load_variants(["eseg_lite_s"], ["onnx", "onnx_int8"], (64, 96), 1, tmp_path)
    assert not variants.calls and len(variants.skipped) == 2
    assert all("too little memory" in reason for reason in variants.skipped.values())
