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
def signals_deferred() -> Iterator[None]:
    """Defer SIGINT and SIGTERM while processes are started, which will themselves ignore SIGINT.

    A terminal sends Ctrl-C, which is SIGINT, to all processes; only the parent answers it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received, before = [], {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, lambda number, frame: received.append(number))
    # New processes inherit what is blocked, but no handlers.
    block = getattr(signal, "pthread_sigmask", lambda how, numbers: None)
    try:
        block(getattr(signal, "SIG_BLOCK", None), {signal.SIGINT})
        yield
    finally:
        block(getattr(signal, "SIG_UNBLOCK", None), {signal.SIGINT})
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        for number in received:
            signal.raise_signal(number)
