"""`eseg presets`."""

HELP = "list the presets"
EXAMPLE = ["eseg presets"]


def add_arguments(parser) -> None:
    """This command has no flags."""


def run(args) -> int:
    """Print the table of presets."""
    from rich.table import Table

    from eseg_keras.cli.tables import print_table
    from eseg_keras.presets.catalog import PRESETS

    table = Table("preset", title="Multiply-adds at 1024x2048")
    for column in ("parameters", "multiply-adds", "classes"):
        table.add_column(column, justify="right")
    table.add_column("trained on")
    table.add_column("description")
    for name, preset in PRESETS.items():
        table.add_row(
            name,
            f"{preset['params'] / 1e6:.1f} M",
            f"{preset['macs'] / 1e9:.1f} G",
            str(preset["num_classes"]),
            preset["trained_on"] or "-",
            preset["description"],
        )
    print_table(table)
    return 0
