"""The names that `ESeg.from_preset` knows.

Plain text and numbers: the model's class shows this table, so it imports nothing of the models.
"""

import types

# Encoder, decoder in words, trainable parameters and multiply-adds at 1024x2048 with 19 classes.
_ARCHITECTURES = {
    "eseg_lite_s": (
        "fused_efficientnet_s", "1 x BiFPN of 64 channels, P3-P9", 3_590_615, 17_141_686_784
    ),
    "eseg_lite_m": (
        "fused_efficientnet_m", "2 x BiFPN of 80 channels, P3-P9", 9_737_580, 42_712_114_432
    ),
    "eseg_lite_l": (
        "fused_efficientnet_l", "3 x BiFPN of 96 channels, P3-P9", 28_394_353, 114_855_287_040
    ),
    "eseg_s": ("efficientnet_b1", "4 x BiFPN of 96 channels, P2-P9", 6_860_547, 33_839_019_520),
    "eseg_m": ("efficientnet_b4", "5 x BiFPN of 192 channels, P2-P9", 19_994_125, 110_333_316_960),
    "eseg_l": ("efficientnet_b7", "6 x BiFPN of 288 channels, P2-P9", 70_496_247, 339_765_078_528),
    "eseg_edge_s": (
        "efficientnet_lite0", "1 x BiFPN of 64 channels, P2-P9", 3_146_813, 17_399_013_888
    ),
    "eseg_edge_m": (
        "efficientnet_lite2", "2 x BiFPN of 64 channels, P2-P9", 4_624_415, 26_358_711_296
    ),
}  # fmt: skip


def _bare(name, encoder, decoder, params, macs):
    return {
        "description": f"Encoder {encoder}, {decoder}.",
        "architecture": name,
        "params": params,
        "macs": macs,
        "num_classes": 19,
        "trained_on": "ImageNet (encoder only)" if encoder.startswith("eff") else None,
        "path": None,
    }


# Weights that ship with the package, in the folder of their name beside this file.
_TRAINED = {
    "eseg_lite_s_streets": {
        "description": "Trained on the made street scenes, 8 classes: for demos and tests.",
        "architecture": "eseg_lite_s",
        "params": 3_589_900,
        "macs": 17_118_618_112,
        "num_classes": 8,
        "trained_on": "street scenes",
        "path": "eseg_lite_s_streets",
    },
}

PRESETS = types.MappingProxyType(
    {**{name: _bare(name, *row) for name, row in _ARCHITECTURES.items()}, **_TRAINED}
)
