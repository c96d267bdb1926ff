"""Comparisons of correct, slightly wrong and clearly wrong outputs with the network."""

import dataclasses
import json

import numpy as np
import pytest

from eseg_keras.export.verification import (
    TOLERANCES,
    Tolerance,
    Verification,
    VerificationError,
    verify,
)
from eseg_keras.street_scenes import scene_images

SIZE = (96, 160)


@pytest.fixture(scope="module")
def images():
    return scene_images("test", 2, SIZE)


@pytest.fixture
def compare(streets, images):
    def compare(run, output_kind="labels", precision="float32"):
        tolerance = TOLERANCES[precision]
        return verify(
            run, streets, images, output_kind=output_kind, tolerance=tolerance, package="tensorflow"
        )

    return compare


def softmax(logits):
    exponents = np.exp(logits - logits.max(-1, keepdims=True))
    return exponents / exponents.sum(-1, keepdims=True)


def test_the_network_itself_passes(streets, compare):
    def logits(images):
        return np.asarray(streets(images))

    for output_kind, run in [
        ("labels", streets.segment),
        ("logits", logits),
        ("probabilities", lambda images: softmax(logits(images))),
    ]:
        verification = compare(run, output_kind)
        assert verification.passed
        assert verification.label_agreement == verification.clear_label_agreement == 1
        assert 0.9 < verification.clear_pixels < 1
        verification.check()
        if output_kind != "labels":
            assert verification.largest_difference < 1e-4


