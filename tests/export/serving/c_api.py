"""Run SavedModels with TensorFlow's C API, without TensorFlow's Python code and without Keras.

The C API loads a SavedModel like TF Serving, and runs it in the same kind of session. `answers`
runs this file as a script, which reads requests from a pickle file, runs them one after the other
in one session, and writes the answers.
"""

import ctypes
import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np

DTYPES = {1: "float32", 3: "int32", 4: "uint8"}
STRING = 7


def answers(directory, requests, folder):
    """Run requests [(signature, {input: array or list of bytes})] by the C API of TensorFlow.

    Returns one dict of outputs or one error message for each request.
    """
    signatures = read_signatures(directory)
    jobs = [names(signatures[signature], inputs) for signature, inputs in requests]
    job_file, answer_file = folder / "jobs.pickle", folder / "answers.pickle"
    job_file.write_bytes(pickle.dumps(jobs))
    command = [sys.executable, "-I", __file__, directory, libraries(), job_file, answer_file]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return pickle.loads(answer_file.read_bytes())


def read_signatures(directory):
    """Read the signatures of a SavedModel, as TensorFlow's protobuf messages."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = (Path(directory) / "saved_model.pb").read_bytes()
    (graph,) = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    return graph.signature_def


def names(signature, inputs):
    """Turn {input: value} into {tensor name: value} and {output: tensor name}."""
    return (
        {signature.inputs[name].name: value for name, value in inputs.items()},
        {name: info.name for name, info in signature.outputs.items()},
    )


def libraries():
    """Return TensorFlow's folder, without importing it."""
    return Path(importlib.util.find_spec("tensorflow").origin).parent


class Failure(Exception):
    """An error that TensorFlow's C API returned."""


class _Output(ctypes.Structure):
    _fields_ = (("operation", ctypes.c_void_p), ("index", ctypes.c_int))


class _String(ctypes.Structure):
    # TF_TString: an opaque structure of the library.
    _fields_ = (("content", ctypes.c_char * 24),)


class Session:
    """A SavedModel in a session of the C API."""

    def __init__(self, directory, libraries):
        self.library = ctypes.CDLL(str(Path(libraries) / "libtensorflow_cc.so.2"))
        for name in (
            "TF_NewStatus TF_NewGraph TF_NewSessionOptions TF_LoadSessionFromSavedModel "
            "TF_GraphOperationByName TF_AllocateTensor TF_TensorData TF_StringGetDataPointer"
        ).split():
            getattr(self.library, name).restype = ctypes.c_void_p
        for name in ("TF_Dim", "TF_StringGetSize", "TF_TensorByteSize"):
            getattr(self.library, name).restype = ctypes.c_int64
        self.library.TF_Message.restype = ctypes.c_char_p
        status = self._pointer("TF_NewStatus")
        self.graph = self._pointer("TF_NewGraph")
        tags = (ctypes.c_char_p * 1)(b"serve")
        self.session = self._pointer(
            "TF_LoadSessionFromSavedModel",
            self._pointer("TF_NewSessionOptions"),
            None,
            str(directory).encode(),
            tags,
            1,
            self.graph,
            None,
            status,
        )
        self._check(status)

    def run(self, inputs, outputs):
        """Feed {tensor name: value}; return {output: value} for {output: tensor name}."""
        lib = self.library
        # Use a new status for each run, because several threads may call this method at once.
        status = self._pointer("TF_NewStatus")
        fed = [ctypes.c_void_p(self._tensor(value)) for value in inputs.values()]
        fetched = (ctypes.c_void_p * len(outputs))()
        lib.TF_SessionRun(
            self.session,
            None,
            (_Output * len(inputs))(*map(self._output, inputs)),
            (ctypes.c_void_p * len(inputs))(*fed),
            len(inputs),
            (_Output * len(outputs))(*map(self._output, outputs.values())),
            fetched,
            len(outputs),
            None,
            0,
            None,
            status,
        )
        for tensor in fed:
            lib.TF_DeleteTensor(tensor)
        self._check(status)
        results = {}
        for name, tensor in zip(outputs, map(ctypes.c_void_p, fetched), strict=True):
            results[name] = self._array(tensor)
            lib.TF_DeleteTensor(tensor)
        return results

    def _pointer(self, function, *arguments):
        return ctypes.c_void_p(getattr(self.library, function)(*arguments))

    def _check(self, status):
        if self.library.TF_GetCode(status):
            raise Failure(self.library.TF_Message(status).decode())

    def _output(self, name):
        name, index = name.split(":")
        operation = self.library.TF_GraphOperationByName(self.graph, name.encode())
        assert operation, name
        return _Output(operation, int(index))

    def _tensor(self, value):
        strings = value if isinstance(value, list) else None
        shape = (len(value),) if strings is not None else value.shape
        dims = (ctypes.c_int64 * max(len(shape), 1))(*shape)
        if strings is None:
            dtype = next(number for number, name in DTYPES.items() if name == value.dtype.name)
            size = value.nbytes
        else:
            dtype, size = STRING, ctypes.sizeof(_String) * len(strings)
        tensor = self.library.TF_AllocateTensor(dtype, dims, len(shape), ctypes.c_size_t(size))
        data = self._pointer("TF_TensorData", ctypes.c_void_p(tensor))
        if strings is None:
            ctypes.memmove(data, np.ascontiguousarray(value).tobytes(), size)
        for index, text in enumerate(strings or []):
            place = ctypes.c_void_p(data.value + index * ctypes.sizeof(_String))
            self.library.TF_StringInit(place)
            self.library.TF_StringCopy(place, text, ctypes.c_size_t(len(text)))
        return tensor

    def _array(self, tensor):
        lib = self.library
        shape = [lib.TF_Dim(tensor, axis) for axis in range(lib.TF_NumDims(tensor))]
        data = self._pointer("TF_TensorData", tensor)
        if lib.TF_TensorType(tensor) == STRING:
            places = [
                ctypes.c_void_p(data.value + index * ctypes.sizeof(_String))
                for index in range(shape[0])
            ]
            return [
                ctypes.string_at(lib.TF_StringGetDataPointer(place), lib.TF_StringGetSize(place))
                for place in places
            ]
        content = ctypes.string_at(data, lib.TF_TensorByteSize(tensor))
        return np.frombuffer(content, DTYPES[lib.TF_TensorType(tensor)]).reshape(shape)


def main(directory, libraries, job_file, answer_file):
    session = Session(directory, libraries)
    results = []
    for inputs, outputs in pickle.loads(Path(job_file).read_bytes()):
        try:
            results.append(session.run(inputs, outputs))
        except Failure as failure:
            results.append(str(failure))
    assert not {"tensorflow", "keras", "eseg_keras"} & set(sys.modules)
    Path(answer_file).write_bytes(pickle.dumps(results))


if __name__ == "__main__":
    main(*sys.argv[1:])
