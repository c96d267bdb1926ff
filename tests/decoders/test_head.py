"""The segmentation head computes logits in float32."""

import pytest

from eseg_keras.decoders import segmentation_head
from eseg_keras.models.encoder_model import dtype_scope


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_logits_are_computed_in_float32_under_every_policy(policy):
    shapes = {"P3": (8, 8, 4), "P4": (4, 4, 4)}
    with dtype_scope(policy):
        head = segmentation_head(shapes, num_classes=3, activation="relu", fusion="softmax")
    assert head.get_layer("classifier").compute_dtype == "float32"
    assert head.get_layer("pointwise").compute_dtype == policy.removeprefix("mixed_")
