"""Finding presets: in this or an installed package, a directory, a zip file or a repository."""

import contextlib
import difflib
import importlib.metadata
import importlib.util
import pathlib
import tempfile
import zipfile
from collections.abc import Iterator

from eseg_keras.optional import require
from eseg_keras.presets.catalog import PRESETS
from eseg_keras.presets.files import (
    CONFIG_FILE,
    METADATA_FILE,
    PREPROCESSOR_FILE,
    WEIGHTS_FILE,
    PresetError,
)

_ENTRY_POINTS = "eseg_keras.presets"
PRESET_FILES = (CONFIG_FILE, METADATA_FILE, PREPROCESSOR_FILE, WEIGHTS_FILE)
# Limit against zip bombs: size of a file divided by its compressed size. Weights compress only by a
# few percent. Files up to `_SMALL_FILE` bytes are always extracted.
_LARGEST_EXPANSION = 20
_SMALL_FILE = 1 << 20


def installed_presets() -> dict[str, pathlib.Path]:
    """Return {name: directory} of the presets in installed packages.

    A package publishes presets by entry points of the group `eseg_keras.presets`. The name of an
    entry point is the name of the preset; its value is the package, which contains the preset
    directory of this name. The code of the package is not run. Presets of eseg_keras take
    precedence.
    """
    found = {}
    for entry in importlib.metadata.entry_points(group=_ENTRY_POINTS):
        package = importlib.util.find_spec(entry.module.partition(".")[0])
        if package is not None and entry.name not in PRESETS:
            for folder in package.submodule_search_locations or ():
                path = pathlib.Path(folder, *entry.module.split(".")[1:], entry.name)
                if path.is_dir():
                    found[entry.name] = path
    return found


@contextlib.contextmanager
def preset_directory(preset: str) -> Iterator[pathlib.Path]:
    """Yield the directory of a preset; `preset` is as in `ESeg.from_preset`."""
    if preset.startswith("hf://"):
        yield _from_hub(preset)
    elif preset in PRESETS:
        yield pathlib.Path(__file__).parent / PRESETS[preset]["path"]
    elif preset.endswith(".zip"):
        with tempfile.TemporaryDirectory() as folder:
            yield _unzipped(pathlib.Path(preset), pathlib.Path(folder))
    else:
        path = pathlib.Path(preset)
        yield path if path.is_dir() else _installed(preset)


def _installed(preset):
    if len(pathlib.Path(preset).parts) > 1:
        raise FileNotFoundError(f"There is no preset directory at {preset}.")
    installed = installed_presets()
    if preset in installed:
        return installed[preset]
    names = [*PRESETS, *installed]
    near = difflib.get_close_matches(preset, names, n=3) or sorted(names)
    raise ValueError(
        f"Unknown preset {preset!r}. Did you mean one of {near}? A directory written by "
        "save_to_preset, a .zip file of one and 'hf://user/repository' work as well."
    )


def _unzipped(path, folder):
    """Extract only the four files of a preset, into a folder with the name of the zip file."""
    directory = folder / path.stem
    directory.mkdir()
    try:
        with zipfile.ZipFile(path) as archive:
            for name in PRESET_FILES:
                members = [m for m in archive.infolist() if pathlib.Path(m.filename).name == name]
                if len(members) != 1:
                    raise PresetError(
                        f"{path} must contain {name} once, found it {len(members)} times. Zip the "
                        f"directory that save_to_preset wrote: {', '.join(PRESET_FILES)}."
                    )
                size = members[0].file_size
                if size > _SMALL_FILE + _LARGEST_EXPANSION * members[0].compress_size:
                    raise PresetError(
                        f"{path} is not a preset: {name} grows from {members[0].compress_size} to "
                        f"{size} bytes when unzipped. Zip the directory that save_to_preset wrote."
                    )
                (directory / name).write_bytes(archive.read(members[0]))
    except FileNotFoundError:
        raise FileNotFoundError(f"There is no zipped preset at {path}.") from None
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        # zipfile raises these errors for damaged, encrypted and unsupported archives.
        raise PresetError(f"{path} cannot be unzipped: {error}. Copy or zip it again.") from error
    return directory


def _from_hub(preset):
    hub = require("huggingface_hub", extra="hub")
    try:
        repository = preset.removeprefix("hf://")
        return pathlib.Path(hub.snapshot_download(repository, allow_patterns=list(PRESET_FILES)))
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PresetError(
            f"{preset} could not be downloaded ({reason}). Check that the name is "
            "'hf://user/repository' and that the Hub can be reached; for a private repository, run "
            f"`hf auth login`. Or download {list(PRESET_FILES)} into a directory and pass its path."
        ) from error
