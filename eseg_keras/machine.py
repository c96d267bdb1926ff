"""Describe the machine and the package versions; does not import Keras."""

import os
import platform
import sys
from importlib import metadata
from pathlib import Path

# {column: distributions that may provide the package}.
_PACKAGES = {
    "keras": ("keras",),
    "tensorflow": ("tensorflow", "tensorflow-cpu"),
    "jax": ("jax",),
    "torch": ("torch",),
    "numpy": ("numpy",),
    "pillow": ("pillow",),
}


def machine() -> dict[str, str | int]:
    """Describe this machine, as columns of a table.

    The columns are `"cpu"` (model name), `"cores"` (usable by this process), `"accelerator"` (empty
    if there is none, or before JAX or TensorFlow is imported), `"python"` (version), and the
    versions of Keras, its backends, NumPy and Pillow (empty if not installed).
    """
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "accelerator": _accelerator(),
        "python": platform.python_version(),
        **{column: installed_version(*names) for column, names in _PACKAGES.items()},
    }


def usable_cores() -> int:
    """Return the number of CPU cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def installed_version(*distributions: str) -> str:
    """Return the version of the first distribution that is installed, or an empty string."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


def _cpu():
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _accelerator():
    # Query only backends that are already imported: importing one here would initialize it.
    if "jax" in sys.modules:
        device = sys.modules["jax"].devices()[0]
        return "" if device.platform == "cpu" else device.device_kind
    if "tensorflow" in sys.modules:
        tf = sys.modules["tensorflow"]
        for device in tf.config.list_physical_devices("GPU"):
            return tf.config.experimental.get_device_details(device).get("device_name", "GPU")
    return ""
