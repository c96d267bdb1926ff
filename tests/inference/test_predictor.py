import io
import itertools
import re

import keras
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras import ops
from PIL import Image

from eseg_keras.inference import TEST_TIME_SCALES, Predictor, image_maps, input_files
from eseg_keras.inference.image_maps import ImageMaps
from eseg_keras.inference.sliding_window import slide
from eseg_keras.street_scenes import render_scene
from eseg_keras.trainer import TrainingModel


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def bilinear(array, size):
    """Resize bilinearly with half-pixel centres, as defined, in NumPy."""
    height, width = array.shape[:2]

    def places(count, length):
        centres = np.clip((np.arange(count) + 0.5) * length / count - 0.5, 0, length - 1)
        first = np.floor(centres).astype(int)
        return first, np.minimum(first + 1, length - 1), centres - first

    top, bottom, down = places(size[0], height)
    left, right, across = places(size[1], width)
    rows = array[top] * (1 - down)[:, None, None] + array[bottom] * down[:, None, None]
    return rows[:, left] * (1 - across)[:, None] + rows[:, right] * across[:, None]


@pytest.fixture(scope="module")
def scene():
    return render_scene(3, "test", (72, 104))[0]


@pytest.fixture(scope="module")
def plain(network):
    """A predictor without options."""
    return Predictor(network)


# === Scale ===


@pytest.mark.usefixtures("eagerly")
@pytest.mark.parametrize(
    ("sides", "options", "warned"),
    [
        ([64, 32, 128], {}, None),
        ([129], {}, "image 0: the longer side .* has 129 .* had 64.* larger .* long_side=64 "),
        ([64, 160, 200], {}, "image 1: the longer side of the network's input has 160 "),
        ([64], {"long_side": 160}, "input has 160 "),
        ([63], {"image_size": (150, 150)}, "input has 150 "),
        ([160], {"long_side": 64}, None),
        ([160], {"window": 64}, None),
    ],
)
def test_an_image_of_another_scale_gets_one_hint(
    pixelwise, noise, monkeypatch, caplog, sides, options, warned
):
    monkeypatch.setattr(pixelwise, "training_long_side", 64, raising=False)
    predictor = Predictor(pixelwise, **options)
    for _ in range(2):
        list(predictor.predict([noise(min(side, 100), side) for side in sides]))
    messages = [record.getMessage() for record in caplog.records if record.name == "eseg_keras"]
    assert len(messages) == (warned is not None)
    if warned:
        assert re.search(warned, messages[0]), messages


def test_an_image_too_small_for_the_training_images(pixelwise, noise, monkeypatch, caplog):
    monkeypatch.setattr(pixelwise, "training_long_side", 640, raising=False)
    Predictor(pixelwise)(noise(32, 319))
    assert "smaller than in the training images" in caplog.text and "--long_side 640" in caplog.text


# === One forward pass ===


@pytest.mark.parametrize("name", ["network", "streets"])
def test_one_image_is_what_the_model_says(request, scene, name):
    model = request.getfixturevalue(name)
    prediction = Predictor(model)(scene)
    expected = np.asarray(model(scene[None]))[0].argmax(-1)
    np.testing.assert_array_equal(prediction.label_map, expected)
    assert prediction.label_map.dtype == np.uint8 and len(np.unique(expected)) > 2
    np.testing.assert_array_equal(prediction.image, scene)
    assert prediction.class_names == model.class_names
    assert prediction.palette == model.palette


def test_maps_are_those_of_the_probabilities(plain, network, scene):
    maps = ("confidence", "entropy", "margin", "probabilities")
    prediction = Predictor(network, maps=maps)(scene)
    expected = softmax(np.asarray(network(scene[None]))[0])
    ranked = np.sort(expected, -1)
    np.testing.assert_allclose(prediction.probabilities, expected, atol=1e-5)
    np.testing.assert_allclose(prediction.confidence, ranked[..., -1], atol=1e-5)
    np.testing.assert_allclose(prediction.margin, ranked[..., -1] - ranked[..., -2], atol=1e-5)
    entropy = -(expected * np.log(np.maximum(expected, 1e-30))).sum(-1) / np.log(8)
    np.testing.assert_allclose(prediction.entropy, entropy, atol=1e-5)
    assert {getattr(prediction, name).dtype for name in maps} == {np.dtype("float32")}
    assert plain(scene).probabilities is None


