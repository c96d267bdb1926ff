"""Engines that TensorRT for RTX builds without a GPU, and simulated engines on a simulated GPU."""

import ctypes
import enum
import functools
import json
import logging
import sys
import types

import numpy as np
import pytest

from eseg_keras.export import VerificationError
from eseg_keras.export.tensorrt import exporter as module
from eseg_keras.export.tensorrt.engine import (
    EngineRunner,
    build_engine,
    gpu_name,
    installed_tensorrt,
)
from eseg_keras.street_scenes import scene_images

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

pytestmark = pytest.mark.usefixtures("module_eagerly")

SIZE = (64, 96)
export_tensorrt = functools.partial(
    module.export_tensorrt, verification_images=scene_images("test", 2, (192, 384))
)


@pytest.fixture
def rtx(monkeypatch):
    """TensorRT for RTX, in an environment without TensorRT and without a GPU."""
    trt = pytest.importorskip("tensorrt_rtx")
    monkeypatch.setattr(module, "installed_tensorrt", lambda: trt)
    monkeypatch.setattr(module, "gpu_name", lambda cuda: None)
    return trt


def test_an_engine_is_built_without_a_gpu(streets, tmp_path, rtx, caplog):
    caplog.set_level(logging.WARNING, "eseg_keras")
    sizes = {}
    for precision, options in (
        ("fp32", {"output_kind": "labels", "input_dtype": "uint8"}),
        ("fp16", {"output_kind": "logits", "input_dtype": "float32"}),
    ):
        path = tmp_path / f"{precision}.onnx"
        export_tensorrt(streets, path, image_size=(97, 131), precision=precision, **options)
        sizes[precision] = (tmp_path / f"{precision}.engine").stat().st_size
        assert json.loads((tmp_path / f"{precision}.engine.json").read_text()) == {
            "built_by": f"TensorRT for RTX {rtx.__version__}",
            "precision": precision,
            "gpu": None,
        }
    # The weights take 14 MB in float32.
    assert sizes["fp32"] > 14e6 and sizes["fp16"] < 0.75 * sizes["fp32"]
    assert f"fp32.engine was built by TensorRT for RTX {rtx.__version__}" in caplog.text
    assert len(list(tmp_path.iterdir())) == 10


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["eseg_edge_s", "eseg_lite_l", "eseg_l"])
def test_an_engine_of_every_structure(small_model, tmp_path, rtx, preset):
    model = small_model(preset)
    verification = export_tensorrt(
        model, tmp_path / "a.onnx", output_kind="logits", image_size=SIZE, precision="fp16"
    )
    assert verification.relative_difference < 0.02
    assert (tmp_path / "a.engine").stat().st_size > 2 * model.count_params()


def test_a_network_that_is_refused(rtx, capfd):
    kinds = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (2,)) for name in "xy"
    ]
    node = onnx.helper.make_node("Guess", ["x"], ["y"], "it", domain="nobody")
    graph = onnx.helper.make_graph([node], "graph", kinds[:1], kinds[1:])
    with pytest.raises(ValueError, match=r"RTX .* cannot parse the network: Guess it: .*Plugin"):
        build_engine(rtx, onnx.helper.make_model(graph).SerializeToString(), "fp32")
    assert capfd.readouterr() == ("", "")


class Cuda:
    """A simulated GPU that uses the memory of this process."""

    cudaMemcpyKind = enum.IntEnum(
        "cudaMemcpyKind", ["cudaMemcpyHostToDevice", "cudaMemcpyDeviceToHost"]
    )

    def __init__(self, count=1, error=0):
        self.count, self.error = count, error
        self.memory, self.streams = {}, set()

    def cudaGetDeviceCount(self):
        return (0, self.count) if self.count else (35, None)

    def cudaGetDeviceProperties(self, device):
        return 0, types.SimpleNamespace(name=b"NVIDIA Simulated")

    def cudaMalloc(self, num_bytes):
        buffer = ctypes.create_string_buffer(num_bytes)
        self.memory[ctypes.addressof(buffer)] = buffer
        return 0, ctypes.addressof(buffer)

    def cudaFree(self, address):
        del self.memory[address]
        return (0,)

    def cudaMemcpy(self, target, source, num_bytes, kind):
        device = source if kind == self.cudaMemcpyKind.cudaMemcpyDeviceToHost else target
        assert num_bytes == ctypes.sizeof(self.memory[device])
        ctypes.memmove(target, source, num_bytes)
        return (0,)

    def cudaStreamCreate(self):
        self.streams.add(7)
        return 0, 7

    def cudaStreamSynchronize(self, stream):
        return (self.error,)

    def cudaStreamDestroy(self, stream):
        self.streams.remove(stream)
        return (0,)


class Engine:
    """A simulated `tensorrt` engine that runs an ONNX file."""

    def __init__(self, content):
        self.session = onnxruntime.InferenceSession(content)
        # The output is listed first, because TensorRT guarantees no order.
        self.tensors = [*self.session.get_outputs(), *self.session.get_inputs()]
        self.addresses, self.runs = {}, 0

    def get_tensor_name(self, index):
        return self.tensors[index].name

    def _tensor(self, name):
        return next(tensor for tensor in self.tensors if tensor.name == name)

    def get_tensor_mode(self, name):
        return "output" if name == self.tensors[0].name else "input"

    def get_tensor_shape(self, name):
        return self._tensor(name).shape

    def get_tensor_dtype(self, name):
        return {"tensor(uint8)": "uint8", "tensor(float)": "float32"}[self._tensor(name).type]

    def create_execution_context(self):
        return self

    def set_tensor_address(self, name, address):
        self.addresses[name] = address

    def _array(self, name):
        kind = np.dtype(self.get_tensor_dtype(name))
        size = int(np.prod(self.get_tensor_shape(name)))
        buffer = (ctypes.c_byte * (size * kind.itemsize)).from_address(self.addresses[name])
        return np.frombuffer(buffer, kind).reshape(self.get_tensor_shape(name))

    def execute_async_v3(self, stream):
        assert stream == 7
        self.runs += 1
        found, given = (tensor.name for tensor in self.tensors)
        self._array(found)[...] = self.session.run(None, {given: self._array(given)})[0]
        return True


