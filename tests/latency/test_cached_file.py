import inspect
import os
from pathlib import Path

import keras
import pytest

from eseg_keras.export.onnx import int8
from eseg_keras.export.tflite import exporter
from eseg_keras.files import FileInUseError, locked
from eseg_keras.latency import cached_file, exporting
from eseg_keras.latency.cached_file import CachedFile, weights_key
from eseg_keras.presets import catalog
from eseg_keras.street_scenes import scene

SIZE = (64, 96)


@pytest.fixture
def get(tmp_path):
    """Function that writes a file unless it is up to date; `get.written` records the paths."""
    written = []

    def get(format_="onnx", size=SIZE, network="net", key="k", error=None):
        def write(path):
            written.append(path)
            if format_ == "saved_model":
                (path / "1").mkdir(parents=True)
            else:
                path.write_text(f"{format_} of {network}")
            if error:
                raise error

        file = CachedFile(tmp_path / "files", network, format_, size, key)
        if not file.is_current():
            file.write(write)
        return file.path

    get.written = written
    return get


def test_a_file_is_written_once(get):
    path = get()
    assert path.read_text() == "onnx of net" and path.suffix == ".onnx"
    assert get() == path
    assert get.written == [path]
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "net_64x96_onnx.key",
        "net_64x96_onnx.onnx",
    ]


def test_every_network_format_and_size_has_its_own(get):
    found = {get()}
    found |= {get(format_=name) for name in ("onnx_int8", "tflite", "saved_model")}
    found |= {get(size=(96, 64)), get(network="other")}
    assert len(found) == len(get.written) == 6
    assert all(path.exists() for path in found)


@pytest.mark.parametrize("format_", ["onnx", "saved_model"])
def test_other_weights_and_other_code_are_written_again(get, format_, monkeypatch):
    get(format_)
    get(format_, key="other weights")
    get(format_, key="other weights")
    assert len(get.written) == 2
    monkeypatch.setattr(cached_file, "code_key", lambda: "other code")
    get(format_, key="other weights")
    assert len(get.written) == 3


def test_what_was_interrupted_is_written_again(get):
    with pytest.raises(KeyboardInterrupt):
        get("saved_model", error=KeyboardInterrupt())
    get("saved_model")
    assert len(get.written) == 2
    # An interrupted export of other weights removes the file, which is then written again.
    with pytest.raises(KeyboardInterrupt):
        get("saved_model", key="other weights", error=KeyboardInterrupt())
    get("saved_model")
    assert len(get.written) == 4
    # A file that was removed is written again.
    path = get()
    os.remove(path)
    assert get().exists() and len(get.written) == 6


def test_a_second_process_is_refused(get, tmp_path):
    with locked(tmp_path / "files" / "net", "net_64x96_onnx.key"):
        with pytest.raises(FileInUseError, match="in use by process"):
            get()
    assert get.written == [] and get().exists()


def test_weights_key():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    key = weights_key(model)
    assert weights_key(model) == key
    model.layers[0].bias.assign([0.0, 1.0])
    assert weights_key(model) != key


def test_the_code_that_writes_files_is_found():
    found = {path for name in cached_file._SOURCES for path in cached_file._PACKAGE.glob(name)}
    assert all(list(cached_file._PACKAGE.glob(name)) for name in cached_file._SOURCES)
    modules = (exporting, int8, exporter, catalog, scene)
    writers = {Path(inspect.getfile(module)) for module in modules}
    assert writers <= found
