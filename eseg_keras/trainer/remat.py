"""Rematerialization: training steps need less memory but more time."""

import inspect
import math
from collections.abc import Callable
from typing import NamedTuple

import keras
from keras import ops

# A segment is not rematerialized if each of its inputs has fewer values than this share of the
# values of the images: it needs little memory, but takes as long to trace as a large segment.
_SMALLEST = 0.1


class _Step(NamedTuple):
    """One call of an operation in a model.

    Attributes:
        operation: Called operation; `None` if the step only passes tensors on under other ids.
        call: Function of {id of a symbolic tensor: tensor} that returns the list of results.
        reads, writes: Ids of the symbolic tensors of the arguments and of the results.
    """

    operation: keras.Operation | None
    call: Callable
    reads: list[int]
    writes: list[int]


class _Segment(NamedTuple):
    """Consecutive calls in a model, whose intermediate results are computed twice.

    Attributes:
        steps: The calls, in order.
        inputs: Ids of the symbolic tensors from earlier segments.
        outputs: Ids of the symbolic tensors that are needed later.
        trainable: Trainable variables of the operations.
        state: Variables that the operations change: moving statistics, states of random generators.
        constant: Other variables of the operations: the weights of frozen layers.
    """

    steps: list[_Step]
    inputs: list[int]
    outputs: list[int]
    trainable: list
    state: list
    constant: list


def call_with_remat(model: keras.Model, images):
    """Return `model(images, training=True)`; gradients compute intermediate results again.

    `model` is a functional model with one input tensor and one output tensor. On TensorFlow,
    `eseg_s` needs 3.4 instead of 6.3 GB for two images of 512x1024 pixels.
    """
    images = ops.cast(images, "float32")
    (images_id,), (result_id,) = _ids(model.inputs), _ids(model.outputs)
    tensors = {images_id: images}
    # In mixed precision, the call of a model would cast the variables that are read here; `None`
    # disables this.
    with keras.src.backend.AutocastScope(None):
        for segment in _segments(model, result_id):
            function = _function(segment)
            inputs = [tensors[key] for key in segment.inputs]
            if any(_size(x) >= _SMALLEST * _size(images) for x in inputs):
                function = keras.remat(function)
            outputs, state = function(inputs, [variable.value for variable in segment.trainable])
            tensors |= zip(segment.outputs, outputs, strict=True)
            for variable, value in zip(segment.state, state, strict=True):
                variable.assign(value)
    return tensors[result_id]


def _function(segment):
    """Return a segment's f(inputs, trainable values) -> (outputs, state)."""
    # Copy the state: it changes before the second computation, which must give the same results as
    # the first.
    state = [ops.copy(variable.value) for variable in segment.state]
    constant = [variable.value for variable in segment.constant]
    variables = segment.trainable + segment.state + segment.constant

    def run(inputs, trainable):
        tensors = dict(zip(segment.inputs, inputs, strict=True))
        values = zip(variables, trainable + state + constant, strict=True)
        with keras.StatelessScope(values) as scope:
            for step in segment.steps:
                tensors |= zip(step.writes, step.call(tensors), strict=True)
        outputs = [tensors[key] for key in segment.outputs]
        return outputs, [scope.get_current_value(variable) for variable in segment.state]

    return run


def _segments(model, result_id):
    """Divide a functional model into segments that each end with a convolution.

    Gradients need the input of a convolution, but not its output. So compiled gradients repeat only
    normalization, activation and the like, which are fast and whose results take most memory.
    """
    groups = [[]]
    for step in _steps(model):
        groups[-1].append(step)
        # Segments end neither inside squeeze and excitation (1x1 features), where the features are
        # still to be scaled, nor at depthwise convolutions, which are fast enough to repeat.
        if isinstance(step.operation, keras.layers.Conv2D) and (
            step.operation.output.shape[1:3] != (1, 1)
        ):
            groups.append([])
    segments, needed = [], {result_id}
    for steps in reversed(groups):
        reads = {key for step in steps for key in step.reads}
        writes = {key for step in steps for key in step.writes}
        layers = [s.operation for s in steps if isinstance(s.operation, keras.layers.Layer)]
        frozen = {id(weight) for layer in layers if not layer.trainable for weight in layer.weights}
        variables = {id(v): v for layer in layers for v in layer.variables}
        constant = [v for key, v in variables.items() if key in frozen]
        changed = [v for key, v in variables.items() if key not in frozen]
        segment = _Segment(
            steps,
            inputs=sorted(reads - writes),
            outputs=sorted(writes & needed),
            trainable=[variable for variable in changed if variable.trainable],
            state=[variable for variable in changed if not variable.trainable],
            constant=constant,
        )
        segments.append(segment)
        needed |= reads
    return segments[::-1]


def _steps(model):
    """Yield the calls in a model and in the models inside it, in order."""
    for _, nodes in sorted(model._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            if node.is_input:
                continue
            inner = node.operation
            if isinstance(inner, keras.Model) and hasattr(inner, "_nodes_by_depth"):
                yield _renaming(node.input_tensors, inner.inputs)
                yield from _steps(inner)
                yield _renaming(inner.outputs, node.outputs)
            else:
                yield _Step(inner, _caller(node), _ids(node.input_tensors), _ids(node.outputs))


def _renaming(tensors, renamed):
    keys = _ids(tensors)
    return _Step(None, lambda values: [values[key] for key in keys], keys, _ids(renamed))


def _caller(node):
    # `training` is passed explicitly, because the second computation runs outside of the call of
    # the model.
    is_training = "training" in inspect.signature(node.operation.call).parameters
    options = {"training": True} if is_training else {}

    def call(tensors):
        args, kwargs = node.arguments.fill_in(tensors)
        return keras.tree.flatten(node.operation(*args, **{**kwargs, **options}))

    return call


def _ids(tensors):
    return [id(tensor) for tensor in tensors]


def _size(tensor):
    """Return the number of values per image; infinity if it is not known."""
    return math.inf if None in tensor.shape[1:] else math.prod(tensor.shape[1:])
