"""Latency of a `Predictor` compared with the bare network, for one call with one image.

    python benchmarks/predictor.py

The bare network is `model.predict_on_batch` on a batch of one image, which returns logits. The
predictor checks and converts the image, and returns a label map of the image's size; given a file,
it also reads the image. All variants run interleaved, so that other load on the machine affects all
of them. Ratios to the bare network are printed first; a row of the CSV has the median and the
quartiles of the rounds.
"""

import argparse
import os
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
from kept_rows import write_measured

SIZES = ((256, 512), (512, 1024), (1024, 2048))


def main():
    """Measure, print the ratios, and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--presets", nargs="+", default=["eseg_lite_s", "eseg_s"])
    parser.add_argument("--rounds", type=int, default=15, help="default: %(default)s")
    parser.add_argument("--threads", type=int, default=2, help="default: %(default)s")
    default = Path(__file__).parent / "results" / "predictor.csv"
    parser.add_argument("--output", type=Path, default=default, help="default: %(default)s")
    arguments = parser.parse_args()
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
    rows = []
    print("One call, relative to the bare network:")
    for preset in arguments.presets:
        for row in measure(preset, arguments.rounds):
            row = {**row, "threads": arguments.threads, "load_average": round(os.getloadavg()[0])}
            rows.append(row)
            print(
                f"{row['ratio']:6.2f}  {row['variant']:22} {preset} at {row['size']}: "
                f"{row['median_ms']:.1f} ms "
                f"({row['lower_quartile_ms']:.1f} to {row['upper_quartile_ms']:.1f})"
            )
    write_measured(arguments.output, rows)
    print(f"Written: {arguments.output}")


def measure(preset: str, rounds: int) -> list[dict]:
    """Time one call of every variant at every size."""
    from PIL import Image

    import eseg_keras
    from eseg_keras.inference import Predictor

    model = eseg_keras.ESeg.from_preset(preset, load_weights=False)
    label_map = Predictor(model)
    confident = Predictor(model, min_confidence=0.5)
    rows = []
    for height, width in SIZES:
        image, _ = eseg_keras.street_scenes.render_scene(0, image_size=(height, width))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image.jpg"
            Image.fromarray(image).save(path, quality=90)
            variants = {
                "bare network": partial(model.predict_on_batch, image[None]),
                "array": partial(label_map, image),
                "array, min_confidence": partial(confident, image),
                "JPEG file": partial(label_map, path),
            }
            times = {variant: [] for variant in variants}
            for _ in range(3 + rounds):
                for variant, call in variants.items():
                    start = time.perf_counter()
                    call()
                    times[variant].append((time.perf_counter() - start) * 1000)
        quartiles = {variant: np.percentile(t[3:], (25, 50, 75)) for variant, t in times.items()}
        base = quartiles["bare network"][1]
        rows += [
            {
                "preset": preset,
                "size": f"{height}x{width}",
                "variant": variant,
                "ratio": round(median / base, 3),
                "median_ms": round(median, 1),
                "lower_quartile_ms": round(low, 1),
                "upper_quartile_ms": round(high, 1),
                "rounds": rounds,
            }
            for variant, (low, median, high) in quartiles.items()
        ]
    return rows


if __name__ == "__main__":
    main()