def test_doubtful_pixels_are_ignored(network, scene):
    sure = Predictor(network, maps=["confidence"])(scene)
    careful = Predictor(network, min_confidence=0.9)(scene)
    expected = np.where(sure.confidence < 0.9, 255, sure.label_map)
    np.testing.assert_array_equal(careful.label_map, expected)
    assert 0 < (expected == 255).mean() < 0.9
    assert careful.confidence is None
    np.testing.assert_array_equal(
        Predictor(network, min_confidence=0.0)(scene).label_map, sure.label_map
    )


def test_batches_do_not_change_labels(plain, network):
    images = [render_scene(index, "test", (64, 96))[0] for index in range(5)]
    images.insert(2, render_scene(9, "test", (80, 64))[0])
    one = [p.label_map for p in plain.predict(images)]
    three = [p.label_map for p in Predictor(network, batch_size=3).predict(iter(images))]
    assert [m.shape for m in three] == [i.shape[:2] for i in images]
    for a, b in zip(one, three, strict=True):
        assert (a == b).mean() > 0.999


def test_averaged_weights_are_used(scene):
    inputs = keras.Input((None, None, 3))
    model = TrainingModel(inputs, keras.layers.Conv2D(3, 1)(inputs))
    model.compile(keras.optimizers.SGD(0.0), loss="mse", ema_decay=0.5)
    images = scene[None, :64, :64]
    model.train_on_batch(images, np.zeros((1, 64, 64, 3)))
    for variable in model.trainable_variables:
        variable.assign(-variable)
    with model.averaged_weights():
        expected = np.asarray(model(images))[0].argmax(-1)
    assert (np.asarray(model(images))[0].argmax(-1) != expected).any()
    np.testing.assert_array_equal(Predictor(model)(images[0]).label_map, expected)


# === Size of the network's input ===


@pytest.mark.parametrize("long_side", [64, 140])
def test_logits_are_resized_to_the_image(pixelwise, pixel_logits, noise, long_side):
    image = noise(60, 100)
    size = tuple(round(side * long_side / 100) for side in (60, 100))
    seen = np.asarray(Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR))
    expected = bilinear(pixel_logits(seen), (60, 100))
    prediction = Predictor(pixelwise, long_side=long_side, maps=["probabilities"])(image)
    np.testing.assert_allclose(prediction.probabilities, softmax(expected), atol=2e-4)
    assert (prediction.label_map == expected.argmax(-1)).mean() > 0.999


@pytest.mark.parametrize("size", [(40, 100), (100, 40), (64, 64), (200, 150)])
def test_a_fixed_size_sees_the_whole_image_and_its_filling_is_cut_off(
    pixelwise, pixel_logits, noise, size
):
    image = noise(*size)
    scale = min(64 / size[0], 64 / size[1])
    seen = tuple(round(side * scale) for side in size)
    shown = np.asarray(Image.fromarray(image).resize(seen[::-1], Image.Resampling.BILINEAR))
    expected = softmax(bilinear(pixel_logits(shown), size))
    if min(seen) < 32:
        with pytest.raises(ValueError, match="resized to"):
            Predictor(pixelwise, image_size=(64, 64))(image)
        return
    prediction = Predictor(pixelwise, image_size=(64, 64), maps=["probabilities"])(image)
    np.testing.assert_allclose(prediction.probabilities, expected, atol=2e-4)


def test_a_fixed_size_is_what_the_network_gets(noise):
    class Sees(keras.layers.Layer):
        sizes = []

        def call(self, images):
            self.sizes.append(tuple(images.shape))
            return ops.cast(images, "float32")

    images = keras.Input((None, None, 3))
    layer = Sees()
    model = keras.Model(images, layer(images))
    predictor = Predictor(model, image_size=(64, 96), scales=(1.0, 2.0))
    model.run_eagerly = True
    layer.sizes.clear()
    for size in [(50, 60), (96, 140)]:
        predictor(noise(*size))
    assert set(layer.sizes) == {(1, 64, 96, 3), (1, 128, 192, 3)}


def test_a_network_of_one_size_gets_that_size(pixelwise, noise):
    images = keras.Input((64, 96, 3))
    built = keras.Model(images, pixelwise(images))
    image = noise(100, 120)
    found = Predictor(built, maps=["probabilities"])(image)
    expected = Predictor(pixelwise, image_size=(64, 96), maps=["probabilities"])(image)
    np.testing.assert_allclose(found.probabilities, expected.probabilities, atol=1e-6)


