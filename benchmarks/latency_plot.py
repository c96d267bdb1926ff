"""Plot accuracy against cost: the paper's Figures 1 and 4, and latencies measured on a CPU.

    python benchmarks/latency_plot.py

The upper panels show Tables 4 and 6 of the paper. The third shows latencies of
`results/latency.csv` against reported accuracy: that of the paper for ESeg, that of mmsegmentation
for the networks of `peers.py` (`published.csv`). Latencies are measured with random weights, so
latency and accuracy are not of the same weights. The fourth panel shows both for the same weights:
the presets of weights/camvid, with the latencies of `results/camvid.csv` and the scores of each
format's file.
"""

import argparse
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from eseg_keras.files import atomic_file, read_csv
from eseg_keras.latency import PAPER_MEAN_IOU
from eseg_keras.training.paper import PAPER_TABLES

INK, PALE = "#202020", "#d8d8d8"
BLUE, GREY, ORANGE = "#0072b2", "#8a8a8a", "#d55e00"
DPI = 120
# Formats in the CSV: label, colour and marker in the plot.
SHOWN = {
    "onnx": ("ONNX, float32", BLUE, "o"),
    "onnx_int8": ("ONNX, int8", ORANGE, "s"),
}
# Formats in the panel of trained weights: label, which is also the name in scores.csv, and style.
SCORED = {
    "saved_model": ("SavedModel", GREY, "^"),
    "tflite": ("TFLite float32", BLUE, "s"),
    "onnx": ("ONNX float32", BLUE, "o"),
    "tflite_int8": ("TFLite int8", ORANGE, "s"),
    "onnx_int8": ("ONNX int8", ORANGE, "o"),
}
# Networks that a line connects, and the style of the line.
FAMILIES = (
    (("eseg_lite_s", "eseg_lite_m", "eseg_lite_l"), "-"),
    (("eseg_s", "eseg_m", "eseg_l"), "--"),
)
# Placement of names that would overlap otherwise: alignment, shift right, shift up (in points).
PLACES = {
    "Auto-DeepLab-S": ("right", -7, -3),
    "PSPNet (ResNet-101)": ("left", 6, 4),
    "DeepLabV3+ (Xception-71)": ("center", 4, -14),
    "HRNetV2-W40": ("right", -7, -1),
    "Auto-DeepLab-M": ("right", -7, -7),
    "Auto-DeepLab-L": ("left", 7, -5),
    "Panoptic-DeepLab (X-71)": ("left", 7, -1),
    "Naive-Student": ("center", 6, 7),
    "BiSeNetV2-L": ("left", 7, -6),
    "DF1-Seg1": ("left", 7, 0),
    "SwiftNetRN-18": ("left", 7, -6),
    "ESeg-Lite-S": ("left", 8, 3),
    "ESeg-Lite-M, 512x1024": ("right", 0, 9),
    "DDRNet-23-Slim": ("right", -7, -3),
    "eseg_lite_m": ("left", 6, -13),
    "eseg_edge_s_camvid": ("right", 4, -17),
    "eseg_edge_m_camvid": ("right", 4, 9),
    "eseg_lite_s_camvid": ("right", 4, 9),
}


