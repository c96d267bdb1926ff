import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest

from eseg_keras.street_scenes import CLASS_NAMES, IGNORE_LABEL, PALETTE, render_scene, street_scenes

NUM_CLASSES = 8


@pytest.fixture(scope="module")
def train_scenes():
    return [render_scene(index) for index in range(64)]


@pytest.fixture(scope="module")
def validation_scenes():
    return [render_scene(index, "validation") for index in range(24)]


def pixels(scenes, count):
    """Sample `count` labelled pixels of each scene: float64 colours [N, 3] and labels [N]."""
    rng = np.random.default_rng(0)
    colors, labels = [], []
    for image, mask in scenes:
        chosen = rng.choice(np.flatnonzero(mask != IGNORE_LABEL), count)
        colors.append(image.reshape(-1, 3)[chosen])
        labels.append(mask.ravel()[chosen])
    return np.concatenate(colors).astype(np.float64), np.concatenate(labels)


def logistic_regression_iou(train, validation, quadratic, balanced):
    """Fit a logistic regression to the colours of `train`; return the mean IoU on `validation`."""
    mean, deviation = train[0].mean(axis=0), train[0].std(axis=0)

    def features(colors):
        x = (colors - mean) / deviation
        columns = [np.ones((len(x), 1)), x]
        if quadratic:
            columns.append(np.stack([x[:, i] * x[:, j] for i in range(3) for j in range(i, 3)], 1))
        return np.concatenate(columns, axis=1)

    inputs, labels = features(train[0]), train[1]
    targets = np.eye(NUM_CLASSES)[labels]
    counts = np.bincount(labels, minlength=NUM_CLASSES)
    weight = 1.0 / counts[labels] if balanced else np.ones(len(labels))
    weight = (weight / weight.sum())[:, None]
    weights = np.zeros((inputs.shape[1], NUM_CLASSES))
    momentum = np.zeros_like(weights)
    for _ in range(200):
        logits = inputs @ weights
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = odds / odds.sum(axis=1, keepdims=True) - targets
        momentum = 0.9 * momentum - inputs.T @ (error * weight)
        weights += 0.5 * momentum
    predicted = (features(validation[0]) @ weights).argmax(axis=1)
    confusion = np.bincount(validation[1] * NUM_CLASSES + predicted, minlength=NUM_CLASSES**2)
    confusion = confusion.reshape(NUM_CLASSES, NUM_CLASSES)
    hits = np.diag(confusion)
    return (hits / (confusion.sum(axis=0) + confusion.sum(axis=1) - hits)).mean()


@pytest.mark.parametrize("quadratic", [False, True])
@pytest.mark.parametrize("balanced", [False, True])
def test_colour_alone_does_not_solve_it(train_scenes, validation_scenes, quadratic, balanced):
    train, validation = pixels(train_scenes, 150), pixels(validation_scenes, 400)
    iou = logistic_regression_iou(train, validation, quadratic, balanced)
    assert 0.1 < iou < 0.4


def test_the_same_regression_solves_scenes_painted_in_the_palette(train_scenes, validation_scenes):
    palette = np.array(PALETTE, np.float64)
    train, validation = (pixels(part, 150)[1] for part in (train_scenes, validation_scenes))
    painted = [(palette[labels], labels) for labels in (train, validation)]
    assert logistic_regression_iou(*painted, quadratic=True, balanced=True) > 0.9


def test_classes_and_palette():
    assert CLASS_NAMES == (
        "road",
        "sky",
        "building",
        "tree",
        "vehicle",
        "pedestrian",
        "pole",
        "sign",
    )
    assert len(set(PALETTE)) == NUM_CLASSES
    assert all(len(color) == 3 and 0 <= min(color) <= max(color) <= 255 for color in PALETTE)


def test_same_arguments_same_scene():
    image, mask = render_scene(5, "test", (96, 128), seed=3)
    render_scene(6, "test", (64, 64))
    np.random.default_rng().random()
    again, mask_again = render_scene(5, "test", (96, 128), seed=3)
    np.testing.assert_array_equal(image, again)
    np.testing.assert_array_equal(mask, mask_again)


def test_index_split_and_seed_each_give_other_scenes():
    calls = [
        (0, "train", 0),
        (1, "train", 0),
        (0, "validation", 0),
        (0, "test", 0),
        (0, "train", 1),
        (1, "train", 1),
    ]
    masks = [render_scene(index, split, (64, 128), seed)[1] for index, split, seed in calls]
    for i, first in enumerate(masks):
        for second in masks[:i]:
            assert (first != second).mean() > 0.05


def test_no_scene_is_in_two_splits(train_scenes, validation_scenes):
    seen = {mask.tobytes() for _, mask in train_scenes}
    held_out = {mask.tobytes() for _, mask in validation_scenes}
    assert len(seen) == len(train_scenes) and len(held_out) == len(validation_scenes)
    assert not seen & held_out


