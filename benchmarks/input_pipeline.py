"""Images per second of the input pipeline on one core, by stage and from end to end.

    python benchmarks/input_pipeline.py

Images are synthetic: street scenes, upsampled by four and with sensor noise, in the sizes and file
formats of the data sets. Files are read repeatedly, so they come from the page cache, not from a
disk. Times are per image, except those of the stage `batch`, which are per batch. The CPU time of a
stage is that of its thread; the CPU time of the complete pipeline is that of all threads, which
determines the number of cores needed. A row of the CSV has the median and the quartiles of the
rounds. The wall time is that of the fastest round; with two threads, it is only meaningful if the
load average shows that no other program was running.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
from kept_rows import write_measured
from PIL import Image

from eseg_keras.data import Augmentation, MaskReader
from eseg_keras.data.batches import Batches
from eseg_keras.data.folder_examples import FolderExamples
from eseg_keras.data.images.image_reader import read_image
from eseg_keras.data.photometric_distortion import PhotometricDistortion
from eseg_keras.street_scenes import render_scene

ACCELERATORS = 8


@dataclass(frozen=True)
class Shape:
    """Size and format of the files of a data set, and size of the crops.

    Attributes:
        size: (height, width) of the files.
        suffix: Suffix of the image files, which sets their format.
        crop: (height, width) of the crops.
        long_side: Length in pixels to which the longer side is resized first, or `None`.
    """

    size: tuple[int, int]
    suffix: str
    crop: tuple[int, int]
    long_side: int | None = None


SHAPES = {
    "cityscapes": Shape((1024, 2048), ".png", (512, 1024)),
    "cityscapes_1024": Shape((1024, 2048), ".png", (1024, 1024)),
    "ade20k": Shape((512, 683), ".jpg", (520, 520)),
    "mapillary": Shape((2448, 3264), ".jpg", (1024, 1024), long_side=2048),
    "camvid": Shape((360, 480), ".png", (360, 480)),
}


def main():
    """Measure, print a table for each shape, and write the CSV."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--rounds", type=int, default=7, help="default: %(default)s")
    parser.add_argument("--pictures", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="default: 1 2")
    parser.add_argument("--batch_size", type=int, default=16, help="default: %(default)s")
    parser.add_argument(
        "--steps_per_second",
        type=float,
        default=5.0,
        help="assumed steps per second of eight accelerators together; default: %(default)s",
    )
    default = Path(__file__).parent / "results" / "input_pipeline.csv"
    parser.add_argument("--output", type=Path, default=default, help="default: %(default)s")
    arguments = parser.parse_args()
    rows = []
    for name in arguments.shapes:
        with tempfile.TemporaryDirectory() as folder:
            rows += measure(name, Path(folder), arguments)
    write_measured(arguments.output, rows)
    print(f"Written: {arguments.output}")


