"""The BUILD files, parsed as Python, match the folders and imports."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "eseg_keras"


def libraries():
    """Return the dependencies of the py_library rules, and the names of rules with data files."""
    rules, with_data = {}, set()
    for node in ast.parse((PACKAGE / "BUILD").read_text()).body:
        if isinstance(node, ast.Expr) and node.value.func.id == "py_library":
            attributes = {keyword.arg: keyword.value for keyword in node.value.keywords}
            deps = ast.literal_eval(attributes.get("deps", ast.List([])))
            rules[ast.literal_eval(attributes["name"])] = deps
            if "data" in attributes:
                with_data.add(ast.literal_eval(attributes["name"]))
    return rules, with_data


LIBRARIES, WITH_DATA = libraries()


def imported(name):
    """Return the package's folders and modules that `name` imports, also inside functions."""
    found = set()
    folder = PACKAGE / name
    for path in folder.rglob("*.py") if folder.is_dir() else [PACKAGE / f"{name}.py"]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "eseg_keras":
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("eseg_keras."):
                found.add(node.module.split(".")[1])
    return found & set(LIBRARIES) - {name, "eseg_keras"}


def test_every_folder_and_module_is_a_target():
    folders = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    modules = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert set(LIBRARIES) == folders | modules | {"eseg_keras"}


def test_data_files_belong_to_their_target():
    suffixes = {".css", ".h5", ".html", ".js", ".json", ".svg"}
    files = [path for path in PACKAGE.glob("*/**/*") if path.suffix in suffixes]
    assert WITH_DATA - {"eseg_keras"} == {path.relative_to(PACKAGE).parts[0] for path in files}


@pytest.mark.parametrize("name", sorted(set(LIBRARIES) - {"eseg_keras"}))
def test_targets_depend_on_what_they_import(name):
    inside = {text.removeprefix(":") for text in LIBRARIES[name] if text.startswith(":")}
    assert inside == imported(name)


def test_every_folder_of_tests_is_run():
    folders = {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")}
    listed = set(re.findall(r'^        "(\w+)",$', (ROOT / "tests" / "BUILD").read_text(), re.M))
    assert folders == listed


def test_outside_packages_are_locked():
    lock = (ROOT / "requirements_bazel.txt").read_text()
    locked = {name.replace("-", "_").lower() for name in re.findall(r"^([\w-]+)==", lock, re.M)}
    used = {
        text.removeprefix("@pypi//")
        for deps in LIBRARIES.values()
        for text in deps
        if text.startswith("@")
    }
    assert {"keras", "numpy"} <= used <= locked
