"""The command `eseg presets`: list the presets."""

HELP = "list the presets"
EXAMPLE = ["eseg presets"]


def add_arguments(parser) -> None:
    """This command has no flags."""


def run(args) -> int:
    """Print the table of presets."""
    from eseg_keras.cli.tables import number_table, print_table
    from eseg_keras.presets.catalog import PRESETS
    from eseg_keras.presets.files import CONFIG_FILE, METADATA_FILE, read_preset_json
    from eseg_keras.presets.locations import installed_presets

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
    for name, directory in installed_presets().items():
        metadata = read_preset_json(directory / METADATA_FILE)
        config = read_preset_json(directory / CONFIG_FILE)["config"]
        table.add_row(
            name,
            f"{metadata['parameter_count'] / 1e6:.1f} M",
            "-",
            str(config["num_classes"]),
            metadata.get("trained_on") or "-",
            metadata.get("description") or f"From an installed package: {directory.parent}",
        )
    print_table(table)
    return 0
