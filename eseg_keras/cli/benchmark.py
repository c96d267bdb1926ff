"""The command `eseg benchmark`: measure the latency of networks."""

import os
from pathlib import Path

from eseg_keras.cli.flags import (
    add_image_size_argument,
    add_model_dir_argument,
    at_least,
    check_parent,
    run_preset,
)
from eseg_keras.presets.catalog import ARCHITECTURES

HELP = "measure the latency of networks in every format, and recommend a network for a budget"
EXAMPLE = [
    "eseg benchmark --preset eseg_lite_s eseg_s --image_size 512 1024 --threads 2",
    "eseg benchmark --model_dir runs/demo --format tflite onnx_int8 --output times.csv",
    "eseg benchmark --budget_ms 50 --image_size 512 1024 --cache_dir benchmark_files",
]

FORMATS = ("keras", "saved_model", "tflite", "tflite_int8", "onnx", "onnx_int8", "openvino")


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    group = parser.add_mutually_exclusive_group()
    group.add_argument(
        "--preset",
        nargs="+",
        metavar="NAME",
        help="names or directories of presets; architectures get random "
        "weights, which have the same latency as trained weights; default: "
        "eseg_lite_s, or with --budget_ms the six networks of the paper",
    )
    add_model_dir_argument(group)
    add_image_size_argument(parser, default=(512, 1024))
    parser.add_argument(
        "--format",
        nargs="+",
        choices=FORMATS,
        default=FORMATS,
        metavar="FORMAT",
        help=f"formats to measure, any of {' '.join(FORMATS)}; default: all "
        "formats whose runtime is installed",
    )
    parser.add_argument(
        "--threads",
        type=at_least(1),
        help="number of threads of each runtime; default: one per usable core",
    )
    parser.add_argument(
        "--rounds",
        type=at_least(1),
        default=15,
        help="number of measured rounds; each round times every network once "
        "in each format; default: %(default)s",
    )
    parser.add_argument(
        "--budget_ms",
        type=at_least(1e-3, float),
        help="recommend the most accurate preset within this latency in milliseconds per image",
    )
    parser.add_argument(
        "--cache_dir",
        metavar="FOLDER",
        help="folder that keeps the exported files for later runs; default: files are deleted",
    )
    parser.add_argument("--output", help="also write the table to this .csv or .json file")


def run(args) -> int:
    """Measure the latencies, print the table and, with `--budget_ms`, recommend a preset."""
    _check(args)
    import contextlib

    from eseg_keras.files import temporary_directory
    from eseg_keras.latency.measurement import load_variants, measure, result_rows
    from eseg_keras.machine import usable_cores
    from eseg_keras.progress import Progress

    presets = _presets(args)
    threads = args.threads or usable_cores()
    rounds, interrupted = [], False
    with contextlib.ExitStack() as stack:
        folder = args.cache_dir or stack.enter_context(temporary_directory())
        progress = stack.enter_context(Progress("Starting"))

        def report(text):
            progress.update(description=text)

        variants = load_variants(
            presets, args.format, args.image_size, threads, folder, report=report
        )
        try:
            for times in measure(variants, args.rounds, report=report):
                rounds.append(times)
        except KeyboardInterrupt:
            if not rounds:
                raise
            interrupted = True
    rows = result_rows(variants, rounds, next(iter(rounds[0]))) if rounds else []
    if rows:
        _print(rows, threads)
    _print_skipped(variants.skipped)
    if not rows:
        raise ValueError("There is nothing to measure: all formats were skipped, see above.")
    sentences = _recommendation(args, rows, presets)
    for sentence in sentences:
        print(sentence)
    if args.output:
        _write(Path(args.output), rows, variants.skipped, sentences)
        print(f"Written: {args.output}")
    if interrupted:
        print(f"Interrupted: {len(rounds)} of {args.rounds} rounds.")
    return 130 if interrupted else 0


