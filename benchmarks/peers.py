r"""Write seven networks of mmsegmentation as ONNX files, to compare their latency with ESeg's.

Run in a separate environment with PyTorch:

    pip install torch onnx ftfy regex "mmcv-lite==2.1.0" "mmsegmentation==1.2.2"
    PYTHONPATH=. python benchmarks/peers.py --output runs/peers

Then run in the environment of this package:

    python benchmarks/latency.py --sizes 1024x2048 --formats onnx onnx_int8 \
        --against runs/peers/*.onnx

As in our exports, pre- and post-processing are part of the file: uint8 image in, normalisation,
bilinear upsampling of the logits, argmax, uint8 label map out. Each network is written twice.
`NAME.onnx` upsamples in [B, C, H, W], the layout of PyTorch; `NAME_tuned.onnx` upsamples in [B, H,
W, C], which is faster in ONNX Runtime. The exporter folds batch normalisation. Weights are random;
the latency does not depend on them. `published.csv` has the accuracy that mmsegmentation reports
for each network.
"""

import argparse
import copy
import functools
import io
import sys
import types
from pathlib import Path

import numpy as np
import onnx

from eseg_keras.files import atomic_file

# Names in published.csv, with the configuration of mmsegmentation 1.2.2.
PEERS = {
    "BiSeNetV2": "bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024",
    "DDRNet-23": "ddrnet_23_in1k-pre_2xb6-120k_cityscapes-1024x1024",
    "DDRNet-23-Slim": "ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024",
    "Fast-SCNN": "fast_scnn_8xb4-160k_cityscapes-512x1024",
    "PIDNet-S": "pidnet-s_2xb6-120k_1024x1024-cityscapes",
    "SegFormer-B0": "segformer_mit-b0_8xb1-160k_cityscapes-1024x1024",
    "STDC1": "stdc1_in1k-pre_4xb12-80k_cityscapes-512x1024",
}
OPSET = 17


def main():
    """Write the files that do not exist yet."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument(
        "--image_size",
        nargs=2,
        type=int,
        default=(1024, 2048),
        metavar=("HEIGHT", "WIDTH"),
        help="default: 1024 2048",
    )
    parser.add_argument("--output", type=Path, required=True, help="folder for the files")
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name in arguments.peers:
        plain, tuned = (arguments.output / f"{name}{end}.onnx" for end in ("", "_tuned"))
        if plain.exists() and tuned.exists():
            print(f"{plain}: written before", flush=True)
            continue
        network = build(PEERS[name])
        parameters = sum(weight.numel() for weight in network.parameters())
        logits = as_onnx(network, tuple(arguments.image_size))
        for path in (plain, tuned):
            with atomic_file(path) as temporary:
                onnx.save(with_labels(logits, arguments.image_size, path == tuned), temporary)
        print(f"{plain}: {parameters / 1e6:.2f} M parameters", flush=True)


def build(config_name):
    """Return a network of mmsegmentation, with random weights and without auxiliary heads."""
    # mmsegmentation imports the compiled operators of mmcv. mmcv-lite does not have them, and these
    # networks do not use them.
    sys.modules.setdefault("mmcv._ext", _NoOperators("mmcv._ext"))
    import mmseg
    from mmengine.config import Config
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    register_all_modules()
    configs = Path(mmseg.__file__).parent / ".mim" / "configs"
    (path,) = configs.rglob(f"{config_name}.py")
    model = Config.fromfile(path).model
    model.data_preprocessor = model.auxiliary_head = None
    _for_inference_on_cpu(model)
    return MODELS.build(model).eval()


class _NoOperators(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)


def _for_inference_on_cpu(config):
    """Remove pretrained weights (to avoid the download) and replace SyncBN by BN."""
    if isinstance(config, dict):
        config.pop("init_cfg", None)
        config.pop("pretrained", None)
        if config.get("type") == "SyncBN":
            config["type"] = "BN"
    for value in config.values() if isinstance(config, dict) else config:
        if isinstance(value, dict | list | tuple):
            _for_inference_on_cpu(value)


def as_onnx(network, image_size):
    """Return a network as an ONNX model from a uint8 image to its logits [1, classes, h, w]."""
    import torch

    def average_pool(x, size):
        """Average adaptively by matrix products: the exporter supports only integer factors."""
        sizes = (size, size) if isinstance(size, int) else size
        rows, columns = (
            torch.nn.functional.adaptive_avg_pool1d(torch.eye(int(n)), wanted)
            for n, wanted in zip(x.shape[2:], sizes, strict=True)
        )
        return rows.T @ x @ columns

    for module in network.modules():
        if isinstance(module, torch.nn.AdaptiveAvgPool2d) and module.output_size != 1:
            module.forward = functools.partial(average_pool, size=module.output_size)

    class Served(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, images):
            x = images.permute(0, 3, 1, 2).float()
            mean = torch.tensor([123.675, 116.28, 103.53]).view(1, 3, 1, 1)
            deviation = torch.tensor([58.395, 57.12, 57.375]).view(1, 3, 1, 1)
            return self.network.decode_head(self.network.extract_feat((x - mean) / deviation))

    exported = io.BytesIO()
    with torch.no_grad():
        torch.onnx.export(
            Served(),
            torch.zeros((1, *image_size, 3), dtype=torch.uint8),
            exported,
            input_names=["images"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=False,
        )
    return onnx.load_from_string(exported.getvalue())


def with_labels(model, image_size, tuned):
    """Return a copy of an ONNX model with `labels` [1, H, W] instead of its output `logits`."""
    model = copy.deepcopy(model)
    graph, node = model.graph, onnx.helper.make_node
    (logits,) = graph.output
    classes = logits.type.tensor_type.shape.dim[1].dim_value
    size = (1, *image_size, classes) if tuned else (1, classes, *image_size)
    graph.initializer.append(
        onnx.numpy_helper.from_array(np.array(size, "int64"), "upsampled_size")
    )
    cells = "logits"
    if tuned:
        cells = "cells"
        graph.node.append(node("Transpose", ["logits"], [cells], perm=(0, 2, 3, 1)))
    graph.node.extend(
        [
            node("Resize", [cells, "", "", "upsampled_size"], ["upsampled"], mode="linear"),
            node("ArgMax", ["upsampled"], ["best"], axis=3 if tuned else 1, keepdims=0),
            node("Cast", ["best"], ["labels"], to=onnx.TensorProto.UINT8),
        ]
    )
    graph.output.remove(logits)
    shape = (1, *image_size)
    graph.output.append(onnx.helper.make_tensor_value_info("labels", onnx.TensorProto.UINT8, shape))
    onnx.checker.check_model(model, full_check=True)
    return model


if __name__ == "__main__":
    main()
