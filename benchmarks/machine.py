"""Which machine and which versions a benchmark ran on, and its results as CSV.

The first is what `eseg_keras.latency.machine` says as well, and stands here once more on purpose:
importing the package loads a Keras backend, which a benchmark chooses and sets up first.
"""

import csv
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

# Column and the distributions that may bring it.
PACKAGES = {
    "keras": ("keras",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax",),
    "torch": ("torch",),
    "numpy": ("numpy",),
    "pillow": ("pillow",),
}


def machine() -> dict[str, str | int]:
    """Describe this machine.

    Returns:
        Dict of columns: `"cpu"` (its model), `"cores"` (those this process may use),
        `"accelerator"` (empty without one), `"python"`, and the version of each of `PACKAGES`,
        empty where it is not installed.
    """
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "accelerator": _accelerator(),
        "python": platform.python_version(),
        **{column: _version(names) for column, names in PACKAGES.items()},
    }


def write_csv(path: str | Path, rows: Sequence[Mapping]) -> None:
    """Write results with the columns of `machine()` added to each row.

    Args:
        path: File to write; its folder is made.
        rows: One mapping of column to value each, all with the same columns.
    """
    here = machine()
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*rows[0], *here], lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, **here} for row in rows)


def _cpu():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _accelerator():
    # Only what the benchmark itself has loaded: importing a backend here would start it.
    if "jax" in sys.modules:
        device = sys.modules["jax"].devices()[0]
        return "" if device.platform == "cpu" else device.device_kind
    if "tensorflow" in sys.modules:
        tf = sys.modules["tensorflow"]
        for device in tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_device_details(device).get("device_name", "GPU")
    return ""


def _version(names):
    for name in names:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""