def _check(args):
    """Raise `ValueError` for invalid flags before any slow step."""
    if args.threads and args.threads > (os.cpu_count() or 1):
        raise ValueError(
            f"--threads must be at most {os.cpu_count()}, the number of processors of the machine. "
            f"Received: {args.threads}"
        )
    if args.output and Path(args.output).suffix not in (".csv", ".json"):
        raise ValueError(f"--output must end in .csv or .json. Received: {args.output}")
    if args.output and Path(args.output).is_dir():
        raise ValueError(f"{args.output} is a directory. Give a file for --output.")
    for path in (args.output, args.cache_dir and Path(args.cache_dir) / "file"):
        if path:
            check_parent(path)
    if args.preset and len(set(args.preset)) < len(args.preset):
        raise ValueError(f"--preset contains a preset twice. Received: {' '.join(args.preset)}")
    if args.budget_ms and args.preset and len(args.preset) > 1:
        from eseg_keras.latency.recommendation import paper_mean_iou

        for preset in args.preset:
            if paper_mean_iou(preset) is None:
                raise ValueError(
                    "--budget_ms compares presets by the accuracy that the paper reports. Expected "
                    f"only presets of the paper, or a single preset. Received: {preset}"
                )


def _presets(args):
    if args.model_dir:
        return [run_preset(args.model_dir)]
    paper = [name for name, size in ARCHITECTURES.items() if size.paper_mean_iou]
    return args.preset or (paper if args.budget_ms else ["eseg_lite_s"])


def _recommendation(args, rows, presets):
    if not args.budget_ms:
        return []
    from eseg_keras.latency.recommendation import paper_mean_iou, recommend

    sentences = recommend(rows, args.budget_ms).sentences()
    if any(paper_mean_iou(preset) is not None for preset in presets):
        sentences.append(
            "The mean IoU is the paper's value for the architecture on Cityscapes at 1024x2048; "
            "the paper's weights were not published."
        )
    timed = {row["network"] for row in rows}
    if len(timed) < len(presets):
        sentences.append(f"{len(presets) - len(timed)} of {len(presets)} presets were skipped.")
    return sentences


def _print(rows, threads):
    from rich.table import Table

    from eseg_keras.cli.tables import print_table
    from eseg_keras.machine import usable_cores

    first = rows[0]
    title = f"One image of {first['size']}, {threads} thread{'s' * (threads != 1)}"
    table = Table("ratio", "network", "format", title=f"{title}; ratio to {first['reference']}")
    table.columns[0].justify = "right"
    for column in ("median ms", "quartiles", "images/s"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row['ratio']:.2f}",
            row["network"],
            row["format"],
            f"{row['median_ms']:.1f}",
            f"{row['lower_quartile_ms']:.1f} to {row['upper_quartile_ms']:.1f}",
            f"{1000 / row['median_ms']:.1f}",
        )
    print_table(table)
    print(
        f"{first['rounds']} interleaved rounds after 3 warm-up rounds. Each "
        "time is measured from the uint8 image to the label map."
    )
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > usable_cores() + 1:
        print(
            f"Other programs ran at the same time (load average {load:.0f}, {usable_cores()} "
            "cores): the latencies are too high, but the ratios are roughly right."
        )


def _print_skipped(skipped):
    by_reason = {}
    for variant, reason in skipped.items():
        by_reason.setdefault(reason, []).append(variant)
    for reason, variants in by_reason.items():
        print(f"Skipped: {', '.join(map(str, variants))}. {reason}")


def _write(path, rows, skipped, sentences):
    from eseg_keras.files import write_csv, write_json
    from eseg_keras.machine import machine

    here = machine()
    if path.suffix == ".json":
        reasons = {str(variant): reason for variant, reason in skipped.items()}
        content = {"machine": here, "rows": rows, "skipped": reasons}
        write_json(path, content | {"recommendation": sentences})
    else:
        write_csv(path, [*rows[0], *here], ([*row.values(), *here.values()] for row in rows))
