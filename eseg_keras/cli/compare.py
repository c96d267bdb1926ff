"""The command `eseg compare`: compare runs."""

from pathlib import Path

from eseg_keras.cli.flags import check_parent, run_folder

HELP = "compare runs: scores, the settings that differ, and learning curves"
EXAMPLE = [
    "eseg compare runs/camvid runs/camvid_adamw",
    "eseg compare runs/* --output runs.png",
]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument(
        "runs",
        nargs="+",
        type=run_folder,
        help="folders of runs of eseg train or eseg finetune, complete or not",
    )
    parser.add_argument("--output", help="image file for learning curves: .png, .pdf or .svg")


def run(args) -> int:
    """Print the table and write the curves."""
    from eseg_keras.cli.tables import number_table, print_table
    from eseg_keras.training.experiment import shorten
    from eseg_keras.training.run_files import config_values, read_config, read_log

    if args.output:
        from eseg_keras.optional import require

        require("matplotlib.figure", "visualization")
        check_parent(args.output)
        if Path(args.output).suffix not in (".png", ".pdf", ".svg"):
            raise ValueError(f"--output must end in .png, .pdf or .svg. Received: {args.output}")
    settings, logs, score = {}, {}, {}
    for folder in args.runs:
        experiment, data_dir = read_config(folder)
        settings[folder] = {**config_values(experiment), "data_dir": data_dir}
        logs[folder] = read_log(Path(folder) / "log.csv")
        score[folder] = "val_accuracy" if experiment.task == "classification" else "val_mean_iou"
    table = number_table("run", "epochs", "best %", "last %", *_differing(settings))
    best = {}
    for folder, rows in logs.items():
        shares = [100 * float(row[score[folder]]) for row in rows if row.get(score[folder])]
        best[folder] = max(shares, default=-1.0)
        shown = [f"{best[folder]:.2f}", f"{shares[-1]:.2f}"] if shares else ["-", "-"]
        values = [shorten(str(settings[folder].get(name)), 24) for name in _differing(settings)]
        table.add_row(folder, str(len(rows)), *shown, *values)
    print_table(table)
    if args.output:
        from eseg_keras.files import atomic_file
        from eseg_keras.visualization.curves import plot_comparison

        figure = plot_comparison({folder: rows for folder, rows in logs.items() if rows})
        with atomic_file(args.output) as temporary:
            figure.savefig(temporary, dpi=120)
        print(f"Curves: {args.output}")
    return 0


def _differing(settings) -> list[str]:
    """Return the names of the settings that differ between runs."""
    names = dict.fromkeys(name for values in settings.values() for name in values)
    return [
        name for name in names if len({repr(values.get(name)) for values in settings.values()}) > 1
    ]
