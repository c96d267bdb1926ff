"""The training step on TensorFlow, the same under every distribution strategy."""

import keras
import tensorflow as tf

from eseg_keras.replicas import num_replicas


def train_step(model, data):
    """Train a `TrainingModel` on one batch, or on this replica's part of a batch."""
    num_updates = tf.convert_to_tensor(model.optimizer.iterations)
    variables = model.trainable_variables
    # The images give the size of the batch.
    images, *_ = keras.utils.unpack_x_y_sample_weight(data)
    loss, gradients = _batch_gradients(model, data, variables)
    model._loss_tracker.update_state(loss * num_replicas(), sample_weight=tf.shape(images)[0])
    scales_loss = isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    if num_replicas() > 1 and (model.global_clipnorm is not None or scales_loss):
        # Clipping and loss scaling require the gradient of the global batch. The optimizer sums
        # the gradients of all replicas; replacing each by their mean does not change this sum.
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
    model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    if model._average is not None:
        model._average.update(num_updates)
    return model.get_metrics_result()


def shaped_logs(logs):
    """Reshape metric values to [1] on several workers, where `fit` averages over a batch axis."""
    if isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
        return {name: tf.reshape(value, [1]) for name, value in logs.items()}
    return logs


def _batch_gradients(model, data, variables):
    """Return the loss and the gradients of a batch, accumulated over its parts."""
    num_parts = model.gradient_accumulation_steps
    sums = None
    for part in range(num_parts):
        # Run the parts in order: otherwise TensorFlow may keep the activations of several parts.
        with tf.control_dependencies(tf.nest.flatten(sums) if sums else []):
            # `train_on_batch` passes `None` for missing sample weights.
            piece = tf.nest.map_structure(
                lambda x, i=part: None if x is None else x[i::num_parts], data
            )
            terms = _gradients(model, piece, variables)
            if num_parts == 1:
                ((loss, gradients, _),) = terms
                return loss, gradients
            # Parts are weighted by their pixel counts; equally if all counts are 0.
            counts = [tf.maximum(count, 1e-6) for _, _, count in terms]
            terms = [
                (loss * count, [gradient * count for gradient in gradients], count)
                for (loss, gradients, _), count in zip(terms, counts, strict=True)
            ]
            sums = terms if sums is None else tf.nest.map_structure(tf.add, sums, terms)
    means = [(loss / count, [g / count for g in gradients]) for loss, gradients, count in sums]
    losses, gradients = zip(*means, strict=True)
    return sum(losses), [sum(of_terms) for of_terms in zip(*gradients, strict=True)]


def _gradients(model, data, variables):
    """Return (loss, gradients, count) of each term of the loss of a part; update the metrics.

    Without gradient accumulation, the terms are added to a single term.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    has_terms = model.gradient_accumulation_steps > 1 and model._teacher is not None
    with tf.GradientTape(persistent=has_terms) as tape:
        y_pred = model(x, training=True)
        terms = model.loss_terms(x, y, y_pred, sample_weight, training=True)
        if not has_terms:
            terms = [(sum(loss for loss, _ in terms), terms[0][1])]
        terms[0] = (terms[0][0] + model.decay_loss(), terms[0][1])
        scaled = [model.optimizer.scale_loss(loss) for loss, _ in terms]
    model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
    return [
        (loss, tape.gradient(scaled_loss, variables), count)
        for (loss, count), scaled_loss in zip(terms, scaled, strict=True)
    ]
