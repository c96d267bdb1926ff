"""Compare an exported file, run in its own runtime, with the network."""

import dataclasses
import importlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import ops

from eseg_keras.files import write_json
from eseg_keras.machine import installed_version
from eseg_keras.version import __version__

# If a smaller share of the pixels has a clear label, their agreement is not meaningful.
_FEWEST_CLEAR = 0.01


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How much an exported file may differ from the network.

    Args:
        difference: Largest difference of logits, as a share of the range of the network's logits
            over all images.
        probability: Largest difference of probabilities.
        agreement: Smallest share of equal labels among the pixels with a clear label. Others are
            not counted: rounding may change a label if two classes are almost equally likely.
        margin: A label is clear if its logit exceeds the second largest by more than this share of
            the range of the logits.
    """

    difference: float
    probability: float
    agreement: float
    margin: float


TOLERANCES = {
    # Additions in another order: 1e-6 of the range. The margin is twice the allowed difference,
    # which therefore cannot change a clear label.
    "float32": Tolerance(difference=1e-3, probability=1e-3, agreement=0.9999, margin=2e-3),
    # Weights, or all values, of 11 significant bits: 5e-4 of the range, probabilities 0.003.
    "float16": Tolerance(difference=5e-3, probability=0.05, agreement=0.999, margin=0.01),
    # 8-bit weights with one scale per channel, activations with one per tensor: 0.015 and 0.08.
    "dynamic": Tolerance(difference=0.1, probability=0.5, agreement=0.99, margin=0.05),
    # All values of 8 bits, with ranges from the calibration images: 0.03 and 0.26. Probabilities
    # are compared by their labels, because single pixels between two classes may differ a lot.
    "int8": Tolerance(difference=0.2, probability=0.9, agreement=0.98, margin=0.05),
}
"""By precision; the comments hold the differences measured for eseg_lite_s_streets."""


class VerificationError(ValueError):
    """The outputs of an exported file differ from those of the network."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """Result of a comparison of an exported file with the network.

    Args:
        output_kind: `"labels"`, `"logits"` or `"probabilities"`.
        runtime: Name and version of the runtime, such as `"ai-edge-litert 2.3.0"`.
        threads: Number of threads of the runtime, `None` for its own choice.
        sizes: (height, width) of every image compared.
        largest_difference: Largest difference of logits or probabilities; `None` for labels.
        relative_difference: For logits, `largest_difference` as a share of the range of the
            network's logits.
        label_shortfall: Largest difference, over all pixels, between the network's best logit and
            its logit of the file's label, as a share of the range.
        label_agreement: Share of equal labels among all pixels.
        clear_label_agreement: Share of equal labels among the pixels with a clear label.
        clear_pixels: Share of the pixels with a clear label.
        tolerance: The allowed differences.
        versions: Versions of the packages, by name.
    """

    output_kind: str
    runtime: str
    threads: int | None
    sizes: tuple[tuple[int, int], ...]
    largest_difference: float | None
    relative_difference: float | None
    label_shortfall: float
    label_agreement: float
    clear_label_agreement: float
    clear_pixels: float
    tolerance: Tolerance
    versions: dict[str, str]

    @property
    def num_images(self) -> int:
        """Number of images compared."""
        return len(self.sizes)

    @property
    def passed(self) -> bool:
        """Whether all differences are within the tolerance."""
        return self._problem() is None

    def check(self, remedy: str = "Nothing was written.") -> None:
        """Raise `VerificationError`, with the numbers and a remedy, unless the file passed."""
        if problem := self._problem():
            raise VerificationError(
                f"The outputs of the exported file differ from the network's: {problem}, in "
                f"{self.runtime} on {self.num_images} images. {remedy}"
            )

    def as_dict(self) -> dict:
        """Return everything as plain types."""
        fields = dataclasses.asdict(self)
        fields["sizes"] = [list(size) for size in self.sizes]
        return {"passed": self.passed, "num_images": self.num_images, **fields}

    def write(self, output: str | os.PathLike) -> Path:
        """Write `OUTPUT.verification.json` beside an exported file and return its path."""
        output = Path(output)
        path = output.with_name(f"{output.name}.verification.json")
        write_json(path, self.as_dict())
        return path

    def _problem(self):
        limit = self.tolerance
        of_range = self.output_kind == "logits"
        allowed = limit.difference if of_range else limit.probability
        found = self.relative_difference if of_range else self.largest_difference
        # The comparison is written so that nan fails.
        if self.output_kind != "labels" and not found <= allowed:
            return (
                f"{self.output_kind} differ by up to {found:.2g}{' of their range' * of_range} "
                f"(allowed: {allowed:g})"
            )
        if self.clear_pixels < _FEWEST_CLEAR:
            share = f"only {self.clear_pixels:.2%} of the pixels have" if self.clear_pixels else ""
            return (
                f"{share or 'no pixel has'} a clear label that could be compared (if the network "
                "has random weights, train it first)"
            )
        if self.clear_label_agreement < limit.agreement:
            return (
                f"{self.clear_label_agreement:.2%} of the labels agree where the network's are "
                f"clear (needed: {limit.agreement:.2%}), {self.label_agreement:.2%} everywhere"
            )
        return None


def verify(
    run: Callable[[np.ndarray], np.ndarray],
    model: keras.Model,
    images: Sequence[np.ndarray],
    *,
    output_kind: str,
    tolerance: Tolerance,
    package: str,
    threads: int | None = None,
) -> Verification:
    """Run an exported file on images and compare its outputs with the network's.

    Args:
        run: Runs the file in its own runtime: uint8 images [1, H, W, C] to uint8 labels
            [1, H, W], or float32 logits or probabilities [1, H, W, num_classes].
        model: The `ESeg` model before BN folding; its averaged weights are used if it has any.
        images: uint8 arrays [H, W, C], of one or several sizes.
        output_kind: `"labels"`, `"logits"` or `"probabilities"`, as returned by `run`.
        tolerance: The allowed differences, one of `TOLERANCES`.
        package: Name of the runtime's package or module, such as `"onnxruntime"`.
        threads: Number of threads of the runtime, if one was set.

    Returns:
        The comparison; its `check()` raises if the file differs too much.

    Raises:
        VerificationError: If `run` returns another shape or dtype, or invalid labels.

    Example:

    >>> import eseg_keras
    >>> from eseg_keras.export.verification import TOLERANCES, verify
    >>> from eseg_keras.street_scenes import scene_images
    >>> model = eseg_keras.ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
    >>> images = scene_images("test", 1, (32, 48))
    >>> options = {"tolerance": TOLERANCES["float32"], "package": "keras"}
    >>> verification = verify(model.segment, model, images, output_kind="labels", **options)
    >>> verification.passed, verification.label_agreement
    (True, 1.0)
    """
    if not images:
        raise ValueError("Expected at least one image to compare on. Received: none")
    differences, low, high, compared, shortfall = [], np.inf, -np.inf, [], 0.0
    for image in images:
        with model.averaged_weights():
            # Compiled, because an eager call would keep all feature maps.
            logits = np.asarray(model.predict_on_batch(image[None]))
        answer = np.asarray(run(image[None]))
        _check_answer(answer, logits, output_kind)
        low, high = min(low, logits.min()), max(high, logits.max())
        if output_kind == "logits":
            differences.append(np.abs(answer - logits).max())
        elif output_kind == "probabilities":
            differences.append(np.abs(answer - ops.convert_to_numpy(ops.softmax(logits))).max())
        labels = answer if output_kind == "labels" else answer.argmax(-1)
        compared.append((labels == logits.argmax(-1), _lead(logits)))
        chosen = np.take_along_axis(logits, labels[..., None].astype("int64"), axis=-1)[..., 0]
        shortfall = max(shortfall, float((logits.max(-1) - chosen).max()))
    spread = float(high - low)
    agrees = np.concatenate([agreement.ravel() for agreement, _ in compared])
    clear = np.concatenate([lead.ravel() for _, lead in compared]) > tolerance.margin * spread
    # NumPy's maximum propagates nan, Python's does not.
    largest = float(np.max(differences)) if differences else None
    relative = None
    if output_kind == "logits":
        relative = largest / spread if spread else float("inf" if largest else 0)
    return Verification(
        output_kind=output_kind,
        runtime=f"{package} {_version(package)}",
        threads=threads,
        sizes=tuple(image.shape[:2] for image in images),
        largest_difference=largest,
        relative_difference=relative,
        label_shortfall=shortfall / spread if spread else 0.0,
        label_agreement=float(agrees.mean()),
        clear_label_agreement=float(agrees[clear].mean()) if clear.any() else 0.0,
        clear_pixels=float(clear.mean()),
        tolerance=tolerance,
        versions={
            "eseg-keras": __version__,
            "keras": keras.__version__,
            keras.backend.backend(): _version(keras.backend.backend()),
            package: _version(package),
        },
    )


def _check_answer(answer, logits, output_kind):
    expected = logits.shape[:-1] if output_kind == "labels" else logits.shape
    integers = np.issubdtype(answer.dtype, np.integer)
    if answer.shape != expected or integers != (output_kind == "labels"):
        raise VerificationError(
            f"The exported file should return {output_kind} of shape {expected}. Received: "
            f"{answer.dtype} of shape {answer.shape}. Nothing was written."
        )
    if output_kind == "labels" and not 0 <= answer.min() <= answer.max() < logits.shape[-1]:
        raise VerificationError(
            f"The exported file should return labels from 0 to {logits.shape[-1] - 1}. "
            f"Received: {answer.min()} to {answer.max()}. Nothing was written."
        )


def _lead(logits):
    """The difference of the two largest logits of every pixel."""
    if logits.shape[-1] == 1:
        return np.full(logits.shape[:-1], np.inf)
    two = np.partition(logits, -2, axis=-1)[..., -2:]
    return two[..., 1] - two[..., 0]


def _version(package):
    # The package may have another name than the module, such as tensorflow-cpu.
    return installed_version(package) or importlib.import_module(package).__version__
