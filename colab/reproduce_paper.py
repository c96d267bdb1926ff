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
# # The paper's networks and recipe
#
# [Revisiting Multi-Scale Feature Fusion for Semantic
# Segmentation](https://arxiv.org/abs/2203.12683) (Meng, Ghiasi, Mahjourian, Le, Tan, 2022). This
# notebook prints the sizes of the networks and the paper's recipe, and trains a network for a short
# time with a simpler recipe. Reproducing the scores in the paper's tables requires Cityscapes or
# ADE20K, and an accelerator: the commands for one network are at the end.

# %%
# Install the package from the checkout that contains this notebook, or from a ZIP file of the
# repository: on Colab, upload it first, as eseg_keras.zip.
import importlib.util
import subprocess
import sys
from pathlib import Path

if importlib.util.find_spec("eseg_keras") is None:
    source = "eseg_keras.zip" if Path("eseg_keras.zip").exists() else ".."
    package = f"{source}[tensorflow,visualization,data]"
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", package], check=True)

# %% tags=["parameters"]
PRESETS = ("eseg_lite_s", "eseg_lite_m", "eseg_lite_l", "eseg_s", "eseg_m", "eseg_l")
EPOCHS = 8
TRAIN_EXAMPLES = 160
IMAGE_SIZE = (192, 384)

# %% [markdown]
# ## Parameters and multiply-adds
#
# The table has the counts of this package, at 1024x2048 and 19 classes, beside the mean IoU that
# the paper reports on Cityscapes' validation images.

# %%
from eseg_keras.latency import paper_mean_iou
from eseg_keras.models import profile

print(f"{'preset':12} {'parameters':>12} {'multiply-adds':>14} {'paper, mIoU':>12}")
for preset in PRESETS:
    costs = profile(preset)
    print(
        f"{preset:12} {costs.trainable_params:12,} {costs.macs / 1e9:12.1f} B "
        f"{paper_mean_iou(preset):12}"
    )

# %% [markdown]
# ## The recipe
#
# An experiment is one frozen dataclass. This one has the paper's recipe for ESeg-Lite on
# Cityscapes:

# %%
from eseg_keras.training import load_experiment

load_experiment("cityscapes/eseg_lite_s")

# %% [markdown]
# A simpler recipe, on synthetic street scenes: SGD, a cosine schedule with warm-up, random scales
# and flips, but cross-entropy with class weights instead of OHEM, and neither weight decay nor
# averaged weights.

# %%
import dataclasses

from eseg_keras.training import train

experiment = dataclasses.replace(
    load_experiment("smoke/street_scenes"),
    epochs=EPOCHS,
    image_size=IMAGE_SIZE,
    train_examples=TRAIN_EXAMPLES,
    val_examples=max(8, TRAIN_EXAMPLES // 8),
)
_ = train(experiment, "runs/reproduce")

# %%
from eseg_keras.visualization import plot_learning_curves

plot_learning_curves("runs/reproduce/log.csv")

# %%
import eseg_keras
from eseg_keras.visualization import label_grid

model = eseg_keras.ESeg.from_preset("runs/reproduce/preset")
scenes = [eseg_keras.street_scenes.render_scene(index, "test", IMAGE_SIZE) for index in (3, 8)]
label_grid(
    [image for image, _ in scenes],
    [mask for _, mask in scenes],
    [model.segment(image) for image, _ in scenes],
    class_names=model.class_names,
    palette=model.palette,
    cell_size=220,
)

# %% [markdown]
# ## The rows of the paper's tables
#
# The list contains the rows of the paper's tables that this package can train, and experiments that
# are not in the paper. Each experiment file contains its command, hardware, and the reported score:

# %%
# !eseg experiments

# %% [markdown]
# With leftImg8bit and gtFine of Cityscapes unpacked in `data`, on one machine with GPUs:
#
# ```
# eseg train --experiment cityscapes/eseg_s --data_dir data --model_dir runs/eseg_s \
#     --strategy auto --mixed_precision bfloat16
# eseg evaluate --model_dir runs/eseg_s --report runs/eseg_s/report
# ```