@pytest.mark.parametrize(
    "broken",
    {
        "darker images": lambda run: lambda images: run(images // 2),
        "images of 0..1": lambda run: lambda images: run(images // 255),
        "BGR": lambda run: lambda images: run(images[..., ::-1]),
        "upside down": lambda run: lambda images: run(images)[:, ::-1],
        "a pixel to the right": lambda run: lambda images: np.roll(run(images), 1, axis=2),
        "the next class": lambda run: lambda images: (run(images) + 1) % 8,
    }.items(),
    ids=lambda item: item[0],
)
def test_labels_of_a_broken_file_fail(streets, compare, broken):
    for precision in ("float32", "float16"):
        verification = compare(broken[1](streets.segment), precision=precision)
        assert not verification.passed
        with pytest.raises(VerificationError, match="of the labels agree"):
            verification.check()


@pytest.mark.parametrize("output_kind", ["logits", "probabilities"])
def test_values_of_a_broken_file_fail(streets, compare, output_kind):
    def right(images):
        logits = np.asarray(streets(images))
        return logits if output_kind == "logits" else softmax(logits)

    def with_nan(images):
        values = right(images).copy()
        values[0, 3, 5, 1] = np.nan
        return values

    for run in (
        lambda images: right(images[..., ::-1]),
        lambda images: right(images) * np.float32(1.01),
        lambda images: right(images) + np.float32(0.5),  # The labels do not change.
        with_nan,
    ):
        with pytest.raises(VerificationError, match=f"{output_kind} differ by up to"):
            compare(run, output_kind).check()


def test_numbers_are_those_of_numpy(streets, images, compare):
    logits = np.stack([np.asarray(streets(image[None]))[0] for image in images])
    spread = logits.max() - logits.min()
    noise = np.random.default_rng(0).uniform(-8e-4, 8e-4, logits.shape).astype("float32") * spread
    answers = iter(logits + noise)
    verification = compare(lambda _: next(answers)[None], "logits")
    np.testing.assert_allclose(verification.largest_difference, np.abs(noise).max(), rtol=1e-3)
    np.testing.assert_allclose(
        verification.relative_difference, np.abs(noise).max() / spread, rtol=1e-3
    )
    agrees = (logits + noise).argmax(-1) == logits.argmax(-1)
    assert verification.label_agreement == agrees.mean() < 1
    ordered = np.sort(logits, axis=-1)
    clear = ordered[..., -1] - ordered[..., -2] > 2e-3 * spread
    np.testing.assert_allclose(verification.clear_pixels, clear.mean(), atol=1e-4)
    # The noise changes labels at near ties only, which is allowed.
    assert verification.clear_label_agreement == 1 and verification.passed
    answers = iter((logits + noise).argmax(-1).astype("uint8"))
    labels = compare(lambda _: next(answers)[None])
    assert labels.passed and labels.label_agreement == verification.label_agreement
    turned = [
        pixel.max() - pixel[noisy.argmax()]
        for pixel, noisy in zip(logits[~agrees], (logits + noise)[~agrees], strict=True)
    ]
    for found in (verification, labels):
        np.testing.assert_allclose(found.label_shortfall, max(turned) / spread, rtol=0.01)


@pytest.mark.parametrize(
    "answer",
    [
        np.zeros((1, 160, 96), "uint8"),
        np.zeros((96, 160), "uint8"),
        np.zeros((1, *SIZE, 1), "uint8"),
        np.zeros((1, *SIZE), "float32"),
    ],
    ids=lambda answer: f"{answer.dtype}{answer.shape}",
)
def test_another_kind_of_answer_is_refused(compare, answer):
    with pytest.raises(VerificationError, match=r"Received: \w+ of shape"):
        compare(lambda images: answer)


@pytest.mark.parametrize("label", [-1, 8, 255])
def test_labels_that_are_no_classes_are_refused(compare, label):
    with pytest.raises(VerificationError, match=rf"from 0 to 7\. Received: {label} to {label}"):
        compare(lambda images: np.full((1, *SIZE), label))


def test_labels_without_meaning_do_not_pass(tiny_model):
    tiny_model.head.get_layer("classifier").kernel.assign(np.zeros((1, 1, 8, 3)))
    verification = verify(
        tiny_model.segment,
        tiny_model,
        scene_images("test", 1, (32, 48)),
        output_kind="labels",
        tolerance=TOLERANCES["float32"],
        package="tensorflow",
    )
    assert verification.label_agreement == 1 and not verification.passed
    with pytest.raises(VerificationError, match="no pixel has a clear label"):
        verification.check()


def test_a_single_clear_pixel_does_not_pass(images, compare):
    verification = compare(lambda images: np.zeros((1, *SIZE), "uint8"))
    few = dataclasses.replace(verification, clear_pixels=0.009, clear_label_agreement=1.0)
    with pytest.raises(VerificationError, match="only 0.90% of the pixels have a clear label"):
        few.check()
    assert dataclasses.replace(few, clear_pixels=0.02).passed


def test_averaged_weights_are_the_reference(tiny_model):
    model = tiny_model
    images = scene_images("test", 1, (32, 48))
    logits = model.predict_on_batch(images[0][None])
    model.compile(ema_decay=0.9)
    # Pretend that one training step was made, so that evaluation uses the averaged weights, which
    # are the initial weights.
    model.optimizer.iterations.assign(1)
    model.set_weights([1.5 * weights for weights in model.get_weights()])
    assert np.abs(np.asarray(model(images[0][None])) - logits).max() > 1e-3
    verification = verify(
        lambda images: logits,
        model,
        images,
        output_kind="logits",
        tolerance=TOLERANCES["float32"],
        package="tensorflow",
    )
    assert verification.largest_difference == 0


def test_json_holds_everything(tmp_path):
    verification = Verification(
        output_kind="logits",
        runtime="onnxruntime 1.32.0",
        threads=2,
        sizes=((32, 48), (33, 47)),
        largest_difference=0.25,
        relative_difference=0.5,
        label_shortfall=0.125,
        label_agreement=0.75,
        clear_label_agreement=0.875,
        clear_pixels=0.5,
        tolerance=Tolerance(difference=0.1, probability=0.2, agreement=0.9, margin=0.05),
        versions={"keras": "3.15.1"},
    )
    path = verification.write(tmp_path / "net.onnx")
    assert path == tmp_path / "net.onnx.verification.json"
    assert json.loads(path.read_text()) == {
        "passed": False,
        "num_images": 2,
        "output_kind": "logits",
        "runtime": "onnxruntime 1.32.0",
        "threads": 2,
        "sizes": [[32, 48], [33, 47]],
        "largest_difference": 0.25,
        "relative_difference": 0.5,
        "label_shortfall": 0.125,
        "label_agreement": 0.75,
        "clear_label_agreement": 0.875,
        "clear_pixels": 0.5,
        "tolerance": {"difference": 0.1, "probability": 0.2, "agreement": 0.9, "margin": 0.05},
        "versions": {"keras": "3.15.1"},
    }
    assert [file.name for file in tmp_path.iterdir()] == ["net.onnx.verification.json"]
