"""Latency of the exported networks, from images to label maps in ONNX Runtime.

    python benchmarks/serving.py

The plain export is the folded network with full-size float32 logits as output. The other variants
are files as `export_onnx` writes them, with label maps as output, in float32 and int8. Every export
exists for any input size (`free`) and for one size (`fixed`). All variants run interleaved, so that
other load on the machine affects all of them.

Random weights are not representative: the labels of neighbouring cells differ almost everywhere or
almost nowhere, which makes the last step of the graph (see `CellArgmax`) slow or fast. `differing`
is the share of blocks between four neighbouring cells that do not all have the same label.
`streets` is ESeg-Lite-S trained on street scenes, with the classifier extended from 8 to 19 classes
by copies that are never predicted: it has the cost of 19 classes and the label maps of a trained
network.

Networks that have rows in the CSV for this machine and these package versions are skipped; delete
the rows to measure again.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import numpy as np
from kept_rows import is_measured, read_rows, write_rows

from eseg_keras.machine import machine

CLASSES = 19


def main():
    """Measure, print the ratios, and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--networks", nargs="+", default=["streets", "eseg_lite_s", "eseg_s"])
    parser.add_argument("--size", type=int, nargs=2, default=(1024, 2048))
    parser.add_argument("--rounds", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    default = Path(__file__).parent / "results" / "serving.csv"
    parser.add_argument("--output", type=Path, default=default, help="default: %(default)s")
    arguments = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    rows = read_rows(arguments.output)
    for name in arguments.networks:
        case = {
            "network": name,
            "size": "x".join(map(str, arguments.size)),
            "threads": arguments.threads,
        }
        if not is_measured(rows, case):
            measured = measure(name, tuple(arguments.size), arguments.rounds, arguments.threads)
            load = round(os.getloadavg()[0])
            rows += [{**case, **row, "load_average": load, **machine()} for row in measured]
            write_rows(arguments.output, rows)
    for row in rows:
        print(
            f"{float(row['ratio']):6.3f} in wall time, {float(row['cpu_ratio']):.3f} in CPU "
            f"time: {row['variant']:14} {row['network']} at {row['size']}, "
            f"{row['median_ms']} ms ({row['lower_quartile_ms']} to {row['upper_quartile_ms']}), "
            f"labels {float(row['same_labels']):.2%} the same"
        )
    print(f"Written: {arguments.output}")


def measure(name: str, size: tuple[int, int], rounds: int, threads: int) -> list[dict]:
    """Export every variant of a network and time the files, interleaved."""
    import eseg_keras
    from eseg_keras.latency.exporting import boundary_share

    image = eseg_keras.street_scenes.render_scene(0, "test", size)[0][None]
    with tempfile.TemporaryDirectory() as folder:
        model = network(name)
        paths = export(model, Path(folder), size)
        runs = {variant: session(path, threads) for variant, path in paths.items()}
        answers = {variant: run(image) for variant, run in runs.items()}
        times = {variant: [] for variant in runs}
        for _ in range(2 + rounds):
            for variant, run in runs.items():
                start, cpu = time.perf_counter(), time.process_time()
                run(image)
                times[variant].append((time.perf_counter() - start, time.process_time() - cpu))
    reference = answers["plain, free"].argmax(-1)
    # Each block is between four neighbouring cells of the network's output.
    cell = 2**model.min_level
    differing = boundary_share(reference[:, cell // 2 :: cell, cell // 2 :: cell])
    rows, bases = [], {}
    for variant, seconds in times.items():
        wall, cpu = np.array(seconds[2:]).T * 1000
        low, median, high = np.percentile(wall, (25, 50, 75))
        kind = variant.rpartition(", ")[2]
        base = bases.setdefault(kind, (median, np.median(cpu)))
        labels = (
            answers[variant] if answers[variant].dtype == np.uint8 else answers[variant].argmax(-1)
        )
        rows.append(
            {
                "variant": variant,
                "ratio": round(median / base[0], 3),
                "cpu_ratio": round(np.median(cpu) / base[1], 3),
                "median_ms": round(median, 1),
                "lower_quartile_ms": round(low, 1),
                "upper_quartile_ms": round(high, 1),
                "cpu_ms": round(np.median(cpu), 1),
                "same_labels": round((labels == reference).mean(), 6),
                "differing": round(differing, 3),
                "rounds": rounds,
            }
        )
    return rows


def network(name: str):
    """Build a network with 19 classes."""
    import keras

    import eseg_keras

    keras.utils.set_random_seed(0)
    if name != "streets":
        return eseg_keras.ESeg.from_preset(name, num_classes=CLASSES, load_weights=False)
    trained = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
    model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets", num_classes=CLASSES)
    kernel, bias = trained.head.get_layer("classifier").get_weights()
    out_of_reach = np.where(np.arange(CLASSES) < len(bias), 0, -1000)
    model.head.get_layer("classifier").set_weights(
        [np.tile(kernel, 3)[..., :CLASSES], np.tile(bias, 3)[:CLASSES] + out_of_reach]
    )
    return model


def export(model, folder: Path, size: tuple[int, int]) -> dict[str, Path]:
    """Write all files; in each kind, the plain export comes first."""
    import keras
    import onnx

    from eseg_keras.export.onnx.conversion import DEFAULT_OPSET, convert_to_onnx
    from eseg_keras.export.onnx.int8 import quantize_onnx
    from eseg_keras.export.served_graph.network import serving_model
    from eseg_keras.street_scenes import render_scene

    scenes = [render_scene(index, "train", size)[0] for index in range(4)]
    folded = model.fold()
    paths = {}

    def write(variant, served, batch=None, is_int8=False):
        converted = convert_to_onnx(served, model, batch, DEFAULT_OPSET)
        paths[variant] = folder / f"{len(paths)}.onnx"
        onnx.save(converted, paths[variant])
        if is_int8:
            variant = variant.replace("float32", "int8")
            paths[variant] = folder / f"{len(paths)}.onnx"
            onnx.save(quantize_onnx(converted, scenes), paths[variant])

    for kind, size_ in (("free", (None, None)), ("fixed", size)):
        images = keras.Input((*size_, 3), dtype="uint8", name="images")
        logits = folded(keras.ops.cast(images, "float32"))
        plain = keras.Model(images, keras.layers.Identity(name="logits")(logits))
        write(f"plain, {kind}", plain)
        served = serving_model(model, image_size=size_, channels_first=True, pack_columns=True)
        write(f"float32, {kind}", served, is_int8=True)
    return paths


def session(path: Path, threads: int):
    """Load a file; return a function from images to its output."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # No spinning, because spinning threads of idle sessions would slow the running session.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    loaded = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return lambda images: loaded.run(None, {"images": images})[0]


if __name__ == "__main__":
    main()
