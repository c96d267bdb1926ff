"""Child processes: end them with their parent, hide their messages, shield them from Ctrl-C.

This module imports nothing heavy: a new process runs `follow_parent` before all other imports.
"""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.connection import Connection

from eseg_keras.optional import around_import
from eseg_keras.standard_error import hidden_standard_error


def follow_parent(lifeline: Connection) -> None:
    """End this process once the other end of a pipe is closed, such as by its parent's death.

    For the `initializer` of a pool of processes. It also hides the messages of TensorFlow's import.
    """

    def wait():
        with contextlib.suppress(EOFError, OSError):
            lifeline.recv()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    around_import("tensorflow", hidden_standard_error)


@contextlib.contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Let processes that start in the `with` block ignore Ctrl-C, which terminals send to all."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
