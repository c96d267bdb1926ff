"""The sizes of the ESeg family, and the named presets of `ESeg.from_preset`.

This module contains only data and imports no other modules of the package, so that every module can
import it.
"""

import dataclasses
import types


@dataclasses.dataclass(frozen=True)
class Architecture:
    """One size of ESeg.

    Attributes:
        encoder: Name of the encoder.
        decoder_channels: Number of channels of the decoder.
        decoder_repeats: Number of BiFPN repeats.
        params: Number of trainable parameters with 19 classes.
        macs: Number of multiply-adds of the convolutions at 1024x2048 with 19 classes.
        min_level: Lowest level of the decoder; the head runs at its resolution.
        activation: Activation of the decoder and head.
        paper_mean_iou: The paper's mean IoU in percent on Cityscapes val at 1024x2048 without extra
            data (Tables 4 and 6); `None` for sizes that are not in the paper.
    """

    encoder: str
    decoder_channels: int
    decoder_repeats: int
    params: int
    macs: int
    min_level: int = 2
    activation: str = "silu"
    paper_mean_iou: float | None = None

    def constructor_arguments(self) -> dict:
        """Return the arguments of `ESeg` for this size."""
        names = ("encoder", "decoder_channels", "decoder_repeats", "min_level", "activation")
        return {name: getattr(self, name) for name in names}


def _lite(size, channels, repeats, params, macs, paper_mean_iou):
    encoder = f"fused_efficientnet_{size}"
    return Architecture(encoder, channels, repeats, params, macs, 3, "relu", paper_mean_iou)


ARCHITECTURES = types.MappingProxyType(
    {
        # The paper's Table 3.
        "eseg_lite_s": _lite("s", 64, 1, 3_590_615, 17_141_686_784, 76.0),
        "eseg_lite_m": _lite("m", 80, 2, 9_737_580, 42_712_114_432, 78.6),
        "eseg_lite_l": _lite("l", 96, 3, 28_394_353, 114_855_287_040, 80.1),
        "eseg_s": Architecture(
            "efficientnet_b1", 96, 4, 6_860_547, 33_839_019_520, paper_mean_iou=80.1
        ),
        "eseg_m": Architecture(
            "efficientnet_b4", 192, 5, 19_994_125, 110_333_316_960, paper_mean_iou=81.6
        ),
        "eseg_l": Architecture(
            "efficientnet_b7", 288, 6, 70_496_247, 339_765_078_528, paper_mean_iou=82.6
        ),
        # Not in the paper: encoders with ImageNet weights that keep their accuracy in 8 bits.
        "eseg_edge_s": Architecture(
            "efficientnet_lite0", 64, 1, 3_146_813, 17_399_013_888, activation="relu"
        ),
        "eseg_edge_m": Architecture(
            "efficientnet_lite2", 64, 2, 4_624_415, 26_358_711_296, activation="relu"
        ),
    }
)
"""The sizes by name; the sizes of the paper come first."""


def _untrained(name, size):
    return {
        "description": (
            f"Encoder {size.encoder}, {size.decoder_repeats} x BiFPN of {size.decoder_channels} "
            f"channels, P{size.min_level}-P9."
        ),
        "architecture": name,
        "params": size.params,
        "macs": size.macs,
        "num_classes": 19,
        "trained_on": "ImageNet (encoder only)" if size.encoder.startswith("eff") else None,
        "path": None,
    }


# Presets whose weights are part of the package, in subfolders of this folder.
_TRAINED = {
    "eseg_lite_s_streets": {
        "description": "Trained on synthetic street scenes, 8 classes: for demos and tests.",
        "architecture": "eseg_lite_s",
        "params": 3_589_900,
        "macs": 17_118_618_112,
        "num_classes": 8,
        "trained_on": "street scenes",
        "path": "eseg_lite_s_streets",
    },
}

PRESETS = types.MappingProxyType(
    {**{name: _untrained(name, size) for name, size in ARCHITECTURES.items()}, **_TRAINED}
)
"""Metadata of every preset by name."""