def test_pixel_shares(train_scenes):
    masks = np.stack([mask for _, mask in train_scenes])
    share = np.bincount(masks.ravel(), minlength=256) / masks.size
    assert share[:NUM_CLASSES].sum() + share[IGNORE_LABEL] == pytest.approx(1.0)
    assert 0.005 < share[IGNORE_LABEL] < 0.08
    bounds = {
        "road": (0.25, 0.45),
        "sky": (0.05, 0.2),
        "building": (0.2, 0.4),
        "tree": (0.04, 0.15),
        "vehicle": (0.03, 0.1),
        "pedestrian": (0.01, 0.04),
        "pole": (0.015, 0.06),
        "sign": (0.01, 0.04),
    }
    for label, name in enumerate(CLASS_NAMES):
        low, high = bounds[name]
        assert low < share[label] < high, name


def test_every_class_is_in_most_scenes(train_scenes):
    present = np.zeros(NUM_CLASSES)
    for _, mask in train_scenes[:16]:
        present += np.bincount(mask.ravel(), minlength=256)[:NUM_CLASSES] >= 50
    assert present.min() >= 12


def runs(row):
    """Return the lengths of the runs of True in a boolean array [N]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(np.int8), [0]])))
    return edges[1::2] - edges[::2]


def test_thin_things_are_wide_enough_to_learn(train_scenes):
    """At least half of a class's pixels are in runs, within a row, of `width` or more pixels."""
    for name, width in (("pole", 5), ("sign", 10), ("pedestrian", 6)):
        label = CLASS_NAMES.index(name)
        widths = [runs(row == label) for _, mask in train_scenes for row in mask]
        widths = np.sort(np.concatenate(widths))
        # The median over pixels of the width of the run that contains the pixel.
        median = widths[np.searchsorted(np.cumsum(widths), widths.sum() / 2)]
        assert median >= width, name


def test_colours_of_a_class_vary_between_scenes(train_scenes):
    for label in range(NUM_CLASSES):
        means = [image[mask == label].mean(axis=0) for image, mask in train_scenes if label in mask]
        assert np.std(means, axis=0).min() > 15


def test_surfaces_are_textured(train_scenes):
    flat = 0
    for image, _ in train_scenes[:8]:
        flat += (np.abs(np.diff(image.astype(int), axis=1)).sum(axis=-1) == 0).mean() / 8
    assert flat < 0.2


@hypothesis.given(
    height=st.integers(32, 150), width=st.integers(32, 300), index=st.integers(0, 2**40)
)
@hypothesis.settings(max_examples=25)
def test_any_size(height, width, index):
    image, mask = render_scene(index, "test", (height, width))
    assert image.shape == (height, width, 3) and image.dtype == np.uint8
    assert mask.shape == (height, width) and mask.dtype == np.uint8
    assert set(np.unique(mask)) <= {*range(NUM_CLASSES), IGNORE_LABEL}
    assert {CLASS_NAMES.index("road")} <= set(np.unique(mask))
    image[0, 0], mask[0, 0] = 0, 0  # Arrays are writable and not shared with the next scene.


def test_the_layout_does_not_depend_on_the_resolution():
    for index in range(4):
        _, small = render_scene(index, "test", (96, 192))
        _, large = render_scene(index, "test", (288, 576))
        assert (small == large[1::3, 1::3]).mean() > 0.93


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "val"}, "'validation'.*split='val'"),
        ({"image_size": (16, 64)}, r"at least 32.*image_size=\(16, 64\)"),
        ({"index": -1}, "index=-1"),
        ({"seed": -2}, "seed=-2"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        render_scene(**{"index": 0, **arguments})


def test_data_set_holds_the_rendered_scenes():
    dataset = street_scenes("validation", 5, image_size=(64, 96), batch_size=2, seed=4)
    batches = [(images.numpy(), masks.numpy()) for images, masks in dataset]
    assert [len(images) for images, _ in batches] == [2, 2, 1]
    for index in range(5):
        image, mask = render_scene(index, "validation", (64, 96), seed=4)
        np.testing.assert_array_equal(batches[index // 2][0][index % 2], image)
        np.testing.assert_array_equal(batches[index // 2][1][index % 2], mask)


def test_data_set_shuffles_training_only():
    def masks(split):
        dataset = street_scenes(split, 12, image_size=(32, 64), batch_size=12)
        return next(iter(dataset))[1].numpy()

    def rendered(split):
        return np.stack([render_scene(index, split, (32, 64))[1] for index in range(12)])

    assert not np.array_equal(masks("train"), rendered("train"))
    assert sorted(m.tobytes() for m in masks("train")) == sorted(
        m.tobytes() for m in rendered("train")
    )
    np.testing.assert_array_equal(masks("test"), rendered("test"))


def test_data_set_augments():
    plain = street_scenes("test", 4, image_size=(64, 96), batch_size=4)
    augmented = street_scenes("test", 4, image_size=(64, 96), batch_size=4, augment=True)
    (images, masks), (others, other_masks) = next(iter(plain)), next(iter(augmented))
    assert images.shape == others.shape and masks.shape == other_masks.shape
    assert not np.array_equal(masks, other_masks)


def test_data_set_sizes_by_split():
    assert len(street_scenes(batch_size=10, image_size=(32, 32))) == 200
    assert len(street_scenes("test", batch_size=10, image_size=(32, 32))) == 10


def test_data_set_refuses_an_unknown_split():
    with pytest.raises(ValueError, match="'train', 'validation', 'test'.*split='dev'"):
        street_scenes("dev")
