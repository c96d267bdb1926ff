"""A Keras model with coupled weight decay, averaged weights and gradient accumulation."""

import contextlib

import keras
from keras import ops

from eseg_keras.losses.mask_loss import MaskLoss
from eseg_keras.replicas import num_replicas
from eseg_keras.step_options import check_step_options
from eseg_keras.trainer.data_checks import LabelCheck, check_first_images
from eseg_keras.trainer.remat import call_with_remat
from eseg_keras.trainer.teacher import Teacher, no_gradients
from eseg_keras.trainer.weight_average import WeightAverage


class TrainingModel(keras.Model):
    """Base class of the trainable models of this package.

    `compile` takes additional arguments. All of them except the teacher and `distillation` are
    saved in `.keras` files and restored by `load_model`. `fit` trains the weights; `evaluate`,
    `predict` and `export` use the averaged weights if there are any. `model(x)`, `get_weights`,
    `save` and the methods on single batches use the weights themselves.

    Under a `tf.distribute` strategy every step computes the same as one device would compute from
    the global batch, unless the loss depends on the split of the batch over replicas (its
    documentation then says so).
    """

    _average = None
    _has_checked_images = False
    weight_decay = 0.0
    ema_decay = None
    global_clipnorm = None
    gradient_accumulation_steps = 1
    remat = False
    distillation = 0.0
    _teacher = None

    def compile(
        self,
        optimizer="rmsprop",
        *args,
        weight_decay: float = 0.0,
        ema_decay: float | None = None,
        global_clipnorm: float | None = None,
        gradient_accumulation_steps: int = 1,
        remat: bool = False,
        teacher: keras.Model | None = None,
        distillation: float = 0.5,
        **kwargs,
    ):
        """Configure training.

        Args:
            optimizer: As in `keras.Model.compile`.
            *args: The other arguments of `keras.Model.compile`.
            weight_decay: Coupled (L2) weight decay: adds weight_decay / 2 times the sum of the
                squares of all trained kernels to the loss, so that momentum and gradient clipping
                include it. The decay of `keras.optimizers.SGD(weight_decay=...)` is different: at
                momentum 0.9, it is about ten times weaker. Defaults to 0.
            ema_decay: Decay of the average of weights and batch normalisation statistics, see
                `WeightAverage`; `None` disables it. Defaults to `None`.
            global_clipnorm: Maximum norm of the gradient of the global batch, over all variables;
                `None` disables clipping. Defaults to `None`.
            gradient_accumulation_steps: Number of parts that a batch is split into, to fit the
                memory of a device. The gradient is that of the whole batch; batch normalisation
                uses the statistics of each part. Every replica must have at least that many images
                per batch; on JAX, the batch size must be a multiple of it. Defaults to 1.
            remat: Whether gradients compute intermediate results again instead of keeping them
                (rematerialization, or gradient checkpointing). The result is the same. `eseg_s`
                then needs about half of the memory and about 20% more time, and its first step
                takes twice as long. On PyTorch, steps take a third more time. Defaults to `False`.
            teacher: Teacher for distillation: a model from the same images to logits of the same
                shape. The loss includes the cross-entropy with the teacher's probabilities at all
                pixels of the augmented images. The teacher is neither trained nor saved. Defaults
                to `None`.
            distillation: Weight of the cross-entropy with the teacher, above 0 and at most 1; the
                weight of `loss` is 1 - distillation. Used only with a teacher. Defaults to 0.5.
            **kwargs: The other arguments of `keras.Model.compile`.

        Raises:
            ValueError: If an argument is out of range, does not fit the model, or is not supported
                by the backend.
        """
        check_step_options(
            weight_decay=weight_decay,
            ema_decay=ema_decay,
            global_clipnorm=global_clipnorm,
            gradient_accumulation_steps=gradient_accumulation_steps,
        )
        if gradient_accumulation_steps > 1 and keras.backend.backend() == "torch":
            raise ValueError(
                "`gradient_accumulation_steps` works on TensorFlow and JAX. Received: "
                f"gradient_accumulation_steps={gradient_accumulation_steps} on PyTorch. "
                "Lower the batch size instead."
            )
        if (loss_weights := kwargs.get("loss_weights")) is not None:
            raise ValueError(
                "`loss_weights` weighs the losses of several outputs, but the model has one. "
                f"Received: loss_weights={loss_weights}. Omit it."
            )
        self._check_scope(must_be_inside=True)
        if teacher is not None:
            teacher = Teacher(teacher)
            teacher.check(self, distillation)
        optimizer = keras.optimizers.get(optimizer)
        # `LossScaleOptimizer` leaves clipping to its inner optimizer.
        inner = getattr(optimizer, "inner_optimizer", optimizer)
        if global_clipnorm is not None or self.global_clipnorm is not None:
            # An earlier `compile`, or loading a file, may have set it.
            inner.global_clipnorm = None
        _check_clipping(inner)
        if global_clipnorm is not None:
            # On several replicas, Keras clips the gradient of each replica and then sums the
            # clipped gradients. The training step first replaces the gradient of each replica by
            # the mean over all replicas (see `tensorflow_step`). Clipping this mean to the norm
            # below limits the sum to `global_clipnorm`.
            inner.global_clipnorm = global_clipnorm / num_replicas()
        if ema_decay is not None and getattr(optimizer, "built", False):
            raise ValueError(
                "ema_decay requires a new optimizer, to which the averages are added as variables. "
                f"Received: ema_decay={ema_decay} and an optimizer that has been used already."
            )
        super().compile(optimizer, *args, **kwargs)
        self.weight_decay = weight_decay
        self.ema_decay = ema_decay
        self.global_clipnorm = global_clipnorm
        self.gradient_accumulation_steps = int(gradient_accumulation_steps)
        self.remat = bool(remat)
        self._teacher = teacher
        self.distillation = 0.0 if teacher is None else distillation
        self._has_metric_variables = False
        self._average = None
        if ema_decay is not None:
            self.optimizer.build(self.trainable_variables)
            self._average = WeightAverage(self, ema_decay)

    def get_compile_config(self):
        """Return the arguments of `compile` as a dict of plain types."""
        config = super().get_compile_config()
        if not config:
            return config
        ours = (
            "weight_decay", "ema_decay", "global_clipnorm", "gradient_accumulation_steps", "remat",
        )  # fmt: skip
        return {**config, **{name: getattr(self, name) for name in ours}}

    def compile_from_config(self, config: dict):
        """Compile from `get_compile_config()`, as loading a saved model does."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None and self.built:
            self.optimizer.build(self.trainable_variables)

    def _check_scope(self, must_be_inside=False):
        """Raise ValueError if the current `tf.distribute` strategy is not that of the model."""
        if keras.backend.backend() != "tensorflow":
            return
        import tensorflow as tf

        strategy = tf.distribute.get_strategy() if tf.distribute.has_strategy() else None
        if strategy is not None and strategy is not self._distribute_strategy:
            raise ValueError(
                "The model was built outside of this strategy's scope, so that its weights are not "
                "on every replica. Build and compile it inside `with strategy.scope():`."
            )
        if must_be_inside and strategy is not self._distribute_strategy:
            raise ValueError(
                "The model was built in a strategy's scope and is compiled outside of it. Compile "
                "it inside `with strategy.scope():` too."
            )

    # === The loss of a step ===

    def call(self, inputs, training=None, mask=None):
        """Return the logits; rematerialize if `training` and `self.remat`."""
        if training and self.remat:
            return call_with_remat(self, inputs)
        return super().call(inputs, training=training, mask=mask)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the compiled loss with the weight decay, a scalar."""
        terms = self.loss_terms(x, y, y_pred, sample_weight, training)
        return sum(loss for loss, _ in terms) + self.decay_loss()

    def loss_terms(self, x, y, y_pred, sample_weight, training) -> list:
        """Return the terms of the loss without weight decay: for the masks, and for a teacher.

        Each term is a pair (loss, count): the weighted loss, and the divisor of this loss in the
        global batch, such as the number of labelled pixels. Gradient accumulation weights the parts
        of a batch by `count`.
        """
        if isinstance(self.loss, MaskLoss) and not self.losses:
            loss, count = self.loss.loss_and_count(y, y_pred, sample_weight)
        else:
            loss = super().compute_loss(x, y, y_pred, sample_weight, training=training)
            count = 1.0
        if not training or self._teacher is None:
            return [(loss, count)]
        share = self.distillation
        soft_loss, num_pixels = self._teacher.loss_and_count(x, y_pred)
        return [((1 - share) * loss, count), (share * soft_loss, num_pixels)]

    def decay_loss(self):
        """Return weight_decay / 2 times the sum of the squares of all trained kernels.

        The result is a float32 scalar; in a step on several replicas, it is this replica's share.
        """
        if not self.weight_decay:
            return 0.0
        squares = [ops.sum(ops.square(kernel)) for kernel in self.kernels()]
        return 0.5 * self.weight_decay / num_replicas() * sum(squares)

    def kernels(self) -> list:
        """Return the variables with weight decay: the trainable kernels of all layers."""
        return [v for v in self.trainable_variables if v.name.endswith("kernel")]

    # === The steps ===

    if keras.backend.backend() == "jax":

        def make_train_function(self, force=False):
            """Compile the training step."""
            if self.train_function is not None and not force:
                return
            super().make_train_function(force)
            if self._teacher is not None:
                step, teacher = self.train_function, self._teacher
                self.train_function = lambda state, batches: step(
                    state, ((batch, teacher.current_values()) for batch in batches)
                )

        def train_step(self, state, data):
            """Train on one batch."""
            from eseg_keras.trainer.jax_step import moved_averages, step_by_parts

            with contextlib.ExitStack() as stack:
                if self._teacher is not None:
                    data, values = data
                    stack.enter_context(self._teacher.with_values(values))
                if self.gradient_accumulation_steps > 1:
                    logs, new_state = step_by_parts(self, state, data)
                else:
                    logs, new_state = super().train_step(state, data)
            if self._average is not None:
                new_state = moved_averages(self, state, new_state)
            return logs, new_state

    elif keras.backend.backend() == "tensorflow":

        def make_train_function(self, force=False):
            """Compile the training step."""
            if not self.optimizer.built:
                # Create the optimizer's variables first: if they were created while the step is
                # traced, TensorFlow would trace the step twice.
                strategy = self._distribute_strategy
                with strategy.scope() if strategy else contextlib.nullcontext():
                    self.optimizer.build(self.trainable_variables)
            super().make_train_function(force)

        def train_step(self, data):
            """Train on one batch."""
            from eseg_keras.trainer.tensorflow_step import shaped_logs, train_step

            return shaped_logs(train_step(self, data))

        def test_step(self, data):
            """Evaluate one batch."""
            from eseg_keras.trainer.tensorflow_step import shaped_logs

            return shaped_logs(super().test_step(data))

        def _maybe_symbolic_build(self, iterator=None, data_batch=None):
            # In every `fit`, Keras sums a batch over the replicas to infer its shapes, outside of
            # the strategy's scope. MultiWorkerMirroredStrategy does not allow this (keras#20585).
            if self._distribute_strategy is None or self._has_metric_variables:
                return
            results = self._distribute_strategy.experimental_local_results
            for _, _, batches in iterator or ():
                data_batch = keras.tree.map_structure(lambda x: results(x)[0], next(batches))
                break
            with self._distribute_strategy.scope():
                self._symbolic_build(data_batch=data_batch)
            self._has_metric_variables = True

    else:

        def train_step(self, data):
            """Train on one batch."""
            num_updates = int(self.optimizer.iterations)
            logs = super().train_step(data)
            if self._average is not None:
                self._average.update(num_updates)
            return logs

    def get_metrics_result(self):
        """Return {name: value} of all metrics; a metric may have several named values."""
        results = {}
        for name, result in super().get_metrics_result().items():
            results.update(result if isinstance(result, dict) else {name: result})
        return results

    # === Averaged weights ===

    @contextlib.contextmanager
    def averaged_weights(self):
        """Context manager: use the averaged weights in place of the weights.

        Without averages, or before the first update, nothing changes.

        Example:

        >>> import eseg_keras
        >>> model = eseg_keras.ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
        >>> model.compile(ema_decay=0.9998)
        >>> with model.averaged_weights():
        ...     averages = model.get_weights()
        """
        average = self._average
        if average is None or average.is_in_place or not average.num_updates:
            yield
            return
        with average.in_place():
            yield

    def update_batch_norm(self, batches):
        """Re-estimate the moving statistics of batch normalisation from training images.

        After a short training the moving statistics still depend on their initial values. This
        method sets them to the mean and variance over all images of `batches`, computed in
        training mode. With averaged weights, the averaged statistics are re-estimated. No weight
        changes; frozen layers keep their statistics.

        Args:
            batches: A finite iterable of batches of images [B, H, W, C], or of tuples whose first
                entry is such a batch. Pass a few hundred training images, or all of them.

        Raises:
            ValueError: If there is no batch.

        Example:

        >>> import numpy as np
        >>> import eseg_keras
        >>> model = eseg_keras.ESeg("fused_efficientnet_s", num_classes=2, min_level=3)
        >>> images = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3))
        >>> model.update_batch_norm([images])

        Reference:
            [Rethinking "Batch" in BatchNorm](https://arxiv.org/abs/2105.07576), section 3 (precise
            batch normalisation)
        """
        norms = [
            layer
            for layer in self._flatten_layers()
            if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable
        ]
        momenta = [norm.momentum for norm in norms]
        with self.averaged_weights(), no_gradients():
            before = [_statistics(norm) for norm in norms]
            result, count = before, 0
            sums = [[0.0, 0.0] for _ in norms]
            try:
                for norm in norms:
                    # With momentum 0, the moving statistics are those of the last batch.
                    norm.momentum = 0.0
                for batch in batches:
                    images = batch[0] if isinstance(batch, tuple | list) else batch
                    self(images, training=True)
                    count += len(images)
                    for total, norm in zip(sums, norms, strict=True):
                        mean, variance = _statistics(norm)
                        total[0] += len(images) * mean
                        total[1] += len(images) * (variance + mean**2)
                if not count:
                    raise ValueError("update_batch_norm needs at least one batch. Received none.")
                means = [(first / count, second / count) for first, second in sums]
                result = [(mean, square - mean**2) for mean, square in means]
            finally:
                for norm, momentum, (mean, variance) in zip(norms, momenta, result, strict=True):
                    norm.momentum = momentum
                    norm.moving_mean.assign(mean)
                    norm.moving_variance.assign(variance)

    def fit(self, x=None, *args, callbacks=None, **kwargs):
        """Train like `keras.Model.fit`; validation uses the averaged weights.

        A second `fit` continues with the current weights, averages and step count. A warning is
        logged if the first images suggest another range than 0..255, such as 0..1.

        Raises:
            ValueError: If masks contain values that are neither classes nor ignored (see
                `LabelCheck`), if the first images are not finite, or if all weights are frozen.
        """
        if not self.trainable_variables:
            raise ValueError(
                "There is nothing to train: all parts of the model are frozen. Call "
                "`model.unfreeze()`, or set `trainable = True`, and compile again."
            )
        self._check_scope()
        if self._average is not None and not self._average.num_updates:
            # Weights may have been loaded since `compile`.
            self._average.restart()
        if not self._has_checked_images:
            self._has_checked_images = True
            check_first_images(x)
        return super().fit(x, *args, callbacks=_with_label_check(callbacks), **kwargs)

    def evaluate(self, *args, callbacks=None, **kwargs):
        """Evaluate like `keras.Model.evaluate`, with the averaged weights.

        Raises:
            ValueError: If masks contain values that are neither classes nor ignored.
        """
        self._check_scope()
        with self.averaged_weights():
            return super().evaluate(*args, callbacks=_with_label_check(callbacks), **kwargs)

    def predict(self, *args, **kwargs):
        """Predict like `keras.Model.predict`, with the averaged weights."""
        with self.averaged_weights():
            return super().predict(*args, **kwargs)

    def export(self, *args, **kwargs):
        """Export like `keras.Model.export`, with the averaged weights."""
        with self.averaged_weights():
            return super().export(*args, **kwargs)


def _statistics(norm):
    """Return the moving mean and variance of a layer as float64 NumPy arrays."""
    variables = (norm.moving_mean, norm.moving_variance)
    return tuple(ops.convert_to_numpy(v).astype("float64") for v in variables)


def _check_clipping(optimizer):
    """Raise ValueError if the optimizer would clip the gradient of each replica separately."""
    names = ("clipnorm", "clipvalue", "global_clipnorm")
    values = {name: getattr(optimizer, name, None) for name in names}
    if num_replicas() > 1 and any(values.values()):
        raise ValueError(
            "On several replicas Keras' optimizers clip each replica's part of the gradient: use "
            f"compile(global_clipnorm=...) instead. Received: an optimizer with {values}"
        )


def _with_label_check(callbacks):
    # `fit` passes its own list, which includes the check, to `evaluate`.
    if isinstance(callbacks, keras.callbacks.CallbackList):
        return callbacks
    callbacks = [] if callbacks is None else keras.tree.flatten(callbacks)
    return [LabelCheck(), *callbacks]
