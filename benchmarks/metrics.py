"""Time of a metric's update, compared with `tf.math.bincount` on precomputed indices.

    python benchmarks/metrics.py

The metric computes the confusion matrix cell of every pixel, excludes ignored and invalid pixels,
and adds the counts to its state; the bincount gets precomputed cells. Both run in a `tf.function`,
interleaved, so that other load on the machine affects both. Ratios to the time of the bincount are
printed first; a row of the CSV has the median and the quartiles of the rounds.
"""

import argparse
import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from kept_rows import write_measured

HEIGHT, WIDTH = 1024, 2048
CLASSES = (19, 150)
# The dtypes of masks and predictions; float32 predictions are logits.
PAIRS = (("uint8", "uint8"), ("uint8", "int32"), ("int32", "int32"), ("uint8", "float32"))


def main():
    """Measure, print the ratios, and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=30, help="default: %(default)s")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    default = Path(__file__).parent / "results" / "metrics.csv"
    parser.add_argument("--output", type=Path, default=default, help="default: %(default)s")
    arguments = parser.parse_args()
    rows = []
    for threads in arguments.threads:
        # In a separate process, because TensorFlow's threads can be set only once.
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as process:
            rows += process.submit(measure, threads, arguments.rounds).result()
    print(f"Update of one {HEIGHT}x{WIDTH} image, relative to bincount on precomputed indices:")
    for row in rows:
        print(
            f"{row['ratio']:7.2f}  {row['masks']} masks, {row['predictions']} predictions, "
            f"{row['classes']} classes, {row['threads']} threads: {row['median_ms']:.1f} ms "
            f"({row['lower_quartile_ms']:.1f} to {row['upper_quartile_ms']:.1f})"
        )
    write_measured(arguments.output, rows)
    print(f"Written: {arguments.output}")


def measure(threads: int, rounds: int) -> list[dict]:
    """Time every pair of dtypes and number of classes with this number of threads."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = []
    for classes in CLASSES:
        masks, label_maps = made_data(classes)
        valid = masks != 255
        cells = np.where(valid, masks.astype("int32") * classes + label_maps, classes**2)
        steps = {"bincount": bincount_step(cells.astype("int32").ravel(), classes**2 + 1)}
        for pair in PAIRS:
            predictions = label_maps.astype(pair[1])
            if pair[1] == "float32":
                predictions = tf.one_hot(label_maps, classes)
            steps[pair] = update_step(classes, masks.astype(pair[0]), predictions)
        times = {name: [] for name in steps}
        for _ in range(3 + rounds):
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                times[name].append((time.perf_counter() - start) * 1000)
        quartiles = {name: np.percentile(t[3:], (25, 50, 75)) for name, t in times.items()}
        base = quartiles.pop("bincount")[1]
        rows += [
            {
                "classes": classes,
                "threads": threads,
                "masks": masks_dtype,
                "predictions": "logits" if predictions == "float32" else predictions,
                "ratio": round(median / base, 2),
                "median_ms": round(median, 2),
                "lower_quartile_ms": round(low, 2),
                "upper_quartile_ms": round(high, 2),
                "bincount_ms": round(base, 2),
                "rounds": rounds,
            }
            for (masks_dtype, predictions), (low, median, high) in quartiles.items()
        ]
    return rows


def made_data(classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a synthetic mask and label map, uint8 [1, H, W]: blocks, 5% ignored, 80% correct."""
    rng = np.random.default_rng(0)
    shape = (1, HEIGHT // 16, WIDTH // 16)
    masks, others = (
        rng.integers(0, classes, shape, "uint8").repeat(16, 1).repeat(16, 2) for _ in range(2)
    )
    label_maps = np.where(rng.random(masks.shape) < 0.8, masks, others)
    masks[rng.random(masks.shape) < 0.05] = 255
    return masks, label_maps


def bincount_step(cells: np.ndarray, size: int):
    """Return a function that counts precomputed indices."""
    import tensorflow as tf

    @tf.function
    def step(cells):
        return tf.math.bincount(cells, minlength=size, maxlength=size)

    cells = tf.constant(cells)
    return lambda: step(cells).numpy()


def update_step(classes: int, masks: np.ndarray, predictions):
    """Return a function that updates a metric."""
    import tensorflow as tf

    from eseg_keras.metrics import SegmentationScores

    metric = SegmentationScores(classes)

    @tf.function
    def step(masks, predictions):
        metric.update_state(masks, predictions)
        return metric.low + 0

    masks, predictions = tf.constant(masks), tf.constant(predictions)
    return lambda: step(masks, predictions).numpy()


if __name__ == "__main__":
    main()
