"""Load networks in every format, measure their latency in interleaved rounds, and summarise it."""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np

from eseg_keras.export.preparation import exported_size
from eseg_keras.latency import formats
from eseg_keras.latency.cached_file import CachedFile, weights_key
from eseg_keras.latency.exporting import export_missing, reason_of, timed_image, timed_network
from eseg_keras.latency.timing import WARM_UP, timed_rounds, timings
from eseg_keras.machine import installed_version
from eseg_keras.models import ESeg
from eseg_keras.presets.catalog import ARCHITECTURES

EXTERNAL = "external"
"""Format name of ONNX files that were written by other programs."""


class Variant(NamedTuple):
    """A network in a format.

    Args:
        network: Name of a preset, of the directory of a preset, or of an ONNX file without suffix.
        format: One of `FORMATS`, or `EXTERNAL`.
    """

    network: str
    format: str

    def __str__(self):
        return f"{self.network} {self.format}"


@dataclasses.dataclass
class Variants:
    """Loaded and skipped variants.

    Args:
        image_size: (height, width) of the image that all variants segment.
        calls: {loaded `Variant`: function that segments the image}.
        skipped: {skipped `Variant`: reason}.
        facts: {loaded `Variant`: {column of the table: value}}, with the columns `threads` (empty
            if the runtime chooses the number), `weights`, `runtime` and, after the first call,
            `output`.
    """

    image_size: tuple[int, int]
    calls: dict[Variant, Callable] = dataclasses.field(default_factory=dict)
    skipped: dict[Variant, str] = dataclasses.field(default_factory=dict)
    facts: dict[Variant, dict[str, str | int]] = dataclasses.field(default_factory=dict)


def load_variants(
    presets: Sequence[str],
    format_names: Sequence[str],
    image_size: tuple[int, int],
    threads: int,
    cache_dir: str | Path,
    against: Sequence[str] = (),
    wanted: Callable[[Variant], bool] = lambda variant: True,
    report: Callable[[str], None] = lambda text: None,
) -> Variants:
    """Load networks for batches of one image, after exporting those that are not in the cache.

    Variants that cannot be exported or loaded are skipped. Files are exported in another process,
    so a script must call this function below `if __name__ == "__main__":`.

    Args:
        presets: Names or directories of presets. Architectures (presets without trained weights)
            get random weights.
        format_names: Some of `FORMATS`.
        image_size: (height, width), each at least 32. Files are exported for this size.
        threads: Number of threads of every runtime; Keras backends other than TensorFlow choose
            their own.
        cache_dir: Folder that keeps the exported files.
        against: ONNX files of other networks that are to be measured, too.
        wanted: Function that takes a `Variant` and returns whether to load it. By default, all are
            loaded.
        report: Function that is called with a description of the current step.

    Returns:
        The loaded variants, and the reason for each skipped one.

    Raises:
        ValueError: If a preset is unknown or built for another size, if two networks have the same
            name, or if TensorFlow was initialized with another number of threads.
    """
    names = {preset: network_name(preset) for preset in presets} | {
        path: Path(path).stem for path in against
    }
    if len(set(names.values())) < len(names):
        raise ValueError(f"Two networks have the same name: {', '.join(names.values())}.")
    on_tensorflow = keras.backend.backend() == "tensorflow"
    if on_tensorflow and {"keras", "saved_model"} & set(format_names):
        formats.limit_tensorflow_threads(threads)
    # Load all presets first, so that an unknown preset raises an error before any slow step.
    trained = {
        preset: ESeg.from_preset(preset) for preset in presets if preset not in ARCHITECTURES
    }
    for model in trained.values():
        exported_size(model, tuple(image_size))
    variants = Variants(tuple(image_size))
    missing = {name: formats.FORMATS[name].missing() for name in format_names}
    for preset in presets:
        found = [Variant(names[preset], name) for name in format_names]
        found = [variant for variant in found if wanted(variant)]
        variants.skipped |= {v: missing[v.format] for v in found if missing[v.format]}
        if found := [variant for variant in found if variant not in variants.skipped]:
            _load_preset(variants, preset, trained.get(preset), found, threads, cache_dir, report)
    image = timed_image(image_size)
    for path in against:
        variant = Variant(names[path], EXTERNAL)
        if not wanted(variant):
            continue
        try:
            variants.calls[variant] = formats.onnx_call(path, image, threads)
        except (ImportError, ValueError) as error:
            variants.skipped[variant] = str(error)
            continue
        runtime = f"onnxruntime {installed_version('onnxruntime')}"
        variants.facts[variant] = {"threads": threads, "weights": "", "runtime": runtime}
    return variants


