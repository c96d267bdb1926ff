"""How far an exported file may be from the network, by its precision."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """How far an exported file may be from the network.

    Args:
        difference: Largest difference of logits, as a share of the range of the network's logits
            over all images.
        probability: Largest difference of probabilities.
        agreement: Smallest share of the pixels whose label must be the network's, of those whose
            label is clear. Where two classes are nearly as likely, rounding may turn the label
            over; a network of random weights is like that in many places.
        margin: A label is clear where its logit leads the next one by more than this share of the
            range of the logits.
    """

    difference: float
    probability: float
    agreement: float
    margin: float


TOLERANCES = {
    # The same additions in another order: 1e-6 of the range. A lead of twice the difference
    # allowed cannot be turned over by it.
    "float32": Tolerance(difference=1e-3, probability=1e-3, agreement=0.9999, margin=2e-3),
    # Weights, or all values, of 11 significant bits: 5e-4 of the range, probabilities 0.003.
    "float16": Tolerance(difference=5e-3, probability=0.05, agreement=0.999, margin=0.01),
    # Weights of 8 bits with a scale a channel, activations with a scale a tensor: 0.015 and 0.08.
    "dynamic": Tolerance(difference=0.1, probability=0.5, agreement=0.99, margin=0.05),
    # All of 8 bits, with ranges from the representative images: 0.03 and 0.26. A single pixel may
    # be far off between two classes, so that probabilities hold by their labels.
    "int8": Tolerance(difference=0.2, probability=0.9, agreement=0.98, margin=0.05),
}
"""By the precision of what was exported; behind each, what eseg_lite_s_streets showed."""
