"""The command `eseg summary`: print the costs of a network by stage."""

from eseg_keras.cli.flags import add_image_size_argument

HELP = "layers, parameters, multiply-adds and activation memory of a network by stage"
EXAMPLE = ["eseg summary eseg_lite_s --image_size 1024 2048"]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument("preset", help="name of a preset, or a preset directory")
    add_image_size_argument(parser, default=(1024, 2048))


def run(args) -> int:
    """Print the table of stages."""
    from eseg_keras.cli.tables import number_table, print_table
    from eseg_keras.models import ESeg, profile

    model = ESeg.from_preset(args.preset, load_weights=False)
    costs = profile(model, tuple(args.image_size))
    height, width = args.image_size
    title = f"{args.preset}, one image of {height}x{width}, float32"
    columns = ("layers", "parameters", "multiply-adds M", "activations MiB", "receptive field")
    table = number_table("stage", *columns, title=title)
    for stage in costs.stages:
        table.add_row(stage["name"], *_cells(stage), str(stage["receptive_field"]))
    table.add_section()
    keys = ("layers", "params", "macs", "activation_bytes")
    total = {key: sum(stage[key] for stage in costs.stages) for key in keys}
    table.add_row("total", *_cells(total), "", style="bold")
    print_table(table)
    print(f"{costs.trainable_params:,} of {costs.total_params:,} parameters are trained.")
    print(
        "Multiply-adds are those of convolutions and dense layers. Activations are the sum of the "
        "outputs of all layers, without reuse of memory. The receptive field is in pixels."
    )
    return 0


def _cells(stage):
    return (
        str(stage["layers"]),
        f"{stage['params']:,}",
        f"{stage['macs'] / 1e6:,.1f}",
        f"{stage['activation_bytes'] / 2**20:,.1f}",
    )
