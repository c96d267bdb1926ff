"""Loading networks in every format, and timing them in turns."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from eseg_keras.export.preparation import exported_size
from eseg_keras.latency import formats
from eseg_keras.latency.any_onnx import onnx_call
from eseg_keras.latency.artefacts import Artefacts, weights_key
from eseg_keras.latency.exporting import export_missing, reason_of, timed_image, timed_network
from eseg_keras.latency.machine import installed_version
from eseg_keras.latency.timing import WARM_UP, timed_rounds
from eseg_keras.models import ESeg
from eseg_keras.presets.catalog import ARCHITECTURES

GIVEN = "given"
"""Format of an ONNX file that comes from elsewhere."""


class Way(NamedTuple):
    """A network in a format.

    Args:
        network: Name of a preset, of the folder of one, or of an ONNX file without its suffix.
        format: One of `FORMATS`, or `GIVEN`.
    """

    network: str
    format: str

    def __str__(self):
        return f"{self.network} {self.format}"


@dataclasses.dataclass
class Loaded:
    """What is ready to be timed.

    Args:
        image_size: (height, width).
        threads: Number of threads.
        calls: Function by `Way`, each of which labels the same image.
        left_out: The reason by each `Way` that cannot be taken.
        facts: By `Way` the columns `threads` (empty where the runtime has its own choice),
            `weights`, `runtime` and, after the first call, `output`.
    """

    image_size: tuple[int, int]
    calls: dict[Way, Callable] = dataclasses.field(default_factory=dict)
    left_out: dict[Way, str] = dataclasses.field(default_factory=dict)
    facts: dict[Way, dict[str, str | int]] = dataclasses.field(default_factory=dict)


def load_ways(
    presets: Sequence[str],
    format_names: Sequence[str],
    image_size: tuple[int, int],
    threads: int,
    cache_dir: Path,
    against: Sequence[str] = (),
    wanted: Callable[[Way], bool] = lambda way: True,
    report: Callable[[str], None] = lambda text: None,
) -> Loaded:
    """Export, where that was not done before, and load networks for batches of one image.

    What cannot be exported or loaded is left out, and the reason kept. Files are exported by a
    process of its own, so a script calls this below `if __name__ == "__main__":`.

    Args:
        presets: Names or directories of presets. Architectures get random weights.
        format_names: Some of `FORMATS`.
        image_size: (height, width), each at least 32. Files are exported for this size alone.
        threads: Number of threads of every runtime; a backend other than TensorFlow has its own.
        cache_dir: Folder that keeps the files.
        against: ONNX files of other networks.
        wanted: Tells which ways to load. Defaults to all.
        report: Is told what is being done, in a few words.

    Returns:
        The functions, and what was left out.

    Raises:
        ValueError: If a preset is unknown or built for another size, two have the same name, or
            TensorFlow runs already with another number of threads.
    """
    names = {preset: network_name(preset) for preset in presets} | {
        path: Path(path).stem for path in against
    }
    if len(set(names.values())) < len(names):
        raise ValueError(f"Two networks have the same name: {', '.join(names.values())}.")
    on_tensorflow = keras.backend.backend() == "tensorflow"
    if on_tensorflow and {"keras", "saved_model"} & set(format_names):
        formats.limit_tensorflow_threads(threads)
    # First, so that an unknown one is told before anything takes time.
    trained = {
        preset: ESeg.from_preset(preset) for preset in presets if preset not in ARCHITECTURES
    }
    for model in trained.values():
        exported_size(model, tuple(image_size))
    loaded = Loaded(image_size)
    store = Artefacts(cache_dir)
    missing = {name: formats.FORMATS[name].missing() for name in format_names}
    for preset in presets:
        ways = [Way(names[preset], name) for name in format_names]
        ways = [way for way in ways if wanted(way)]
        loaded.left_out |= {way: missing[way.format] for way in ways if missing[way.format]}
        if ways := [way for way in ways if way not in loaded.left_out]:
            _load_preset(loaded, store, preset, trained.get(preset), ways, threads, report)
    image = timed_image(image_size)
    for path in against:
        way = Way(names[path], GIVEN)
        if not wanted(way):
            continue
        try:
            loaded.calls[way] = onnx_call(path, image, threads)
        except (ImportError, ValueError) as error:
            loaded.left_out[way] = str(error)
            continue
        runtime = f"onnxruntime {installed_version('onnxruntime')}"
        loaded.facts[way] = {"threads": threads, "weights": "", "runtime": runtime}
    return loaded


def measure(
    loaded: Loaded,
    rounds: int,
    warm_up: int = WARM_UP,
    report: Callable[[str], None] = lambda text: None,
) -> Iterator[dict[Way, float]]:
    """Time everything that was loaded, in turns.

    The first calls show what each returns; a way that fails then is left out as well.

    Args:
        loaded: What `load_ways` returned.
        rounds: Number of rounds that count.
        warm_up: Number of rounds before them. Defaults to 3.
        report: Is told what is being done, in a few words.

    Yields:
        Milliseconds by `Way` for each round.
    """
    for way, call in list(loaded.calls.items()):
        report(f"first call: {way}")
        try:
            answer = call()
        except Exception as error:  # Such as too little memory; other ways may work.
            del loaded.calls[way]
            loaded.left_out[way] = f"The first call failed: {reason_of(error)}"
            continue
        arrays = answer if isinstance(answer, list) else [answer]
        loaded.facts[way]["output"] = ", ".join(
            f"{array.dtype} {'x'.join(map(str, array.shape))}" for array in map(np.asarray, arrays)
        )
    if not loaded.calls:
        return
    report("warming up")
    for number, times in enumerate(timed_rounds(loaded.calls, rounds, warm_up), 1):
        report(f"round {number} of {rounds}")
        yield times


def _load_preset(loaded, store, preset, trained, ways, threads, report):
    size = loaded.image_size
    key = weights_key(trained) if trained else "random"
    network = ways[0].network
    files = [way.format for way in ways if formats.FORMATS[way.format].suffix is not None]
    reasons = export_missing(store, preset, network, files, size, key, report)
    image = timed_image(size, trained.image_shape[-1] if trained else 3)
    for way in ways:
        if way.format in reasons:
            loaded.left_out[way] = reasons[way.format]
            continue
        report(f"loading {way}")
        runs_keras = formats.FORMATS[way.format].suffix is None
        try:
            if runs_keras:
                call = formats.keras_call(trained or timed_network(preset, size), image)
            else:
                path = store.find(network, way.format, size, key)
                call = formats.load(way.format, path, image, threads)
        except Exception as error:  # Runtimes have errors of their own.
            loaded.left_out[way] = reason_of(error)
            continue
        has_own_threads = runs_keras and keras.backend.backend() != "tensorflow"
        loaded.calls[way] = call
        loaded.facts[way] = {
            "threads": "" if has_own_threads else threads,
            "weights": "trained" if trained else "random",
            "runtime": formats.FORMATS[way.format].runtime_version,
        }


def network_name(preset: str) -> str:
    """Return the name of a preset in tables and files; a run's preset is named after the run.

    Args:
        preset: Name or directory of a preset, or `"hf://user/repository"`.

    Example:

    >>> from eseg_keras.latency.measurement import network_name
    >>> network_name("eseg_s"), network_name("runs/demo/preset")
    ('eseg_s', 'demo')
    """
    path = Path(preset.removeprefix("hf://"))
    return path.absolute().parent.name if path.name == "preset" else path.name
