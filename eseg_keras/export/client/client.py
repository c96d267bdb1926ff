"""Client for SavedModels of `export_saved_model` on TF Serving."""

import dataclasses
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from eseg_keras.data.images.image_reader import no_pillow_limit, read_image
from eseg_keras.export.client.transport import GrpcTransport, RestTransport, ServingError
from eseg_keras.export.saved_model.image_codec import (
    CLASSES_KEYWORD,
    JPEG,
    MAX_SERVED_PIXELS,
    PNG,
)
from eseg_keras.image_size import to_pixel_values

_TRANSPORTS = {"rest": RestTransport, "grpc": GrpcTransport}
_SIGNATURES = ("encoded", "serving_default", "logits", "probabilities")


@dataclasses.dataclass(frozen=True, eq=False)
class ServedPrediction:
    """A server's prediction for one image.

    Attributes:
        label_map: uint8 [H, W] of class ids.
        class_names: One name per class. `None` if the signature is not `"encoded"` or the model has
            no class names.
        palette: One (red, green, blue) per class. `None` if the signature is not `"encoded"` or the
            model has no palette.
        scores: Logits or probabilities, float32 [H, W, num_classes]. `None` if the signature
            returns labels.
    """

    label_map: np.ndarray
    class_names: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    scores: np.ndarray | None = None


