"""Reading examples one at a time, and what happens to one that cannot be used."""

import functools
import logging
import threading
from collections.abc import Callable

import numpy as np

from eseg_keras.data.images.image_reader import ImageFileError

log = logging.getLogger(__name__)

# What readers raise for a file that cannot be used. Anything else is a fault of the program, and
# no reason to leave out a file.
_UNUSABLE = (ValueError, OSError)


class ExampleReader:
    """Reads examples, checks their form, and names or skips those that cannot be used.

    Args:
        read_example: Function of an index that returns the image, uint8 or float32 [H, W, C], and
            its mask, uint8 [H, W].
        num_examples: Number of examples.
        cache: Whether to keep what was read in memory.
        name_example: Function of an index that returns what to call the example. Defaults to
            `"example 17"`.
        skip_bad_examples: Whether to replace an unusable example by the next usable one.

    Attributes:
        skipped: {name of an example: what is wrong with it}, of those skipped so far.
        image_dtype: Type of the images, that of the first.
        num_channels: Channels of the images, those of the first.

    Raises:
        ImageFileError: If the first example (the first usable one, when skipping) cannot be used.

    Example:

    >>> import numpy as np
    >>> from eseg_keras.data.example_reader import ExampleReader
    >>> def read_example(index):
    ...     if index == 0:
    ...         raise OSError("the disk hums")
    ...     return np.full((4, 4, 3), index, np.uint8), np.zeros((4, 4), np.uint8)
    >>> read = ExampleReader(read_example, 3, skip_bad_examples=True)
    >>> image, mask = read(0)
    >>> image.max(), read.skipped
    (np.uint8(1), {'example 0': 'example 0: the disk hums'})
    """

    def __init__(
        self,
        read_example: Callable[[int], tuple[np.ndarray, np.ndarray]],
        num_examples: int,
        *,
        cache: bool = False,
        name_example: Callable[[int], str] | None = None,
        skip_bad_examples: bool = False,
    ):
        self.num_examples = num_examples
        self.name = name_example or "example {}".format
        self.skip_bad_examples = skip_bad_examples
        self.skipped: dict[str, str] = {}
        self._read_example = functools.cache(read_example) if cache else read_example
        self._lock = threading.Lock()
        # What every example has to agree with: a batch has one type and one number of channels.
        self.image_dtype, self.num_channels = None, None
        image, _ = self(0)
        self.image_dtype, self.num_channels = image.dtype, image.shape[-1]

    def __call__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Read an example.

        Args:
            index: Which, from 0.

        Returns:
            The image [H, W, C] and the mask uint8 [H, W]; when skipping, of the first usable
            example among `index`, `index + 1` and so on, after the last one from 0.

        Raises:
            ImageFileError: If the example, or every example when skipping, cannot be used.
        """
        for step in range(self.num_examples):
            try:
                return self._read((index + step) % self.num_examples)
            except ImageFileError as error:
                if not self.skip_bad_examples:
                    raise
                self._note(self.name((index + step) % self.num_examples), error)
                last = error
        raise ImageFileError(last.path, [*last.problems, "and no other example can be used either"])

    def _read(self, index):
        """One example, or an ImageFileError, whatever is wrong with it."""
        try:
            image, mask = map(np.asarray, self._read_example(index))
            self._check(image, mask)
        except ImageFileError:
            raise
        except _UNUSABLE as error:
            raise ImageFileError(self.name(index), [str(error)]) from error
        return image, mask

    def _check(self, image, mask):
        """Refuse an example that is not of the form that the pipeline expects."""
        received = (
            f"Received: image {image.dtype} {list(image.shape)}, "
            f"mask {mask.dtype} {list(mask.shape)}"
        )
        if (
            image.dtype not in (np.uint8, np.float32)
            or mask.dtype != np.uint8
            or image.ndim != 3
            or image.shape[:2] != mask.shape
        ):
            raise ValueError(
                "must be an image, uint8 or float32 [H, W, C], and a mask, uint8 [H, W]. "
                + received
            )
        first = (self.image_dtype, self.num_channels)
        if first != (None, None) and first != (image.dtype, image.shape[-1]):
            raise ValueError(
                f"must be {first[0]} with {first[1]} channels, like the first example. " + received
            )

    def _note(self, name, error):
        with self._lock:
            known = name in self.skipped
            self.skipped[name] = str(error)
        if not known:
            log.warning("Skipped an example. %s", error)