class Logger:
    Severity = enum.IntEnum("Severity", ["INTERNAL_ERROR", "ERROR", "WARNING"])


@pytest.fixture
def gpu(monkeypatch):
    """Simulate TensorRT and a GPU; engines are ONNX files that ONNX Runtime runs."""
    cuda = Cuda()
    trt = types.ModuleType("tensorrt")
    trt.__version__ = "11.0"
    trt.ILogger = Logger
    trt.TensorIOMode = types.SimpleNamespace(INPUT="input")
    trt.nptype = np.dtype
    trt.Runtime = lambda logger: types.SimpleNamespace(deserialize_cuda_engine=Engine)
    monkeypatch.setattr(module, "installed_tensorrt", lambda: trt)
    monkeypatch.setattr(module, "build_engine", lambda trt, onnx_file, precision: onnx_file)
    require = module.require
    monkeypatch.setattr(
        module, "require", lambda name, extra: cuda if "cuda" in name else require(name, extra)
    )
    monkeypatch.setitem(sys.modules, "tensorrt", trt)
    return types.SimpleNamespace(cuda=cuda, trt=trt)


@pytest.mark.parametrize(
    "options",
    [{}, {"output_kind": "logits", "input_dtype": "float32"}, {"output_kind": "probabilities"}],
)
def test_an_engine_is_run_compared_and_timed(tiny_model, tmp_path, gpu, caplog, options):
    caplog.set_level(logging.WARNING, "eseg_keras")
    export_tensorrt(tiny_model, tmp_path / "a.onnx", image_size=SIZE, **options)
    report = json.loads((tmp_path / "a.engine.json").read_text())
    assert report["built_by"] == "TensorRT 11.0" and report["gpu"] == "NVIDIA Simulated"
    verification = report["verification"]
    assert verification["passed"] and verification["runtime"] == "tensorrt 11.0"
    assert verification["output_kind"] == options.get("output_kind", "labels")
    assert report["frames_per_second"] == pytest.approx(1000 / report["median_ms"])
    assert f"{report['frames_per_second']:.0f} frames per second" in caplog.text
    assert (tmp_path / "a.engine").read_bytes() == (tmp_path / "a.onnx").read_bytes()
    assert not gpu.cuda.memory and not gpu.cuda.streams


def test_times_are_of_the_engine_alone(tiny_model, tmp_path, gpu):
    export_tensorrt(tiny_model, tmp_path / "a.onnx", image_size=SIZE)
    with EngineRunner(gpu.trt, gpu.cuda, (tmp_path / "a.onnx").read_bytes()) as runner:
        times = runner.times(rounds=3, warm_up=2)
        assert runner._engine.runs == 5
    assert times.shape == (3,) and (times > 0).all()


def test_an_engine_that_computes_something_else(tiny_model, tmp_path, gpu, monkeypatch):
    run = EngineRunner.__call__
    monkeypatch.setattr(EngineRunner, "__call__", lambda *inputs: (run(*inputs) + 1) % 3)
    with pytest.raises(VerificationError, match="in tensorrt 11.0 on 2 images"):
        export_tensorrt(tiny_model, tmp_path / "a.onnx", image_size=SIZE)
    assert not list(tmp_path.iterdir()) and not gpu.cuda.memory


def test_an_engine_for_another_gpu(rtx, capfd):
    with pytest.raises(ValueError, match="RTX .* cannot load the engine on this GPU: .+"):
        EngineRunner(rtx, Cuda(), b"no engine")
    assert capfd.readouterr() == ("", "")


def test_a_gpu_that_fails(tiny_model, tmp_path, gpu):
    gpu.cuda.error = 700
    with pytest.raises(RuntimeError, match="The GPU returned an error: 700"):
        export_tensorrt(tiny_model, tmp_path / "a.onnx", image_size=SIZE)
    assert not list(tmp_path.iterdir()) and not gpu.cuda.memory


def test_tensorrt_without_a_gpu_builds_nothing(tiny_model, tmp_path, gpu, caplog):
    caplog.set_level(logging.WARNING, "eseg_keras")
    gpu.cuda.count = 0
    assert export_tensorrt(tiny_model, tmp_path / "a.onnx", image_size=SIZE).passed
    assert "No engine was built: TensorRT 11.0 needs a GPU, and there is none." in caplog.text
    assert not (tmp_path / "a.engine").exists() and (tmp_path / "a.onnx").exists()


def test_without_cuda_bindings_nothing_is_built(tiny_model, tmp_path, rtx, monkeypatch):
    monkeypatch.setitem(sys.modules, "cuda.bindings.runtime", None)
    with pytest.raises(ImportError, match=r'pip install "eseg-keras\[tensorrt-rtx\]"'):
        export_tensorrt(tiny_model, tmp_path / "a.onnx", image_size=SIZE)
    assert not list(tmp_path.iterdir())


def test_the_installed_modules():
    """Finding TensorRT and the name of the GPU raises no error, with or without a GPU."""
    trt = installed_tensorrt()
    assert trt is None or trt.__name__ in ("tensorrt", "tensorrt_rtx")
    runtime = pytest.importorskip("cuda.bindings.runtime")
    name = gpu_name(runtime)
    assert name is None or name