def test_a_small_scale_of_a_fixed_size_still_sees_the_whole_image(pixelwise, noise):
    image = noise(48, 48)
    fixed = Predictor(pixelwise, image_size=(48, 48), scales=(0.5,), maps=["probabilities"])
    free = Predictor(pixelwise, scales=(32 / 48,), maps=["probabilities"])
    np.testing.assert_allclose(fixed(image).probabilities, free(image).probabilities, atol=1e-6)


def test_frames_with_other_channels_are_named(pixelwise):
    predictor = Predictor(pixelwise)
    sources = [
        input_files.ImageSource("a.mp4#0", lambda: np.zeros((40, 40, 4), np.uint8)),
        input_files.ImageSource("a.mp4#1", lambda: np.zeros((40, 40, 3), np.uint8)),
    ]
    error, prediction = predictor.outcomes(sources)
    assert str(error).startswith("a.mp4#0: has 4 channels, but the network expects 3")
    assert prediction.label_map.shape == (40, 40)


def test_an_ignore_label_that_no_label_map_can_hold(noise):
    images = keras.Input((None, None, 3))
    model = keras.Model(images, ops.cast(images, "float32"))
    model.ignore_label = -1
    assert Predictor(model)(noise(40, 40)).label_map.max() < 3
    with pytest.raises(ValueError, match="min_confidence.*a model with ignore_label=-1"):
        Predictor(model, min_confidence=0.5)


# === Test-time augmentation ===


def test_augmentation_is_the_mean_over_scales_and_flips(network, scene):
    predictor = Predictor(network, scales=TEST_TIME_SCALES, flip=True, maps=["probabilities"])
    total = 0
    for scale, flip in itertools.product((0.5, 1.0, 2.0), (False, True)):
        size = (round(104 * scale), round(72 * scale))
        seen = np.asarray(Image.fromarray(scene).resize(size, Image.Resampling.BILINEAR))
        logits = np.asarray(network(seen[None, :, ::-1] if flip else seen[None]))[0]
        logits = logits[:, ::-1] if flip else logits
        total = total + softmax(bilinear(logits, (72, 104)))
    prediction = predictor(scene)
    np.testing.assert_allclose(prediction.probabilities, total / 6, atol=1e-4)
    np.testing.assert_array_equal(prediction.label_map, prediction.probabilities.argmax(-1))


def test_a_symmetric_network_gains_nothing_from_flipping(pixelwise, noise):
    image = noise(48, 64)
    plain = Predictor(pixelwise, maps=["probabilities"])(image)
    flipped = Predictor(pixelwise, flip=True, maps=["probabilities"])(image)
    np.testing.assert_allclose(flipped.probabilities, plain.probabilities, atol=1e-6)


def test_small_images_are_never_seen_below_the_smallest_side(network):
    image = render_scene(0, "test", (64, 64))[0][:40, :50]
    assert Predictor(network, scales=(0.5,))(image).label_map.shape == (40, 50)


# === Windows ===


@settings(max_examples=25, suppress_health_check=list(HealthCheck))
@given(
    size=st.tuples(st.integers(32, 90), st.integers(32, 90)),
    window=st.tuples(st.integers(32, 70), st.integers(32, 70)),
    overlap=st.tuples(st.integers(0, 31), st.integers(0, 31)),
    batch_size=st.integers(1, 3),
)
def test_windows_change_nothing_where_pixels_are_alone(
    pixelwise, noise, size, window, overlap, batch_size
):
    image = noise(*size)
    whole = Predictor(pixelwise)(image)
    slid = Predictor(pixelwise, window=window, overlap=overlap, batch_size=batch_size)(image)
    np.testing.assert_array_equal(slid.label_map, whole.label_map)


@pytest.mark.parametrize("window", [(72, 104), (100, 104), (500, 500)])
def test_one_window_is_the_whole_image_bit_for_bit(network, scene, window):
    maps = ("probabilities", "entropy")
    whole, slid = (Predictor(network, maps=maps, **o)(scene) for o in ({}, {"window": window}))
    np.testing.assert_array_equal(slid.label_map, whole.label_map)
    np.testing.assert_array_equal(slid.probabilities, whole.probabilities)
    np.testing.assert_array_equal(slid.entropy, whole.entropy)


