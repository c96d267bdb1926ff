"""Memory and time of a sliding window of fixed size over images of growing size.

    python benchmarks/sliding_window.py --sides 1024 4096 20000

Each size runs in a separate process. Memory is in MiB: `peak_mb` is the peak resident memory of the
process, `before_mb` the peak after loading the network and predicting one window, and `input_mb`
the size of the image. `beyond_input_mb` is `peak_mb` minus `input_mb`: the memory for libraries,
network, windows and label map. Sizes that have a row in the CSV for this machine and these package
versions are skipped.
"""

import argparse
import multiprocessing
import os
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from kept_rows import is_measured, read_rows, write_rows

from eseg_keras.machine import machine


def main():
    """Measure the sizes that have no row in the CSV, and print all rows."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--preset", default="eseg_lite_s", help="default: %(default)s")
    parser.add_argument("--sides", type=int, nargs="+", default=[1024, 4096, 20000])
    parser.add_argument("--window", type=int, default=1024, help="default: %(default)s")
    parser.add_argument("--overlap", type=int, default=128, help="default: %(default)s")
    parser.add_argument("--file", action="store_true", help="read the image from a PNG file")
    default = Path(__file__).parent / "results" / "sliding_window.csv"
    parser.add_argument("--output", type=Path, default=default, help="default: %(default)s")
    arguments = parser.parse_args()
    rows = read_rows(arguments.output)
    for side in arguments.sides:
        case = {
            "preset": arguments.preset,
            "side": side,
            "window": arguments.window,
            "overlap": arguments.overlap,
            "source": "PNG file" if arguments.file else "array",
        }
        if is_measured(rows, case):
            continue
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image.png"
            if arguments.file:
                in_own_process(write_file, side, path)
            rows.append({**case, **in_own_process(measure, case, path)})
        write_rows(arguments.output, rows)
    for row in rows:
        print(
            f"{float(row['beyond_input_mb']):8.0f} MB beyond the input, "
            f"{float(row['seconds']):6.1f} s: {row['preset']}, {row['side']}x{row['side']} "
            f"({row['source']}), window {row['window']}, overlap {row['overlap']}"
        )
    print(f"Written: {arguments.output}")


def in_own_process(function, *arguments):
    """Run a function in a separate process, whose end frees its memory, and return the result."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as process:
        return process.submit(function, *arguments).result()


def write_file(side: int, path: Path) -> None:
    """Write a synthetic image as PNG."""
    from PIL import Image

    Image.fromarray(made_image(side)).save(path, compress_level=1)


def measure(case: dict, path: Path) -> dict:
    """Predict one image and return the columns of its row."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import eseg_keras
    from eseg_keras.inference import Predictor

    side, window = case["side"], case["window"]
    model = eseg_keras.ESeg.from_preset(case["preset"], load_weights=False)
    predictor = Predictor(
        model, window=window, overlap=case["overlap"], max_pixels=max(side, window) ** 2
    )
    predictor(np.zeros((window, window, 3), "uint8"))
    before = _peak_mb()
    image = path if case["source"] == "PNG file" else made_image(side)
    start = time.perf_counter()
    prediction = predictor(image)
    seconds = time.perf_counter() - start
    if prediction.label_map.shape != (side, side):
        raise RuntimeError(
            f"Expected a label map of the image's size. Received: {prediction.label_map.shape}"
        )
    input_mb = side * side * 3 / 2**20
    return {
        "before_mb": round(before),
        "input_mb": round(input_mb),
        "peak_mb": round(_peak_mb()),
        "beyond_input_mb": round(_peak_mb() - input_mb),
        "seconds": round(seconds, 1),
        "load_average": round(os.getloadavg()[0]),
        **machine(),
    }


def made_image(side: int) -> np.ndarray:
    """Return random 64x64 blocks, uint8 [side, side, 3], without a second array of this size."""
    rng = np.random.default_rng(0)
    image = np.empty((side, side, 3), "uint8")
    for top in range(0, side, 64):
        blocks = rng.integers(0, 256, (1, -(-side // 64), 3), "uint8").repeat(64, 1)[:, :side]
        image[top : top + 64] = blocks
    return image


def _peak_mb():
    """Return the peak resident memory of this process in MiB (Linux reports it in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    main()
