"""What `TrainingModel` adds to Keras' training: compared with NumPy, and refused arguments."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.losses import CrossEntropy
from eseg_keras.trainer import TrainingModel

SIZE = (33, 48)
# For one or two steps, eager execution is faster than tracing; other tests here run graphs.
ELSEWHERE = keras.backend.backend() != "tensorflow"
FEW_STEPS = {"run_eagerly": not ELSEWHERE}


def small_model():
    x = inputs = keras.Input((*SIZE, 3))
    features = {}
    for level, stride in (("P3", 8), ("P4", 2)):
        x = keras.layers.Conv2D(4, 3, strides=stride, padding="same", name=f"conv_{level}")(x)
        features[level] = x
    model = ESeg(
        keras.Model(inputs, features), num_classes=3, min_level=3, max_level=4,
        decoder_channels=4, decoder_repeats=1, image_shape=(*SIZE, 3),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    for weight in model.trainable_variables:
        if weight.name.endswith("kernel"):
            # Fan-in; each filter of a depthwise kernel has one input channel.
            inputs = np.prod(weight.shape[:3]) if weight.shape[3] > 1 else np.prod(weight.shape[:2])
            weight.assign(rng.normal(0, np.sqrt(2 / inputs), weight.shape))
    return model


def examples(count=4):
    rng = np.random.default_rng(1)
    images = rng.normal(0, 2, (count, *SIZE, 3)).astype("float32")
    masks = rng.choice([0, 1, 2, 255], (count, *SIZE)).astype("uint8")
    masks[0, :20] = 255
    return images, masks


def kernels(model):
    """Return all kernels, found by the types of layers, not by the names of variables."""
    found = []
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.SeparableConv2D):
            found += [layer.depthwise_kernel, layer.pointwise_kernel]
        elif isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            found.append(layer.kernel)
    return [np.asarray(kernel) for kernel in found]


def squares(model):
    return sum(float(np.sum(kernel.astype("float64") ** 2)) for kernel in kernels(model))


@pytest.mark.parametrize(
    "encoder",
    [
        "fused_efficientnet_s",
        # Kernels have the same names on every backend, so TensorFlow is enough; JAX would compile
        # the initialiser of each shape.
        pytest.param("efficientnet_b0", marks=pytest.mark.skipif(ELSEWHERE, reason="same names")),
    ],
)
def test_weight_decay_is_half_of_the_squares_of_every_kernel(encoder, tmp_path):
    options = {"min_level": 3, "max_level": 5, "decoder_channels": 8, "decoder_repeats": 1}
    model = ESeg(encoder, num_classes=2, **options)
    model.compile(weight_decay=5e-5)
    expected = 0.5 * 5e-5 * squares(model)
    # In EfficientNet-B0, these include squeeze-and-excitation and depthwise kernels.
    assert len(kernels(model.encoder)) > 20
    np.testing.assert_allclose(float(model.decay_loss()), expected, rtol=1e-5)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(float(loaded.decay_loss()), expected, rtol=1e-5)


def test_weight_decay_is_in_the_loss_and_momentum_sees_it():
    images, masks = examples()
    model, decay = small_model(), 0.1
    model.freeze("batch_norm")
    start = [np.asarray(v) for v in model.trainable_variables]
    results = {}
    for weight_decay in (0.0, decay):
        for variable, value in zip(model.trainable_variables, start, strict=True):
            variable.assign(value)
        optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
        model.compile(optimizer, weight_decay=weight_decay, **FEW_STEPS)
        logs = model.fit(images, masks, batch_size=4, shuffle=False, verbose=0).history
        results[weight_decay] = logs["loss"][0], [np.asarray(v) for v in model.optimizer.momentums]
    total = sum((v**2).sum() for v, k in zip(start, model.trainable_variables, strict=True)
                if k.name.endswith("kernel"))  # fmt: skip
    difference = results[decay][0] - results[0.0][0]
    np.testing.assert_allclose(difference, 0.5 * decay * total, rtol=1e-4)
    # After one step, SGD's velocity is -lr * gradient; the gradient of the L2 term is decay * w.
    pairs = zip(model.trainable_variables, start, results[decay][1], results[0.0][1], strict=True)
    for variable, value, with_decay, without in pairs:
        expected = -0.1 * decay * value if variable.name.endswith("kernel") else 0 * value
        np.testing.assert_allclose(with_decay - without, expected, atol=2e-5)


def test_averages_are_those_of_a_plain_loop():
    """Averages of weights and batch normalisation statistics, with the growing decay."""
    images, masks = examples()
    model = small_model()
    model.compile(keras.optimizers.SGD(0.1, momentum=0.9), ema_decay=0.5)
    averages = [np.asarray(w, "float64") for w in model.weights]
    assert any("moving_variance" in w.path for w in model.weights)
    for step in range(6):
        # One call of `fit` per step: several calls must give the same averages as one.
        model.fit(images, masks, batch_size=4, shuffle=False, verbose=0)
        decay = min(0.5, (1 + step) / (10 + step))
        weights = [np.asarray(w) for w in model.weights]
        averages = [decay * a + (1 - decay) * w for a, w in zip(averages, weights, strict=True)]
    with model.averaged_weights():
        found = [np.asarray(w) for w in model.weights]
    for a, b in zip(found, averages, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    for a, b in zip(model.weights, weights, strict=True):
        np.testing.assert_array_equal(np.asarray(a), b)


def test_averages_are_evaluated_and_shipped_and_training_goes_on_without(tmp_path):
    images, masks = examples()
    images = np.abs(images)  # Values in 0..255, which `segment` requires.
    model = small_model()
    model.compile(keras.optimizers.SGD(0.1), ema_decay=0.99, **FEW_STEPS)
    model.fit(images, masks, batch_size=2, epochs=2, shuffle=False, verbose=0)
    weights = model.get_weights()
    with model.averaged_weights():
        averages = model.get_weights()
    assert max(np.abs(a - b).max() for a, b in zip(weights, averages, strict=True)) > 1e-3

    raw, plain = small_model(), small_model()
    raw.set_weights(weights)
    plain.set_weights(averages)
    for other in (raw, plain):
        other.compile(keras.optimizers.SGD(0.1), **FEW_STEPS)
    loss = model.evaluate(images, masks, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(plain.evaluate(images, masks, verbose=0, return_dict=True)["loss"])
    assert loss != pytest.approx(
        raw.evaluate(images, masks, verbose=0, return_dict=True)["loss"], rel=1e-4
    )
    expected = plain.predict(images, verbose=0)
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-6)
    np.testing.assert_array_equal(model.segment(images), expected.argmax(-1))
    copy = small_model()
    copy.compile(**FEW_STEPS)
    copy.copy_weights(model)
    np.testing.assert_allclose(copy.predict(images, verbose=0), expected, atol=1e-6)
    # The unaveraged weights, which training continues with, are unchanged.
    for a, b in zip(model.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)

    # A .keras file stores weights and averages.
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert loaded.ema_decay == 0.99
    for a, b in zip(loaded.get_weights(), weights, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(loaded.predict(images, verbose=0), expected, atol=1e-6)


def test_weights_loaded_after_compile_are_where_the_average_starts():
    images, masks = examples()
    model = small_model()
    model.compile(keras.optimizers.SGD(0.0), ema_decay=0.9)
    for weight in model.trainable_variables:
        weight.assign(weight + 1.0)
    loaded = [np.asarray(v) for v in model.trainable_variables]
    model.fit(images, masks, batch_size=4, shuffle=False, verbose=0)
    with model.averaged_weights():
        for a, b in zip(model.trainable_variables, loaded, strict=True):
            np.testing.assert_array_equal(np.asarray(a), b)


@pytest.mark.skipif(ELSEWHERE, reason="only TensorFlow traces the creation of variables")
@pytest.mark.parametrize("optimizer", ["sgd", keras.optimizers.LossScaleOptimizer])
def test_optimizers_are_built_before_the_step_is_traced(optimizer):
    model = small_model()
    if not isinstance(optimizer, str):
        optimizer = optimizer(keras.optimizers.SGD(0.1))
    model.compile(optimizer)
    assert not model.optimizer.built
    model.make_train_function()
    assert model.optimizer.built


@pytest.mark.parametrize("with_teacher, numbers", [(False, (1, 2, 4)), (True, (1, 2))])
def test_parts_of_a_batch_give_the_gradient_of_the_whole(with_teacher, numbers):
    """The parts have different numbers of labelled pixels.

    Batch normalisation is frozen, because its statistics depend on the parts.
    """
    if keras.backend.backend() == "torch":
        with pytest.raises(ValueError, match="works on TensorFlow and JAX"):
            small_model().compile(gradient_accumulation_steps=2)
        return
    images, masks = examples()
    model, teacher = small_model(), None
    if with_teacher:
        teacher = small_model()
        for weight in teacher.trainable_variables:
            weight.assign(2 * weight)
    model.freeze("batch_norm")
    start, results = model.get_weights(), {}
    for parts in numbers:
        model.set_weights(start)
        model.compile(
            keras.optimizers.SGD(0.1), weight_decay=1e-2, gradient_accumulation_steps=parts,
            teacher=teacher, **(FEW_STEPS if with_teacher else {}),
        )  # fmt: skip
        logs = model.fit(images, masks, batch_size=4, epochs=2, shuffle=False, verbose=0).history
        results[parts] = logs, model.get_weights()
    for parts in numbers[1:]:
        for name in ("loss", "mean_iou", "pixel_accuracy"):
            np.testing.assert_allclose(results[parts][0][name], results[1][0][name], rtol=1e-4)
        for a, b in zip(results[parts][1], results[1][1], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)


def test_clipping_bounds_the_whole_gradient():
    images, masks = examples()
    model = small_model()
    model.freeze("batch_norm")
    start = model.get_weights()

    def change(global_clipnorm):
        model.set_weights(start)
        model.compile(keras.optimizers.SGD(1.0), global_clipnorm=global_clipnorm, **FEW_STEPS)
        model.fit(images, masks, batch_size=4, shuffle=False, verbose=0)
        pairs = zip(model.get_weights(), start, strict=True)
        return np.concatenate([(a - b).ravel() for a, b in pairs])

    plain = change(None)
    norm = float(np.linalg.norm(plain))
    np.testing.assert_allclose(change(norm / 3), plain / 3, atol=norm * 1e-5)
    np.testing.assert_allclose(change(norm * 3), plain, atol=norm * 1e-5)


def test_loss_weights_are_refused():
    model = small_model()
    for arguments in ({"loss_weights": [0.5]}, {"loss": "mse", "loss_weights": 0.5}):
        with pytest.raises(ValueError, match="`loss_weights` .*the model has one. Received: loss_"):
            model.compile("sgd", **arguments)


def test_clipping_ends_with_the_compile_that_asked_for_it(tmp_path):
    model = small_model()
    model.compile(keras.optimizers.SGD(0.1), global_clipnorm=0.01)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert (loaded.global_clipnorm, loaded.optimizer.global_clipnorm) == (0.01, 0.01)
    model.compile(model.optimizer)
    assert model.optimizer.global_clipnorm is None
    # The inner optimizer of the LossScaleOptimizer clips.
    scaling = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1))
    model.compile(scaling, global_clipnorm=0.5)
    assert scaling.inner_optimizer.global_clipnorm == 0.5


def test_averages_need_an_optimizer_of_their_own():
    model = small_model()
    model.compile(keras.optimizers.SGD(0.1), ema_decay=0.9)
    with pytest.raises(ValueError, match="requires a new optimizer"):
        model.compile(model.optimizer, ema_decay=0.9)


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"weight_decay": -1e-4}, "must not be negative. Received: -0.0001"),
        ({"ema_decay": 1.0}, "from 0 to below 1. Received: 1.0"),
        ({"global_clipnorm": 0}, "must be positive or None. Received: 0"),
        ({"gradient_accumulation_steps": 0}, "at least 1. Received: 0"),
        ({"weight_decy": 1e-4}, "weight_decy"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises((ValueError, TypeError), match=message):
        small_model().compile(**arguments)


def test_masks_with_other_values_are_reported_with_them():
    images, masks = examples()
    masks[1, :2, :5] = 77
    model = small_model()
    model.compile(loss=CrossEntropy())
    for action in (model.fit, model.evaluate):
        with pytest.raises(ValueError, match=r"77 \(10 pixels\)"):
            action(images, masks, batch_size=4, verbose=0)


def test_a_model_that_is_all_frozen_says_so_before_it_reads_anything():
    images = keras.Input((4, 4, 3))
    model = TrainingModel(images, keras.layers.Conv2D(2, 1)(images))
    model.trainable = False
    model.compile("sgd", "mse")

    def unread():
        raise AssertionError("read")
        yield

    with pytest.raises(ValueError, match="nothing to train.*unfreeze"):
        model.fit(unread(), verbose=0)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
def test_a_model_of_another_scope_is_refused():
    import tensorflow as tf

    def model_of():
        images = keras.Input((4, 4, 3))
        return TrainingModel(images, keras.layers.Conv2D(2, 1)(images))

    x, y = np.zeros((2, 4, 4, 3)), np.zeros((2, 4, 4, 2))
    strategy = tf.distribute.MirroredStrategy(["CPU:0"])
    outside = model_of()
    outside.compile("sgd", "mse")
    with strategy.scope():
        for action in (outside.fit, outside.evaluate):
            with pytest.raises(ValueError, match="built outside of this strategy's scope"):
                action(x, y, verbose=0)
        with pytest.raises(ValueError, match="built outside of this strategy's scope"):
            outside.compile("sgd", "mse")
        inside = model_of()
    with pytest.raises(ValueError, match="compiled outside of it"):
        inside.compile("sgd", "mse")
    with strategy.scope():
        inside.compile("sgd", "mse")
    inside.fit(x, y, verbose=0)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_the_loss_of_a_teacher_is_the_cross_entropy_with_its_probabilities(share):
    images, masks = examples()
    model, teacher = small_model(), small_model()
    for weight in teacher.trainable_variables:
        weight.assign(2 * weight)
    names = [variable.path for variable in model.variables]
    model.compile(teacher=teacher, distillation=share, jit_compile=False)
    assert [variable.path for variable in model.variables] == names

    def softmax(logits):
        shifted = np.exp(np.asarray(logits, "float64") - np.max(logits, -1, keepdims=True))
        return shifted / shifted.sum(-1, keepdims=True)

    logits = model(images, training=True)
    probabilities = softmax(keras.ops.convert_to_numpy(logits))
    soft = softmax(keras.ops.convert_to_numpy(teacher(images, training=False)))
    from_teacher = -(soft * np.log(probabilities)).sum(-1).mean()
    labelled = masks != 255
    rows = probabilities[labelled]
    from_masks = -np.log(rows[np.arange(len(rows)), masks[labelled]]).mean()
    expected = (1 - share) * from_masks + share * from_teacher
    found = float(model.compute_loss(images, masks, logits))
    assert found == pytest.approx(expected, rel=1e-5)
    # The validation loss uses the masks only.
    found = float(model.compute_loss(images, masks, logits, training=False))
    assert found == pytest.approx(from_masks, rel=1e-5)


def test_a_teacher_moves_the_weights_and_stays_as_it_is():
    images, masks = examples()
    model, teacher = small_model(), small_model()
    for weight in teacher.trainable_variables:
        weight.assign(2 * weight)
    start, before = model.get_weights(), teacher.get_weights()
    ends = []
    for options in ({}, {"teacher": teacher}):
        model.set_weights(start)
        model.compile(keras.optimizers.SGD(0.1), **options)
        model.fit(images, masks, batch_size=4, shuffle=False, verbose=0)
        ends.append(np.concatenate([np.ravel(w) for w in model.get_weights()]))
    assert np.abs(ends[0] - ends[1]).max() > 1e-4
    for a, b in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_weights_of_a_teacher_are_those_of_the_moment():
    """The teacher's weights are not constants of the compiled step."""
    images, masks = examples()
    model, teacher = small_model(), small_model()
    start, losses = model.get_weights(), []
    model.compile(keras.optimizers.SGD(0.0), teacher=teacher, distillation=1.0, **FEW_STEPS)
    for factor in (1, 3, 1 / 3):
        for weight in teacher.trainable_variables:
            weight.assign(factor * weight)
        model.set_weights(start)
        model.fit(images, masks, batch_size=4, shuffle=False, verbose=0)
        losses.append(model.history.history["loss"][0])
    assert abs(losses[0] - losses[1]) > 0.01
    assert losses[2] == pytest.approx(losses[0], rel=1e-5)


def test_a_teacher_has_the_same_classes():
    model, images = small_model(), keras.Input((*SIZE, 3))
    teacher = keras.Model(images, keras.layers.Conv2D(2, 1)(images))
    with pytest.raises(ValueError, match="The teacher has 3 channels and 2 classes.*3 and 3"):
        model.compile(teacher=teacher)
    with pytest.raises(ValueError, match="distillation must be above 0"):
        model.compile(teacher=small_model(), distillation=0.0)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="tf.distribute")
def test_the_loss_of_a_teacher_is_the_mean_over_all_replicas():
    script = pathlib.Path(__file__).with_name("teacher_on_two_replicas.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0 and "trained" in done.stdout, done.stderr[-2000:]