def main():
    """Draw the figure and write it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    here = Path(__file__).parent
    parser.add_argument("--latencies", type=Path, default=here / "results" / "latency.csv")
    parser.add_argument("--size", default="1024x2048", help="default: %(default)s")
    parser.add_argument("--camvid", type=Path, default=here / "results" / "camvid.csv")
    parser.add_argument("--output", type=Path, default=here.parent / "docs" / "latency.png")
    arguments = parser.parse_args()
    peers = rows_of(here / "published.csv")
    rows = [row for row in rows_of(arguments.latencies) if row["size"] == arguments.size]
    if not rows:
        parser.error(f"{arguments.latencies} has no row of {arguments.size}: run latency.py first")
    figure = Figure(figsize=(13, 12), facecolor="white", layout="constrained")
    panels = figure.subplots(2, 2).ravel()
    draw_flops(panels[0], [row for row in PAPER_TABLES[4].rows if row["flops_b"]])
    draw_speed(panels[1], PAPER_TABLES[6].rows)
    draw_latency(panels[2], rows, {row["model"]: float(row["miou"]) for row in peers})
    draw_camvid(panels[3], rows_of(arguments.camvid), here.parent / "weights" / "camvid")
    for axes in panels[:3]:
        axes.set_ylabel("mean IoU on Cityscapes val, %, reported", color=INK)
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color=PALE, linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(colors=INK)
    figure.supxlabel(
        "Above: figures that the paper (arXiv:2203.12683) reports. Below, left: times measured "
        "with random weights, against the accuracy\nat 1024x2048 that the paper reports for ESeg "
        "and mmsegmentation 1.2.2 for others. Below, right: times and accuracy of our weights.",
        fontsize=9,
        color=INK,
    )
    with atomic_file(arguments.output) as temporary:
        figure.savefig(temporary, dpi=DPI, format="png")
    print(f"Written: {arguments.output}")


def rows_of(path: Path) -> list[dict]:
    """Return the rows of a CSV."""
    return read_csv(path, "Measure again.")


def draw_flops(axes, rows):
    """Draw Figure 1: accuracy against FLOPs, with and without extra data."""
    axes.set_title("Reported: FLOPs (paper, Table 4)", loc="left", color=INK, fontsize=11)
    own = sorted((row for row in rows if row["experiment"]), key=cost("flops_b"))
    for column, style, label in (
        ("miou", "-", "ESeg"),
        ("miou_extra_data", "--", "ESeg, extra data"),
    ):
        points = [(float(row["flops_b"]), float(row[column])) for row in own]
        axes.plot(*zip(*points, strict=True), style, marker="o", color=BLUE, label=label)
    for row in rows:
        point = (float(row["flops_b"]), float(row["miou"]))
        if not row["experiment"]:
            axes.plot(*point, "o", color=GREY, markersize=5)
        write_name(axes, row["model"], point, bool(row["experiment"]))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlim(25, 7000)
    axes.set_ylim(78, 85.3)
    axes.set_xlabel(
        "FLOPs at 1024x2048 as the paper counts them, in billions (less is better)", color=INK
    )
    axes.legend(frameon=False, labelcolor=INK, loc="upper right")


def draw_speed(axes, rows):
    """Draw Figure 4: accuracy against images per second."""
    axes.set_title("Reported: speed on GPUs (paper, Table 6)", loc="left", color=INK, fontsize=11)
    own = [row for row in rows if row["experiment"] and row["input_size"] == "1024x2048"]
    points = sorted((float(row["fps"]), float(row["miou"])) for row in own)
    axes.plot(*zip(*points, strict=True), "-", color=BLUE)
    for row in rows:
        point = (float(row["fps"]), float(row["miou"]))
        is_own = bool(row["experiment"])
        full = row["input_size"] == "1024x2048"
        color = BLUE if is_own else GREY
        axes.plot(*point, "o", color=color, markerfacecolor=color if full else "white")
        name = row["model"] if full or not is_own else f"{row['model']}, {row['input_size']}"
        write_name(axes, name, point, is_own)
    for color, face, label in (
        (BLUE, BLUE, "ESeg-Lite on a V100, TensorRT"),
        (GREY, GREY, "others at 1024x2048"),
        (GREY, "white", "at a smaller size"),
    ):
        axes.plot([], [], "o", color=color, markerfacecolor=face, label=label)
    axes.set_xlim(20, 350)
    axes.set_ylim(72, 81)
    axes.set_xlabel("images per second (more is better)", color=INK)
    axes.legend(frameon=False, labelcolor=INK, loc="upper right")


def draw_latency(axes, rows, reported):
    """Draw reported accuracy against latency on one machine."""
    first = rows[0]
    axes.set_title("Measured: latency on a CPU", loc="left", color=INK, fontsize=11)
    named = set()
    for format_, (label, color, marker) in SHOWN.items():
        points = {
            row["network"]: (float(row["median_ms"]), PAPER_MEAN_IOU[row["network"]])
            for row in rows
            if row["format"] == format_ and row["network"] in PAPER_MEAN_IOU
        }
        for family, style in FAMILIES:
            line = [points[name] for name in family if name in points]
            if line:
                axes.plot(*zip(*line, strict=True), style, color=color)
        if points:
            axes.plot(*zip(*points.values(), strict=True), marker, color=color, label=label)
        for name, point in points.items():
            if name not in named:
                # Place the names of eseg_lite_l and eseg_s, which have the same accuracy, apart.
                same = [time for time, iou in points.values() if iou == point[1]]
                place = None
                if len(same) > 1:
                    place = ("right", 4, 8) if point[0] == min(same) else ("left", 4, -17)
                write_name(axes, name, point, True, place)
            named.add(name)
    peers = {}  # The faster of the two files of each network.
    for row in rows:
        name, time = row["network"].removesuffix("_tuned"), float(row["median_ms"])
        if row["format"] == "external" and name in reported:
            peers[name] = min(time, peers.get(name, time))
    for place, (name, time) in enumerate(peers.items()):
        point = (time, reported[name])
        axes.plot(*point, "o", color=GREY, label="" if place else "others, float32")
        write_name(axes, name, point, False, ("left", 7, -2))
    axes.set_xscale("log")
    axes.margins(x=0.14, y=0.08)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.set_xlabel(
        f"median ms for one image of {first['size']} (less is better)\n"
        f"{first['cpu']}, {first['threads']} threads",
        color=INK,
    )
    axes.legend(frameon=False, labelcolor=INK, loc="lower right")


def draw_camvid(axes, rows, package):
    """Draw measured accuracy against latency of the presets with weights for CamVid."""
    axes.set_title("Measured: our weights for CamVid", loc="left", color=INK, fontsize=11)
    points = {}
    for network in dict.fromkeys(row["network"] for row in rows):
        (scores,) = package.glob(f"*/{network}/scores.csv")
        accuracy = {row["format"]: float(row["mean IoU"]) for row in rows_of(scores)}
        for row in rows:
            if row["network"] == network and row["format"] in SCORED:
                point = (float(row["median_ms"]), accuracy[SCORED[row["format"]][0]])
                points[network, row["format"]] = point
        slowest = max(point for key, point in points.items() if key[0] == network)
        write_name(axes, network, slowest, True)
    for format_, (label, color, marker) in SCORED.items():
        shown = [point for key, point in points.items() if key[1] == format_]
        axes.plot(*zip(*shown, strict=True), marker, color=color, label=label)
    axes.margins(x=0.14, y=0.14)
    first = rows[0]
    axes.set_ylabel("mean IoU on CamVid val, %, measured", color=INK)
    axes.set_xlabel(
        f"median ms for one image of {first['size']} (less is better)\n"
        f"{first['cpu']}, {first['threads']} threads",
        color=INK,
    )
    axes.legend(frameon=False, labelcolor=INK, loc="lower right")


def cost(column):
    """Return a key that sorts rows by a column of numbers."""
    return lambda row: float(row[column])


def write_name(axes, name, point, strong, place=None):
    """Write a model's name beside its point."""
    align, right, up = place or PLACES.get(name, ("left", 7, -3))
    axes.annotate(
        name,
        point,
        xytext=(right, up),
        textcoords="offset points",
        ha=align,
        fontsize=9 if strong else 8,
        color=INK if strong else "#5a5a5a",
        weight="bold" if strong else "normal",
        parse_math=False,
    )


if __name__ == "__main__":
    main()
