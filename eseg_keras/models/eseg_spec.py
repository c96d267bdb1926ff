"""The sizes of the ESeg family: the paper's Table 3, and two of ours for 8-bit devices."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class ESegSpec:
    """The constructor arguments of one size.

    Attributes:
        encoder: Name of the encoder.
        decoder_channels: Width of the decoder.
        decoder_repeats: Number of BiFPN repeats.
        min_level: Lowest level of the decoder and level of the head.
        activation: Activation of the decoder and head.
    """

    encoder: str
    decoder_channels: int
    decoder_repeats: int
    min_level: int = 2
    activation: str = "silu"


SPECS = {
    "eseg_lite_s": ESegSpec("fused_efficientnet_s", 64, 1, min_level=3, activation="relu"),
    "eseg_lite_m": ESegSpec("fused_efficientnet_m", 80, 2, min_level=3, activation="relu"),
    "eseg_lite_l": ESegSpec("fused_efficientnet_l", 96, 3, min_level=3, activation="relu"),
    "eseg_s": ESegSpec("efficientnet_b1", 96, 4),
    "eseg_m": ESegSpec("efficientnet_b4", 192, 5),
    "eseg_l": ESegSpec("efficientnet_b7", 288, 6),
    # Ours, not the paper's: EfficientNet-Lite encoders with ImageNet weights.
    "eseg_edge_s": ESegSpec("efficientnet_lite0", 64, 1, activation="relu"),
    "eseg_edge_m": ESegSpec("efficientnet_lite2", 64, 2, activation="relu"),
}