def test_windows_are_blended_probabilities_of_what_they_see(network, scene):
    prediction = Predictor(network, window=(72, 64), overlap=(0, 24), maps=["probabilities"])(scene)
    left, right = (softmax(np.asarray(network(scene[None, :, x : x + 64]))[0]) for x in (0, 40))
    fall = np.minimum(np.minimum(np.arange(1, 65), np.arange(64, 0, -1)), 25.0)
    total, weight = np.zeros((72, 104, 8)), np.zeros(104)
    for x, part in ((0, left), (40, right)):
        total[:, x : x + 64] += part * fall[:, None]
        weight[x : x + 64] += fall
    np.testing.assert_allclose(prediction.probabilities, total / weight[:, None], atol=1e-5)


def test_automatic_windows_are_for_large_images(pixelwise, noise, monkeypatch):
    monkeypatch.setattr(image_maps, "AUTO_WINDOW", (48, 64))
    monkeypatch.setattr(image_maps, "LARGEST_WHOLE", 60 * 80)
    seen = []

    def spy(size, window, overlap, score):
        seen.append(window)
        return slide(size, window, overlap, score)

    monkeypatch.setattr(image_maps, "slide", spy)
    predictor = Predictor(pixelwise, window="auto", overlap=8)
    for size in [(60, 80), (80, 60), (61, 80), (40, 121)]:
        image = noise(*size)
        whole = Predictor(pixelwise)(image)
        np.testing.assert_array_equal(predictor(image).label_map, whole.label_map)
    assert seen == [(48, 64), (40, 64)]
    assert Predictor(pixelwise, window="auto").overlap == (160, 160)


def test_windows_with_augmentation(pixelwise, noise):
    image = noise(70, 90)
    options = {"flip": True, "maps": ["probabilities"]}
    whole = Predictor(pixelwise, **options)(image)
    slid = Predictor(pixelwise, window=48, **options)(image)
    np.testing.assert_allclose(slid.probabilities, whole.probabilities, atol=1e-5)


# === Input images ===


def test_every_kind_of_input(plain, scene, tmp_path):
    Image.fromarray(scene).save(tmp_path / "b.png")
    Image.fromarray(scene[:, ::-1]).save(tmp_path / "a.png")
    (tmp_path / "notes.txt").write_text("no picture")
    expected = plain(scene).label_map
    b = tmp_path / "b.png"
    for source in (b, str(b), Image.fromarray(scene), scene, [scene], scene[None], iter([b])):
        (prediction,) = plain.predict(source)
        np.testing.assert_array_equal(prediction.label_map, expected)
    names = [p.name for p in plain.predict([tmp_path, scene, Image.fromarray(scene)])]
    assert names == [str(tmp_path / "a.png"), str(b), "image 0", "image 1"]


@pytest.mark.parametrize("mode", ["L", "RGBA", "CMYK", "P", "I;16"])
def test_other_modes_are_seen_as_rgb(plain, scene, tmp_path, mode):
    picture = Image.fromarray(scene)
    if mode == "I;16":
        grey = np.asarray(picture.convert("L"))
        picture, rgb = Image.fromarray(grey.astype("uint16") * 257), np.stack([grey] * 3, -1)
    else:
        picture = picture.convert(mode)
        rgb = np.asarray(picture.convert("RGB"))
    suffix = "tif" if mode == "CMYK" else "png"
    picture.save(tmp_path / f"picture.{suffix}")
    expected = plain(rgb).label_map
    for source in (picture, tmp_path / f"picture.{suffix}"):
        np.testing.assert_array_equal(plain(source).label_map, expected)


def test_orientation_tags_are_honoured(plain, scene, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.rot90(scene, 1))
    turned.save(tmp_path / "turned.png", exif=exif)
    for source in (tmp_path / "turned.png", Image.open(tmp_path / "turned.png")):
        prediction = plain(source)
        np.testing.assert_array_equal(prediction.image, scene)
        np.testing.assert_array_equal(prediction.label_map, plain(scene).label_map)


def test_an_endless_generator_is_not_read_to_its_end(network, scene):
    taken = []

    def camera():
        for number in itertools.count():
            taken.append(number)
            yield scene

    predictions = Predictor(network, batch_size=2).predict(camera())
    for _ in range(3):
        next(predictions)
    predictions.close()
    assert 3 <= len(taken) < 12


