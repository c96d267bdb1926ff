# PYTHON_ARGCOMPLETE_OK
"""The command `eseg`: runs the subcommand and prints errors as one sentence."""

import argparse
import collections
import contextlib
import importlib
import io
import logging
import os
import signal
import sys
import traceback
from pathlib import Path

from absl import app
from absl.flags import argparse_flags

from eseg_keras.memory import is_out_of_memory
from eseg_keras.optional import around_import, require
from eseg_keras.standard_error import hidden_standard_error
from eseg_keras.version import __version__

# The commands in the order of `eseg --help`. The module of a command has the name of the command,
# with `_` in place of `-`. The module imports Keras, and modules that require Keras, only inside
# its function `run`.
COMMANDS = {
    name: importlib.import_module(f"eseg_keras.cli.{name.replace('-', '_')}")
    for name in (
        "finetune",
        "train",
        "experiments",
        "compare",
        "reproduce",
        "evaluate",
        "predict",
        "pseudo-label",
        "export",
        "demo-page",
        "benchmark",
        "convert",
        "data-check",
        "summary",
        "presets",
        "scenes",
    )
}
# With skipped files in more folders, only their total number is printed.
_FOLDERS_SHOWN = 4
PACKAGE = str(Path(__file__).resolve().parents[1])


class _Parser(argparse_flags.ArgumentParser):
    """A parser that prints errors as one sentence, without the usage."""

    def __init__(self, **options):
        # absl's parser would also add --helpfull, for absl flags, which these commands do not have.
        super().__init__(add_help=False, allow_abbrev=False, **options)
        self.add_argument("-h", "--help", action="help", help="show this help and exit")

    def error(self, message):
        self.exit(2, f"{self.prog}: {message}. See {self.prog} --help\n")


def main() -> None:
    """Run the command line.

    The exit status is 0 after success; 2 for invalid input, problems that `data-check` finds, an
    exported file that fails its verification, and too little memory; 130 after Ctrl-C; and 143
    after SIGTERM.
    """
    signal.signal(signal.SIGTERM, _stop)
    _escape_names()
    try:
        app.run(_run, flags_parser=_parse)
    except (_Terminated, KeyboardInterrupt) as stop:
        # The signal arrived before or after the command itself.
        sys.exit(_stopped("eseg", stop))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _escape_names():
    """Print characters outside the terminal's encoding as escape sequences."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class _Terminated(BaseException):
    """The process received SIGTERM."""


def _stop(signum, frame):
    raise _Terminated


def _parse(argv):
    parser = _Parser(
        prog="eseg",
        description="Efficient semantic segmentation: train, evaluate and use ESeg networks.",
    )
    parser.add_argument("--version", action="version", version=f"eseg {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        subparser = subparsers.add_parser(
            name,
            help=module.HELP,
            description=f"{module.HELP[0].upper()}{module.HELP[1:]}.",
            epilog="example:\n" + "\n".join(f"  {line}" for line in module.EXAMPLE),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            inherited_absl_flags=None,
        )
        module.add_arguments(subparser)
        subparser.add_argument(
            "--verbose", action="store_true", help="also show the messages of TensorFlow"
        )
        subparser.set_defaults(run=module.run)
    # The shell sets this variable if the user registered argcomplete for `eseg`.
    if "_ARGCOMPLETE" in os.environ:
        require("argcomplete", "completion").autocomplete(parser)
    return parser.parse_args(argv[1:])


def _run(args):
    if args.verbose:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "0"
    elif "tensorflow" not in sys.modules:
        quiet_tensorflow()
    try:
        with _skipped_files_at_the_end():
            return args.run(args)
    except (_Terminated, KeyboardInterrupt) as stop:
        return _stopped(f"eseg {args.command}", stop)
    except Exception as error:
        if _is_mistake_in_the_input(error):
            message = str(error)
        elif is_out_of_memory(error):
            message = (
                "Out of memory: lower the batch size, the image size or the size of the network. "
                f"The backend reported: {' '.join(str(error).split())[:200]}"
            )
        else:
            raise
        print(f"eseg {args.command}: {message}", file=sys.stderr)
        return 2


def _stopped(command, stop):
    """Print how a command was stopped, and return its exit status."""
    is_terminated = isinstance(stop, _Terminated)
    print(f"{command}: {'stopped by SIGTERM' if is_terminated else 'interrupted'}", file=sys.stderr)
    return 128 + (signal.SIGTERM if is_terminated else signal.SIGINT)


@contextlib.contextmanager
def _skipped_files_at_the_end():
    """At the end of the context, print how many files were skipped."""
    by_folder = {}
    handler = logging.Handler()
    handler.emit = lambda record: by_folder.update([record.skipped])
    log = logging.getLogger("eseg_keras.data.images.walker")
    log.addHandler(handler)
    log.propagate = False
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = True
        if by_folder:
            from eseg_keras.data.images.walker import in_words

            if len(by_folder) > _FOLDERS_SHOWN:
                total = sum(map(collections.Counter, by_folder.values()), collections.Counter())
                by_folder = {f"{len(by_folder)} folders": total}
            for folder, skipped in by_folder.items():
                print(f"{folder}: skipped {in_words(skipped)}", file=sys.stderr)


def quiet_tensorflow() -> None:
    """Hide the messages of TensorFlow's C++ code. Its errors are raised as exceptions."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Some messages are written to file descriptor 2 before TensorFlow reads environment variables.
    around_import("tensorflow", hidden_standard_error)


def _is_mistake_in_the_input(error):
    """Return whether an error is the user's (invalid input, a missing file), not a bug."""
    if isinstance(error, OSError):
        return True
    raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
    own = str(Path(raised_in).resolve()).startswith(PACKAGE + os.sep)
    # A plain ImportError is from `eseg_keras.optional.require`, which names the extra to install.
    return own and (isinstance(error, ValueError) or type(error) is ImportError)


if __name__ == "__main__":
    main()
