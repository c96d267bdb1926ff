"""Write the demo page: its static files, the network, the runtime and examples."""

import importlib.resources
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from PIL import Image

from eseg_keras.data.images.image_reader import read_image
from eseg_keras.demo_page.browser_runtime import SCRIPT, WASM, read_runtime
from eseg_keras.export.onnx.exporter import export_onnx
from eseg_keras.export.verification import Verification
from eseg_keras.files import atomic_directory, write_json
from eseg_keras.image_size import check_image_size
from eseg_keras.optional import require
from eseg_keras.street_scenes import calibration_scenes, render_scene, scene_images
from eseg_keras.visualization import default_palette

TITLE = "Semantic segmentation in your browser"

# Choices for the longer side in pixels, in addition to the original size.
_SIZES = (512, 1024)
# Indices of test scenes that look different: blue sky, a bus, autumn.
_SCENES = (1, 0, 6)
# Largest height of a thumbnail in pixels: about twice its height on the page, for high-density
# screens.
_THUMBNAIL = 192
_STATIC = importlib.resources.files("eseg_keras.demo_page") / "static"
# Folders of a page in addition to the static files.
_FOLDERS = ("examples", "model", "onnxruntime")


def write_demo_page(
    model: keras.Model,
    output: str | os.PathLike,
    *,
    title: str = TITLE,
    long_side: int | None = None,
    examples: Sequence[str | os.PathLike] | None = None,
    precision: str = "float32",
    calibration_images: Sequence[np.ndarray] | None = None,
    runtime: str | os.PathLike | None = None,
    overwrite: bool = False,
) -> Verification:
    """Write a static web page that runs a network in the browser.

    The page segments images that a user drops on it, or camera frames. The network runs in the
    browser with onnxruntime-web: any static file server can host the page, and the page sends no
    requests to other servers. `python -m http.server --directory OUTPUT` serves the page at
    <http://localhost:8000>. Browsers do not load the page from a `file:` address, and allow the
    camera only on localhost or https.

    If the server sends the headers `Cross-Origin-Opener-Policy: same-origin` and
    `Cross-Origin-Embedder-Policy: require-corp`, the page uses several threads.

    Args:
        model: An `ESeg` model for RGB images of any size.
        output: Folder to write, of about 15 MB plus the network. It is written atomically.
        title: Title of the page.
        long_side: Longer side in pixels to which images are resized, unless the user chooses
            another size on the page; use the same value as in training. By default, images with a
            longer side above 512 are resized to 512, and smaller images are not resized.
        examples: Image files that the page offers to try. Defaults to synthetic street scenes.
        precision: `"float32"`, or `"int8"` for a quarter of the size and two thirds of the latency.
            `"int8"` changes the labels of some pixels; see `export_onnx`.
        calibration_images: For `"int8"`: uint8 arrays [H, W, 3] that resemble the training images.
            Defaults to synthetic street scenes.
        runtime: The package onnxruntime-web 1.30.0, as the `.tgz` file that `npm pack` writes or as
            a folder. By default, npm downloads it once.
        overwrite: Whether to replace an existing page, in a folder that contains nothing else.

    Returns:
        The comparison of the page's ONNX file with the model.

    Raises:
        ValueError: If `output` contains other files, or contains a page while `overwrite` is
            `False`; if an example or the runtime cannot be read; or if an argument is invalid.
        VerificationError: If the outputs of the page's ONNX file differ too much from the model's.
        FileInUseError: If another process writes to `output`.
        ImportError: If the packages of `eseg-keras[export]` are missing.

    Example:

        model = eseg_keras.ESeg.from_preset("eseg_lite_s_streets")
        eseg_keras.demo_page.write_demo_page(model, "demo")

    Reference:
        [ONNX Runtime Web](https://onnxruntime.ai/docs/tutorials/web/)
    """
    # Resolve the path: "." has no name, and `output` may be a symbolic link.
    output = Path(output).resolve()
    _check(model, output, long_side, overwrite)
    # The licences of onnxruntime-web are in the Python package onnxruntime.
    notices = importlib.resources.files(require("onnxruntime", "export"))
    files = read_runtime(runtime)
    with atomic_directory(output, overwrite) as page:
        with importlib.resources.as_file(_STATIC) as source:
            shutil.copytree(source, page, dirs_exist_ok=True)
        entries = write_examples(page / "examples", examples)
        folder = page / "onnxruntime"
        folder.mkdir()
        # As .js: many servers send .mjs files with a MIME type that browsers reject.
        (folder / Path(SCRIPT).with_suffix(".js")).write_bytes(files[SCRIPT])
        (folder / WASM).write_bytes(files[WASM])
        for name in ("LICENSE", "ThirdPartyNotices.txt"):
            content = notices.joinpath(name).read_bytes()
            (folder / Path(name).with_suffix(".txt")).write_bytes(content)
        network = page / "model" / "model.onnx"
        network.parent.mkdir()
        options = {"precision": precision, "calibration_images": calibration_images}
        if calibration_images is None:
            options["verification_images"] = scene_images("test", 3, (192, 384))
            if precision == "int8":
                options["calibration_images"] = calibration_scenes((192, 384))
        verification = export_onnx(model, network, **options)
        num_bytes = len(files[WASM]) + network.stat().st_size
        description = _description(model, title, long_side, entries, num_bytes)
        write_json(page / "model" / "model.json", description)
    return verification