def test_networks_of_other_channels():
    inputs = keras.Input((None, None, 5))
    model = keras.Model(inputs, keras.layers.Conv2D(2, 3, padding="same")(inputs))
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 5), dtype="uint8")
    label_map = Predictor(model)(image).label_map
    np.testing.assert_array_equal(label_map, np.asarray(model(image[None]))[0].argmax(-1))
    with pytest.raises(ValueError, match=r"C = 5. Received an array \[40, 50, 3\]"):
        Predictor(model)(image[..., :3])
    with pytest.raises(ValueError, match="expects 5 channels"):
        Predictor(model)(__file__)


# === Invalid input ===


def test_first_frames_of_a_folder(plain, network, scene, tmp_path):
    pages = [Image.fromarray(scene), Image.fromarray(255 - scene)]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    pages[0].convert("L").save(tmp_path / "b.gif", save_all=True, append_images=pages[1:])
    with pytest.raises(ValueError, match="a.tif: contains 2 frames"):
        list(plain.predict(tmp_path))
    both = Predictor(network, first_frame=True).predict(tmp_path)
    grey = np.asarray(pages[0].convert("L"))
    for image, prediction in zip((scene, grey), both, strict=True):
        np.testing.assert_array_equal(prediction.label_map, plain(image).label_map)


def test_a_declared_range(plain, network, scene, tmp_path):
    label_map = plain(scene).label_map
    grey = scene.mean(-1, dtype="float32")
    Image.fromarray(grey / 255).save(tmp_path / "a.tif")
    with pytest.raises(ValueError, match=r"a.tif: .*image_range=\(0, 1\)"):
        plain(tmp_path / "a.tif")
    declared = Predictor(network, image_range=(0, 1))
    np.testing.assert_array_equal(declared(scene / 255.0).label_map, label_map)
    expected = plain(grey.round()).label_map
    assert (declared(tmp_path / "a.tif").label_map == expected).mean() > 0.99
    with pytest.raises(ValueError, match="image_range must be"):
        Predictor(network, image_range=(1, 0))


@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("OOM when allocating tensor with shape[1,9,9,3] and type float"),
        RuntimeError("CUDA out of memory. Tried to allocate 9 GiB"),
        ValueError("RESOURCE_EXHAUSTED: Out of memory while trying to allocate 9 bytes."),
    ],
    ids=["Python", "TensorFlow", "PyTorch", "JAX"],
)
def test_an_image_without_memory_does_not_stop_the_others(
    pixelwise, noise, error, batch_size, monkeypatch
):
    predictor = Predictor(pixelwise, batch_size=batch_size)
    right = ImageMaps.__call__

    def limited(self, images):
        if len(images) > 1 or len(images[0]) > 50:
            raise error
        return right(self, images)

    monkeypatch.setattr(ImageMaps, "__call__", limited)
    failed = []
    images = [noise(40, 40), noise(40, 40, 1), noise(60, 40), noise(40, 40)]
    found = list(predictor.predict(images, on_error=lambda name, error: failed.append(str(error))))
    assert [p.name for p in found] == ["image 0", "image 1", "image 3"]
    assert len(failed) == 1 and failed[0].startswith("image 2: does not fit into memory")
    monkeypatch.setattr(ImageMaps, "__call__", lambda self, images: [][0])
    with pytest.raises(IndexError):
        predictor(images[0])


def test_a_file_without_memory_does_not_stop_the_others(plain, scene, tmp_path, monkeypatch):
    for name in "abc":
        Image.fromarray(scene).save(tmp_path / f"{name}.png")
    right = input_files.read_image

    def read_image(image, **options):
        if image.name == "b.png":
            raise MemoryError
        return right(image, **options)

    monkeypatch.setattr(input_files, "read_image", read_image)
    failed = []
    found = list(plain.predict(tmp_path, on_error=lambda name, error: failed.append(str(error))))
    assert len(found) == 2 and len(failed) == 1 and "b.png: does not fit into memory" in failed[0]


