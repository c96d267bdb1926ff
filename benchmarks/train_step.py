"""Speed and memory of the training step, and what averaged weights, input and `--remat` cost.

    python benchmarks/train_step.py --shrink 4 --batch_size 4
    KERAS_BACKEND=jax python benchmarks/train_step.py --device gpu --steps 20

The measured step is that of the Cityscapes experiments, run by `fit`: OHEM, scores, weight decay
and averaged weights, from random weights. The loss is read after every step, as in `train`. These
variants run a few steps each, interleaved, so that other load on the machine affects all of them:

- the complete step, on a batch that stays in memory;
- the complete step with the input pipeline, from PNG files of the data set's size;
- the step without averaged weights, on the batch in memory;
- with `--remat`, the step without rematerialization, on the batch in memory.

The cost of the input is computed from the first two variants. It includes waiting for input, and
the slowdown of steps that share cores with the threads of the pipeline, which timing the iterator
alone would not show. Files are read repeatedly, so they come from the page cache, not from a disk.

Each combination of preset and precision runs in a separate process, to measure its memory. All
usable cores are used (`taskset -c 0 python ...` restricts them to one). Each row is written as soon
as it is measured, so that interrupted runs resume.
"""

import argparse
import dataclasses
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from kept_rows import is_measured, read_rows, write_rows
from step_timing import WARM_UP, check_device, one_batch, peak_memory, run_block

from eseg_keras.machine import machine
from eseg_keras.presets.catalog import ARCHITECTURES

# The networks of the paper, which have an experiment for Cityscapes.
PRESETS = tuple(name for name in ARCHITECTURES if not name.startswith("eseg_edge"))


@dataclasses.dataclass(frozen=True)
class Case:
    """The settings of one row. A case that already has a row is not measured again."""

    preset: str
    precision: str
    backend: str
    device: str
    shrink: int
    batch_size: int
    ema: str
    remat: bool


