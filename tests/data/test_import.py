import subprocess
import sys
from pathlib import Path

import eseg_keras

# `import eseg_keras` would import Keras and the backend. With this stand-in for the package, only
# what the data package needs is imported.
IMPORT_ALONE = """
import sys, types
parent = types.ModuleType("eseg_keras")
parent.__path__ = [sys.argv[1]]
sys.modules["eseg_keras"] = parent
import eseg_keras.data
print([name for name in ("tensorflow", "keras") if name in sys.modules])
"""


def test_importing_the_data_package_imports_neither_tensorflow_nor_keras():
    command = [sys.executable, "-c", IMPORT_ALONE, str(Path(eseg_keras.__file__).parent)]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stdout + result.stderr