def test_a_damaged_pillow_image_does_not_stop_the_others(plain, scene, tmp_path):
    Image.fromarray(scene).save(tmp_path / "a.jpg")
    content = (tmp_path / "a.jpg").read_bytes()
    damaged = Image.open(io.BytesIO(content[: len(content) // 2]))
    failed = []
    found = list(plain.predict([damaged, scene], on_error=lambda *error: failed.append(error)))
    assert len(found) == 1 and failed[0][0] == "image 0"


def test_a_broken_image_is_told_and_the_rest_goes_on(network, scene, tmp_path):
    Image.fromarray(scene).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes((tmp_path / "a.png").read_bytes()[:300])
    Image.fromarray(scene[:1, :1]).save(tmp_path / "c.png")
    Image.fromarray(scene).save(tmp_path / "d.png")
    errors = {}
    predictor = Predictor(network, batch_size=4)
    predictions = predictor.predict(tmp_path, on_error=lambda n, e: errors.update({n: str(e)}))
    assert [p.name for p in predictions] == [str(tmp_path / "a.png"), str(tmp_path / "d.png")]
    b, c = str(tmp_path / "b.png"), str(tmp_path / "c.png")
    assert list(errors) == [b, c]
    assert errors[
        b
    ] == f"{b}: cannot be read as an image: it is truncated, damaged, or another " + (
        "kind of file"
    )
    assert "is 1x1 pixels" in errors[c] and "32x32" in errors[c]
    seen = []
    with pytest.raises(ValueError, match="b.png"):
        for prediction in predictor.predict(tmp_path):
            seen.append(prediction.name)
    assert seen == [str(tmp_path / "a.png")]


def test_paths_without_images_are_told_like_broken_ones(plain, scene, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "film.mp4").write_bytes(b"no film")
    inputs = [tmp_path / "missing.png", tmp_path / "empty", tmp_path / "film.mp4", scene]
    errors = {}
    (prediction,) = plain.predict(inputs, on_error=lambda n, e: errors.update({n: str(e)}))
    assert prediction.name == "image 0"
    assert list(errors) == [str(path) for path in inputs[:3]]
    assert all(message.count(name) == 1 for name, message in errors.items())


def test_too_many_pixels_are_refused_before_decoding(plain, network, tmp_path):
    path = tmp_path / "bomb.png"
    Image.new("1", (20000, 20000)).save(path)
    with pytest.raises(ValueError, match="bomb.png: has 400,000,000 pixels .* increase max_pixels"):
        plain(path)
    Image.new("RGB", (40, 40)).save(path)
    with pytest.raises(ValueError, match="1,600 pixels"):
        Predictor(network, max_pixels=1599)(path)
    assert Predictor(network, max_pixels=1600)(path).label_map.shape == (40, 40)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((40, 40, 2), "uint8"), "C = 1, 3, 4"),
        (np.zeros((40,), "uint8"), r"\[40\]"),
        (np.full((40, 40, 3), 0.5), "multiply by 255"),
        (np.full((40, 40, 3), 300), "0 to 255. Received: int64 from 300 to 300: pass the range"),
        (np.full((40, 40, 3), np.nan), "from nan to nan: repair"),
        (np.full((40, 40), "a"), "an array of <U1"),
        (3, "Received: int"),
        ("nowhere.png", "^nowhere.png: there is no such file or folder$"),
        ([], "received 0"),
        ([np.zeros((40, 40, 3), "uint8")] * 2, "received 2"),
    ],
)
def test_what_is_no_image_is_said(pixelwise, image, message):
    with pytest.raises(ValueError, match=message):
        Predictor(pixelwise)(image)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size=0"),
        ({"long_side": 31}, "at least 32 pixels. Received: long_side=31"),
        ({"long_side": 64, "image_size": (64, 64)}, "pass only one of them"),
        ({"image_size": (16, 64)}, r"at least 32 pixels. Received: image_size=\(16, 64\)"),
        ({"scales": ()}, "at least one"),
        ({"scales": (1, -1)}, "positive"),
        ({"min_confidence": 1.5}, "0 to 1"),
        ({"maps": ["entropie"]}, "'entropie'"),
        ({"window": 16}, "at least 32"),
        ({"window": 64, "overlap": 64}, "smaller"),
        ({"window": 64, "overlap": (8, -1)}, "at least 0"),
        ({"overlap": 8}, "overlap requires window"),
        ({"window": 64, "long_side": 64}, "own size"),
        ({"window": "auto", "long_side": 64}, "own size"),
        ({"window": "auto", "overlap": 640}, "smaller"),
        ({"window": "always"}, "window must be"),
    ],
)
def test_arguments_out_of_range(pixelwise, options, message):
    with pytest.raises(ValueError, match=message):
        Predictor(pixelwise, **options)
