"""The command `eseg reproduce`: print a table of the paper and our numbers."""

from pathlib import Path

HELP = "print a table of the paper next to our counts and scores"
EXAMPLE = ["eseg reproduce --table 8", "eseg reproduce --table 4 --runs_dir runs"]

# {column in the published tables: title of the printed column}, in the printed order.
_PUBLISHED = {
    "input_size": "size",
    "encoder_width": "width",
    "encoder_depth": "depth",
    "channels": "channels",
    "repeats": "repeats",
    "miou": "mIoU",
    "miou_multi_scale": "mIoU, multi-scale",
    "miou_extra_data": "mIoU, extra data",
    "pixel_accuracy": "pixel accuracy",
    "params_m": "params M",
    "flops_b": "FLOPs B",
    "fps": "FPS",
}
_COUNTS = (
    "Our params are trainable parameters. Our FLOPs are the multiply-adds of convolutions; the "
    "paper's FLOPs also count element-wise operations, which add at most 2%."
)
_NOTES = {
    6: (
        "The FPS are from the paper: its authors measured ESeg and FasterSeg on a V100 with "
        "TensorRT; the others are published values. Run `eseg benchmark` to measure the latency of "
        "our networks."
    ),
    8: (
        'The column "as batches" contains the FLOPs if dilated 3x3 '
        "convolutions run by SpaceToBatch, which pads with zeros; the "
        "published FLOPs are counted in this way. Our ResNet-50 is v1 of "
        "keras.applications: the first 1x1 convolution of a stage has the "
        "stride, and convolutions have biases. The published FLOPs match "
        "v1.5, where the 3x3 convolution has the stride. With v1.5, the three "
        "rows of ResNet-50 have 187.4 B, 404.1 B (423.0 B as batches) and "
        "223.3 B FLOPs (229.9 B as batches). The published 324.3 B matches "
        "neither version."
    ),
}


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument(
        "--table", type=int, required=True, choices=range(1, 9), help="number of the table"
    )
    parser.add_argument(
        "--runs_dir",
        help="folder of the runs, named after their experiments; default: runs",
    )


def run(args) -> int:
    """Print the table, notes, and the commands for the rows that were not run."""
    from rich.table import Table

    from eseg_keras.cli.tables import print_table
    from eseg_keras.progress import Progress
    from eseg_keras.training.experiment_files import read_run_notes
    from eseg_keras.training.paper import PAPER_TABLES, measured_mean_iou

    if args.runs_dir is not None and not Path(args.runs_dir).is_dir():
        raise ValueError(
            f"There is no folder {args.runs_dir}: set --runs_dir to the folder of your runs."
        )
    title, rows = PAPER_TABLES[args.table]
    names = [row["experiment"] for row in rows if row["experiment"]]
    scores = {name: measured_mean_iou(name, args.runs_dir or "runs") for name in names}
    published = [column for column in _PUBLISHED if any(row.get(column) for row in rows)]
    ours = ["our params", "our FLOPs B", *["as batches"] * (args.table == 8), "our mIoU"]
    table = Table("model", title=f"Table {args.table}: {title}")
    for column in (*(_PUBLISHED[column] for column in published), *ours):
        table.add_column(column, justify="right")
    with Progress("networks", len(rows)) as progress:
        for row in progress.track(rows):
            cells = [row["model"], *(row.get(column) or "-" for column in published)]
            counts = ["-"] * len(ours)
            if row["experiment"]:
                score, _ = scores[row["experiment"]]
                counts = _counts(row)[: len(ours) - 1]
                counts.append("not run" if score is None else f"{100 * score:.1f}")
            table.add_row(*cells, *counts)
    print_table(table)
    print(_COUNTS)
    if args.table in _NOTES:
        print(_NOTES[args.table])
    for name, (score, remark) in scores.items():
        if score is not None:
            print(f"{name}: {100 * score:.1f}, {remark}")
    missing = [name for name, (score, _) in scores.items() if score is None]
    if missing:
        print("Not run:")
    for name in missing:
        print(f"    {read_run_notes(name).command}")
    return 0


def _counts(row):
    """Return cells with the parameters and both multiply-add counts of a row's network."""
    from eseg_keras.training.experiment_files import load_experiment
    from eseg_keras.training.paper import network_costs

    height, width = map(int, (row["input_size"] or "1024x2048").split("x"))
    params, *macs = network_costs(load_experiment(row["experiment"]), (height, width))
    return [f"{params:,}", *(f"{count / 1e9:.3f}" for count in macs)]
