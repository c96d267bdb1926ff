"""Base class of the region losses: one loss per class, averaged over the classes present."""

from keras import ops

from eseg_keras.losses.mask_loss import MaskLoss


class RegionLoss(MaskLoss):
    """Base class of the losses that compare the whole region of each class.

    A subclass implements `class_losses`. Classes without a labelled pixel are excluded from the
    average. The loss is computed for each image separately or, if `per_image` is false, for the
    whole batch.
    """

    def __init__(self, per_image: bool, ignore_label: int, name: str):
        super().__init__(ignore_label, name)
        self.per_image = per_image

    def score(self, pixels):
        """Return the summed loss, and the number of images with labels.

        If `per_image` is false, the batch counts as one image.
        """
        if pixels.weights is not None and not (
            self.per_image and tuple(pixels.weights.shape[1:]) == (1, 1)
        ):
            raise ValueError(
                f"`{type(self).__name__}` compares regions and takes no weights per pixel: "
                "`sample_weight` must be None or, with `per_image=True`, weights per image, [B]. "
                f"Received: per_image={self.per_image} and weights of shape "
                f"{tuple(pixels.weights.shape)}"
            )
        batch, height, width, classes = ops.shape(pixels.logits)
        # No -1 in the shapes: it would be undefined for a replica without images.
        rows, size = (batch, height * width) if self.per_image else (1, batch * height * width)
        valid = ops.reshape(pixels.valid, (rows, 1, size))
        labels = ops.reshape(pixels.labels, (rows, 1, size))
        probabilities = ops.softmax(pixels.logits, axis=-1)
        probabilities = ops.transpose(ops.reshape(probabilities, (rows, size, classes)), (0, 2, 1))
        targets = ops.equal(labels, ops.arange(classes, dtype="int32")[:, None])
        targets = ops.logical_and(targets, valid)
        losses = self.class_losses(probabilities, targets, valid)
        present = ops.any(targets, axis=-1)
        number = ops.sum(ops.cast(present, "float32"), axis=-1)
        losses = ops.sum(ops.where(present, losses, 0.0), axis=-1) / ops.maximum(number, 1.0)
        if pixels.weights is not None:
            losses = losses * pixels.weights[:, 0, 0]
        return ops.sum(losses), ops.sum(ops.cast(number > 0, "float32"))

    def class_losses(self, probabilities, targets, valid):
        """Return the loss of each class, [N, C]; it must be finite for absent classes, too.

        Args:
            probabilities: float32 [N, C, P]: N images with P pixels each.
            targets: bool [N, C, P], whether the label of the pixel is the class.
            valid: bool [N, 1, P], whether the pixel has a label.
        """
        raise NotImplementedError

    def get_config(self):
        """Return the constructor arguments as a dict of plain types."""
        return {**super().get_config(), "per_image": self.per_image}
