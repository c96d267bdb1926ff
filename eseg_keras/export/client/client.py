"""A client of the SavedModels that `export_saved_model` writes."""

import dataclasses
import io
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from eseg_keras.data.images.image_reader import read_image
from eseg_keras.export.client.transport import GrpcTransport, RestTransport, ServingError
from eseg_keras.export.saved_model.image_codec import CLASSES_KEYWORD

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
        timeout: Seconds to wait for the server. Defaults to 60.
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
            TimeoutError: If the answer takes longer than `timeout`.
            ServingError: If the server refuses the request; the message is the server's.
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
            answer = self._transport.predict({"image_bytes": [self._file(i) for i in images]})
            predictions = [self._from_png(file) for file in answer.get("png_bytes", [])]
        else:
            answer = self._transport.predict({"images": _stack(images)})
            predictions = [_from_array(values) for values in next(iter(answer.values()), ())]
        if len(predictions) != len(images):
            raise ServingError(
                f"{self.url} answered {len(images)} images with {len(predictions)} label maps and "
                f"the outputs {sorted(answer)}: was the model exported by eseg-keras?"
            )
        return predictions

    def close(self) -> None:
        """Close the connection, which gRPC keeps open."""
        self._transport.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exception):
        self.close()

    def _file(self, image):
        """Encode an image as a file that the server decodes to the same pixels."""
        if isinstance(image, str | Path):
            content = _read(image)
            if content.startswith(_JPEG) or _is_upright_png(content):
                return content
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
        return file.getvalue()

    def _from_png(self, content):
        try:
            picture = Image.open(io.BytesIO(content))
            label_map = np.array(picture)
            classes = json.loads(picture.text.get(CLASSES_KEYWORD, "{}"))
        except (OSError, SyntaxError, TypeError, AttributeError, ValueError) as error:
            raise ServingError(
                f"{self.url} did not answer with PNG files: was the model exported by eseg-keras?"
            ) from error
        names, palette = classes.get("class_names"), classes.get("palette")
        return ServedPrediction(
            label_map,
            None if names is None else tuple(names),
            None if palette is None else tuple(map(tuple, palette)),
        )


def _read(path):
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error


def _is_upright_png(content):
    """Whether a file is a PNG without EXIF rotation, which servers apply to JPEG files only."""
    if not content.startswith(_PNG):
        return False
    try:
        return Image.open(io.BytesIO(content)).getexif().get(ExifTags.Base.Orientation, 1) == 1
    except Exception:  # The file is damaged; `read_image` raises the error.
        return False


def _stack(images):
    arrays = []
    for image in images:
        if isinstance(image, str | Path):
            image = read_image(_read(image), name=str(image))
        arrays.append(read_image(image) if isinstance(image, Image.Image) else np.asarray(image))
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ValueError(
            f"The images of a request must have one shape. Received: {sorted(shapes)}. Send one at "
            'a time, or use signature="encoded".'
        )
    return np.stack(arrays)


def _from_array(values):
    if values.ndim == 2:
        return ServedPrediction(values.astype(np.uint8))
    return ServedPrediction(values.argmax(-1).astype(np.uint8), scores=values.astype(np.float32))