def measure(name: str, folder: Path, arguments: argparse.Namespace) -> list[dict]:
    """Time every stage and the whole pipeline for one shape, and print the results."""
    shape = SHAPES[name]
    examples = make_files(shape, folder, arguments.pictures)
    kilobytes = np.mean([path.stat().st_size for path in examples.images]) / 1000
    size, crop = ("x".join(map(str, pair)) for pair in (shape.size, shape.crop))
    print(f"\n{name}: {size} {shape.suffix} of {kilobytes:.0f} kB -> {crop}, augmented")
    print("     ms     (quartiles)   images/s per core")
    rows = []

    def add(stage, threads, times, wall_times):
        low, median, high = np.percentile(times, (25, 50, 75))
        row = {
            "shape": name,
            "stage": stage,
            "threads": threads,
            "cpu_ms": round(median, 2),
            "lower_quartile_ms": round(low, 2),
            "upper_quartile_ms": round(high, 2),
            "fastest_wall_ms": round(min(wall_times), 2),
            "images_per_second_per_core": round(1000 / median, 1),
            "kilobytes": round(kilobytes),
            # A load above the number of threads means that other programs were running.
            "load_average": round(os.getloadavg()[0], 1),
            "rounds": arguments.rounds,
        }
        rows.append(row)
        print(f"{median:7.2f} ({low:6.2f} to {high:6.2f}){1000 / median:8.1f}  {stage}")
        return row

    for stage, work in stages(examples, shape, arguments.batch_size).items():
        add(stage, 1, *timed(work, len(examples), arguments.rounds, time.thread_time))
    # Every file is read several times per epoch.
    num_examples = -(-2 * len(examples) // arguments.batch_size) * arguments.batch_size
    batches = Batches(
        lambda index: examples.read(index % len(examples)),
        num_examples,
        image_size=shape.crop,
        batch_size=arguments.batch_size,
        augmentation=Augmentation(photometric_distortion=True),
        shuffle=True,
    )
    cost = 0
    for threads in arguments.threads:
        for variant, dataset in both_variants(batches, threads).items():
            times = timed_epochs(dataset, num_examples, arguments.rounds)
            row = add(f"end to end, {variant}", threads, *times)
            clock = 1000 / row["fastest_wall_ms"]
            print(f"{'':25}{clock:8.1f}  with {threads} threads together, in wall time")
            cost = max(cost, row["cpu_ms"])
    speed = arguments.steps_per_second
    cores = speed * arguments.batch_size * cost / 1000
    print(
        f"  {ACCELERATORS} accelerators at {speed:g} steps per second of "
        f"{arguments.batch_size} images need {cores:.1f} cores like these."
    )
    return rows


def stages(
    examples: FolderExamples, shape: Shape, batch_size: int
) -> dict[str, Callable[[int], object]]:
    """Return a function for each stage; its inputs are computed before it is timed."""
    read = [examples.read(index) for index in range(len(examples))]
    jitter = Augmentation(flip=False)
    crops = [
        jitter(*example, shape.crop, np.random.default_rng(index))
        for index, example in enumerate(read)
    ]
    distort = PhotometricDistortion()
    batches = Batches(lambda index: crops[index], len(crops), image_size=shape.crop)

    def flip(index):
        return [np.ascontiguousarray(array[:, ::-1]) for array in crops[index]]

    # A fixed seed for each image and round: scales vary, but are the same in every run.
    def seeds(index, round_):
        return np.random.default_rng([index, round_])

    work = {
        "read photo": lambda index, round_: read_image(examples.images[index]),
        "read mask": lambda index, round_: examples.read_mask(examples.masks[index]),
        "scale, pad and crop": lambda index, round_: jitter(
            *read[index], shape.crop, seeds(index, round_)
        ),
        "flip": lambda index, round_: flip(index),
        "colours": lambda index, round_: distort(crops[index][0], seeds(index, round_)),
        "batch": lambda index, round_: batches.join([crops[index]] * batch_size),
    }
    if shape.long_side is not None:
        work["read photo and mask, resize long side"] = lambda index, _: examples.read(index)
    return work


def timed(work, num_examples, rounds, clock):
    """Return CPU and wall time of a call in ms: two lists with the mean of each round."""
    cpu, wall = [], []
    for round_ in range(1 + rounds):
        begun, wall_begun = clock(), time.perf_counter()
        for index in range(num_examples):
            work(index, round_)
        cpu.append((clock() - begun) / num_examples * 1000)
        wall.append((time.perf_counter() - wall_begun) / num_examples * 1000)
    return cpu[1:], wall[1:]


def both_variants(batches: Batches, threads: int) -> dict:
    """Return the batches as `tf.data.Dataset` and as `PyDataset`, with this number of threads."""
    import tensorflow as tf

    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    return {
        "tf.data": batches.to_tf_dataset().with_options(options),
        "PyDataset": batches.to_py_dataset(workers=threads),
    }


def timed_epochs(dataset, num_examples, rounds):
    """Return CPU time of all threads and wall time in ms per image, one value per round."""
    cpu, wall = [], []
    for _ in range(1 + rounds):
        begun, wall_begun = time.process_time(), time.perf_counter()
        for _batch in dataset:
            pass
        cpu.append((time.process_time() - begun) / num_examples * 1000)
        wall.append((time.perf_counter() - wall_begun) / num_examples * 1000)
        if hasattr(dataset, "on_epoch_end"):
            dataset.on_epoch_end()
    return cpu[1:], wall[1:]


def make_files(shape: Shape, folder: Path, count: int) -> FolderExamples:
    """Write images and masks of a shape: street scenes with noise."""
    photos, masks = [], []
    height, width = shape.size
    for index in range(count):
        image, mask = render_scene(index, "train", (-(-height // 4), -(-width // 4)))
        image = Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC)
        noise = np.random.default_rng(index).normal(0, 1, (height, width, 1))
        image = np.clip(np.rint(np.asarray(image) + noise), 0, 255).astype(np.uint8)
        mask = Image.fromarray(mask).resize((width, height), Image.Resampling.NEAREST)
        photos.append(folder / f"{index}{shape.suffix}")
        masks.append(folder / f"{index}_mask.png")
        Image.fromarray(image).save(
            photos[-1], **({"quality": 90} if ".jpg" in shape.suffix else {})
        )
        mask.save(masks[-1])
    return FolderExamples(tuple(photos), tuple(masks), MaskReader(8), 8, shape.long_side)


if __name__ == "__main__":
    main()
