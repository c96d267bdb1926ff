"""Child processes: end them with their parent, hide import messages, let them ignore Ctrl-C.

This module imports only modules that load fast, because a new process runs `follow_parent` before
its other imports.
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
    """End this process when the other end of the pipe `lifeline` closes, or the parent ends.

    Use it as the `initializer` of a process pool. It also hides TensorFlow's import messages.
    """

    def wait():
        with contextlib.suppress(EOFError, OSError):
            lifeline.recv()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()
    around_import("tensorflow", hidden_standard_error)


@contextlib.contextmanager
def signals_deferred() -> Iterator[None]:
    """Defer SIGINT and SIGTERM while child processes start; the children never receive SIGINT.

    A terminal sends SIGINT (Ctrl-C) to the parent and its children; only the parent handles it.
    In threads other than the main thread, which cannot set signal handlers, nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received, before = [], {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, lambda number, frame: received.append(number))
    # Child processes inherit blocked signals, but not signal handlers.
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
