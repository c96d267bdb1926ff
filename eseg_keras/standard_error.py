"""Hide messages that compiled libraries write directly to standard error."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator


@contextlib.contextmanager
def hidden_standard_error() -> Iterator[None]:
    """Hide what is written to file descriptor 2; after an exception, show it.

    With the environment variable `TF_CPP_MIN_LOG_LEVEL=0`, nothing is hidden.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0":
        yield
        return
    try:
        terminal = os.dup(2)
    except OSError:  # The process has no standard error.
        yield
        return
    sys.stderr.flush()
    with tempfile.TemporaryFile() as hidden:
        os.dup2(hidden.fileno(), 2)
        try:
            yield
        except Exception:
            sys.stderr.flush()
            hidden.seek(0)
            os.write(terminal, hidden.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(terminal, 2)
            os.close(terminal)
