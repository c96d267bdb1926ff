"""Weights in HDF5, with one dataset per variable, identified by layer and variable names.

Keras' own `.weights.h5` identifies variables by their order in the model, ignores layers of the
file that the model does not have, and changes its layout between Keras versions. Names do not
change. safetensors would store the same arrays without loss. HDF5 is kept because Keras requires
h5py anyway, while safetensors would be another package, and existing files would still need a
reader for HDF5.
"""

import pathlib
import re

import h5py
import keras
import numpy as np
from keras import ops


class WeightsMismatchError(ValueError):
    """Raised if a weights file does not contain exactly the variables of the model."""


def named_variables(model: keras.Model, prefix: str = "") -> dict:
    """Return {path: variable} of a model.

    A path consists of the names of the layers and of the variable, such as
    `"decoder/bifpn_1/P3_top_down_bn/gamma"`. `prefix` is the path of the model itself: empty, or
    ending in `"/"`.
    """
    variables = {}
    for layer in model.layers:
        name = f"{prefix}{layer.name}/"
        if isinstance(layer, keras.Model):
            variables |= named_variables(layer, name)
        else:
            for index, variable in enumerate(layer.weights):
                # Keras names unnamed variables `variable_N`, with N counted over the whole process;
                # the index in the layer is stable.
                unnamed = re.fullmatch(r"variable(_\d+)?", variable.name)
                variables[name + (f"variable_{index}" if unnamed else variable.name)] = variable
    return variables


def write_weights(model: keras.Model, path: pathlib.Path, dtype: str = "float32"):
    """Write the weights of a model; with the dtype `"float16"`, kernels in half precision.

    Biases, scales and statistics are always float32: they need little space, and variances may
    exceed the range of float16.
    """
    variables = named_variables(model)
    assert len(variables) == len(model.weights), "two variables share a name"
    with h5py.File(path, "w") as file:
        for name, variable in variables.items():
            # HDF5 has no bfloat16.
            values = ops.convert_to_numpy(variable).astype("float32")
            if values.ndim > 1 and np.abs(values).max() <= np.finfo(dtype).max:
                values = values.astype(dtype)
            file.create_dataset(name, data=values)


def read_weights(model: keras.Model, path: pathlib.Path):
    """Read weights into a model; if any does not match, the model is not changed.

    Names, shapes and types of all weights are checked before any values are read. Values outside
    the file are never read. HDF5 files can refer to other files, and can declare sizes that do not
    fit into memory; such files are rejected. Raise WeightsMismatchError if the file does not
    contain exactly the model's variables, with their shapes and finite float values, and OSError if
    it is not an HDF5 file.
    """
    variables = named_variables(model)
    try:
        with h5py.File(path, "r") as file:
            datasets = _find_datasets(file, variables)
            for name, variable in variables.items():
                _check_dataset(name, datasets[name], tuple(variable.shape))
            values = {name: datasets[name][()].astype("float32") for name in variables}
        for name, array in values.items():
            if not np.isfinite(array).all():
                raise WeightsMismatchError(f"{name} has values that are not finite")
    except WeightsMismatchError:
        raise
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        # h5py raises these errors for files with damaged content.
        raise WeightsMismatchError(f"a part of it cannot be read ({error})") from error
    for name, variable in variables.items():
        variable.assign(values[name])


def _find_datasets(file: h5py.File, variables: dict) -> dict:
    """Return the datasets of all variables; raise WeightsMismatchError for any other object."""
    datasets, unknown = {}, []
    groups = {name[: slash.start() + 1] for name in variables for slash in re.finditer("/", name)}

    def walk(group, prefix):
        for key in group:
            name = prefix + key
            if name not in variables and f"{name}/" not in groups:
                unknown.append(name)
            elif not isinstance(group.get(key, getlink=True), h5py.HardLink):
                raise WeightsMismatchError(f"{name} is a link, expected a dataset")
            elif name in variables and isinstance(group[key], h5py.Dataset):
                datasets[name] = group[key]
            elif f"{name}/" in groups and isinstance(group[key], h5py.Group):
                walk(group[key], f"{name}/")
            else:
                unknown.append(name)

    walk(file, "")
    missing = [name for name in variables if name not in datasets]
    if missing or unknown:
        raise WeightsMismatchError(
            f"{len(missing)} variables are missing (first: {missing[:3]}) and {len(unknown)} are "
            f"unknown (first: {unknown[:3]})"
        )
    return datasets


def _check_dataset(name: str, dataset: h5py.Dataset, shape: tuple):
    if dataset.shape != shape:
        raise WeightsMismatchError(f"{name} has shape {dataset.shape}, expected {shape}")
    if dataset.dtype.kind != "f":
        raise WeightsMismatchError(f"{name} has dtype {dataset.dtype}, expected floats")
    if dataset.external or dataset.is_virtual or dataset.chunks:
        raise WeightsMismatchError(
            f"{name} is stored outside the file or in chunks, expected one block in the file"
        )
