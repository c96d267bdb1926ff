"""Write the notebooks of this folder, with outputs, from the scripts beside them.

python colab/execute.py                 # all of them, a few minutes each
python colab/execute.py quickstart

The scripts are the source (jupytext's percent format): edit them, then run this
script. If a command in a notebook (`!eseg ...`) fails, the script stops with an error.
"""

import os
import sys
import tempfile
from pathlib import Path

import jupytext
import nbclient
import nbformat

HERE = Path(__file__).resolve().parent
NAMES = ("quickstart", "finetune_your_folder", "export_and_serve", "reproduce_paper")
# Run at the start of every kernel; without the first line, a failed command would go unnoticed.
_START = "get_ipython().system_raise_on_error = True\n%matplotlib inline"


def read_notebook(name: str) -> nbformat.NotebookNode:
    """Return a notebook without outputs, read from its script."""
    notebook = jupytext.read(HERE / f"{name}.py")
    notebook.metadata.pop("jupytext", None)
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    return notebook


def execute(name: str, folder: Path, parameters: str = "") -> nbformat.NotebookNode:
    """Run a notebook in a folder; `parameters` is code to run after the cell of parameters."""
    notebook = read_notebook(name)
    extra = [nbformat.v4.new_code_cell(_START)]
    notebook.cells.insert(0, extra[0])
    if parameters:
        index = next(
            i for i, c in enumerate(notebook.cells) if "parameters" in c.metadata.get("tags", ())
        )
        extra.append(nbformat.v4.new_code_cell(parameters))
        notebook.cells.insert(index + 1, extra[1])
    # `!eseg` runs the command installed beside this Python.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    client = nbclient.NotebookClient(
        notebook,
        timeout=1800,
        kernel_name="python3",
        resources={"metadata": {"path": str(folder)}},
        coalesce_streams=True,
    )
    # Without a terminal, progress is one line per minute instead of a bar that is redrawn.
    environment = {"PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", "TTY_COMPATIBLE": "0"}
    client.execute(env={**os.environ, **environment})
    notebook.cells = [cell for cell in notebook.cells if cell not in extra]
    for count, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), start=1):
        cell.metadata.pop("execution", None)
        cell.execution_count = count
        # Remove standard error, which contains TensorFlow's messages about the machine.
        cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]
        for output in cell.outputs:
            if "execution_count" in output:
                output.execution_count = count
            if "text" in output:  # Remove the path of this checkout.
                output.text = output.text.replace(str(HERE.parent), ".")
    return notebook


def main(*names: str) -> None:
    """Execute notebooks and write them beside their scripts."""
    for name in names or NAMES:
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(execute(name, Path(folder)), HERE / f"{name}.ipynb")
        print(HERE / f"{name}.ipynb")


if __name__ == "__main__":
    main(*sys.argv[1:])
