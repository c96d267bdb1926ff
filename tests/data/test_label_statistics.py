import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from eseg_keras.data.images.image_reader import ImageFileError
from eseg_keras.data.label_statistics import label_statistics, representatives


class Made:
    """Random masks; every third example has one or two problems."""

    def __init__(self, count, seed):
        rng = np.random.default_rng(seed)
        sizes = rng.integers(1, 9, (count, 2))
        self.masks = [rng.choice([0, 1, 2, 255], size).astype("uint8") for size in sizes]

    def __len__(self):
        return len(self.masks)

    def read(self, index):
        if index % 3 == 2:
            raise ImageFileError(f"{index}.png", ["is broken", "is old"][: 1 + index % 2])
        return np.zeros((*self.masks[index].shape, 3), "uint8"), self.masks[index]


@given(st.integers(0, 12), st.integers(0, 2**32 - 1))
def test_counts_equal_a_loop(count, seed):
    made = Made(count, seed)
    seen = []

    def show_progress(results):
        for result in results:
            seen.append(result)
            yield result

    statistics = label_statistics(made, show_progress)
    usable = [index for index in range(count) if index % 3 != 2]
    expected = np.zeros((count, 256), int)
    for index in usable:
        for label in made.masks[index].ravel():
            expected[index, label] += 1
    np.testing.assert_array_equal(statistics.label_counts, expected)
    shapes = [made.masks[index].shape for index in usable]
    assert statistics.image_sizes == {shape: shapes.count(shape) for shape in shapes}
    broken = [index for index in range(count) if index % 3 == 2]
    problems = {"is broken": broken, "is old": [index for index in broken if index % 2]}
    assert statistics.problems == {
        problem: tuple(f"{index}.png" for index in indices)
        for problem, indices in problems.items()
        if indices
    }
    assert len(seen) == count


@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.integers(1, 6), st.integers(1, 12))
def test_representatives_are_images_with_labels(seed, num_images, num_classes, count):
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 9, (num_images, num_classes))
    counts *= rng.integers(0, 2, counts.shape) * rng.integers(0, 2, (1, num_classes))
    chosen = representatives(counts, count)
    usable = set(np.flatnonzero(counts.sum(axis=1)).tolist())
    assert chosen == sorted(set(chosen)) and set(chosen) <= usable
    assert len(chosen) == min(count, len(usable))
    if count >= num_classes:
        # With enough images, every class that occurs is shown.
        np.testing.assert_array_equal(counts[chosen].any(axis=0), counts.any(axis=0))


def test_a_rare_class_is_shown_where_it_is_largest():
    counts = np.full((100, 2), [100, 0])
    counts[[20, 60, 80], 1] = [5, 50, 7]
    assert representatives(counts, 1) == [60]
    # Further images are spread over the whole range.
    chosen = representatives(counts, 4)
    assert 60 in chosen and chosen[0] == 0 and chosen[-1] > 60
