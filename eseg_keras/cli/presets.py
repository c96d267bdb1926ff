"""`eseg presets`."""

HELP = "list the presets"
EXAMPLE = ["eseg presets"]


def add_arguments(parser) -> None:
    """This command has no flags."""


def run(args) -> int:
    """Print the table of presets."""
    from eseg_keras.cli.tables import number_table, print_table
    from eseg_keras.presets.catalog import PRESETS

    columns = ("preset", "parameters", "multiply-adds", "classes")
    table = number_table(*columns, title="Multiply-adds at 1024x2048")
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
