import subprocess
import sys
from pathlib import Path

import eseg_keras

# The package above imports Keras, and with it the backend: it is left out here, so that only what
# the data package itself imports is seen.
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
