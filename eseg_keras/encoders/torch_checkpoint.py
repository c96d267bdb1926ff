"""Read a PyTorch checkpoint without PyTorch and without executing code from the file."""

import collections
import io
import os
import pathlib
import pickle

import numpy as np

# The format of `torch.save` before PyTorch 1.6: these two numbers, a description of the machine,
# the objects, the keys of their storages, and the length and the values of each storage.
MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

_DTYPES = {
    "DoubleStorage": "<f8",
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "LongStorage": "<i8",
    "IntStorage": "<i4",
}


def read_torch_checkpoint(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Read a state dict in PyTorch's legacy (not zipped) format; return {parameter: array}.

    Only dictionaries, tensors and their storages are rebuilt. A pickle that refers to any other
    name, such as a function, raises ValueError before that name is imported or called. A file that
    is truncated or has another format raises ValueError, too.

    Reference:
        [torch.serialization](https://github.com/pytorch/pytorch/blob/main/torch/serialization.py),
        `_legacy_save`
    """
    path = pathlib.Path(path)
    # Read the whole file first: an unpickler reads ahead in a file, past the end of its pickle.
    file = io.BytesIO(path.read_bytes())
    try:
        if _Unpickler(file).load() != MAGIC_NUMBER or _Unpickler(file).load() != PROTOCOL_VERSION:
            raise ValueError("it does not start with PyTorch's magic number and protocol version")
        _Unpickler(file).load()
        unpickler = _Unpickler(file)
        tensors = unpickler.load()
        for key in _Unpickler(file).load():
            unpickler.storages[key].read(file)
        if not isinstance(tensors, dict) or file.read(1):
            raise ValueError("it is not a dict of tensors, or has bytes after the last tensor")
        return {name: tensor.array() for name, tensor in tensors.items()}
    except Exception as error:
        raise ValueError(
            f"{path} is not a PyTorch checkpoint in the legacy format: {error}. Expected a state "
            "dict of tensors. Install or download the file again."
        ) from error


class _Storage:
    """The values of one or more tensors, which follow the pickles in the file."""

    def __init__(self, dtype, size):
        self.dtype, self.size, self.numbers = np.dtype(dtype), size, None

    def read(self, file):
        size = int.from_bytes(file.read(8), "little")
        data = file.read(size * self.dtype.itemsize)
        if size != self.size or len(data) != size * self.dtype.itemsize:
            raise ValueError("it is truncated")
        self.numbers = np.frombuffer(data, self.dtype)


class _Tensor:
    """A view of a storage; has the arguments of PyTorch's `_rebuild_tensor_v2`."""

    def __init__(self, storage, offset, shape, strides, requires_grad=False, hooks=None):
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self):
        numbers = self.storage.numbers
        last = self.offset + sum(
            (size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)
        )
        if numbers is None or min((self.offset, *self.strides)) < 0 or last >= len(numbers):
            raise ValueError("a tensor reaches beyond its storage")
        item = numbers.itemsize
        view = np.lib.stride_tricks.as_strided(
            numbers[self.offset :], self.shape, [stride * item for stride in self.strides]
        )
        return np.ascontiguousarray(view).reshape(self.shape)


class _Unpickler(pickle.Unpickler):
    """Unpickle plain values, dictionaries and tensors; raise an error for any other name."""

    def __init__(self, file):
        super().__init__(file, encoding="utf-8")
        self.storages = {}

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _Tensor
        if module == "torch" and name in _DTYPES:
            return name
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")

    def persistent_load(self, saved_id):
        kind, storage_type, key, _, size, view = saved_id
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"it contains {saved_id!r}")
        return self.storages.setdefault(key, _Storage(_DTYPES[storage_type], size))
