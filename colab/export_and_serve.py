# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     name: python3
# ---

# %% [markdown]
# # Export a network, and run it without Keras
#
# Each exported file takes images with values of 0..255 and returns the label map: pre- and
# post-processing are part of the file. `eseg export` runs each file in its runtime and compares the
# outputs with those of Keras before it reports success.

# %%
# Install the package from the checkout that contains this notebook, or from a ZIP file of the
# repository: on Colab, upload it first, as eseg_keras.zip.
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("eseg_keras") is None:
    source = "eseg_keras.zip" if Path("eseg_keras.zip").exists() else ".."
    package = f"{source}[tensorflow,export,visualization]"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)

# %% tags=["parameters"]
PRESET = "eseg_lite_s_streets"  # Or the folder `preset` of a run.
IMAGE_SIZE = (192, 384)

# %% [markdown]
# ## ONNX: servers, desktops, browsers

# %%
# !eseg export --preset {PRESET} --format onnx --output network.onnx

# %%
import time

import onnxruntime

import eseg_keras

image, _ = eseg_keras.street_scenes.render_scene(3, "test", IMAGE_SIZE)
session = onnxruntime.InferenceSession("network.onnx")
start = time.perf_counter()
(label_maps,) = session.run(None, {"images": image[None]})
print(f"{label_maps.shape} {label_maps.dtype} after {1000 * (time.perf_counter() - start):.0f} ms")

# %% [markdown]
# Names and colours of the classes are part of the file:

# %%
classes = eseg_keras.export.read_onnx_classes("network.onnx")
eseg_keras.visualization.label_grid(
    [image],
    None,
    [label_maps[0]],
    class_names=classes["class_names"],
    palette=classes["palette"],
    cell_size=300,
)

# %% [markdown]
# ## TFLite: phones

# %%
# !eseg export --preset {PRESET} --format tflite --output network.tflite \
#     --image_size {IMAGE_SIZE[0]} {IMAGE_SIZE[1]}

# %%
from ai_edge_litert.interpreter import Interpreter

interpreter = Interpreter("network.tflite")
(given,), (found,) = interpreter.get_input_details(), interpreter.get_output_details()
interpreter.allocate_tensors()
interpreter.set_tensor(given["index"], image[None])
interpreter.invoke()
on_phone = interpreter.get_tensor(found["index"])[0]
print(f"{(on_phone == label_maps[0]).mean():.3%} of the pixels as in ONNX Runtime")

# %% [markdown]
# ## SavedModel: TF Serving
#
# The signature `encoded` takes the bytes of JPEG or PNG files and returns PNG label maps, so that
# a client needs no image code.

# %%
# !eseg export --preset {PRESET} --format saved_model --output served/streets

# %%
import io

import numpy as np
import tensorflow as tf
from PIL import Image

content = io.BytesIO()
Image.fromarray(image).save(content, format="JPEG", quality=95)
served = tf.saved_model.load("served/streets/1").signatures["encoded"]
answer = served(image_bytes=tf.constant([content.getvalue()]))
label_map = Image.open(io.BytesIO(answer["png_bytes"].numpy()[0]))
print(label_map.size, f"{len(answer['png_bytes'].numpy()[0])} bytes")
eseg_keras.visualization.label_image(np.asarray(label_map), classes["palette"])

# %% [markdown]
# TF Serving serves the folder `served`. If Docker is installed:
#
# ```
# docker run --rm -p 8501:8501 -v "$PWD/served:/models:ro" \
#     tensorflow/serving --model_config_file=/models/models.config
# ```
#
# and then, from any machine with this package:
#
# ```
# client = eseg_keras.export.Client("localhost:8501", "streets")
# client("street.png").label_map
# ```
#
# For smaller files (`--precision int8`), GPUs and the page for browsers, see the guide to
# deployment.
