"""The training step on TensorFlow, the same under every distribution strategy."""

import keras
import tensorflow as tf

from eseg_keras.replicas import num_replicas


def train_step(model, data):
    """Train a `TrainingModel` on one batch, or on this replica's part of one."""
    num_updates = tf.convert_to_tensor(model.optimizer.iterations)
    variables = model.trainable_variables
    # The first images tell the size of the batch.
    images, *_ = keras.utils.unpack_x_y_sample_weight(data)
    loss, gradients = _batch_gradients(model, data, variables)
    model._loss_tracker.update_state(loss * num_replicas(), sample_weight=tf.shape(images)[0])
    if num_replicas() > 1 and (model.global_clipnorm is not None or _scales_loss(model.optimizer)):
        # Clipping and loss scaling need the gradient of the global batch. The optimizer adds the
        # replicas up, and their mean on every replica adds up to their sum.
        context = tf.distribute.get_replica_context()
        gradients = context.all_reduce(tf.distribute.ReduceOp.MEAN, gradients)
    model.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    if model._average is not None:
        model._average.update(num_updates)
    return model.get_metrics_result()


def shaped_logs(logs):
    """Give the values of metrics the batch axis that `fit` on several workers averages over."""
    if isinstance(tf.distribute.get_strategy(), tf.distribute.MultiWorkerMirroredStrategy):
        return {name: tf.reshape(value, [1]) for name, value in logs.items()}
    return logs


def _scales_loss(optimizer):
    return isinstance(optimizer, keras.optimizers.LossScaleOptimizer)


def _batch_gradients(model, data, variables):
    """Loss and gradients of a batch, part by part if it has several."""
    if model.gradient_accumulation_steps == 1:
        return _gradients(model, data, variables)[:2]
    total, gradients, count = 0.0, [], 0.0
    for part in range(model.gradient_accumulation_steps):
        # Without an order TensorFlow may hold the activations of several parts at once.
        with tf.control_dependencies(gradients):
            piece = tf.nest.map_structure(
                lambda x, i=part: x[i :: model.gradient_accumulation_steps], data
            )
            loss, new, part_count = _gradients(model, piece, variables)
            # A part counts for its labelled pixels. Where no part has any, this is the plain mean.
            part_count = tf.maximum(part_count, 1e-6)
            new = [gradient * part_count for gradient in new]
            gradients = [a + b for a, b in zip(gradients, new, strict=True)] if part else new
            total, count = total + loss * part_count, count + part_count
    return total / count, [gradient / count for gradient in gradients]


def _gradients(model, data, variables):
    """Loss, gradients and divisor of a part of a batch; adds the part to the metrics."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    with tf.GradientTape() as tape:
        y_pred = model(x, training=True)
        loss, count = model.loss_and_count(x, y, y_pred, sample_weight, training=True)
        loss = loss + model.decay_loss()
        scaled = model.optimizer.scale_loss(loss)
    model.compute_metrics(x, y, y_pred, sample_weight=sample_weight)
    return loss, tape.gradient(scaled, variables), count
