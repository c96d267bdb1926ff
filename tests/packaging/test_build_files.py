"""The BUILD files against the tree. BUILD files are read as what they nearly are: Python."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
SKIPPED = {".venv", ".venv-backends", ".node", ".git", "build", "dist", "runs", "node_modules"}


def files(pattern):
    paths = (path.relative_to(ROOT) for path in ROOT.rglob(pattern))
    return sorted(path for path in paths if not SKIPPED & set(path.parts))


def package_of(path):
    """Folder of the nearest BUILD file at or above a path."""
    return next(parent for parent in path.parents if (ROOT / parent / "BUILD").is_file())


def rules():
    """(package, rule, attributes) of every rule, attributes as literals."""
    for path in files("BUILD"):
        for node in ast.parse((ROOT / path).read_text()).body:
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                attributes = {}
                for keyword in node.value.keywords:
                    try:
                        attributes[keyword.arg] = ast.literal_eval(keyword.value)
                    except ValueError:  # glob(...)
                        attributes[keyword.arg] = []
                arguments = [ast.literal_eval(argument) for argument in node.value.args]
                yield path.parent, node.value.func.id, attributes, arguments


RULES = list(rules())


def label(package, text):
    """A label as package and name."""
    if text.startswith("//"):
        folder, _, name = text[2:].partition(":")
        return Path(folder), name or Path(folder).name
    return package, text.removeprefix(":")


def test_every_python_file_is_a_source_of_a_target():
    listed = set()
    for package, _, attributes, _ in RULES:
        listed |= {label(package, source) for source in attributes.get("srcs", [])}
    missing = []
    for path in files("*.py"):
        package = package_of(path)
        if (package, str(path.relative_to(package))) not in listed:
            missing.append(f"{path} in {package / 'BUILD'}")
    assert not missing, f"Not in srcs of a target: {missing}"


def test_every_source_and_every_label_exists():
    targets = {(package, attributes.get("name")) for package, _, attributes, _ in RULES}
    for package, _, attributes, _ in RULES:
        names = [*attributes.get("srcs", []), *attributes.get("data", [])]
        names += [*attributes.get("deps", []), attributes.get("actual", ":.")]
        for text in names:
            if text.startswith("@") or text == ":.":
                continue
            folder, name = label(package, text)
            assert (folder, name) in targets or (ROOT / folder / name).is_file(), (package, text)


def test_every_test_has_a_py_test_that_runs_it():
    run = {
        label(package, attributes["name"])
        for package, rule, attributes, _ in RULES
        if rule == "py_test"
        and attributes["args"] == [f"$(location {attributes['name']}.py)"]
        and attributes["main"] == "//tests:run_pytest.py"
    }
    tests = {(path.parent, path.stem) for path in files("test_*.py")}
    assert run == tests


def test_python_rules_come_from_rules_python():
    for path in files("BUILD"):
        text = (ROOT / path).read_text()
        used = set(re.findall(r"^(py_\w+)\(", text, re.M))
        loaded = re.search(r'load\("@rules_python//python:defs.bzl", (.+)\)', text)
        names = set(re.findall(r'"(py_\w+)"', loaded[1])) if loaded else set()
        assert used == names, path


def test_outside_packages_are_locked():
    lock = (ROOT / "requirements_bazel.txt").read_text()
    locked = {name.replace("-", "_").lower() for name in re.findall(r"^([\w-]+)==", lock, re.M)}
    used = {
        text.removeprefix("@pypi//")
        for _, _, attributes, _ in RULES
        for text in attributes.get("deps", [])
        if text.startswith("@")
    }
    assert {"keras", "numpy"} <= used <= locked
