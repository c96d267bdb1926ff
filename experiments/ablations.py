"""The paper's ablations and one round of self-training on small data: CamVid at 180x240.

    python experiments/ablations.py runs/ablations --data_dir DATA

Trains `camvid/eseg_lite_s` at 180x240, and variants of it that differ in one or two choices, with
two seeds each, every run in its own process. Runs resume: rerun the same command after an
interruption. After each run, `ablations.csv`, `ablations.png` and the table in README.md, all in
the folder of this file, are rewritten from all finished runs and the rows that `ablations.csv`
already has. Finished runs and runs with a row in `ablations.csv` are skipped; to repeat a run,
remove its row and its folder.

Data: see `camvid/eseg_lite_s`. Time: about three hours on two cores.
"""

import argparse
import multiprocessing
import os
import shutil
import statistics
import sys
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import numpy as np

from eseg_keras.child_process import follow_parent
from eseg_keras.files import (
    atomic_directory,
    atomic_file,
    read_csv,
    read_json,
    write_csv,
    write_json,
    write_text,
)
from eseg_keras.machine import machine

BASE = "camvid/eseg_lite_s"
SMALL = ("image_size=180,240", "long_side=240", "epochs=60", "val_every=20")
SEEDS = (0, 1)
# The number of steps of 60 epochs of all 367 images, for runs that train on fewer images.
STEPS = "steps=2760"
BEGIN, END = "<!-- ablations: begin -->", "<!-- ablations: end -->"
INK, PALE, BLUE, ORANGE = "#202020", "#d8d8d8", "#0072b2", "#d55e00"


class Variant(NamedTuple):
    """A variant of the base experiment, trained once per seed.

    Attributes:
        title: Name in the table and the plot.
        changes: Values that differ from the base, as for `eseg train --set`.
        reference: The variant to compare with.
        claim: Difference from `reference` in the paper, in points of mean IoU, or `None`.
        source: The table or section of the paper, or a remark.
    """

    title: str
    changes: tuple[str, ...] = ()
    reference: str = ""
    claim: float | None = None
    source: str = "-"


_FULL, _THIRD = "p3_p9_bifpn", "third"
_LABELS = ("pseudo_images=images/rest", "pseudo_masks=pseudo_{seed}/labels")
VARIANTS = {
    _FULL: Variant("P3-P9, BiFPN"),
    "p3_p5_bifpn": Variant("P3-P5, BiFPN", ("max_level=5",), _FULL, -1.8, "Table 2"),
    "p3_p9_fpn": Variant("P3-P9, FPN", ("decoder=fpn",), _FULL, -1.0, "Table 2"),
    "p3_p5_fpn": Variant("P3-P5, FPN", ("decoder=fpn", "max_level=5"), _FULL, -2.1, "Table 2"),
    "sum": Variant("plain sum of levels", ("fusion=sum",), _FULL, None, "not compared"),
    "no_ohem": Variant("no OHEM", ("loss=cross_entropy",), _FULL, None, "not compared"),
    "no_ema": Variant("no moving average", ("ema_decay=none",), _FULL, 0.0, "section 4.1"),
    # Only a third of the images has masks. `self_training` uses pseudo labels for the others.
    _THIRD: Variant("a third of the labels", (STEPS,)),
    "self_training": Variant(
        "a third, pseudo labels for the rest", (STEPS, *_LABELS), _THIRD, 1.3, "Table 7, ESeg-S"
    ),
}


class Run(NamedTuple):
    """One run: a variant with a seed. `runs_dir` contains all runs."""

    variant: str
    seed: int
    runs_dir: Path
    data_dir: Path
    changes: tuple[str, ...]

    @property
    def model_dir(self) -> Path:
        """The folder of the run."""
        return self.runs_dir / f"{self.variant}_{self.seed}"


