"""Latency and throughput of every preset on a GPU or TPU, compiled by JAX.

    KERAS_BACKEND=jax python benchmarks/accelerator_latency.py
    KERAS_BACKEND=jax python benchmarks/accelerator_latency.py --presets eseg_lite_s \
        --sizes 1024x2048 --batch_sizes 1

Times are measured from uint8 images on the device to label maps on the device, with batch
normalisation folded. As in the paper's frames per second, copying images to the device is not
included. `median_ms` is the time of one call, including the wait for its result;
`images_per_second` is the throughput of queued calls, as for a video; the queue hides Python's
overhead.

All variants of a size and batch size are compiled first and then run interleaved. Ratios are
printed first: they are relative to the first preset and precision, in the same round. Rows are
written after each size and batch size; runs resume.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from kept_rows import is_measured, read_rows, write_rows
from latency import PRESETS, SIZES, size

from eseg_keras.machine import machine

PRECISIONS = ("bfloat16", "float32")
WARM_UP = 3
# Number of calls in the queue.
QUEUE = 20


def main():
    """Measure the cases that have no row in the CSV, and print them, ratios first."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--presets", nargs="+", default=PRESETS, help="default: all architectures")
    parser.add_argument("--sizes", nargs="+", type=size, default=SIZES, help="such as 512x1024")
    parser.add_argument("--batch_sizes", nargs="+", type=int, default=(1, 8), help="default: 1 8")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--rounds", type=int, default=15, help="default: %(default)s")
    default = Path(__file__).parent / "results" / "accelerator_latency.csv"
    parser.add_argument("--output", type=Path, default=default, help="default: %(default)s")
    arguments = parser.parse_args()
    if min(arguments.rounds, *arguments.batch_sizes) < 1:
        parser.error("--rounds and --batch_sizes must be at least 1")
    if os.environ.get("KERAS_BACKEND") != "jax":
        parser.error("this benchmark needs JAX: set KERAS_BACKEND=jax")

    failed = False
    for image_size in arguments.sizes:
        for batch_size in arguments.batch_sizes:
            failed = not measure_group(arguments, image_size, batch_size) or failed
    print(f"Results: {arguments.output}")
    sys.exit(1 if failed else 0)


def measure_group(arguments, image_size, batch_size) -> bool:
    """Measure one size and batch size, and write its rows.

    Returns:
        Whether all missing rows were measured.
    """
    where = {"size": "{}x{}".format(*image_size), "batch_size": batch_size}
    print(f"{where['size']}, batch {batch_size}", flush=True)
    variants = [
        (preset, precision) for preset in arguments.presets for precision in arguments.precisions
    ]
    cases = {
        variant: {"network": variant[0], "precision": variant[1], **where} for variant in variants
    }
    kept = read_rows(arguments.output)
    missing = [variant for variant in variants if not is_measured(kept, cases[variant])]
    if not missing:
        print("  measured before")
        return True
    loaded = {}
    for variant in variants:
        # The first variant is the reference.
        if variant in missing or variant == variants[0]:
            print(f"  compiling {variant[0]} {variant[1]}", flush=True)
            try:
                loaded[variant] = compiled(*variant, image_size, batch_size)
            except Exception as error:  # Such as out of memory; other variants may fit.
                print(f"  skipped: {type(error).__name__}: {str(error)[:300]}", flush=True)
    if not loaded:
        return False
    times = measure_rounds(loaded, arguments.rounds)
    rows = [
        {
            **cases[variant],
            **columns(*times[variant], batch_size),
            "ratio": median_ratio(times[variant][0], times[next(iter(times))][0]),
            "reference": " ".join(next(iter(times))),
            "rounds": arguments.rounds,
            **machine(),
        }
        for variant in loaded
    ]
    for row in sorted(rows, key=lambda row: row["ratio"]):
        print(summary(row), flush=True)
    # The reference may already have a row, from an earlier run with fewer variants.
    new = [row for variant, row in zip(loaded, rows, strict=True) if variant in missing]
    if new:
        write_rows(arguments.output, [*kept, *new])
    return all(variant in loaded for variant in missing)


def compiled(preset, precision, image_size, batch_size):
    """Return a warmed-up function without arguments that starts a call on the device."""
    import jax
    import keras
    import numpy as np

    import eseg_keras
    from eseg_keras.layers.likeliest_class import label_map
    from eseg_keras.street_scenes import render_scene

    policy = {"bfloat16": "mixed_bfloat16", "float32": "float32"}[precision]
    model = eseg_keras.ESeg.from_preset(preset, load_weights=False, dtype=policy).fold()
    network = keras.Model(model.input, label_map(model.output))
    # Weights are constants of the program, so that XLA precomputes values that depend on them only.
    program = jax.jit(lambda images: network(images, training=False))
    scenes = [render_scene(index, "test", image_size)[0] for index in range(batch_size)]
    images = jax.device_put(np.stack(scenes))
    for _ in range(WARM_UP):
        program(images).block_until_ready()
    return lambda: program(images)


def measure_rounds(loaded, rounds):
    """Run all variants interleaved.

    Returns:
        By variant: seconds of a single call, and seconds per call in a queue, one value per round.
    """
    times = {variant: ([], []) for variant in loaded}
    for _ in range(rounds):
        for variant, call in loaded.items():
            start = time.perf_counter()
            call().block_until_ready()
            single = time.perf_counter()
            for answer in [call() for _ in range(QUEUE)]:
                answer.block_until_ready()
            times[variant][0].append(single - start)
            times[variant][1].append((time.perf_counter() - single) / QUEUE)
    return times


def columns(single, queued, batch_size) -> dict:
    """Return the columns of one variant, in milliseconds and images per second."""
    import numpy as np

    low, median, high = (1000 * np.percentile(single, (25, 50, 75))).round(3)
    slow, usual, fast = (batch_size / np.percentile(queued, (75, 50, 25))).round(1)
    return {
        "median_ms": median,
        "lower_quartile_ms": low,
        "upper_quartile_ms": high,
        "images_per_second": usual,
        "lower_quartile_images_per_second": slow,
        "upper_quartile_images_per_second": fast,
    }


def median_ratio(times, reference) -> float:
    """Return the median of the ratios, round by round."""
    import numpy as np

    return round(float(np.median(np.divide(times, reference))), 3)


def summary(row: dict) -> str:
    """Return a row as a line of text."""
    return (
        f"{row['ratio']:7.2f}  {row['network']} {row['precision']}: {row['median_ms']} ms "
        f"({row['lower_quartile_ms']} to {row['upper_quartile_ms']}), "
        f"{row['images_per_second']} images/s"
    )


if __name__ == "__main__":
    main()
