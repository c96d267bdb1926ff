"""Files are exported by a process of their own, which gives its memory back."""

import functools
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import keras
import numpy as np

from eseg_keras.latency.artefacts import Artefacts
from eseg_keras.latency.timed_files import write_timed_file
from eseg_keras.latency.untrained_network import untrained_network
from eseg_keras.models import ESeg
from eseg_keras.presets.catalog import ARCHITECTURES
from eseg_keras.street_scenes import render_scene


def export_missing(
    store: Artefacts,
    preset: str,
    network: str,
    format_names: Sequence[str],
    image_size: tuple[int, int],
    weights_key: str,
    report: Callable[[str], None],
) -> dict[str, str]:
    """Export the files of a preset that are not there yet.

    The exporters of a large network take more memory than all that is timed later, and keep it.

    Args:
        store: Where the files are kept.
        preset: Name or directory of a preset. Architectures get random weights.
        network: Its name in the files' names.
        format_names: Some of `FORMATS`, without `"keras"`.
        image_size: (height, width).
        weights_key: Says which weights the network has.
        report: Is told what is being done, in a few words.

    Returns:
        The reason by each format that could not be exported.
    """
    reasons, process = {}, None
    try:
        for name in format_names:
            if store.find(network, name, image_size, weights_key):
                continue
            report(f"exporting {network} {name}")
            process = process or ProcessPoolExecutor(
                1, mp_context=multiprocessing.get_context("spawn")
            )
            task = (_export, store.folder, preset, network, name, tuple(image_size), weights_key)
            try:
                process.submit(*task).result()
            except BrokenProcessPool:
                reasons[name] = "Its process was ended: was there too little memory?"
                process.shutdown()
                process = None
            except Exception as error:  # Exporters have errors of their own.
                reasons[name] = reason_of(error)
    finally:
        if process:
            process.shutdown()
    return reasons


def timed_network(preset: str, image_size: tuple[int, int]) -> keras.Model:
    """Load a preset, or build an architecture with random weights.

    Args:
        preset: Name or directory of a preset.
        image_size: (height, width) of the image that is to be timed.
    """
    if preset not in ARCHITECTURES:
        return ESeg.from_preset(preset)
    return untrained_network(preset, timed_image(image_size))


def timed_image(image_size: tuple[int, int], channels: int = 3) -> np.ndarray:
    """Draw the image that is timed, uint8 [H, W, channels]."""
    return render_scene(0, "test", image_size)[0][..., np.arange(channels) % 3]


def reason_of(error: Exception) -> str:
    """Return what our own errors say, and the first line of others."""
    if isinstance(error, ImportError | ValueError):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300] if lines else 'no reason given'}"


def _export(folder, preset, network, format_, image_size, weights_key):
    def write(path):
        model = _network(preset, image_size)
        write_timed_file(format_, model, path, image_size, trained=preset not in ARCHITECTURES)

    Artefacts(folder).get(network, format_, image_size, weights_key, write)


# One process exports all files of a network.
_network = functools.cache(timed_network)
