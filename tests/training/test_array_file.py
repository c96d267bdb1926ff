"""Files of arrays are written atomically, and damaged files raise an error."""

import resource

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_numpy

from eseg_keras.files import DamagedFileError
from eseg_keras.training.checkpoints import read_arrays, write_arrays

ARRAYS = {
    "optimizer/0": np.arange(2000, dtype="float32").reshape(50, 40),
    "weight/0": np.full((3, 3, 8, 8), 0.25, "float32"),
}


@settings(max_examples=25)
@given(
    st.dictionaries(
        st.text("abz_/. ", min_size=1, max_size=12).map(lambda name: f"n{name}0"),
        st_numpy.arrays(
            st.sampled_from(["float32", "float16", "int64", "uint8", "bool", "uint32", "<U5"]),
            st_numpy.array_shapes(min_dims=0, min_side=0, max_dims=4, max_side=4),
            elements=dict(allow_nan=False),
        ),
        max_size=5,
    )
)
def test_what_is_written_comes_back(tmp_path_factory, arrays):
    path = tmp_path_factory.mktemp("arrays") / "new" / "file.npz"
    write_arrays(path, arrays)
    found = read_arrays(path)
    # The arrays are in the order of writing, which the reader of `best.npz` needs.
    assert list(found) == list(arrays)
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


def test_numbers_that_are_not_finite_come_back(tmp_path):
    array = np.array([np.nan, np.inf, -np.inf, -0.0], "float32")
    write_arrays(tmp_path / "file.npz", {"a": array})
    assert read_arrays(tmp_path / "file.npz")["a"].tobytes() == array.tobytes()


def test_a_file_that_was_cut_anywhere_is_refused_by_name(tmp_path):
    path = tmp_path / "file.npz"
    write_arrays(path, ARRAYS)
    data = path.read_bytes()
    for length in (0, 1, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(DamagedFileError, match=r"file\.npz is damaged or incomplete"):
            read_arrays(path)


def test_one_wrong_bit_anywhere_is_refused_or_does_no_harm(tmp_path):
    path = tmp_path / "file.npz"
    write_arrays(path, ARRAYS)
    data = np.frombuffer(path.read_bytes(), "uint8")
    refused = 0
    for place in np.linspace(0, len(data) - 1, 300).astype(int):
        flipped = data.copy()
        flipped[place] ^= 16
        path.write_bytes(flipped.tobytes())
        try:
            found = read_arrays(path)
        except DamagedFileError:
            refused += 1
            continue
        # The flipped bit is in a field that is not read, such as a date.
        assert list(found) == list(ARRAYS)
        for name, array in ARRAYS.items():
            np.testing.assert_array_equal(found[name], array)
    assert refused > 290


def test_objects_are_not_stored_and_not_run(tmp_path):
    with pytest.raises(ValueError, match="Object arrays"):
        write_arrays(tmp_path / "file.npz", {"a": np.array([{}])})
    assert list(tmp_path.iterdir()) == []
    np.savez(tmp_path / "file.npz", a=np.array([{}]))
    with pytest.raises(DamagedFileError, match="damaged"):
        read_arrays(tmp_path / "file.npz")


@pytest.fixture
def small_disk():
    """Limit files to 8 kB, as on a full disk; Python ignores the signal SIGXFSZ."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_file_before_and_nothing_else(tmp_path, small_disk):
    path = tmp_path / "file.npz"
    write_arrays(path, {"a": np.ones(10)})
    with pytest.raises(OSError):
        write_arrays(path, ARRAYS)
    assert [p.name for p in tmp_path.iterdir()] == ["file.npz"]
    np.testing.assert_array_equal(read_arrays(path)["a"], np.ones(10))


def test_a_new_file_takes_the_place_of_the_old_one(tmp_path):
    path = tmp_path / "file.npz"
    write_arrays(path, {"a": np.zeros(3)})
    with path.open("rb") as reader:
        write_arrays(path, {"b": np.ones(3)})
        # A process that has opened the old file can read it to its end.
        assert list(np.load(reader)) == ["a"]
    assert list(read_arrays(path)) == ["b"]
    assert [p.name for p in tmp_path.iterdir()] == ["file.npz"]
