"""Build engines of TensorRT and TensorRT for RTX from ONNX files, and run them on a GPU."""

import functools
import importlib
import importlib.util
import time
from types import ModuleType

import numpy as np

# `tensorrt` builds for the GPU of this machine; `tensorrt_rtx` needs no GPU to build, and builds
# for all GPUs since Ampere.
LIBRARIES = ("tensorrt", "tensorrt_rtx")


def installed_tensorrt() -> ModuleType | None:
    """Import and return the first of `LIBRARIES` that is installed, or return `None`."""
    for name in LIBRARIES:
        if importlib.util.find_spec(name) is not None:
            return importlib.import_module(name)
    return None


def build_engine(trt: ModuleType, onnx_file: bytes, precision: str) -> bytes:
    """Build an engine from the content of an ONNX file of `export_tensorrt`."""
    logger = _logger(trt)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(onnx_file):
        errors = [parser.get_error(index) for index in range(parser.num_errors)]
        reasons = [
            f"{error.node_operator()} {error.node_name()}: {error.desc()}" for error in errors
        ]
        raise ValueError(f"{title(trt)} cannot parse the network: {'; '.join(reasons)}")
    config = builder.create_builder_config()
    if precision == "fp32":
        # Disable TF32, which rounds the inputs of convolutions to 19 bits.
        config.clear_flag(trt.BuilderFlag.TF32)
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ValueError(f"{title(trt)} cannot build an engine of the network: {logger}")
    return bytes(engine)


def title(trt: ModuleType) -> str:
    """Return name and version of a TensorRT module for messages."""
    return f"{'TensorRT for RTX' if 'rtx' in trt.__name__ else 'TensorRT'} {trt.__version__}"


def gpu_name(cuda: ModuleType) -> str | None:
    """Return the name of the GPU that engines run on, or `None` if there is no GPU."""
    error, count = cuda.cudaGetDeviceCount()
    if int(error) or not count:
        return None
    return _value(cuda.cudaGetDeviceProperties(0)).name.decode()


class EngineRunner:
    """Context manager that runs an engine with one input and one output on the GPU."""

    def __init__(self, trt: ModuleType, cuda: ModuleType, engine: bytes):
        self._cuda = cuda
        self._logger = _logger(trt)
        # Keep a reference: an engine must not outlive its runtime.
        self._runtime = trt.Runtime(self._logger)
        self._engine = self._runtime.deserialize_cuda_engine(engine)
        if self._engine is None:
            raise ValueError(f"{title(trt)} cannot load the engine on this GPU: {self._logger}")
        self._context = self._engine.create_execution_context()
        self._stream = _value(cuda.cudaStreamCreate())
        self._arrays, self._addresses = [], []
        names = [self._engine.get_tensor_name(index) for index in range(2)]
        names.sort(key=lambda name: self._engine.get_tensor_mode(name) != trt.TensorIOMode.INPUT)
        for name in names:
            dtype = trt.nptype(self._engine.get_tensor_dtype(name))
            array = np.zeros(tuple(self._engine.get_tensor_shape(name)), dtype)
            address = _value(cuda.cudaMalloc(array.nbytes))
            self._arrays.append(array)
            self._addresses.append(address)
            self._context.set_tensor_address(name, int(address))

    def __enter__(self) -> "EngineRunner":
        return self

    def __exit__(self, *exception) -> None:
        for address in self._addresses:
            self._cuda.cudaFree(address)
        self._cuda.cudaStreamDestroy(self._stream)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Return the engine's output for images that have the shape of the engine's input."""
        source, result = self._arrays
        source[...] = images
        self._copy(self._addresses[0], source.ctypes.data, source.nbytes, "HostToDevice")
        self._execute()
        self._copy(result.ctypes.data, self._addresses[1], result.nbytes, "DeviceToHost")
        return result.copy()

    def times(self, rounds: int = 200, warm_up: int = 50) -> np.ndarray:
        """Return the seconds of each run, [rounds], without data transfers to and from the GPU."""
        times = []
        for _ in range(warm_up + rounds):
            start = time.perf_counter()
            self._execute()
            times.append(time.perf_counter() - start)
        return np.array(times[warm_up:])

    def _execute(self):
        if not self._context.execute_async_v3(int(self._stream)):
            raise RuntimeError(f"TensorRT could not run the engine: {self._logger}")
        _value(self._cuda.cudaStreamSynchronize(self._stream))

    def _copy(self, target, source, num_bytes, direction):
        kind = getattr(self._cuda.cudaMemcpyKind, f"cudaMemcpy{direction}")
        _value(self._cuda.cudaMemcpy(target, source, num_bytes, kind))


@functools.cache
def _logger(trt):
    """Return the same logger on each call: TensorRT ignores all but the first in a process."""
    severity = trt.ILogger.Severity

    # TensorRT's default logger would print to standard output.
    class Errors(trt.ILogger):
        def __init__(self):
            super().__init__()
            self.messages = []

        def log(self, level, message):
            if level in (severity.INTERNAL_ERROR, severity.ERROR):
                self.messages.append(message)

        def __str__(self):
            return "; ".join(self.messages[-3:]) or "no reason given"

    return Errors()


def _value(answer):
    """Check the error code of a CUDA function and return its value."""
    error, *values = answer
    if int(error):
        raise RuntimeError(f"The GPU returned an error: {error}")
    return values[0] if values else None