def write_examples(folder: Path, paths: Sequence[str | os.PathLike] | None) -> list[dict]:
    """Write images and thumbnails as JPEG files; return [{"name", "file", "thumbnail"}, ...]."""
    if paths is None:
        scenes = [render_scene(index, "test", (512, 1024))[0] for index in _SCENES]
        images = [(f"street scene {number}", scene) for number, scene in enumerate(scenes, 1)]
    else:
        if missing := [path for path in paths if not Path(path).is_file()]:
            raise ValueError(f"There is no file {missing[0]}.")
        images = ((Path(path).stem, read_image(path)) for path in paths)
    folder.mkdir()
    entries = []
    for number, (name, image) in enumerate(images, 1):
        entry = {kind: f"{folder.name}/{kind}_{number}.jpg" for kind in ("file", "thumbnail")}
        # Encode the image again to remove metadata such as the location.
        pil_image = Image.fromarray(image)
        pil_image.save(folder.parent / entry["file"], quality=92, subsampling=0)
        pil_image.thumbnail((4 * _THUMBNAIL, _THUMBNAIL))
        pil_image.save(folder.parent / entry["thumbnail"], quality=92, subsampling=0)
        entries.append({"name": name, **entry})
    return entries


def _check(model, output, long_side, overwrite):
    channels = model.image_shape[-1]
    if channels != 3:
        raise ValueError(f"The page needs a network for RGB images. Received: {channels} channels.")
    if None not in (built := tuple(model.image_shape[:2])):
        raise ValueError(
            f"The page needs a network for images of any size. Received: one for images of {built}."
            " Build it without image_shape."
        )
    check_image_size("long_side", long_side)
    if not output.exists() or (output.is_dir() and not any(output.iterdir())):
        return
    if not (output / "model" / "model.json").is_file():
        raise ValueError(f"{output} exists and is not a demo page. Choose another output.")
    if not overwrite:
        raise ValueError(f"{output} is a demo page. Choose another output, or set overwrite=True.")
    written = {*_FOLDERS, *(entry.name for entry in _STATIC.iterdir())}
    if others := sorted({entry.name for entry in output.iterdir()} - written):
        raise ValueError(
            f"{output} contains more than a demo page, and would be replaced: {others}. Move these "
            "files elsewhere, or choose another output."
        )


def _description(model, title, long_side, examples, num_bytes):
    """Return the content of `model/model.json`, which the page reads."""
    chosen = long_side or _SIZES[0]
    # As in training, smaller images are enlarged to `long_side`.
    sizes = [
        {"longSide": size, "enlarge": size == long_side, "chosen": size == chosen}
        for size in sorted({*_SIZES, chosen})
    ]
    millions = model.count_params() / 1e6
    return {
        "title": title,
        "about": f"A neural network with {millions:.1f} million parameters assigns one of "
        f"{model.num_classes} classes to every pixel of an image. The network runs on this device: "
        "images are not uploaded.",
        "names": model.class_names or [f"class {label}" for label in range(model.num_classes)],
        "palette": model.palette or default_palette(model.num_classes),
        "sizes": [*sizes, {"longSide": None, "enlarge": False, "chosen": False}],
        "examples": examples,
        "bytes": num_bytes,
    }
