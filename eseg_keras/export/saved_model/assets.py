"""Files for TF Serving: version directories, warm-up requests and models.config."""

import io
import json
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from eseg_keras.export.client.protocol import messages, predict_request
from eseg_keras.files import write_text
from eseg_keras.optional import require

_WRITTEN_BY = "# Written by eseg_keras: a model for each directory with versions beside this file."

_log = logging.getLogger("eseg_keras")


def choose_version(directory: Path, version: int | None) -> int:
    """Check a model's directory; return the version to write, by default the highest plus 1."""
    if version is not None and (type(version) is not int or not 1 <= version < 2**63):
        raise ValueError(
            f"version must be a whole number from 1 to 2^63 - 1. Received: {version!r}"
        )
    if directory.exists() and not directory.is_dir():
        raise ValueError(
            f"{directory} is a file. Expected a new directory, or one with versions: 1, 2, ..."
        )
    found = sorted(path.name for path in directory.glob("[!.]*"))
    if others := [name for name in found if not name.isdecimal()]:
        raise ValueError(
            f"{directory} contains {others[0]!r}, which is not a version of a model. Expected a "
            "new directory, or one with versions only: 1, 2, ..."
        )
    versions = [int(name) for name in found]
    if version in versions:
        raise ValueError(
            f"{directory} already contains version {version}, which a server may be using. Use "
            f"version {max(versions) + 1}, the default."
        )
    return max(versions, default=0) + 1 if version is None else version


def write_warmup(
    directory: Path, name: str, signatures: Mapping[str, str], image: np.ndarray
) -> None:
    """Write one warm-up request per signature; `signatures` is {name: image dtype, or "bytes"}.

    Reference:
        [SavedModel warm-up](https://www.tensorflow.org/tfx/serving/saved_model_warmup)
    """
    tf = require("tensorflow", "tensorflow-cpu")
    path = directory / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as writer:
        for signature, dtype in signatures.items():
            if dtype == "bytes":
                inputs = {"image_bytes": [encode_image(image, kind) for kind in ("JPEG", "PNG")]}
            else:
                inputs = {"images": image[None].astype(dtype)}
            log = messages().PredictionLog()
            log.predict_log.request.CopyFrom(predict_request(name, signature, inputs))
            writer.write(log.SerializeToString())


def write_models_config(folder: Path) -> Path:
    """Write a models.config that lists every model of a folder.

    TF Serving finds the models if the folder is mounted as `/models`. A models.config that
    eseg_keras did not write is not changed.

    Reference:
        [Serving several models](https://www.tensorflow.org/tfx/serving/serving_config)
    """
    path = folder / "models.config"
    names = _models(folder)
    entries = "".join(_entry(name) for name in names)
    content = f"{_WRITTEN_BY}\nmodel_config_list {{\n{entries}}}\n"
    if path.exists() and not path.read_bytes().startswith(_WRITTEN_BY.encode()):
        _log.warning(
            "%s was not written by eseg_keras and is not changed. The models in its folder need "
            "these entries:\n%s",
            path,
            entries,
        )
        return path
    write_text(path, content)
    # Another process may have exported a model, and written its entry, in the meantime.
    return path if _models(folder) == names else write_models_config(folder)


def _models(folder):
    """Return the names of the models in a folder."""
    # TF Serving ignores directories whose names are not numbers, such as temporary ones.
    versions = [file.parent for file in folder.glob("*/*/saved_model.pb")]
    return sorted({version.parent.name for version in versions if version.name.isdecimal()})


def _entry(name):
    # Strings have the same quotes and escapes in JSON and in the protobuf text format.
    fields = {"name": name, "base_path": f"/models/{name}", "model_platform": "tensorflow"}
    lines = "".join(f"    {field}: {json.dumps(value)}\n" for field, value in fields.items())
    return f"  config {{\n{lines}  }}\n"


def encode_image(image: np.ndarray, kind: str) -> bytes:
    """Encode an image, uint8 [H, W, 3], as a `"PNG"` or `"JPEG"` file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()
