"""The training step on JAX; `keras.distribution` splits its arrays over devices."""

import keras


def moved_averages(model, state, new_state):
    """Move a `TrainingModel`'s averaged weights after an update."""
    average = model._average
    trainable, other, optimizer, metrics = new_state
    values = dict(zip(map(id, model.trainable_variables), trainable, strict=True))
    values |= dict(zip(map(id, model.non_trainable_variables), other, strict=True))
    places = {id(v): place for place, v in enumerate(model.optimizer.variables)}
    counter = getattr(model.optimizer, "inner_optimizer", model.optimizer).iterations
    step_size = average.step_size(state[2][places[id(counter)]])
    optimizer = list(optimizer)
    for variable, weight in zip(average.averages, average.weights, strict=True):
        place = places[id(variable)]
        optimizer[place] = average.moved(optimizer[place], values[id(weight)], step_size)
    return trainable, other, optimizer, metrics


def step_by_parts(model, state, data):
    """Train a `TrainingModel` on one batch, taken in several parts one after the other."""
    import jax
    import jax.numpy as jnp

    trainable, other, optimizer, metrics = state
    parts = jax.tree.map(lambda x: _split(x, model.gradient_accumulation_steps), data)

    def loss_of_part(trainable, other, part):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(part)
        y_pred, other, losses = model.stateless_call(
            trainable, other, x, return_losses=True, training=True
        )
        mapping = zip(model.trainable_variables, trainable, strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)):
            loss, count = model.loss_and_count(x, y, y_pred, sample_weight, training=True)
            loss = loss + model.decay_loss() + sum(losses)
        with keras.StatelessScope(
            state_mapping=list(zip(model.optimizer.variables, optimizer, strict=True))
        ):
            scaled = model.optimizer.scale_loss(loss)
        # A part counts for its labelled pixels. Where no part has any, this is the plain mean.
        return scaled, (loss, jnp.maximum(count, 1e-6), y_pred, other)

    def add_part(carry, part):
        other, metrics, gradients, total, count = carry
        (_, (loss, part_count, y_pred, other)), new = jax.value_and_grad(
            loss_of_part, has_aux=True
        )(trainable, other, part)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(part)
        mapping = list(zip(model.metrics_variables, metrics, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            model.compute_metrics(x, y, y_pred, sample_weight)
        metrics = [scope.get_current_value(v) for v in model.metrics_variables]
        gradients = jax.tree.map(lambda a, b: a + b * part_count, gradients, new)
        return (other, metrics, gradients, total + loss * part_count, count + part_count), None

    zeros = jax.tree.map(jnp.zeros_like, trainable)
    start = (other, metrics, zeros, jnp.zeros(()), jnp.zeros(()))
    (other, metrics, gradients, total, count), _ = jax.lax.scan(add_part, start, parts)
    gradients = jax.tree.map(lambda gradient: gradient / count, gradients)
    trainable, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trainable)
    mapping = list(zip(model.metrics_variables, metrics, strict=True))
    with keras.StatelessScope(state_mapping=mapping) as scope:
        model._loss_tracker.update_state(
            total / count, sample_weight=jax.tree.leaves(data)[0].shape[0]
        )
        logs = model.get_metrics_result()
    metrics = [scope.get_current_value(v) for v in model.metrics_variables]
    return logs, (trainable, other, optimizer, metrics)


def _split(array, parts):
    """[B, ...] to [parts, B / parts, ...]; every part holds images of every device."""
    if array.shape[0] % parts:
        raise ValueError(
            f"A batch must divide into gradient_accumulation_steps={parts} equal "
            f"parts on JAX. Received: a batch of {array.shape[0]}. Drop the remainder of the data, "
            "or change the batch size."
        )
    whole = array.reshape(array.shape[0] // parts, parts, *array.shape[1:])
    return keras.ops.swapaxes(whole, 0, 1)
