"""Loading networks in every format, and timing them in turns."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from eseg_keras.benchmark import formats
from eseg_keras.benchmark.any_onnx import onnx_call
from eseg_keras.benchmark.artefacts import Artefacts, weights_key
from eseg_keras.benchmark.machine import installed_version
from eseg_keras.benchmark.timed_files import write_timed_file
from eseg_keras.benchmark.timing import WARM_UP, timed_rounds
from eseg_keras.benchmark.untrained_network import untrained_network
from eseg_keras.data import render_scene
from eseg_keras.models import ESeg
from eseg_keras.models.eseg_spec import SPECS

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
    artefacts: Path,
    against: Sequence[str] = (),
    wanted: Callable[[Way], bool] = lambda way: True,
    report: Callable[[str], None] = lambda text: None,
) -> Loaded:
    """Export, where that was not done before, and load networks for batches of one image.

    What cannot be exported or loaded is left out, and the reason kept.

    Args:
        presets: Names or directories of presets. Architectures get random weights.
        format_names: Some of `FORMATS`.
        image_size: (height, width), each at least 32. Files are exported for this size alone.
        threads: Number of threads of every runtime; a backend other than TensorFlow has its own.
        artefacts: Folder that keeps the files.
        against: ONNX files of other networks.
        wanted: Tells which ways to load. Defaults to all.
        report: Is told what is being done, in a few words.

    Returns:
        The functions, and what was left out.

    Raises:
        ValueError: If a preset is unknown, two have the same name, or TensorFlow runs already with
            another number of threads.
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
    trained = {preset: ESeg.from_preset(preset) for preset in presets if preset not in SPECS}
    loaded = Loaded(image_size)
    store = Artefacts(artefacts)
    missing = {name: formats.FORMATS[name].missing() for name in format_names}
    for preset in presets:
        ways = [Way(names[preset], name) for name in format_names]
        ways = [way for way in ways if wanted(way)]
        loaded.left_out |= {way: missing[way.format] for way in ways if missing[way.format]}
        if ways := [way for way in ways if way not in loaded.left_out]:
            _load_preset(loaded, store, preset, trained.get(preset), ways, threads, report)
    image = _timed_image(image_size)
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
            loaded.left_out[way] = f"The first call failed: {_reason(error)}"
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
    channels = trained.image_shape[-1] if trained else 3
    image = _timed_image(size, channels)

    @functools.cache
    def model():
        if trained:
            return trained
        report(f"building {preset}")
        return untrained_network(preset, image)

    key = weights_key(trained) if trained else "random"
    for way in ways:
        facts = {
            "threads": threads,
            "weights": "trained" if trained else "random",
            "runtime": formats.FORMATS[way.format].runtime_version,
        }
        if way.format == "keras":
            call = formats.keras_call(model(), image)
            if keras.backend.backend() != "tensorflow":
                facts["threads"] = ""
        else:
            report(f"exporting or loading {way}")

            def write(path, format_=way.format):
                write_timed_file(format_, model(), path, size, trained is not None)

            try:
                path = store.get(way.network, way.format, size, key, write)
                call = formats.load(way.format, path, image, threads)
            except Exception as error:  # Exporters and runtimes have errors of their own.
                loaded.left_out[way] = _reason(error)
                continue
        loaded.calls[way], loaded.facts[way] = call, facts


def _reason(error):
    """What our own errors say, and the first line of others."""
    if isinstance(error, ImportError | ValueError):
        return str(error)
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300] if lines else 'no reason given'}"


def _timed_image(size, channels=3):
    return render_scene(0, "test", size)[0][..., np.arange(channels) % 3]


def network_name(preset: str) -> str:
    """Return the name of a preset in tables and files; a run's preset is named after the run.

    Args:
        preset: Name or directory of a preset, or `"hf://user/repository"`.

    Example:

    >>> from eseg_keras.benchmark.measurement import network_name
    >>> network_name("eseg_s"), network_name("runs/demo/preset")
    ('eseg_s', 'demo')
    """
    path = Path(preset.removeprefix("hf://"))
    return path.absolute().parent.name if path.name == "preset" else path.name
