"""Script that a test runs: stop commands by SIGTERM, each in a forked process.

Arguments: a JSON file with a list of {"arguments", "moment"}, and a file for the results, a JSON
list of [exit status, standard output, standard error, ids of the processes that still run]. A
command is stopped at its first import ("early"), or when its first output file is complete but
still has a temporary name ("middle").
"""

import builtins
import gc
import json
import os
import signal
import sys
from pathlib import Path

# Import once what all commands need. Compute nothing here: threads do not survive a fork.
import eseg_keras.evaluation
import eseg_keras.export
import eseg_keras.inference
import eseg_keras.training.finetuning  # noqa: F401
from eseg_keras import files
from eseg_keras.cli import main


def stop():
    os.kill(os.getpid(), signal.SIGTERM)


def stop_at_the_first_import(command):
    run, original = command.run, builtins.__import__

    def stop_and_import(*arguments):
        builtins.__import__ = original
        stop()
        return original(*arguments)

    def run_and_stop(args):
        builtins.__import__ = stop_and_import
        return run(args)

    command.run = run_and_stop


def stop_before_the_first_rename():
    flush = files._flush

    def flush_and_stop(path):
        files._flush = flush
        flush(path)
        stop()

    files._flush = flush_and_stop


def become(arguments, moment, streams):
    """Run a command in this process; the process ends when the command ends."""
    os.setsid()
    for number, stream in enumerate(streams, 1):
        os.dup2(os.open(stream, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    sys.argv = ["eseg", *arguments]
    if moment == "early":
        stop_at_the_first_import(main.COMMANDS[arguments[0]])
    else:
        stop_before_the_first_rename()
    main.main()


def running_processes(group):
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, number = path.read_text().rpartition(")")[2].split()[:3]
        except OSError:  # The process has ended.
            continue
        if int(number) == group and state != "Z":
            found.append(int(path.parent.name))
    return found


if __name__ == "__main__":
    # The memory of imported modules stays shared with forked processes.
    gc.freeze()
    results, streams = [], (f"{sys.argv[2]}.out", f"{sys.argv[2]}.err")
    for case in json.loads(Path(sys.argv[1]).read_text()):
        child = os.fork()
        if not child:
            become(case["arguments"], case["moment"], streams)
            sys.exit("The command has returned.")
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        results.append((status, *(Path(s).read_text() for s in streams), running_processes(child)))
    Path(sys.argv[2]).write_text(json.dumps(results))
