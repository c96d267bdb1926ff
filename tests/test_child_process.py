"""Signals during the start of a child process, and child processes that end with their parent."""

import os
import signal
import subprocess
import sys
import time

import pytest

from eseg_keras.child_process import signals_deferred

SLEEP = [sys.executable, "-c", "import time; print(flush=True); time.sleep(60)"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_wait_for_the_end_of_the_start(number):
    received = []
    before = signal.signal(number, lambda number, frame: received.append(number))
    try:
        with signals_deferred():
            os.kill(os.getpid(), number)
            time.sleep(0.01)
            assert received == []
        assert received == [number]
        os.kill(os.getpid(), number)
        time.sleep(0.01)
        assert received == [number] * 2
    finally:
        signal.signal(number, before)


@pytest.mark.skipif(os.name != "posix", reason="The test needs POSIX signals.")
def test_started_processes_ignore_ctrl_c_alone():
    with signals_deferred():
        process = subprocess.Popen(SLEEP, stdout=subprocess.PIPE)
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.3)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == -signal.SIGTERM
    process.stdout.close()


PARENT = """
import multiprocessing, sys, time
from concurrent.futures import ProcessPoolExecutor
from eseg_keras.child_process import follow_parent

if __name__ == "__main__":
    context = multiprocessing.get_context("spawn")
    lifeline, held = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(1, context, initializer=follow_parent, initargs=(lifeline,))
    task = pool.submit(time.sleep, 60)
    while not task.running():
        time.sleep(0.01)
    if sys.argv[1] == "close":
        held.close()
        print(type(task.exception()).__name__, flush=True)
    else:
        print(*pool._processes, flush=True)
        time.sleep(60)
"""


def test_a_process_ends_when_its_lifeline_is_closed(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, str(tmp_path / "parent.py"), "close"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50)
    assert (done.stdout, done.stderr) == ("BrokenProcessPool\n", "")


@pytest.mark.skipif(os.name != "posix", reason="The test needs POSIX signals.")
def test_a_process_ends_when_its_parent_is_killed(tmp_path):
    (tmp_path / "parent.py").write_text(PARENT)
    command = [sys.executable, str(tmp_path / "parent.py"), "wait"]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 30
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(child, 0)
            time.sleep(0.05)
