"""The names that `ESeg.from_preset` knows."""

import types

from eseg_keras.models.eseg_spec import SPECS

# Trainable parameters and multiply-adds at 1024x2048 with 19 classes.
_COSTS = {
    "eseg_lite_s": (3_590_615, 17_141_686_784),
    "eseg_lite_m": (9_737_580, 42_712_114_432),
    "eseg_lite_l": (28_394_353, 114_855_287_040),
    "eseg_s": (6_860_547, 33_839_019_520),
    "eseg_m": (19_994_125, 110_333_316_960),
    "eseg_l": (70_496_247, 339_765_078_528),
}


def _bare(name, spec):
    params, macs = _COSTS[name]
    return {
        "description": (
            f"Encoder {spec.encoder}, {spec.decoder_repeats} x BiFPN of {spec.decoder_channels} "
            f"channels, P{spec.min_level}-P9."
        ),
        "architecture": name,
        "params": params,
        "macs": macs,
        "num_classes": 19,
        "trained_on": "ImageNet (encoder only)" if spec.encoder.startswith("eff") else None,
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
    {**{name: _bare(name, spec) for name, spec in SPECS.items()}, **_TRAINED}
)
