"""The faults in tests/mutations.py match the code; the script itself is too slow to run here."""

import ast
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MUTATIONS = runpy.run_path(str(ROOT / "tests" / "mutations.py"))


@pytest.mark.parametrize("name", MUTATIONS["FAULTS"])
def test_fault_is_in_the_code_and_its_tests_exist(name):
    fault = MUTATIONS["FAULTS"][name]
    source = MUTATIONS["find"](ROOT, fault.old).read_text("utf-8")
    ast.parse(source.replace(fault.old, fault.new))
    for test in fault.tests.split():
        path, _, function = test.partition("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert not function or function.partition("[")[0] in names, test
