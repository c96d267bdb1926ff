"""Publishing presets on the Hugging Face Hub."""

import hashlib
import json
import logging
import os
import pathlib
import tempfile

from eseg_keras.files import read_json
from eseg_keras.image_size import SMALLEST_SIDE
from eseg_keras.optional import require
from eseg_keras.presets.files import (
    CONFIG_FILE,
    METADATA_FILE,
    PREPROCESSOR_FILE,
    TRAINING_LONG_SIDE,
    checked_weights,
    read_preset_json,
)
from eseg_keras.presets.locations import PRESET_FILES

_CARD = "README.md"
# Last line of a generated card, by which edited cards are recognised.
_MARK = "<!-- Written by eseg_keras, sha256 {} of the text above -->\n"

_log = logging.getLogger("eseg_keras")


def push_to_hub(
    preset: str | os.PathLike,
    repository: str,
    *,
    license: str | None = None,
    private: bool = False,
    token: str | None = None,
) -> str:
    """Upload a preset directory to the Hugging Face Hub, with a model card.

    `ESeg.from_preset("hf://user/repository")` loads the uploaded preset. The generated card
    contains the classes, the encoder, the number of parameters and, for the preset of a finished
    run, its mean IoU on the validation images. If the directory contains a `README.md`, this file
    is uploaded as the card. Otherwise, a card in the repository that was written or edited by hand
    is kept, with a warning.

    Args:
        preset: Directory that `save_to_preset` or `eseg train` wrote.
        repository: `"user/repository"` (or `"hf://user/repository"`), created if it does not exist.
        license: Identifier of the weights' licence, such as `"apache-2.0"`. The licence of the
            training data may restrict it.
        private: Whether a new repository is private. Defaults to `False`.
        token: Token with write access. Defaults to the token of `hf auth login`.

    Returns:
        The address of the repository.

    Raises:
        PresetError: If the preset is damaged; nothing is uploaded then.
        FileNotFoundError: If a file of the preset is missing.
        ImportError: If huggingface_hub is not installed.

    Example:

    >>> from eseg_keras.presets import push_to_hub
    >>> push_to_hub("runs/mine/preset", "me/eseg_leaves", license="mit")  # doctest: +SKIP

    Reference:
        [Model cards](https://huggingface.co/docs/hub/model-cards)
    """
    hub = require("huggingface_hub", extra="hub")
    directory = pathlib.Path(preset)
    metadata = read_preset_json(directory / METADATA_FILE)
    checked_weights(directory, metadata)
    repository = repository.removeprefix("hf://")
    contents = {name: directory / name for name in PRESET_FILES}
    card = directory / _CARD
    contents[_CARD] = card if card.is_file() else model_card(directory, repository, license)
    api = hub.HfApi(token=token)
    address = api.create_repo(repository, private=private, exist_ok=True)
    if not card.is_file() and _has_edited_card(api, repository):
        del contents[_CARD]
        _log.warning(
            "%s was edited and is kept. For a new card, delete it on the Hub, or put a %s into %s.",
            *(f"{address}/blob/main/{_CARD}", _CARD, directory),
        )
    operations = [
        hub.CommitOperationAdd(name, content.encode() if isinstance(content, str) else content)
        for name, content in contents.items()
    ]
    api.create_commit(repository, operations, commit_message=f"Upload {directory.name}")
    return str(address)


def _has_edited_card(api, repository):
    """Return whether the repository has a card that was not written by `model_card`."""
    if not api.file_exists(repository, _CARD):
        return False
    with tempfile.TemporaryDirectory() as folder:
        card = pathlib.Path(api.hf_hub_download(repository, _CARD, local_dir=folder))
        # Compare bytes, because an editor may have changed the line endings.
        text, mark, rest = card.read_bytes().rpartition(_MARK.partition("{}")[0].encode())
    digest = hashlib.sha256(text).hexdigest()
    return (mark + rest).decode(errors="replace") != _MARK.format(digest)


def model_card(directory: pathlib.Path, repository: str, license: str | None = None) -> str:
    """Return the text of a model card: Markdown with the Hub's metadata fields."""
    config = read_preset_json(directory / CONFIG_FILE)["config"]
    labels = read_preset_json(directory / PREPROCESSOR_FILE)
    metadata = read_preset_json(directory / METADATA_FILE)
    classes = labels["class_names"] or [f"class {n}" for n in range(config["num_classes"])]
    rows = {
        "Encoder": config["encoder"],
        "Levels": f"P{config['min_level']} to P{config['max_level']}",
        "Parameters": f"{metadata['parameter_count']:,}",
        "Classes": ", ".join(classes),
        "Input": f"{labels['color_space'] or 'images'}, 0..255, height and width at least "
        f"{SMALLEST_SIDE}",
    }
    if long_side := metadata.get(TRAINING_LONG_SIDE):
        rows["Training images"] = f"{long_side} pixels on the longer side"
    if notice := metadata.get("notice"):
        rows["Notice"] = notice
    scores = directory.parent / "metrics.json"
    if scores.is_file():
        found = read_json(scores, "Remove it to write the card without scores.")
        if found.get("mean_iou") is not None:
            rows["Mean IoU"] = f"{found['mean_iou']:.3f} on {found['num_images']} validation images"
    fields = {
        "library_name": "keras",
        "pipeline_tag": "image-segmentation",
        "tags": ["semantic-segmentation", "eseg", "eseg-keras"],
        **({"license": license} if license else {}),
    }
    front = "\n".join(f"{name}: {json.dumps(value)}" for name, value in fields.items())
    cells = {name: " ".join(value.replace("|", "\\|").split()) for name, value in rows.items()}
    table = "\n".join(f"| {name} | {value} |" for name, value in cells.items())
    text = f"""---
{front}
---

# {repository.rpartition("/")[2]}

A semantic segmentation network of the package
eseg_keras (ESeg in Keras):

| | |
|---|---|
{table}

```python
import eseg_keras

model = eseg_keras.ESeg.from_preset("hf://{repository}")
label_map = model.segment(image)  # uint8 [H, W, 3] to [H, W]
```

Method: [Revisiting Multi-Scale Feature Fusion for Semantic Segmentation](https://arxiv.org/abs/2203.12683).
"""
    return text + _MARK.format(hashlib.sha256(text.encode()).hexdigest())