def measure(
    variants: Variants,
    rounds: int,
    warm_up: int = WARM_UP,
    report: Callable[[str], None] = lambda text: None,
) -> Iterator[dict[Variant, float]]:
    """Measure the latency of all loaded variants, in interleaved rounds.

    A variant whose first call fails is skipped.

    Args:
        variants: The return value of `load_variants`.
        rounds: Number of measured rounds.
        warm_up: Number of rounds before the measured ones. Defaults to 3.
        report: Function that is called with a description of the current step.

    Yields:
        For each round, {`Variant`: milliseconds}.
    """
    for variant, call in list(variants.calls.items()):
        report(f"first call: {variant}")
        try:
            answer = call()
        except Exception as error:  # For example out of memory; other variants may work.
            del variants.calls[variant]
            variants.skipped[variant] = f"The first call failed: {reason_of(error)}"
            continue
        arrays = answer if isinstance(answer, list) else [answer]
        variants.facts[variant]["output"] = ", ".join(
            f"{array.dtype} {'x'.join(map(str, array.shape))}" for array in map(np.asarray, arrays)
        )
    if not variants.calls:
        return
    report("warming up")
    for number, times in enumerate(timed_rounds(variants.calls, rounds, warm_up), 1):
        report(f"round {number} of {rounds}")
        yield times


def result_rows(
    variants: Variants, rounds: Sequence[Mapping[Variant, float]], reference: Variant
) -> list[dict]:
    """Summarise measured rounds as rows of a table.

    Args:
        variants: The variants that were measured.
        rounds: The rounds that `measure` yielded, at least one.
        reference: The variant with whose latency the others are compared; its ratio is 1.

    Returns:
        One dict of columns per variant, in the order in which they were loaded.
    """
    height, width = variants.image_size
    return [
        {
            "ratio": round(timing.ratio, 3),
            "ratio_lower_quartile": round(timing.lower_quartile_ratio, 3),
            "ratio_upper_quartile": round(timing.upper_quartile_ratio, 3),
            "reference": str(reference),
            "network": variant.network,
            "format": variant.format,
            "size": f"{height}x{width}",
            "batch_size": 1,
            "threads": variants.facts[variant]["threads"],
            "median_ms": round(timing.median_ms, 2),
            "lower_quartile_ms": round(timing.lower_quartile_ms, 2),
            "upper_quartile_ms": round(timing.upper_quartile_ms, 2),
            "rounds": timing.rounds,
            **variants.facts[variant],
        }
        for variant, timing in timings(rounds, reference).items()
    ]


def network_name(preset: str) -> str:
    """Return a preset's name for tables and files; the name of `runs/NAME/preset` is NAME."""
    path = Path(preset.removeprefix("hf://"))
    return path.absolute().parent.name if path.name == "preset" else path.name


def _load_preset(variants, preset, model, wanted, threads, cache_dir, report):
    size = variants.image_size
    key = weights_key(model) if model else "random"
    files = {
        variant.format: CachedFile(cache_dir, *variant, size, key)
        for variant in wanted
        if variant.format != "keras"
    }
    reasons = export_missing(list(files.values()), preset, report)
    image = timed_image(size, model.image_shape[-1] if model else 3)
    for variant in wanted:
        name = variant.format
        if name in reasons:
            variants.skipped[variant] = reasons[name]
            continue
        report(f"loading {variant}")
        try:
            if name == "keras":
                call = functools.partial((model or timed_network(preset, size)).segment, image)
            else:
                call = formats.load(name, files[name].path, image, threads)
        except Exception as error:  # Runtimes raise exceptions of many types.
            variants.skipped[variant] = reason_of(error)
            continue
        chooses_threads = name == "keras" and keras.backend.backend() != "tensorflow"
        variants.calls[variant] = call
        variants.facts[variant] = {
            "threads": "" if chooses_threads else threads,
            "weights": "trained" if model else "random",
            "runtime": formats.FORMATS[name].runtime_version,
        }
