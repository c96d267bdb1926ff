"""Compare the outputs of an exported file with those of the network."""

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

# If a smaller share of the pixels has a clear label, the agreement of labels is not meaningful.
_FEWEST_CLEAR = 0.01


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """Allowed differences between the outputs of an exported file and of the network.

    Args:
        difference: Largest allowed difference of logits, as a share of the range of the network's
            logits over all images.
        probability: Largest allowed difference of probabilities.
        agreement: Smallest allowed share of equal labels among the pixels with a clear label. Other
            pixels are not counted, because two classes are almost equally likely there, and
            rounding may change the label.
        margin: A label is clear if its logit exceeds the second largest logit by more than this
            share of the range of the logits.
    """

    difference: float
    probability: float
    agreement: float
    margin: float


TOLERANCES = {
    # The order of additions differs. Measured: logits differ by 1e-6 of the range. The margin is
    # twice the allowed difference, so that an allowed difference cannot change a clear label.
    "float32": Tolerance(difference=1e-3, probability=1e-3, agreement=0.9999, margin=2e-3),
    # Weights, or all values, have 11 significant bits. Measured: logits differ by 5e-4 of the
    # range, probabilities by 0.003.
    "float16": Tolerance(difference=5e-3, probability=0.05, agreement=0.999, margin=0.01),
    # All values have 8 significant bits. Measured: logits differ by 0.01 of the range,
    # probabilities by 0.05.
    "bfloat16": Tolerance(difference=0.04, probability=0.3, agreement=0.999, margin=0.04),
    # 8-bit weights have one scale per channel, 8-bit activations one scale per tensor. Measured:
    # logits differ by 0.015 of the range, probabilities by 0.08.
    "dynamic": Tolerance(difference=0.1, probability=0.5, agreement=0.99, margin=0.05),
    # All values have 8 bits, with ranges from the calibration images. Measured: logits differ by
    # 0.03 of the range, probabilities by 0.26. The limit of probabilities is high, because single
    # pixels between two classes may differ a lot; the agreement of labels is the effective limit.
    "int8": Tolerance(difference=0.2, probability=0.9, agreement=0.98, margin=0.05),
}
"""Tolerances by precision. The comments give the differences measured for eseg_lite_s_streets."""


class VerificationError(ValueError):
    """The outputs of an exported file differ from those of the network."""


@dataclasses.dataclass(frozen=True)
class Verification:
    """Result of a comparison of an exported file with the network.

    Args:
        output_kind: `"labels"`, `"logits"` or `"probabilities"`.
        runtime: Name and version of the runtime, such as `"ai-edge-litert 2.3.0"`.
        threads: Number of threads of the runtime, or `None` if the runtime chose it.
        sizes: (height, width) of each compared image.
        largest_difference: Largest difference of logits or probabilities; `None` for labels.
        relative_difference: For logits, `largest_difference` as a share of the range of the
            network's logits.
        label_shortfall: Largest difference, over all pixels, between the network's largest logit
            and the network's logit of the file's label, as a share of the range of the network's
            logits. It is 0 if the file's labels equal the network's.
        label_agreement: Share of equal labels among all pixels.
        clear_label_agreement: Share of equal labels among the pixels with a clear label.
        clear_pixels: Share of all pixels that have a clear label (see `Tolerance`).
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
        """Number of compared images."""
        return len(self.sizes)

    @property
    def passed(self) -> bool:
        """Whether all differences are within the tolerance."""
        return self._problem() is None

    def check(self, remedy: str = "Nothing was written.") -> None:
        """Raise `VerificationError`, with the differences and `remedy`, unless the file passed."""
        if problem := self._problem():
            raise VerificationError(
                f"The outputs of the exported file differ from the network's: {problem}, in "
                f"{self.runtime} on {self.num_images} images. {remedy}"
            )

    def as_dict(self) -> dict:
        """Return all fields, `passed` and `num_images` as a dict that JSON can store."""
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
        # `not found <= allowed` is also true for NaN.
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
                f"{self.clear_label_agreement:.2%} of the labels agree among pixels with a clear "
                f"label (needed: {limit.agreement:.2%}), {self.label_agreement:.2%} among all"
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
        run: Function that runs the file in its own runtime. It takes uint8 images [1, H, W, C] and
            returns uint8 labels [1, H, W], or float32 logits or probabilities [1, H, W,
            num_classes].
        model: The `ESeg` model before BN folding; its averaged weights are used if it has any.
        images: uint8 arrays [H, W, C], of one or several sizes.
        output_kind: `"labels"`, `"logits"` or `"probabilities"`, as returned by `run`.
        tolerance: The allowed differences, one of `TOLERANCES`.
        package: Name of the runtime's package or module, such as `"onnxruntime"`.
        threads: Number of threads of the runtime, if one was set.

    Returns:
        The comparison; its `check()` raises if the file differs too much.

    Raises:
        ValueError: If `images` is empty.
        VerificationError: If `run` returns an array of a wrong shape or dtype, or invalid labels.

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
        raise ValueError("Expected at least one image for the comparison. Received: none")
    differences, low, high, compared, shortfall = [], np.inf, -np.inf, [], 0.0
    for image in images:
        with model.averaged_weights():
            # `predict_on_batch` is compiled; an eager call would keep all feature maps in memory.
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
    # np.max propagates NaN; Python's max does not.
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
    """Return the difference of the two largest logits of each pixel; infinity for one class."""
    if logits.shape[-1] == 1:
        return np.full(logits.shape[:-1], np.inf)
    two = np.partition(logits, -2, axis=-1)[..., -2:]
    return two[..., 1] - two[..., 0]


def _version(package):
    # The package may have another name than the module: tensorflow-cpu contains tensorflow.
    return installed_version(package) or importlib.import_module(package).__version__
