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
# # A label map in two minutes
#
# Load a trained network, label the pixels of an image, look at the result. No GPU is needed.
#
# The weights in the package are for synthetic street scenes. For a photo of a real street, install
# the weights in the folder `weights/camvid` of the repository (`pip install ../weights/camvid`;
# their licence excludes commercial use), and set `PRESET` and `IMAGE` below. The figure shows the
# label maps that a network with these weights predicts for three real streets; the photos may not
# be published:
#
# ![Label maps of three real streets](../docs/camvid_label_maps.png)

# %%
# Install the package from the checkout that contains this notebook, or from a ZIP file of the
# repository: on Colab, upload it first, as eseg_keras.zip.
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("eseg_keras") is None:
    source = "eseg_keras.zip" if Path("eseg_keras.zip").exists() else ".."
    package = f"{source}[tensorflow,visualization]"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)

# %% tags=["parameters"]
PRESET = "eseg_lite_s_streets"  # For photos of real streets: "eseg_edge_s_camvid".
IMAGE = None  # Path of a photo of yours; None: a synthetic street scene.
IMAGE_SIZE = (192, 384)  # (height, width) of the synthetic scene, as in the training of PRESET.

# %%
import eseg_keras

model = eseg_keras.ESeg.from_preset(PRESET)
print(f"{model.count_params():,} parameters; classes: {', '.join(model.class_names)}")

# %%
image, mask = IMAGE, None
if IMAGE is None:
    image, mask = eseg_keras.street_scenes.render_scene(5, "test", IMAGE_SIZE)

predictor = eseg_keras.inference.Predictor(model, maps=["entropy"])
prediction = predictor(image)
print("label map:", prediction.label_map.shape, prediction.label_map.dtype)

# %% [markdown]
# Image, mask (only for the synthetic scene) and prediction:

# %%
from eseg_keras.visualization import label_grid

label_grid(
    [prediction.image],
    None if mask is None else [mask],
    [prediction.label_map],
    class_names=prediction.class_names,
    palette=prediction.palette,
    cell_size=300,
)

# %% [markdown]
# How much of the image does each class take, and how sure is the network?

# %%
for label, name in enumerate(prediction.class_names):
    share = (prediction.label_map == label).mean()
    if share > 0.001:
        print(f"{name:12} {100 * share:5.1f} %")

# %%
import matplotlib.pyplot as plt

figure, axes = plt.subplots(figsize=(7, 3.2), layout="constrained")
shown = axes.imshow(prediction.entropy, cmap="magma", vmin=0, vmax=1)
axes.set(title="Uncertainty: high along the edges", xticks=[], yticks=[])
figure.colorbar(shown, label="entropy, 0 to 1")
plt.show()

# %% [markdown]
# The network fuses levels of different resolutions, up to P9 with 1/512 of the height and width of
# the image, and learns a weight for each level:

# %%
eseg_keras.visualization.plot_level_weights(model.level_weights())

# %% [markdown]
# Next: [your own images](finetune_your_folder.ipynb), [export](export_and_serve.ipynb), or [the
# paper's experiments](reproduce_paper.ipynb).
