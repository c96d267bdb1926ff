"""A client of the SavedModels that `export_saved_model` writes."""

import dataclasses
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from eseg_keras.data.images.image_reader import no_pillow_limit, read_image
from eseg_keras.export.client.transport import GrpcTransport, RestTransport, ServingError
from eseg_keras.export.saved_model.image_codec import CLASSES_KEYWORD
from eseg_keras.image_size import to_pixel_values

_TRANSPORTS = {"rest": RestTransport, "grpc": GrpcTransport}
_SIGNATURES = ("encoded", "serving_default", "logits", "probabilities")
_JPEG, _PNG = b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"


@dataclasses.dataclass(frozen=True, eq=False)
class ServedPrediction:
    """A server's prediction for one image.

    Attributes:
        label_map: uint8 [H, W] of class ids.
        class_names: One name per class; only from the signature `"encoded"`, if there are names.
        palette: One (red, green, blue) per class; only from `"encoded"`.
        scores: float32 [H, W, num_classes], from the signatures `"logits"` and `"probabilities"`.
    """

    label_map: np.ndarray
    class_names: tuple[str, ...] | None = None
    palette: tuple[tuple[int, int, int], ...] | None = None
    scores: np.ndarray | None = None


class Client:
    """Sends images to a SavedModel of `export_saved_model` on TF Serving.

    It needs NumPy, Pillow and, for gRPC, `pip install "eseg-keras[serving]"`; it never imports
    TensorFlow. Several threads may use one client.

    Args:
        address: `"host:port"`, or a URL such as `"https://host/prefix"` (gRPC takes no prefix).
            TF Serving's ports are 8501 for REST and 8500 for gRPC. For https with your own
            certificate authority, set the environment variable `SSL_CERT_FILE` for REST, or
            `GRPC_DEFAULT_SSL_ROOTS_FILE_PATH` for gRPC.
        model: Name of the model on the server.
        protocol: `"rest"` or `"grpc"`.
        signature: `"encoded"` sends image files and receives PNG files, which are small. The
            others, `"serving_default"`, `"logits"` and `"probabilities"`, send and receive arrays:
            use gRPC for those.
        version: Version of the model. Defaults to the server's choice.
        timeout: Seconds that a request may take from the connection to the last byte of the
            answer. Defaults to 60.
        jpeg_quality: Quality, 1 to 100, of the JPEG files in which images are sent. By default they
            are sent as PNG, which is lossless. JPEG and PNG files are sent unchanged.
        headers: Additional headers of every request, such as an authorization.

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
        """Address of the requests."""
        return self._transport.url

    def __call__(self, image: Any) -> ServedPrediction:
        """Label the pixels of one image.

        Args:
            image: A path of an image file; a Pillow image; or an array, uint8 [H, W, 3], [H, W, 4]
                or [H, W] (for other signatures than `"encoded"` [H, W, C] of the network's channels
                and dtype). EXIF rotations are applied.

        Returns:
            The label map, of the size of the image.

        Raises:
            ConnectionError: If there is no server.
            TimeoutError: If the whole answer takes longer than `timeout`.
            ServingError: If the server refuses the request; the message is the server's. Also if
                its answer does not fit the image in number, size or type.
            ValueError: If `image` is not an image.
        """
        return self.predict([image])[0]

    def predict(self, images: Iterable[Any]) -> list[ServedPrediction]:
        """Label the pixels of several images in one request; see `__call__`.

        Args:
            images: The images, of any sizes for `"encoded"`, and of one size otherwise.

        Returns:
            One prediction per image.
        """
        is_array = isinstance(images, np.ndarray) and images.ndim < 4
        if is_array or isinstance(images, str | Path | Image.Image):
            raise ValueError("predict takes several images. Call the client itself with one.")
        images = list(images)
        if not images:
            return []
        if self._encoded:
            files, sizes = zip(*map(self._file, images), strict=True)
            answer = self._transport.predict({"image_bytes": list(files)})
            found = answer.get("png_bytes")
            self._check(answer, isinstance(found, list) and len(found) == len(images))
            return list(map(self._from_png, found, sizes))
        batch = _stack(images)
        answer = self._transport.predict({"images": batch})
        self._check(answer, len(answer) == 1)
        (values,) = answer.values()
        return [self._from_array(item) for item in self._checked(answer, values, batch.shape[:3])]

    def _check(self, answer, holds):
        """Raise `ServingError` unless an answer has the documented outputs of the export."""
        if not holds:
            outputs = {name: _describe(value) for name, value in answer.items()}
            raise ServingError(
                f"{self.url} answered with {outputs}, which does not fit the images that were "
                "sent: was the model exported by eseg-keras?"
            )

    def _checked(self, answer, values, shape):
        """Label maps or scores of a batch, as numbers in their range."""
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
        """Close the connection, which gRPC keeps open."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception):
        self.close()

    def _file(self, image):
        """Encode an image as a file that the server decodes to the same pixels; with its size."""
        if isinstance(image, str | Path):
            content = _read(image)
            if content.startswith(_JPEG) or _is_plain_png(content):
                return content, _size(content)
            pixels = read_image(content, name=str(image))
        elif not isinstance(image, Image.Image) and np.asarray(image).dtype != np.uint8:
            image = np.asarray(image)
            raise ValueError(
                "Expected a path, a Pillow image, or a uint8 array [H, W, 3], [H, W, 4] or [H, W]. "
                f"Received: {image.dtype} of shape {image.shape}. Convert it by "
                "eseg_keras.data.read_image."
            )
        else:
            pixels = read_image(image)
        file = io.BytesIO()
        if self._jpeg_quality is None:
            # Pillow's fastest compression; files are about a tenth larger than by default.
            Image.fromarray(pixels).save(file, "PNG", compress_level=1)
        else:
            Image.fromarray(pixels).save(file, "JPEG", quality=self._jpeg_quality)
        return file.getvalue(), {pixels.shape[:2]}

    def _from_png(self, content, sizes):
        """The label map in a PNG file, of one of the sizes, and its classes."""
        try:
            pil_image = Image.open(io.BytesIO(content), formats=["PNG"])
            # Compared before it is decoded: it may be far larger.
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
                raise ValueError(f"the label {label_map.max()}, which is not a class")
        except Exception as error:  # Pillow raises exceptions of many types for damaged files.
            raise ServingError(
                f"{self.url} did not answer with PNG files of label maps ({error}): was the model "
                "exported by eseg-keras?"
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
    """Whether a file is a PNG of 8 bits without EXIF rotation, so that servers read it as we do."""
    if not content.startswith(_PNG) or content[24:25] == b"\x10":
        return False
    try:
        return Image.open(io.BytesIO(content)).getexif().get(ExifTags.Base.Orientation, 1) == 1
    except Exception:  # The file is damaged; `read_image` raises the error.
        return False


def _size(content):
    """The possible (height, width) of a file, either way round for a JPEG, which may be rotated."""
    try:
        with no_pillow_limit():
            pil_image = Image.open(io.BytesIO(content))
    except Exception:  # The file is damaged: the server says so.
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
        to_pixel_values(array)  # Refuses other ranges of values.
        arrays.append(array)
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(
            f"The images of a request must have one shape. Received: {sorted(shapes)}. Send one at "
            'a time, or use signature="encoded".'
        )
    return np.stack(arrays)
