"""Recognise out-of-memory errors, which differ between the backends."""

import re

_MESSAGE = re.compile("out of memory|not enough memory|OOM when|RESOURCE_EXHAUSTED")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an exception says that the memory of the machine or the device is full."""
    return isinstance(error, MemoryError) or bool(_MESSAGE.search(str(error)))
