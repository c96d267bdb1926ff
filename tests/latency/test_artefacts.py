import inspect
import os
from pathlib import Path

import pytest

from eseg_keras import ESeg
from eseg_keras.export.onnx import int8
from eseg_keras.export.tflite import exporter
from eseg_keras.latency import artefacts, timed_files
from eseg_keras.latency.artefacts import Artefacts, weights_key

SIZE = (64, 96)


@pytest.fixture
def store(tmp_path):
    """A folder, and a record of what was written into it."""
    store = Artefacts(tmp_path / "files")
    store.written = []
    return store


def get(store, format_="onnx", size=SIZE, network="net", key="k", error=None):
    def write(path):
        store.written.append(path)
        if format_ == "saved_model":
            (path / "1").mkdir(parents=True)
        else:
            path.write_text(f"{format_} of {network}")
        if error:
            raise error

    return store.get(network, format_, size, key, write)


def test_a_file_is_written_once(store):
    path = get(store)
    assert path.read_text() == "onnx of net" and path.suffix == ".onnx"
    assert get(store) == path and get(Artefacts(store.folder)) == path
    assert store.written == [path]


def test_every_network_format_and_size_has_its_own(store):
    found = {get(store)}
    found |= {get(store, format_=name) for name in ("onnx_int8", "tflite", "saved_model")}
    found |= {get(store, size=(96, 64)), get(store, network="other")}
    assert len(found) == len(store.written) == 6
    assert all(path.exists() for path in found)


@pytest.mark.parametrize("format_", ["onnx", "saved_model"])
def test_other_weights_and_other_code_are_written_again(store, format_, monkeypatch):
    get(store, format_)
    get(store, format_, key="other weights")
    get(store, format_, key="other weights")
    assert len(store.written) == 2
    monkeypatch.setattr(artefacts, "code_key", lambda: "other code")
    get(store, format_, key="other weights")
    assert len(store.written) == 3


def test_what_was_interrupted_is_written_again(store):
    with pytest.raises(KeyboardInterrupt):
        get(store, "saved_model", error=KeyboardInterrupt())
    get(store, "saved_model")
    assert len(store.written) == 2
    # Over a file of other weights, which are then asked for again.
    with pytest.raises(KeyboardInterrupt):
        get(store, "saved_model", key="other weights", error=KeyboardInterrupt())
    get(store, "saved_model")
    assert len(store.written) == 4
    # A file that someone removed, too.
    path = get(store)
    os.remove(path)
    assert get(store).exists() and len(store.written) == 6


def test_weights_key():
    model = ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
    key = weights_key(model)
    assert weights_key(model) == key
    bias = model.head.get_layer("classifier").bias
    bias.assign(bias + 1)
    assert weights_key(model) != key


def test_the_code_that_writes_files_is_found():
    found = {path for name in artefacts._SOURCES for path in artefacts._PACKAGE.glob(name)}
    assert all(list(artefacts._PACKAGE.glob(name)) for name in artefacts._SOURCES)
    writers = {Path(inspect.getfile(module)) for module in (timed_files, int8, exporter)}
    assert writers <= found