def main():
    """Measure the cases that have no row in the CSV, and print them, ratios first."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--presets", nargs="+", choices=PRESETS, default=PRESETS)
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=("float32", "bfloat16", "float16"),
        help="default: float32 and bfloat16, and on a GPU float16",
    )
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu", help="default: cpu")
    parser.add_argument(
        "--shrink",
        type=int,
        choices=(1, 2, 4, 8),
        default=1,
        help="divides the sides of crops and images; default: 1",
    )
    parser.add_argument("--batch_size", type=int, default=16, help="default: 16, the paper's")
    parser.add_argument("--ema", choices=("both", "on"), default="both", help="default: both")
    parser.add_argument(
        "--remat", action="store_true", help="compute intermediate results twice, see `compile`"
    )
    parser.add_argument("--steps", type=int, default=5, help="per block; default: %(default)s")
    parser.add_argument("--rounds", type=int, default=9, help="at most; default: %(default)s")
    parser.add_argument(
        "--seconds",
        type=float,
        default=60.0,
        help="seconds after which no more rounds of a row start; at least three run; "
        "default: %(default)s",
    )
    default = Path(__file__).parent / "results" / "train_step.csv"
    parser.add_argument("--output", type=Path, default=default, help="default: %(default)s")
    arguments = parser.parse_args()

    backend = os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if arguments.device == "cpu":
        os.environ |= {"CUDA_VISIBLE_DEVICES": "-1", "JAX_PLATFORMS": "cpu"}
    mixed = ("bfloat16", "float16") if arguments.device == "gpu" else ("bfloat16",)
    settings = (
        arguments.device, arguments.shrink, arguments.batch_size, arguments.ema, arguments.remat,
    )  # fmt: skip
    cases = [
        Case(preset, precision, backend, *settings)
        for precision in arguments.precisions or ("float32", *mixed)
        for preset in arguments.presets
    ]
    failed = 0
    for number, case in enumerate(cases, 1):
        print(f"{number}/{len(cases)} {case.preset} {case.precision}", flush=True)
        if is_measured(read_rows(arguments.output), dataclasses.asdict(case)):
            print("  measured before")
            continue
        spawn = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=spawn) as process:
            try:
                row = process.submit(
                    measure, case, arguments.steps, arguments.rounds, arguments.seconds
                ).result()
            except Exception as error:  # Such as out of memory; other cases may fit.
                failed += 1
                print(f"  failed: {type(error).__name__}: {str(error)[:500]}", flush=True)
                continue
        print(summary(row), flush=True)
        write_rows(arguments.output, [*read_rows(arguments.output), row])
    print(f"Results: {arguments.output}")
    sys.exit(1 if failed else 0)


def measure(case: Case, steps: int, rounds: int, seconds: float) -> dict:
    """Measure one row; called in a new process."""
    import numpy as np
    from input_pipeline import Shape, make_files

    from eseg_keras.training import data as training_data
    from eseg_keras.training import load_experiment
    from eseg_keras.training.data import training_batches
    from eseg_keras.training.distribution import ONE_DEVICE
    from eseg_keras.training.recipe import compile_model, initial_model

    check_device(case.device)
    experiment = load_experiment(f"cityscapes/{case.preset}")
    experiment = dataclasses.replace(
        experiment,
        load_weights=False,
        image_size=tuple(side // case.shrink for side in experiment.image_size),
        batch_size=case.batch_size,
        mixed_precision=None if case.precision == "float32" else case.precision,
        remat=case.remat,
    )
    # Files are decoded in each epoch, as those of a large data set.
    training_data._MEMORY_BYTES = 0

    def compiled(experiment):
        model = initial_model(experiment)
        compile_model(model, experiment, experiment.steps)
        return model

    with tempfile.TemporaryDirectory() as folder:
        size = (1024 // case.shrink, 2048 // case.shrink)
        files = make_files(Shape(size, ".png", experiment.image_size), Path(folder), 8)
        # Repeat the files, so that an epoch is longer than any block.
        times = 1 + case.batch_size * 4 * (WARM_UP + steps) // len(files)
        examples = dataclasses.replace(
            files, images=files.images * times, masks=files.masks * times
        )
        batches = training_batches(experiment, examples)
        from_files = ONE_DEVICE.dataset(batches)
        in_memory = one_batch(batches.batch(0, 0), from_files)

        model = compiled(experiment)
        variants = {"memory": (model, in_memory), "files": (model, from_files)}
        memory_before = peak_memory()
        # Other steps are compiled later: the peak must be that of the complete step.
        first = [run_block(*variant, steps) for variant in variants.values()][0]
        peak = peak_memory()
        others = {"memory, no average": {"ema_decay": None}} if case.ema == "both" else {}
        if case.remat:
            others["memory, no remat"] = {"remat": False}
        for name, changes in others.items():
            other = compiled(dataclasses.replace(experiment, **changes))
            variants[name] = (other, in_memory)
            run_block(*variants[name], steps)

        blocks = {name: [] for name in variants}
        begun = time.monotonic()
        for round_ in range(rounds):
            if round_ >= 3 and time.monotonic() - begun > seconds:
                break
            for name in list(variants)[:: 1 if round_ % 2 else -1]:
                blocks[name].append(run_block(*variants[name], steps))
            latest = "; ".join(
                f"{name} {block[-1].wall * 1000:.0f}" for name, block in blocks.items()
            )
            print(f"  round {round_ + 1}, ms per step: {latest}", flush=True)

    wall = {name: np.array([block.wall for block in those]) for name, those in blocks.items()}
    cpu = {name: np.array([block.cpu for block in those]) for name, those in blocks.items()}
    return {
        **dataclasses.asdict(case),
        "crop": "x".join(map(str, experiment.image_size)),
        **added_percent("ema_percent", wall, "memory, no average"),
        **added_percent("ema_cpu_percent", cpu, "memory, no average"),
        **added_percent("remat_percent", wall, "memory, no remat"),
        **added_percent("remat_cpu_percent", cpu, "memory, no remat"),
        **quartiles("input_percent", 100 * (1 - wall["memory"] / wall["files"])),
        **quartiles("input_cpu_percent", 100 * (1 - cpu["memory"] / cpu["files"])),
        **quartiles("images_per_second", case.batch_size / wall["files"]),
        **quartiles("step_ms", 1000 * wall["memory"]),
        **quartiles("step_cpu_ms", 1000 * cpu["memory"]),
        "peak_memory_mb": round(peak),
        "memory_before_mb": round(memory_before),
        # Includes tracing and compiling.
        "first_step_seconds": round(first.first_step, 1),
        "rounds": len(wall["memory"]),
        "steps": steps,
        # A load above the number of cores means that other programs were running.
        "load_average": round(os.getloadavg()[0], 1),
        **machine(),
    }


def added_percent(column, seconds, without):
    """Return the columns for the time added to the variant `without`; empty if not measured."""
    if without not in seconds:
        return dict.fromkeys(quartiles(column, [0.0]), "")
    return quartiles(column, 100 * (seconds["memory"] / seconds[without] - 1))


def quartiles(name, values):
    """Return three columns: median, lower quartile and upper quartile."""
    import numpy as np

    low, median, high = np.percentile(values, (25, 50, 75)).round(2)
    return {name: median, f"{name}_lower_quartile": low, f"{name}_upper_quartile": high}


def summary(row: dict) -> str:
    """Return a row as text."""

    def spread(name):
        return f"{row[name]} ({row[f'{name}_lower_quartile']} to {row[f'{name}_upper_quartile']})"

    added = "".join(
        f"  {what}: {spread(f'{column}_percent')}% more time per step, "
        f"{spread(f'{column}_cpu_percent')}% more CPU time\n"
        for what, column in (("averaged weights", "ema"), ("rematerialization", "remat"))
        if row[f"{column}_percent"] != ""
    )
    return (
        added
        + f"  input: {spread('input_percent')}% of the time, "
        + f"{spread('input_cpu_percent')}% of the CPU time\n"
        + f"  {spread('images_per_second')} images/s, {row['batch_size']} of {row['crop']}\n"
        + f"  {row['peak_memory_mb']} MB, {row['memory_before_mb']} before the first step; "
        + f"load average {row['load_average']}"
    )


if __name__ == "__main__":
    main()
