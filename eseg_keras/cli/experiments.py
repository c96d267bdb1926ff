"""The command `eseg experiments`: list the experiments."""

HELP = "list the experiments, with published scores and our scores"
EXAMPLE = ["eseg experiments"]


def add_arguments(parser) -> None:
    """This command has no flags."""


def run(args) -> int:
    """Print the table of experiments."""
    from rich import box
    from rich.table import Table

    from eseg_keras.cli.tables import print_table
    from eseg_keras.training.experiment_files import (
        experiment_names,
        experiments_dir,
        load_experiment,
        read_run_notes,
    )

    # Names are never truncated, so that they can be copied into a command.
    table = Table(title="Mean IoU in %", box=box.SIMPLE_HEAD)
    table.add_column("experiment", no_wrap=True)
    table.add_column("network", overflow="fold")
    for column in ("length", "reported", "ours"):
        table.add_column(column, justify="right", no_wrap=True)
    for name in experiment_names():
        experiment, notes = load_experiment(name), read_run_notes(name)
        table.add_row(
            name,
            _network(experiment),
            _length(experiment),
            _percent(notes.reported_mean_iou, "-"),
            _percent(notes.mean_iou, notes.score.partition(":")[0].replace("none", "-")),
        )
    print_table(table)
    print("* With changes to this network, such as another decoder: see the experiment's file.")
    print(f"The docstring of each file contains command, hardware and time: {experiments_dir()}")
    return 0


def _length(experiment):
    if experiment.steps is not None:
        return f"{experiment.steps:,} steps"
    return "auto" if experiment.epochs == "auto" else f"{experiment.epochs:,} epochs"


def _network(experiment):
    if experiment.task != "segmentation":
        return "encoder"
    return experiment.preset + "*" * bool(experiment.network_arguments())


def _percent(share, otherwise):
    return otherwise if share is None else f"{100 * share:.1f}"