class Client:
    """Client for a SavedModel of `export_saved_model` on TF Serving.

    For gRPC, the client needs `pip install "eseg-keras[serving]"`. It runs no network and uses
    neither Keras nor TensorFlow, although importing `eseg_keras.export` imports Keras. Several
    threads may use one client.

    Args:
        address: `"host:port"`, or a URL such as `"https://host/prefix"` (no prefix for gRPC). TF
            Serving's default ports are 8501 for REST and 8500 for gRPC. For https with your own
            certificate authority, set the environment variable `SSL_CERT_FILE` for REST, or
            `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH` for gRPC.
        model: Name of the model on the server.
        protocol: `"rest"` or `"grpc"`.
        signature: `"encoded"` sends image files and receives PNG files, which are small. The other
            signatures, `"serving_default"`, `"logits"` and `"probabilities"`, send and receive
            arrays; use gRPC for these signatures.
        version: Version of the model. By default, the server chooses it.
        timeout: Timeout of a request in seconds, from the connection to the last byte of the
            response. Defaults to 60.
        jpeg_quality: For `"encoded"`: encode images as JPEG files of this quality, 1 to 100. By
            default, images are encoded as PNG files, which are lossless. Files that are already
            JPEG, or PNG of at most 8 bits per channel without EXIF rotation, are sent unchanged.
        headers: Additional headers of every request, such as `{"Authorization": "Bearer TOKEN"}`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> from eseg_keras.export.client import Client
    >>> client = Client("localhost:8501", "streets")
    >>> client.url
    'http://localhost:8501/v1/models/streets:predict'
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        protocol: str = "rest",
        signature: str = "encoded",
        version: int | None = None,
        timeout: float = 60.0,
        jpeg_quality: int | None = None,
        headers: Mapping[str, str] | None = None,
    ):
        if protocol not in _TRANSPORTS:
            raise ValueError(f"protocol must be 'rest' or 'grpc'. Received: {protocol!r}")
        if signature not in _SIGNATURES:
            raise ValueError(
                f"signature must be one of {', '.join(_SIGNATURES)}. Received: {signature!r}"
            )
        if not timeout > 0:
            raise ValueError(f"timeout must be above 0 seconds. Received: {timeout!r}")
        if jpeg_quality is not None and not 1 <= jpeg_quality <= 100:
            raise ValueError(f"jpeg_quality must be 1 to 100. Received: {jpeg_quality!r}")
        self._encoded = signature == "encoded"
        self._takes_labels = signature == "serving_default"
        self._jpeg_quality = jpeg_quality
        self._transport = _TRANSPORTS[protocol](
            address, model, signature, version, timeout, dict(headers or {})
        )

    @property
    def url(self) -> str:
        """Address to which requests are sent."""
        return self._transport.url

    def __call__(self, image: Any) -> ServedPrediction:
        """Segment one image.

        Args:
            image: Path of an image file, Pillow image or array. For the signature `"encoded"`,
                arrays are uint8 [H, W, 3], [H, W, 4] or [H, W]; for the others, [H, W, C] with the
                channels and dtype of the network. EXIF rotations are applied.

        Returns:
            The prediction; its label map has the size of the image.

        Raises:
            ConnectionError: If the server cannot be reached.
            TimeoutError: If the request takes longer than `timeout`.
            ServingError: If the server rejects the request (with the server's message), or if the
                number, size or dtype of its outputs does not match the image.
            ValueError: If `image` cannot be read as an image.
        """
        return self.predict([image])[0]

    def predict(self, images: Iterable[Any]) -> list[ServedPrediction]:
        """Segment several images in one request; see `__call__`.

        Args:
            images: The images. For `"encoded"`, their sizes may differ; for the other signatures,
                all have the same size.

        Returns:
            One prediction per image.
        """
        is_array = isinstance(images, np.ndarray) and images.ndim < 4
        if is_array or isinstance(images, str | Path | Image.Image):
            raise ValueError(
                "predict expects several images. Received: one. Call the client itself: "
                "client(image)."
            )
        images = list(images)
        if not images:
            return []
        if self._encoded:
            files, sizes = zip(*map(self._file, images), strict=True)
            pixels = sum(math.prod(next(iter(found), (MAX_SERVED_PIXELS,))) for found in sizes)
            answer = self._transport.predict({"image_bytes": list(files)}, pixels)
            found = answer.get("png_bytes")
            self._check(answer, isinstance(found, list) and len(found) == len(images))
            return list(map(self._from_png, found, sizes))
        batch = _stack(images)
        answer = self._transport.predict({"images": batch}, math.prod(batch.shape[:3]))
        self._check(answer, len(answer) == 1)
        (values,) = answer.values()
        return [self._from_array(item) for item in self._checked(answer, values, batch.shape[:3])]

    def _check(self, answer, holds):
        """Raise `ServingError`, with a description of `answer`, unless `holds` is true."""
        if not holds:
            outputs = {name: _describe(value) for name, value in answer.items()}
            raise ServingError(
                f"{self.url} returned {outputs}, which does not match the images of the request. "
                "Check that the model was exported by eseg-keras."
            )

    def _checked(self, answer, values, shape):
        """Return the label maps or scores of a batch; raise `ServingError` if they are invalid."""
        is_array = isinstance(values, np.ndarray) and values.shape[:3] == shape
        is_array = is_array and np.issubdtype(values.dtype, np.number)
        self._check(answer, is_array and not np.issubdtype(values.dtype, np.complexfloating))
        if values.ndim == 3:
            is_integer = np.issubdtype(values.dtype, np.integer)
            holds = self._takes_labels and is_integer and 0 <= values.min() <= values.max() <= 255
        else:
            holds = values.ndim == 4 and values.shape[-1] > 0 and np.isfinite(values).all()
        self._check(answer, holds)
        return values

    def close(self) -> None:
        """Close the connection. Only gRPC keeps it open between requests."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception):
        self.close()

    def _file(self, image):
        """Return an image as the content of a JPEG or PNG file, and the set of possible sizes."""
        if isinstance(image, str | Path):
            content = _read(image)
            if content.startswith(JPEG) or _is_plain_png(content):
                return content, _size(content)
            pixels = read_image(content, name=str(image))
        elif not isinstance(image, Image.Image) and np.asarray(image).dtype != np.uint8:
            image = np.asarray(image)
            raise ValueError(
                "Expected a path, a Pillow image, or a uint8 array [H, W, 3], [H, W, 4] or [H, W]. "
                f"Received: {image.dtype} of shape {image.shape}. Convert the array with "
                "eseg_keras.data.read_image."
            )
        else:
            pixels = read_image(image)
        file = io.BytesIO()
        if self._jpeg_quality is None:
            # Fastest compression: files are about 10% larger than with Pillow's default.
            Image.fromarray(pixels).save(file, "PNG", compress_level=1)
        else:
            Image.fromarray(pixels).save(file, "JPEG", quality=self._jpeg_quality)
        return file.getvalue(), {pixels.shape[:2]}

    def _from_png(self, content, sizes):
        """Decode a label map and its classes from a PNG file of one of `sizes` (if empty, any)."""
        try:
            pil_image = Image.open(io.BytesIO(content), formats=["PNG"])
            # Check the size before decoding: the image may be much larger than the one sent.
            if pil_image.mode != "L" or (sizes and pil_image.size[::-1] not in sizes):
                raise ValueError(
                    f"a PNG file of mode {pil_image.mode} and size {pil_image.size[::-1]}"
                )
            label_map = np.array(pil_image)
            classes = json.loads(pil_image.text.get(CLASSES_KEYWORD, "{}"))
            names, palette = classes.get("class_names"), classes.get("palette")
            if names is not None:
                names = tuple(names)
                if not all(isinstance(name, str) for name in names):
                    raise ValueError("class names that are not strings")
            if palette is not None:
                palette = tuple((int(red), int(green), int(blue)) for red, green, blue in palette)
            if any(len(entries) <= label_map.max() for entries in (names, palette) if entries):
                raise ValueError(f"the label {label_map.max()}, which is not a class id")
        except Exception as error:  # Pillow raises exceptions of many types for damaged files.
            raise ServingError(
                f"{self.url} did not return label maps as PNG files ({error}). Check that the "
                "model was exported by eseg-keras."
            ) from error
        return ServedPrediction(label_map, names, palette)

    def _from_array(self, values):
        if values.ndim == 2:
            return ServedPrediction(values.astype(np.uint8))
        scores = values.astype(np.float32)
        return ServedPrediction(scores.argmax(-1).astype(np.uint8), scores=scores)


def _describe(value):
    if isinstance(value, np.ndarray):
        return f"{value.dtype} of shape {value.shape}"
    return f"{len(value)} files"


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error


def _is_plain_png(content):
    """Return whether a file is a PNG of at most 8 bits per channel without EXIF rotation."""
    if not content.startswith(PNG) or content[24:25] == b"\x10":
        return False
    try:
        return Image.open(io.BytesIO(content)).getexif().get(ExifTags.Base.Orientation, 1) == 1
    except Exception:  # The file is damaged; `read_image` raises the error.
        return False


def _size(content):
    """Return the possible (height, width) of a file; EXIF tags may swap the two for a JPEG."""
    try:
        with no_pillow_limit():
            pil_image = Image.open(io.BytesIO(content))
    except Exception:  # The file is damaged: the server returns the error.
        return set()
    return {pil_image.size[::-1]} | ({pil_image.size} if pil_image.format != "PNG" else set())


def _stack(images):
    arrays = []
    for image in images:
        if isinstance(image, str | Path):
            image = read_image(_read(image), name=str(image))
        array = read_image(image) if isinstance(image, Image.Image) else np.asarray(image)
        if array.ndim != 3 or not array.size:
            raise ValueError(f"Expected images [H, W, C]. Received: shape {array.shape}")
        arrays.append(to_pixel_values(array))
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(
            f"All images of a request must have the same shape. Received: {sorted(shapes)}. Send "
            'one image per request, or use signature="encoded".'
        )
    return np.stack(arrays)