def main():
    """Train the missing runs, and write the results after each run."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    here = Path(__file__).resolve().parent
    parser.add_argument("runs_dir", type=Path, help="folder for the runs")
    parser.add_argument("--data_dir", type=Path, required=True, help="folder of CamVid")
    parser.add_argument(
        "--variants", nargs="+", choices=VARIANTS, metavar="NAME", help="default: all"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="default: 0 1")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time; default: 1")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="change a value of all experiments, to try the script; requires --output",
    )  # fmt: skip
    parser.add_argument(
        "--output", type=Path, help="folder for the results; default: the folder of this file"
    )
    args = parser.parse_args()
    if args.jobs < 1:
        parser.error("--jobs must be at least 1")
    if args.set and args.output is None:
        parser.error("--set changes the results: pass --output, so that the recorded ones are kept")
    for kind in ("images", "annotations"):
        for split in ("train", "val"):
            if not (args.data_dir / kind / split).is_dir():
                parser.error(f"there is no folder {args.data_dir / kind / split}")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    output, names = args.output or here, args.variants or list(VARIANTS)
    # Self-training requires its teacher, which must be trained before.
    if "self_training" in names:
        names = list(dict.fromkeys([*(n for n in names if n != "self_training"), _THIRD]))
        names.append("self_training")
    runs = [
        Run(name, seed, args.runs_dir, args.data_dir, tuple(args.set))
        for name in names
        for seed in args.seeds
    ]
    if _THIRD in names:
        labelled = split_third(args.data_dir, args.runs_dir / "third")
        write_text(output / "ablations_third.txt", "".join(f"{name}\n" for name in labelled))

    recorded = {key_of(row) for row in recorded_rows(output)}
    missing = [run for run in runs if (run.variant, run.seed) not in recorded]
    taught = {run.seed for run in missing if run.variant == "self_training"}
    missing += [run for run in runs if run.variant == _THIRD and run.seed in taught]
    missing = [run for run in dict.fromkeys(missing) if not is_finished(run)]
    print(f"{len(runs) - len(missing)} of {len(runs)} runs are finished", flush=True)
    teachers_first = [
        [run for run in missing if run.variant != "self_training"],
        [run for run in missing if run.variant == "self_training"],
    ]
    for wave in teachers_first:
        for run in in_processes(wave, args.jobs):
            print(f"{run.model_dir}: {time_of(run)['minutes']:.1f} minutes", flush=True)
            write_results(args.runs_dir, output)
    write_results(args.runs_dir, output)
    print(table(all_rows(args.runs_dir, output)))


def is_finished(run: Run) -> bool:
    """Return whether a run is finished; raise ValueError if its folder has other values."""
    from eseg_keras.training import run_files

    experiment, data_dir = experiment_of(run)
    run_files.check_same_run(run.model_dir, experiment, data_dir)
    return run_files.is_finished(run.model_dir)


def experiment_of(run: Run):
    """Return the experiment of a run and its data directory."""
    from eseg_keras.training import load_experiment, override

    changes = [change.format(seed=run.seed) for change in VARIANTS[run.variant].changes]
    experiment = override(load_experiment(BASE), [*SMALL, f"seed={run.seed}"])
    # Last, so that `--set epochs=1` also replaces the steps.
    experiment = override(override(experiment, changes), run.changes)
    return experiment, run.runs_dir / "third" if STEPS in changes else run.data_dir


def in_processes(runs: Iterable[Run], jobs: int) -> Iterator[Run]:
    """Train each run in a new process that ends with this process; yield the finished runs."""
    context = multiprocessing.get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)

    def work(run):
        options = {"initializer": follow_parent, "initargs": (lifeline,)}
        with ProcessPoolExecutor(1, context, **options) as process:
            process.submit(train_run, run).result()
        return run

    with ThreadPoolExecutor(jobs) as threads:
        tasks = [threads.submit(work, run) for run in runs]
        try:
            for task in as_completed(tasks):
                yield task.result()
        finally:
            for task in tasks:
                task.cancel()
            held.close()  # Ends the processes.


def train_run(run: Run) -> None:
    """Train a run; called in a new process."""
    import keras

    from eseg_keras.training import train

    class Clock(keras.callbacks.Callback):
        """After each epoch, add its minutes to the training time of the run."""

        def __init__(self):
            super().__init__()
            self.since = time.monotonic()

        def on_epoch_end(self, epoch, logs=None):
            now = time.monotonic()
            minutes = time_of(run)["minutes"] + (now - self.since) / 60
            self.since = now
            here = machine()
            cells = {"minutes": minutes, "cpu": here["cpu"], "cores": here["cores"]}
            write_json(run.model_dir / "time.json", cells)

    experiment, data_dir = experiment_of(run)
    print(f"{run.model_dir}: training", flush=True)
    clock = Clock()
    if run.variant == "self_training":
        label_rest(run, experiment)
    train(experiment, run.model_dir, data_dir, callbacks=[clock])


def label_rest(run: Run, experiment) -> None:
    """Write pseudo labels as the paper does, with the network trained on a third of the labels."""
    from eseg_keras import ESeg
    from eseg_keras.inference import TEST_TIME_SCALES, Predictor, pseudo_label

    teacher = run._replace(variant=_THIRD).model_dir / "preset"
    predictor = Predictor(
        ESeg.from_preset(str(teacher)),
        long_side=experiment.long_side,
        scales=TEST_TIME_SCALES,
        flip=True,
        min_confidence=0.5,
    )
    data_dir = run.runs_dir / "third"
    pseudo_label(predictor, data_dir / "images" / "rest", data_dir / f"pseudo_{run.seed}")


def split_third(data_dir: Path, output: Path) -> list[str]:
    """Copy a third of the training images with masks, the others without masks, and `val`.

    Returns:
        The names of the images in the third, which is chosen with a fixed seed.
    """
    images = sorted(path for path in (data_dir / "images" / "train").iterdir() if path.is_file())
    chosen = np.random.default_rng(0).permutation(len(images))[: len(images) // 3]
    third = {images[index] for index in chosen}
    if not output.exists():
        with atomic_directory(output) as folder:
            for name in ("images/train", "images/rest", "annotations/train"):
                (folder / name).mkdir(parents=True)
            for kind in ("images", "annotations"):
                shutil.copytree(data_dir / kind / "val", folder / kind / "val")
            for image in images:
                part = "train" if image in third else "rest"
                shutil.copy(image, folder / "images" / part)
            for image in third:
                mask = data_dir / "annotations" / "train" / f"{image.stem}.png"
                shutil.copy(mask, folder / "annotations" / "train")
    return sorted(image.stem for image in third)


def time_of(run: Run) -> dict:
    """Return the training time of a run in minutes, and the CPU."""
    path = run.model_dir / "time.json"
    if not path.exists():
        return {"minutes": 0.0, "cpu": "", "cores": ""}
    return read_json(path, "Remove it.", {"minutes": (int, float)})


def finished_rows(runs_dir: Path) -> list[dict]:
    """Return one row per finished run, in the order of the variants and seeds."""
    from eseg_keras.training import run_files

    rows = []
    for name, variant in VARIANTS.items():
        seeds = [path.name.removeprefix(f"{name}_") for path in runs_dir.glob(f"{name}_*")]
        for seed in sorted(int(seed) for seed in seeds if seed.isdigit()):
            run = Run(name, seed, runs_dir, Path(), ())
            if not run_files.is_finished(run.model_dir):
                continue
            metrics = run_files.read_metrics(run.model_dir, "segmentation")
            ious = metrics["per_class_iou"]
            assert isinstance(ious, dict)
            rows.append(
                {
                    "variant": name,
                    "seed": seed,
                    "changes": " ".join(variant.changes).format(seed=seed),
                    "steps": metrics["steps"],
                    "mean_iou": metrics["mean_iou"],
                    **{f"iou_{label}": "" if iou is None else iou for label, iou in ious.items()},
                    **time_of(run),
                }
            )
    return rows


def recorded_rows(output: Path) -> list[dict]:
    """Return the rows of `ablations.csv`, if it exists."""
    path = output / "ablations.csv"
    if not path.exists():
        return []
    rows = read_csv(path, "Restore its last version.")
    for number, row in enumerate(rows, 1):
        if row.get("variant") not in VARIANTS or not (row.get("seed") or "").isdecimal():
            raise ValueError(
                f"{path}: row {number} must have a seed and a variant of this script. Received: "
                f"variant={row.get('variant')}, seed={row.get('seed')}. Remove the row."
            )
    return rows


def key_of(row: dict) -> tuple[str, int]:
    """Return the variant and the seed of a row."""
    return row["variant"], int(row["seed"])


def all_rows(runs_dir: Path, output: Path) -> list[dict]:
    """Return the recorded rows and the rows of finished runs, which replace recorded ones."""
    rows = {key_of(row): row for row in (*recorded_rows(output), *finished_rows(runs_dir))}
    order = list(VARIANTS)
    return [rows[key] for key in sorted(rows, key=lambda key: (order.index(key[0]), key[1]))]


def write_results(runs_dir: Path, output: Path) -> None:
    """Write the CSV, the plot, and the table in README.md between its markers, if any."""
    rows = all_rows(runs_dir, output)
    if not rows:
        return
    columns = list(dict.fromkeys(column for row in rows for column in row))
    cells = ([row.get(column, "") for column in columns] for row in rows)
    write_csv(output / "ablations.csv", columns, cells)
    with atomic_file(output / "ablations.png") as temporary:
        plot(rows).savefig(temporary, dpi=120)
    readme = output / "README.md"
    if readme.is_file():
        before, begin, rest = readme.read_text("utf-8").partition(BEGIN)
        _, end, after = rest.partition(END)
        if begin and end:
            image = "![Scores of all runs](ablations.png)"
            write_text(readme, f"{before}{BEGIN}\n\n{table(rows)}\n{image}\n\n{END}{after}")


def scores_of(rows: list[dict]) -> dict[str, list[float]]:
    """Return the mean IoUs of each variant in percent, by name."""
    scores = {}
    for row in rows:
        scores.setdefault(row["variant"], []).append(100 * float(row["mean_iou"]))
    return scores


def table(rows: list[dict]) -> str:
    """Return the scores as a Markdown table: mean, range, and difference (ours and the paper's)."""
    scores = scores_of(rows)
    lines = [
        "| variant | changes | mean IoU % | lowest to highest | difference | in the paper |",
        "|---|---|---|---|---|---|",
    ]
    for name, values in scores.items():
        variant, mean = VARIANTS[name], statistics.mean(values)
        difference = "-"
        if variant.reference in scores:
            reference = scores[variant.reference]
            difference = f"{mean - statistics.mean(reference):+.1f}"
        claim = "" if variant.claim is None else f"{variant.claim:+.1f}, "
        changes = ", ".join(f"`{change}`" for change in variant.changes) or "-"
        cells = (
            variant.title, changes.replace("{seed}", "SEED"), f"{mean:.1f}",
            f"{min(values):.1f} to {max(values):.1f} of {len(values)}", difference,
            claim + variant.source,
        )  # fmt: skip
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines) + "\n"


