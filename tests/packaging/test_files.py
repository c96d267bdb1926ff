"""Atomic writes, locks, and readers of files that this package wrote."""

import errno
import json
import os
import subprocess
import sys
import tempfile
import types
from pathlib import Path

import pytest

from eseg_keras import files
from eseg_keras.files import (
    DamagedFileError,
    DiskFullError,
    FileInUseError,
    append_line,
    atomic_directory,
    atomic_file,
    locked,
    read_csv,
    read_json,
    temporary_directory,
    write_csv,
    write_json,
    write_text,
)
from eseg_keras.inference.output_folder import OutputFolder
from eseg_keras.presets.config_files import read_constructor_arguments
from eseg_keras.training import Experiment
from eseg_keras.training.run_files import (
    check_same_run,
    read_config,
    read_log,
    read_metrics,
    write_config,
)

DAMAGES = {
    "empty": b"",
    "torn": b'{"experiment": {"data": "str',
    "nul": bytes(100),
    "not utf-8": b'{"a": "\xff"}',
    "list": b"[1, 2]",
    "null": b"null",
    "deep": b'{"a":' * 100_000,
    "huge number": b'{"a": ' + b"1" * 5000 + b"}",
}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_is_replaced_at_the_end(tmp_path):
    path = tmp_path / "new" / "a.txt"
    for text in ("first", "second"):
        with atomic_file(path) as temporary:
            temporary.write_text(text)
            assert not path.exists() if text == "first" else path.read_text() == "first"
            assert temporary.suffix == ".txt" and temporary.parent == path.parent
        assert path.read_text() == text
    assert names(path.parent) == ["a.txt"]


@pytest.mark.parametrize("write", [atomic_file, atomic_directory])
def test_nothing_is_left_after_an_error(tmp_path, write):
    with pytest.raises(KeyboardInterrupt), write(tmp_path / "new" / "a") as temporary:
        if write is atomic_directory:
            temporary /= "inside"
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert names(tmp_path) == []
    (tmp_path / "a").write_text("old")
    with pytest.raises(OSError), atomic_file(tmp_path / "a"):
        raise OSError
    assert names(tmp_path) == ["a"] and (tmp_path / "a").read_text() == "old"


def test_content_is_on_the_disk_before_the_rename(tmp_path, monkeypatch):
    events = []
    monkeypatch.setattr(files.os, "fsync", lambda _: events.append("fsync"))
    replace = os.replace
    monkeypatch.setattr(files.os, "replace", lambda a, b: (events.append("replace"), replace(a, b)))
    write_json(tmp_path / "a.json", 1)
    assert events == ["fsync", "replace"]
    with atomic_directory(tmp_path / "b") as temporary:
        (temporary / "inside").mkdir()
        (temporary / "inside" / "file").write_text("x")
        events.clear()
    assert events[0] == "fsync"


def test_a_directory_appears_whole(tmp_path):
    path = tmp_path / "a"
    with atomic_directory(path) as temporary:
        (temporary / "one").write_text("1")
        assert not path.exists()
    assert names(path) == ["one"] and names(tmp_path) == ["a"]
    with pytest.raises(FileExistsError, match="a exists and is not empty"), atomic_directory(path):
        pass
    with pytest.raises(FileExistsError, match="one is a file"), atomic_directory(path / "one"):
        pass
    with atomic_directory(path, overwrite=True) as temporary:
        (temporary / "two").write_text("2")
        assert names(path) == ["one"]
    assert names(path) == ["two"]


def test_a_directory_that_cannot_be_replaced_stays(tmp_path, monkeypatch):
    path = tmp_path / "a"
    with atomic_directory(path) as temporary:
        (temporary / "one").write_text("1")
    move = Path.replace

    def replace(self, target):
        if self.name.startswith(".eseg_tmp"):
            raise PermissionError(errno.EACCES, "in use")
        return move(self, target)

    monkeypatch.setattr(Path, "replace", replace)
    with pytest.raises(PermissionError), atomic_directory(path, overwrite=True) as temporary:
        (temporary / "two").write_text("2")
    assert names(path) == ["one"] and names(tmp_path) == ["a"]


