"""Imports go one way, without cycles; the core imports TensorFlow only inside functions."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "eseg_keras"

# A folder imports only folders and modules that come before it in this list.
ORDER = [
    "version", "files", "image_size", "optional", "progress", "registration", "standard_error",
    "child_process", "step_options", "replicas", "machine", "memory",
    "layers", "encoders", "decoders", "losses", "metrics", "trainer", "presets", "models",
    "data", "street_scenes", "visualization",
    "inference", "evaluation", "training", "conversion",
    "export", "latency", "demo_page", "cli",
]  # fmt: skip
# These folders work without TensorFlow: they import it only inside functions.
CORE = ["layers", "encoders", "decoders", "losses", "metrics", "presets", "models"]
ABOVE_THE_CORE = {"data", "training", "inference", "evaluation", "export", "latency", "cli"}


def trees(name):
    folder = PACKAGE / name
    for path in sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{name}.py"]:
        yield path, ast.parse(path.read_text("utf-8"))


def modules_of(node):
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module == "eseg_keras":
        return [f"eseg_keras.{alias.name}" for alias in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and node.module else []


def imports(name):
    """Return the package's folders and modules that `name` imports, also inside functions."""
    found = set()
    for _, tree in trees(name):
        for node in ast.walk(tree):
            for module in modules_of(node):
                if module.startswith("eseg_keras."):
                    found.add(module.split(".")[1])
    return found - {name}


def test_every_folder_has_its_place():
    names = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    names |= {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    assert names == set(ORDER)


@pytest.mark.parametrize("name", ORDER)
def test_no_import_runs_back_up(name):
    assert imports(name) & set(ORDER) <= set(ORDER[: ORDER.index(name)])


def test_export_draws_no_images():
    assert "street_scenes" not in imports("export")


@pytest.mark.parametrize("name", CORE)
def test_the_core_imports_nothing_above_it(name):
    assert not imports(name) & ABOVE_THE_CORE


@pytest.mark.parametrize("name", CORE)
def test_the_core_imports_no_tensorflow_at_module_level(name):
    for path, tree in trees(name):
        outside = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        modules = [module for node in outside for module in modules_of(node)]
        assert not [m for m in modules if m.split(".")[0] == "tensorflow"], path


def module_edges():
    """Return {module: the modules of the package that it imports}, as dotted names."""
    names = {}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        names[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    edges = {}
    for name, path in names.items():
        edges[name] = set()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module in names:
                for alias in node.names:
                    module = f"{node.module}.{alias.name}"
                    edges[name].add(module if module in names else node.module)
    return edges


def test_no_two_modules_import_each_other_in_a_circle():
    edges = module_edges()
    state = {}

    def visit(name, path):
        state[name] = "open"
        for other in sorted(edges[name]):
            # A package's __init__ imports from its modules: that does not count as a cycle.
            if other == name or name.startswith(f"{other}."):
                continue
            assert state.get(other) != "open", " -> ".join([*path, name, other])
            if other not in state:
                visit(other, [*path, name])
        state[name] = "done"

    for name in sorted(edges):
        if name not in state:
            visit(name, [])