def plot(rows: list[dict]):
    """Return a figure with one point per run, the means, and the differences in the paper."""
    from eseg_keras.optional import require

    figures = require("matplotlib.figure", "visualization")
    scores = scores_of(rows)
    figure = figures.Figure(figsize=(8, 1.4 + 0.42 * len(scores)), layout="constrained")
    axes = figure.subplots()
    for place, (name, values) in enumerate(scores.items()):
        variant, mean = VARIANTS[name], statistics.mean(values)
        axes.plot(values, [place] * len(values), "o", color=BLUE, alpha=0.6, label="one run")
        axes.plot([mean], [place], "|", color=INK, markersize=16, markeredgewidth=2, label="mean")
        if variant.claim is not None and variant.reference in scores:
            claimed = statistics.mean(scores[variant.reference]) + variant.claim
            axes.plot(
                [claimed], [place], "D", color=ORANGE, markersize=6, fillstyle="none",
                label="mean of the reference + the paper's difference, on Cityscapes",
            )  # fmt: skip
    axes.set_yticks(range(len(scores)), [VARIANTS[name].title for name in scores])
    axes.invert_yaxis()
    axes.set_xlabel("mean IoU in percent, CamVid validation images at 180x240")
    axes.grid(axis="x", color=PALE, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    # One legend entry per kind of marker.
    handles = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=3, frameon=False,
        fontsize=9,
    )  # fmt: skip
    return figure


if __name__ == "__main__":
    try:
        main()
    except (ValueError, OSError) as error:
        sys.exit(f"ablations.py: {error}")