def test_windows_flushes_files_that_are_open_for_writing(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    modes, fsync = [], os.fsync
    monkeypatch.setattr(
        files, "os", types.SimpleNamespace(name="nt", fsync=lambda file: (note(file), fsync(file)))
    )

    def note(file):
        modes.append(fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE)

    (tmp_path / "a").write_text("1")
    files._flush(tmp_path / "a")
    assert modes == [os.O_RDWR]


def test_an_empty_directory_stays(tmp_path, monkeypatch):
    before = tmp_path.stat().st_ino
    monkeypatch.chdir(tmp_path)
    with atomic_directory(".") as temporary:
        (temporary / "inside").mkdir()
    assert names(tmp_path) == ["inside"] and tmp_path.stat().st_ino == before


@pytest.mark.skipif(os.name != "posix", reason="The test needs POSIX signals.")
def test_left_overs_of_dead_processes_are_removed(tmp_path):
    code = (
        "import os, sys, pathlib; from eseg_keras.files import atomic_file, atomic_directory\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "with atomic_file(folder / 'a') as file, atomic_directory(folder / 'b') as directory:\n"
        "    file.write_text('half'); (directory / 'half').touch(); os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True)
    _, temporary, _ = names(tmp_path)  # The first name is that of a lock file.
    host = temporary.split(".")[2]
    alive = f".eseg_tmp.{host}.{os.getppid()}.a"
    # A restarted container may have the same process id.
    before = f".eseg_tmp.{host}.{os.getpid()}.a"
    recent, old = (f".eseg_tmp.0123abcd.1.{name}" for name in ("recent", "old"))
    for name in (alive, before, recent, old):
        (tmp_path / name).touch()
    os.utime(tmp_path / old, (1, 1))
    with locked(tmp_path, "held"), atomic_file(tmp_path / "b") as temporary:
        temporary.touch()
        write_json(tmp_path / "c.json", 1)
        assert temporary.exists() and (tmp_path / ".eseg_lock.held").exists()
    assert names(tmp_path) == sorted([alive, recent]) + ["b", "c.json"]


def test_what_is_being_written_is_kept_under_another_name_of_its_folder(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with atomic_file(tmp_path / "real" / "a") as temporary:
        temporary.touch()
        write_json(tmp_path / "link" / "b.json", 1)
        assert temporary.exists()
    assert names(tmp_path / "real") == ["a", "b.json"]


# === Locks ===

HOLD = """
import sys, pathlib
from eseg_keras.files import locked
with locked(sys.argv[1], *sys.argv[2:]):
    print("locked", flush=True)
    sys.stdin.read()
"""


def hold(*arguments):
    """Start a process that holds a lock until its standard input is closed."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "locked\n"
    return process


@pytest.mark.parametrize("name", ["", "net.onnx"])
def test_the_second_process_says_who_holds_the_lock(tmp_path, name):
    folder = tmp_path / "new" / "run"
    process = hold(folder, name)
    message = rf"{folder / name} is in use by process {process.pid} on \S+ since \d{{4}}-.* Wait"
    with pytest.raises(FileInUseError, match=message), locked(folder, name):
        pass
    with locked(folder, "another"):
        pass
    process.communicate("")
    # No file is left, and the next process gets the lock.
    assert names(tmp_path) == []
    with locked(folder, name), pytest.raises(FileInUseError), locked(folder, name):
        pass


def test_a_killed_process_holds_nothing(tmp_path):
    process = hold(tmp_path)
    process.kill()
    process.communicate()
    assert names(tmp_path) == [".eseg_lock"]
    with locked(tmp_path):
        assert f"process {os.getpid()} " in (tmp_path / ".eseg_lock").read_text()
    assert names(tmp_path) == []


def test_a_folder_stays_if_anything_was_written(tmp_path):
    with locked(tmp_path / "a" / "b"):
        (tmp_path / "a" / "b" / "file").touch()
    assert names(tmp_path / "a" / "b") == ["file"]
    with pytest.raises(OSError), locked("/proc/run"):
        pass


def test_a_file_system_without_locks_is_logged(tmp_path, monkeypatch, caplog):
    def unsupported(file):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(files, "_lock", unsupported)
    with locked(tmp_path):
        pass
    assert "cannot be locked" in caplog.text and names(tmp_path) == []


def test_locks_of_windows(tmp_path, monkeypatch):
    """Uses a fake `msvcrt`, which locks bytes from the current position of a file."""
    held = {}

    def locking(file, mode, count):
        key = (os.fstat(file).st_ino, os.lseek(file, 0, os.SEEK_CUR), count)
        if key in held:
            raise PermissionError(errno.EACCES, "Permission denied")
        held[key] = file

    module = types.SimpleNamespace(LK_NBLCK=2, locking=locking)
    monkeypatch.setitem(sys.modules, "msvcrt", module)
    monkeypatch.setattr(files, "fcntl", None)
    with locked(tmp_path):
        assert (tmp_path / ".eseg_lock").read_text().startswith(f"process {os.getpid()} ")
        with pytest.raises(FileInUseError, match=f"process {os.getpid()}"), locked(tmp_path):
            pass
    assert names(tmp_path) == []


# === A full disk ===


class H5Error(OSError):
    """An OSError without errno, as HDF5 raises it."""


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        H5Error("Can't synchronously write data (errno = 28, 'No space left on device')"),
        RuntimeError("a.data-00000; No space left on device"),
    ],
    ids=["Python", "quota", "HDF5", "TensorFlow"],
)
@pytest.mark.parametrize("write", [atomic_file, atomic_directory])
def test_a_full_disk_names_the_file_and_the_remedy(tmp_path, error, write):
    path = tmp_path / "new" / "a"
    with pytest.raises(DiskFullError, match=f"^{path} cannot be written: the disk is full.*rerun"):
        with write(path) as temporary:
            temporary = temporary / "inside" if write is atomic_directory else temporary
            with atomic_file(temporary) as inner:
                inner.write_text("half")
                raise error
    assert names(tmp_path) == []


def test_a_full_disk_of_temporary_files_is_named():
    with pytest.raises(DiskFullError, match=f"^{tempfile.gettempdir()}/.* the disk is full"):
        with temporary_directory() as folder:
            Path(folder, "a").write_text("half")
            raise RuntimeError("a.data-00000; No space left on device")
    assert not Path(folder).exists()


def test_a_device_that_is_full():
    with pytest.raises(DiskFullError, match="/dev/full cannot be written"):
        append_line("/dev/full", "x")


def test_long_names(tmp_path):
    path = tmp_path / ("ä" * 125 + ".json")  # 255 bytes, the longest possible name.
    write_json(path, 1)
    assert json.loads(path.read_text()) == 1
    with atomic_directory(tmp_path / ("a" * 255)):
        pass


def test_a_directory_in_the_place_of_a_file(tmp_path):
    (tmp_path / "a.json").mkdir()
    with pytest.raises(IsADirectoryError, match=r"a\.json cannot be written: it is a directory"):
        write_json(tmp_path / "a.json", 1)
    for read in (read_json, read_csv):
        with pytest.raises(DamagedFileError, match=r"a\.json is damaged: it is a directory\. Do"):
            read(tmp_path / "a.json", "Do this.")
    assert names(tmp_path) == ["a.json"]


def test_names_that_are_not_utf_8_are_written_as_escapes(tmp_path):
    name = os.fsdecode(b"caf\xe9,[red]")
    write_csv(tmp_path / "a.csv", ["name"], [[name]])
    assert (tmp_path / "a.csv").read_text("utf-8") == 'name\n"caf\\udce9,[red]"\n'
    write_text(tmp_path / "a.html", name)
    assert (tmp_path / "a.html").read_text("utf-8") == "caf\\udce9,[red]"
    write_json(tmp_path / "a.json", {"name": name})
    assert read_json(tmp_path / "a.json", "") == {"name": name}


# === Reading ===


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_json_is_one_sentence(tmp_path, damage):
    path = tmp_path / "a.json"
    path.write_bytes(DAMAGES[damage])
    with pytest.raises(DamagedFileError, match=r"a\.json is damaged: .* Remove it\.$") as caught:
        read_json(path, "Remove it.")
    assert isinstance(caught.value, ValueError)


def test_fields_are_checked(tmp_path):
    write_json(tmp_path / "a.json", {"a": [], "b": 1})
    assert read_json(tmp_path / "a.json", "", {"a": list, "b": (int, str)}) == {"a": [], "b": 1}
    with pytest.raises(DamagedFileError, match="it has no 'c'. Do this."):
        read_json(tmp_path / "a.json", "Do this.", {"c": list})
    with pytest.raises(DamagedFileError, match="'a' is a list. Do this."):
        read_json(tmp_path / "a.json", "Do this.", {"a": dict})


@pytest.mark.parametrize("content", [bytes(9), b"a,b\n\xff,1\n", b"a,b\n1,2,3\n", b"a,b\n1\n2,3\n"])
def test_damaged_csv_is_one_sentence(tmp_path, content):
    path = tmp_path / "log.csv"
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"log\.csv is damaged: .*Remove it"):
        read_log(path)


def test_csv_comes_back(tmp_path):
    path = tmp_path / "a.csv"
    write_csv(path, ["a", "b c"], [[1, "x, y"], ["", 'quoted "\n']])
    rows = [{"a": "1", "b c": "x, y"}, {"a": "", "b c": 'quoted "\n'}]
    assert read_csv(path, "") == rows
    path.write_text("")
    assert read_csv(path, "") == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_state_files_are_read_with_checks(tmp_path, damage):
    content = DAMAGES[damage]
    write_config(tmp_path, Experiment(), None)
    (tmp_path / "config.json").write_bytes(content)
    (tmp_path / "metrics.json").write_bytes(content)
    (tmp_path / "predictions.json").write_bytes(content)
    for read in (
        lambda: read_config(tmp_path),
        lambda: check_same_run(tmp_path, Experiment(), None),
        lambda: read_metrics(tmp_path, "segmentation"),
        lambda: OutputFolder(tmp_path, {}, []),
        lambda: read_constructor_arguments(tmp_path),
    ):
        with pytest.raises(DamagedFileError, match=r"\.json is damaged: "):
            read()


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_lines_of_the_list_of_files_are_ignored(tmp_path, damage):
    settings = {"model": {}, "options": {}}
    write_json(tmp_path / "predictions.json", settings)
    entry = {"name": "a", "video": False, "path": "/a.png", "size": 1, "modified": 2}
    lines = [json.dumps(entry).encode(), DAMAGES[damage], b'{"name": "b", "video": false}']
    (tmp_path / "files.jsonl").write_bytes(b"\n".join(lines) + b"\n")
    folder = OutputFolder(tmp_path, settings, [])
    folder.begin()
    assert json.loads((tmp_path / "files.jsonl").read_text()) == entry
