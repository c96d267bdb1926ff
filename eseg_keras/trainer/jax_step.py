"""The training step on JAX; `keras.distribution` shards its arrays over devices."""

import keras


def moved_averages(model, state, new_state):
    """Update the averages of a model's weights in `new_state`; return the result."""
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
    """Train a `TrainingModel` on one batch, accumulating the gradients of the batch's parts."""
    import jax
    import jax.numpy as jnp

    trainable, other, optimizer, metrics = state
    parts = jax.tree.map(lambda x: _split(x, model.gradient_accumulation_steps), data)

    def terms_of_part(trainable, other, part):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(part)
        y_pred, other, losses = model.stateless_call(
            trainable, other, x, return_losses=True, training=True
        )
        mapping = zip(model.trainable_variables, trainable, strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)):
            terms = model.loss_terms(x, y, y_pred, sample_weight, training=True)
            terms[0] = (terms[0][0] + model.decay_loss() + sum(losses), terms[0][1])
        with keras.StatelessScope(
            state_mapping=list(zip(model.optimizer.variables, optimizer, strict=True))
        ):
            scaled = [model.optimizer.scale_loss(loss) for loss, _ in terms]
        # Parts are weighted by their pixel counts; equally if all counts are 0.
        counts = [jnp.maximum(count, 1e-6) for _, count in terms]
        return scaled, ([loss for loss, _ in terms], counts, y_pred, other)

    def add_part(carry, part):
        other, metrics, sums = carry
        scaled, backward, (losses, counts, y_pred, other) = jax.vjp(
            lambda trainable: terms_of_part(trainable, other, part), trainable, has_aux=True
        )
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(part)
        mapping = list(zip(model.metrics_variables, metrics, strict=True))
        with keras.StatelessScope(state_mapping=mapping) as scope:
            model.compute_metrics(x, y, y_pred, sample_weight)
        metrics = [scope.get_current_value(v) for v in model.metrics_variables]
        new = []
        for number, (loss, count) in enumerate(zip(losses, counts, strict=True)):
            chosen = [jnp.full_like(s, float(i == number)) for i, s in enumerate(scaled)]
            (gradients,) = backward(chosen)
            new.append((loss * count, [gradient * count for gradient in gradients], count))
        return (other, metrics, jax.tree.map(jnp.add, sums, new)), None

    num_terms = 1 if model._teacher is None else 2
    zeros = jax.tree.map(jnp.zeros_like, trainable)
    start = (other, metrics, [(jnp.zeros(()), zeros, jnp.zeros(()))] * num_terms)
    (other, metrics, sums), _ = jax.lax.scan(add_part, start, parts)
    means = [(loss / count, [g / count for g in gradients]) for loss, gradients, count in sums]
    losses, gradients = zip(*means, strict=True)
    gradients = [sum(of_terms) for of_terms in zip(*gradients, strict=True)]
    trainable, optimizer = model.optimizer.stateless_apply(optimizer, gradients, trainable)
    mapping = list(zip(model.metrics_variables, metrics, strict=True))
    with keras.StatelessScope(state_mapping=mapping) as scope:
        model._loss_tracker.update_state(
            sum(losses), sample_weight=jax.tree.leaves(data)[0].shape[0]
        )
        logs = model.get_metrics_result()
    metrics = [scope.get_current_value(v) for v in model.metrics_variables]
    return logs, (trainable, other, optimizer, metrics)


def _split(array, parts):
    """Reshape [B, ...] to [parts, B / parts, ...]; every part contains images of every device."""
    if array.shape[0] % parts:
        raise ValueError(
            f"On JAX, batches must be divisible by gradient_accumulation_steps={parts}. "
            f"Received: a batch of {array.shape[0]}. Drop the last, smaller batch, or change the "
            "batch size."
        )
    whole = array.reshape(array.shape[0] // parts, parts, *array.shape[1:])
    return keras.ops.swapaxes(whole, 0, 1)
