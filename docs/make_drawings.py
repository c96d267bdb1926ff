"""Write the drawings of docs/concepts.md to docs/drawings, computed from the networks.

python docs/make_drawings.py
"""

import pathlib

import keras
from matplotlib.figure import Figure

from eseg_keras import ESeg
from eseg_keras.decoders import BiFPN
from eseg_keras.models import profile

FOLDER = pathlib.Path(__file__).parent / "drawings"
LEVELS = tuple(f"P{level}" for level in range(2, 10))
PRESET, IMAGE_SIZE = "eseg_lite_s", (1024, 2048)
BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#777777"
COLUMNS = {"in": 0, "top_down": 1, "bottom_up": 2}


def fusion_graph(bifpn: keras.Model) -> list[tuple[tuple[str, str], tuple[str, str]]]:
    """Return the edges ((level, column), (level, column)) of a BiFPN, found in its layers."""

    def node_of(tensor):
        layer = tensor._keras_history.operation
        if isinstance(layer, keras.layers.InputLayer):
            return layer.name, "in"
        if layer.name.endswith("_fusion"):
            level, _, column = layer.name.removesuffix("_fusion").partition("_")
            return level, column
        (before,) = [t for t in inputs_of(layer)][:1]
        return node_of(before)

    def inputs_of(layer):
        return keras.tree.flatten(layer._inbound_nodes[0].input_tensors)

    edges = []
    for layer in bifpn.layers:
        if layer.name.endswith("_fusion"):
            level, _, column = layer.name.removesuffix("_fusion").partition("_")
            edges += [(node_of(tensor), (level, column)) for tensor in inputs_of(layer)]
    return edges


def draw_fusion() -> Figure:
    """Draw one BiFPN repeat: its fusion nodes and their inputs."""
    edges = fusion_graph(BiFPN({level: (None, None, 8) for level in LEVELS}))

    def place(node):
        level, column = node
        return COLUMNS[column], LEVELS.index(level)

    figure = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = figure.subplots()
    for start, end in edges:
        (x0, y0), (x1, y1) = place(start), place(end)
        color = GREY if y0 == y1 else ORANGE if y0 > y1 else BLUE
        bend = 0.13 if y0 == y1 and x1 - x0 > 1 else 0
        style = {"arrowstyle": "-|>", "color": color, "shrinkA": 11, "shrinkB": 11}
        style["connectionstyle"] = f"arc3,rad={-bend}"
        axes.annotate("", (x1, y1), (x0, y0), arrowprops=style)
    for node in sorted({node for edge in edges for node in edge}):
        x, y = place(node)
        axes.plot(x, y, "o", ms=21, mfc="white", mec="black", zorder=3)
        axes.text(x, y, node[0], ha="center", va="center", fontsize=9, zorder=4)
    titles = ("from the encoder", "top-down", "bottom-up")
    axes.set_xticks(range(3), titles)
    axes.set(xlim=(-0.5, 2.5), ylim=(-0.6, len(LEVELS) + 0.1), yticks=[])
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    return figure


def draw_costs() -> Figure:
    """Draw the multiply-adds of each stage, and the receptive field of each level before fusion."""
    costs = profile(PRESET, IMAGE_SIZE)
    stages = [stage for stage in costs.stages if stage["macs"]]
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (3, 2)})
    names = [stage["name"].removeprefix("decoder/") for stage in stages]
    left.barh(names[::-1], [stage["macs"] / 1e9 for stage in stages][::-1], color=BLUE)
    left.set(xlabel="multiply-adds in billions", title=f"{PRESET}, {costs.macs / 1e9:.1f} B in all")
    fields = {
        layer.name.split("/")[-1].removesuffix("_lateral"): layer.receptive_field
        for layer in costs.layers
        if layer.name.startswith("decoder/") and layer.name.endswith("_lateral")
    }
    right.bar(list(fields), list(fields.values()), color=ORANGE)
    right.axhline(IMAGE_SIZE[1], color=GREY, ls="--")
    right.annotate("width of the image", (0, IMAGE_SIZE[1]), (0, 4), textcoords="offset points")
    right.set(ylabel="receptive field in pixels", title="before any fusion")
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def draw_level_weights() -> Figure:
    """Draw the fusion weight of each level in the shipped network."""
    from eseg_keras.visualization import plot_level_weights

    return plot_level_weights(ESeg.from_preset("eseg_lite_s_streets").level_weights())


def main() -> None:
    """Write all drawings."""
    FOLDER.mkdir(exist_ok=True)
    for draw in (draw_fusion, draw_costs, draw_level_weights):
        name = draw.__name__.removeprefix("draw_")
        draw().savefig(FOLDER / f"{name}.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
