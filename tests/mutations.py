"""One-line faults, and the tests that must catch them.

    python tests/mutations.py                            # every fault, about ten minutes
    python tests/mutations.py layers/momentum losses/dice_factor
    python tests/mutations.py --results /tmp/mutations.json     # rerun to resume

Each fault replaces one text in a temporary copy of the package and runs the tests listed with it,
which must fail. Before that, the same tests must pass without the fault. The place of a fault is
found by its original text, which must occur exactly once in `eseg_keras/`, so files may move. The
exit status is 0 only if every fault is caught.
"""

import argparse
import compileall
import functools
import hashlib
import json
import os
import py_compile
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("eseg_keras", "tests", "experiments", "pyproject.toml", "setup.py")


class Fault(NamedTuple):
    """A text, its replacement, and the tests that must fail: pytest node ids, space-separated."""

    old: str
    new: str
    tests: str


ESEG = "tests/models/test_eseg.py"
COUNTS = "tests/models/test_golden_counts.py::test_counts_equal_the_golden_ones[eseg_lite_s]"
CLASSIFIER = "tests/models/test_classifier.py"
APPLICATIONS = "tests/encoders/test_applications.py"
LITE = "tests/encoders/test_efficientnet_lite.py"
GOLDEN = "tests/presets/test_golden_checkpoint.py::test_weights_by_name"
BIFPN = "tests/decoders/test_bifpn.py::test_equals_numpy_at_odd_sizes"
LAYERS = "tests/layers/test_layers.py"
LOSSES = "tests/losses"
METRICS = "tests/metrics/test_metrics.py"
TRAINER = "tests/trainer/test_training_model.py"
PRESETS = "tests/presets/test_presets.py"
CONTROLS = "tests/decoders/test_controls.py"
RECIPE = "tests/training/test_recipe.py"
REPRODUCE = "tests/cli/test_reproduce.py"

FAULTS = {
    # === Models ===
    "models/learning_rate": Fault(
        "DEFAULT_LEARNING_RATE = 0.02",
        "DEFAULT_LEARNING_RATE = 2.0",
        f"{ESEG}::test_compile_without_arguments_is_what_its_docstring_says_and_learns",
    ),
    "models/sgd_momentum": Fault(
        "DEFAULT_MOMENTUM = 0.9", "DEFAULT_MOMENTUM = 0.0", f"{ESEG}::test_compile_defaults"
    ),
    "models/loss_forgets_ignore_label": Fault(
        "loss = CrossEntropy(ignore_label=self.ignore_label)",
        "loss = CrossEntropy()",
        f"{ESEG}::test_compile_defaults",
    ),
    "models/scores_forget_ignore_label": Fault(
        "metrics = [SegmentationScores(self.num_classes, ignore_label=self.ignore_label)]",
        "metrics = [SegmentationScores(self.num_classes)]",
        f"{ESEG}::test_compile_defaults",
    ),
    "models/classes_by_place": Fault(
        "array[..., to] = values[..., of]",
        "array[..., to] = values[..., to]",
        f"{RECIPE}::test_classes_move_by_name",
    ),
    "models/zeros_between_batches": Fault(
        "-(-size // rate) * rate",
        "size // rate * rate",
        f"{REPRODUCE}::test_counts_equal_the_golden_ones[controls/b1_deeplab_os32]",
    ),
    "models/folded_bias_sign": Fault(
        "return [kernel, beta + (bias - numpy(norm.moving_mean)) * factor]",
        "return [kernel, beta + (bias + numpy(norm.moving_mean)) * factor]",
        f"{ESEG}::test_fold_keeps_the_function[softmax-custom]",
    ),
    "models/folded_without_epsilon": Fault(
        "np.sqrt(numpy(norm.moving_variance) + norm.epsilon)",
        "np.sqrt(numpy(norm.moving_variance))",
        f"{ESEG}::test_fold_keeps_the_function[softmax-custom]",
    ),
    "models/frozen_parts_train": Fault(
        "getattr(self, part).trainable = False",
        "getattr(self, part).trainable = True",
        f"{ESEG}::test_freeze_survives_a_preset",
    ),
    "models/decoder_is_not_copied": Fault(
        "pairs = [(self.encoder, source.encoder), (self.decoder, source.decoder)]",
        "pairs = [(self.encoder, source.encoder)]",
        "tests/training/test_recipe.py::test_weights_from_a_preset_by_name",
    ),
    "models/macs_of_one_row": Fault(
        "return math.prod(operation.kernel.shape) * math.prod(output_shape[1:3])",
        "return math.prod(operation.kernel.shape) * math.prod(output_shape[1:2])",
        COUNTS,
    ),
    "models/classifier_on_the_lowest_level": Fault(
        "features[max(features, key=_level)]",
        "features[min(features, key=_level)]",
        f"{CLASSIFIER}::test_parameters[s-scale0]",
    ),
    "models/label_smoothing": Fault(
        "loss = LabelCrossEntropy(label_smoothing=0.1)",
        "loss = LabelCrossEntropy(label_smoothing=0.0)",
        f"{CLASSIFIER}::test_saves_and_loads[model]",
    ),
    # === Encoders ===
    "encoders/every_block_strides": Fault("stride if block == 0 else 1,", "stride,", COUNTS),
    "encoders/stage_kernel": Fault(
        "Stage(5, 2, 6, 2, 40),",
        "Stage(3, 2, 6, 2, 40),",
        f"{CLASSIFIER}::test_parameters[s-scale0]",
    ),
    "encoders/filters_rounded_down": Fault(
        "return rounded if rounded >= 0.9 * scaled else rounded + divisor",
        "return rounded",
        f"{APPLICATIONS}::test_fused_stages",
    ),
    "encoders/lite_scales_its_ends": Fault(
        "is_scaled = 1 < number < len(B0_STAGES)",
        "is_scaled = 1 <= number <= len(B0_STAGES)",
        f"{LITE}::test_parameters_are_the_published_ones[efficientnet_lite1-5416680]",
    ),
    "encoders/lite_offset": Fault(
        "SCALE, OFFSET = 1 / 128, -127 / 128",
        "SCALE, OFFSET = 1 / 128, -1.0",
        f"{LITE}::test_features_equal_a_numpy_forward_pass[efficientnet_lite0]",
    ),
    "encoders/lite_weights_everywhere": Fault(
        "return EFFICIENTNET_LITES[name].file is not None",
        "return True",
        f"{LITE}::test_sizes_without_public_weights_say_which_have_them",
    ),
    "encoders/dilation_rate": Fault(
        "(max(1, stride // output_stride),) * 2",
        "(max(1, stride // 32),) * 2",
        "tests/encoders/test_dilation.py"
        "::test_features_are_those_of_the_strided_encoder_between_more[resnet50-16]",
    ),
    "encoders/imagenet_offset_sign": Fault(
        "IMAGENET_OFFSET = [-mean / std",
        "IMAGENET_OFFSET = [mean / std",
        f"{APPLICATIONS}::test_features_equal_the_application[mobilenet_v2]"
        f" {APPLICATIONS}::test_features_equal_the_application[efficientnet_b0]",
    ),
    "encoders/padding": Fault(
        'config["padding"] = "same"',
        'config["padding"] = "valid"',
        f"{APPLICATIONS}::test_features_equal_the_application[mobilenet_v2]",
    ),
    # === Decoders ===
    "decoders/node_without_its_input": Fault(
        "parts = [inputs[level], top_down[level], down]",
        "parts = [top_down[level], top_down[level], down]",
        BIFPN,
    ),
    "decoders/fusion_of_nodes": Fault(
        'WeightedFusion("fast", name=f"{name}_fusion")',
        'WeightedFusion("softmax", name=f"{name}_fusion")',
        BIFPN,
    ),
    "decoders/fpn_without_its_level": Fault(
        'WeightedFusion("sum", name=f"{name}_{level}_sum")([features[level], up])',
        'WeightedFusion("sum", name=f"{name}_{level}_sum")([up, up])',
        f"{CONTROLS}::test_fpn_equals_numpy_at_odd_sizes",
    ),
    "decoders/aspp_rates": Fault(
        "RATES = (6, 12, 18)", "RATES = (6, 12, 24)", f"{CONTROLS}::test_deeplabv3plus_equals_numpy"
    ),
    "decoders/low_level_channels": Fault(
        "LOW_LEVEL_CHANNELS = 48",
        "LOW_LEVEL_CHANNELS = 64",
        f"{REPRODUCE}::test_counts_equal_the_golden_ones[controls/b1_deeplab_os32]",
    ),
    "decoders/average_for_maximum": Fault(
        'layers.MaxPooling2D(3, 2, "same", name=f"{node}_down")',
        'layers.AveragePooling2D(3, 2, "same", name=f"{node}_down")',
        "tests/decoders/test_bifpn_automl.py::test_equals_numpy",
    ),
    "decoders/levels_of_one_size": Fault(
        'features[f"P{level}"] = pool(features[f"P{level - 1}"])',
        'features[f"P{level}"] = pool(features[f"P{top}"])',
        COUNTS,
    ),
    "decoders/first_row_repeated": Fault(
        "x = ops.concatenate([x, x[:, -1:]], axis=1)[:, : (height + 1) // 2]",
        "x = ops.concatenate([x, x[:, :1]], axis=1)[:, : (height + 1) // 2]",
        "tests/decoders/test_feature_pyramid.py",
    ),
    "decoders/head_activation": Fault(
        'layers.Activation(activation, name="activation")',
        'layers.Activation("relu", name="activation")',
        GOLDEN,
    ),
    "decoders/half_precision_logits": Fault(
        'layers.Conv2D(num_classes, 1, dtype="float32", name="classifier")',
        'layers.Conv2D(num_classes, 1, name="classifier")',
        "tests/decoders/test_head.py",
    ),
    # === Layers ===
    "layers/fused_variance_unbiased": Fault(
        "variance = variance * (ops.maximum(count - 1, 1.0) / count)",
        "variance = ops.maximum(variance, 0.0)",
        f"{LAYERS}::test_fused_batch_normalization_equals_that_of_keras",
    ),
    "layers/momentum": Fault(
        "momentum: float = 0.97",
        "momentum: float = 0.99",
        f"{LAYERS}::test_moving_statistics_are_those_of_a_plain_loop",
    ),
    "layers/always_synchronized": Fault(
        "return tf.distribute.get_strategy().num_replicas_in_sync > 1",
        "return tf.distribute.get_strategy().num_replicas_in_sync >= 1",
        f"{LAYERS}::test_batch_normalization_chooses_synchronisation_itself",
    ),
    "layers/pooling_window": Fault(
        'super().__init__(3, 2, "same", **kwargs)',
        'super().__init__(2, 2, "same", **kwargs)',
        f"{LAYERS}::test_average_pooling_leaves_padding_out",
    ),
    "layers/upsampling_cropped_at_the_top": Fault(
        "return doubled[:, : target[0], : target[1], :]",
        "return doubled[:, -target[0] :, : target[1], :]",
        f"{LAYERS}::test_nearest_upsampling_repeats",
    ),
    "layers/cubic_resize": Fault(
        'tf.image.resize(x, size, method="bilinear")',
        'tf.image.resize(x, size, method="bicubic")',
        f"{LAYERS}::test_resize_equals_numpy",
    ),
    "layers/last_of_equal_classes": Fault(
        "labels = ops.top_k(scores, 1)[1][..., 0]",
        "labels = scores.shape[-1] - 1 - ops.argmax(ops.flip(scores, -1), -1)",
        f"{LAYERS}::test_label_maps_take_the_first_of_the_largest",
    ),
    "layers/fusion_epsilon": Fault(
        "EPSILON = 1e-4", "EPSILON = 1e-2", f"{LAYERS}::test_fusion_scalars[fast]"
    ),
    "layers/constants_train": Fault(
        'trainable=self.normalization != "constant",',
        "trainable=True,",
        f"{LAYERS}::test_fusion_scalars[constant]",
    ),
    "layers/columns_reversed": Fault(
        "images = ops.flip(images, axis=-1)",
        "images = ops.flip(images, axis=-2)",
        f"{LAYERS}::test_image_scaling_reverses_and_scales",
    ),
    # === Losses ===
    "losses/smoothing_adds": Fault(
        "losses = (1 - self.label_smoothing) * losses + self.label_smoothing * uniform",
        "losses = losses + self.label_smoothing * uniform",
        f"{LOSSES}/test_cross_entropy.py::test_equals_numpy",
    ),
    "losses/divisor": Fault(
        "if replicas == 1:\n        return total / ops.maximum(count, 1.0), count",
        "if replicas == 1:\n        return total / (count + 1.0), count",
        f"{LOSSES}/test_cross_entropy.py::test_equals_numpy",
    ),
    "losses/wrong_labels_pass": Fault(
        "return ops.where(wrong, np.nan, total), count",
        "return total, count",
        f"{LOSSES}/test_cross_entropy.py::test_labels_outside_the_classes_give_nan",
    ),
    "losses/one_class_too_many": Fault(
        "labels < logits.shape[-1]",
        "labels <= logits.shape[-1]",
        f"{LOSSES}/test_cross_entropy.py::test_labels_outside_the_classes_give_nan",
    ),
    "losses/dice_factor": Fault(
        "return 1 - 2 * overlap / ops.maximum(predicted + labelled, 1.0)",
        "return 1 - overlap / ops.maximum(predicted + labelled, 1.0)",
        f"{LOSSES}/test_dice.py::test_equals_numpy",
    ),
    "losses/dice_sees_ignored_pixels": Fault(
        "predicted = ops.sum(ops.where(valid, probabilities, 0.0), axis=-1)",
        "predicted = ops.sum(probabilities, axis=-1)",
        f"{LOSSES}/test_dice.py::test_equals_numpy",
    ),
    "losses/mean_over_all_classes": Fault(
        "losses = ops.sum(ops.where(present, losses, 0.0), axis=-1) / ops.maximum(number, 1.0)",
        "losses = ops.sum(ops.where(present, losses, 0.0), axis=-1) / classes",
        f"{LOSSES}/test_dice.py::test_equals_numpy",
    ),
    "losses/focal_gamma": Fault(
        "losses * ops.power(missing, self.gamma)",
        "losses * ops.power(missing, 2.0)",
        f"{LOSSES}/test_focal.py::test_equals_numpy",
    ),
    "losses/lovasz_order": Fault(
        "ops.argsort(ops.stop_gradient(-errors), axis=-1)",
        "ops.argsort(ops.stop_gradient(errors), axis=-1)",
        f"{LOSSES}/test_lovasz_softmax.py::test_equals_numpy",
    ),
    "losses/ohem_strictly_more_than_the_least": Fault(
        "enough = _count(under, (1, 2)) >= least",
        "enough = _count(under, (1, 2)) > least",
        f"{LOSSES}/test_ohem_cross_entropy.py"
        "::test_a_probability_equal_to_the_threshold_is_not_under_it",
    ),
    "losses/ohem_too_few_halvings": Fault(
        "steps = 26 + math.ceil(-math.log2(floor))",
        "steps = 16 + math.ceil(-math.log2(floor))",
        f"{LOSSES}/test_ohem_cross_entropy.py::test_kth_smallest_tells_neighbouring_floats_apart",
    ),
    # === Metrics ===
    "metrics/union_counts_hits_twice": Fault(
        "union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1) - hits",
        "union = ops.sum(matrix, axis=0) + ops.sum(matrix, axis=1)",
        f"{METRICS}::test_absent_class_is_nan_and_left_out",
    ),
    "metrics/mean_over_absent_classes": Fault(
        "return ops.sum(iou * seen) / ops.maximum(ops.sum(seen), 1.0)",
        "return ops.mean(iou)",
        f"{METRICS}::test_absent_class_is_nan_and_left_out",
    ),
    "metrics/carry": Fault(
        "self.high.assign(self.high + low // _BASE)",
        "self.high.assign(low // _BASE)",
        f"{METRICS}::test_counts_are_exact_beyond_32_bits[2]",
    ),
    "metrics/negative_ignore_label": Fault(
        'labels = ops.where(ops.cast(y_true, "int32") == ignore_label, IGNORED - 1, labels)',
        "pass",
        f"{METRICS}::test_every_value_of_every_dtype_is_accounted_for[int16-uint8--1]",
    ),
    "metrics/wide_labels_wrap_around": Fault(
        'x = x if dtype == "int64" else ops.cast(x, "int32")',
        'x = ops.cast(x, "int32")',
        f"{METRICS}::test_wide_labels_do_not_wrap_around_to_a_class",
    ),
    # === Trainer ===
    "trainer/average_decays_at_once": Fault(
        "return 1.0 - ops.minimum(self.decay, (1.0 + n) / (10.0 + n))",
        "return 1.0 - self.decay",
        f"{TRAINER}::test_averages_are_those_of_a_plain_loop",
    ),
    "trainer/average_starts_before_loading": Fault(
        "self._average.restart()",
        "pass",
        f"{TRAINER}::test_weights_loaded_after_compile_are_where_the_average_starts",
    ),
    "trainer/everything_decays": Fault(
        'return [v for v in self.trainable_variables if v.name.endswith("kernel")]',
        "return list(self.trainable_variables)",
        f"{TRAINER}::test_weight_decay_is_in_the_loss_and_momentum_sees_it",
    ),
    "trainer/parts_count_alike": Fault(
        "counts = [tf.maximum(count, 1e-6) for _, _, count in terms]",
        "counts = [1.0 for _ in terms]",
        f"{TRAINER}::test_parts_of_a_batch_give_the_gradient_of_the_whole",
    ),
    "trainer/teacher_counts_labelled_pixels": Fault(
        "(share * soft_loss, num_pixels)",
        "(share * soft_loss, count)",
        f"{TRAINER}::test_parts_of_a_batch_give_the_gradient_of_the_whole[True-numbers1]",
    ),
    "trainer/no_label_check": Fault(
        "return [LabelCheck(), *callbacks]",
        "return callbacks",
        f"{TRAINER}::test_masks_with_other_values_are_reported_with_them",
    ),
    "trainer/validation_masks_unchecked": Fault(
        'check_labels(self.model.metrics, "evaluation")',
        "pass",
        "tests/trainer/test_label_check.py::test_validation_masks_raise",
    ),
    "trainer/remat_starts_from_the_new_state": Fault(
        "state = [ops.copy(variable.value) for variable in segment.state]",
        "state = [variable.value for variable in segment.state]",
        "tests/trainer/test_remat.py::test_steps_are_the_same",
    ),
    "trainer/remat_keeps_recorded_training": Fault(
        "{**kwargs, **options}",
        "{**options, **kwargs}",
        "tests/trainer/test_remat.py::test_steps_are_the_same",
    ),
    "trainer/remat_reads_rounded_weights": Fault(
        "with keras.src.backend.AutocastScope(None):",
        "if True:",
        "tests/trainer/test_remat.py::test_in_half_precision",
    ),
    "trainer/remat_of_nothing": Fault(
        "_SMALLEST = 0.1\n",
        "_SMALLEST = 10\n",
        "tests/trainer/test_remat.py::test_steps_are_the_same",
    ),
    "data/replacements_count": Fault(
        "return example if self.shuffle else (image, np.full_like(mask, self.ignore_label))",
        "return example",
        "tests/data/test_batches.py::test_a_replacement_without_shuffling_does_not_count",
    ),
    "data/cache_without_limit": Fault(
        "            if size <= free:\n",
        "            if True:\n",
        "tests/training/test_data.py::test_examples_that_fit_into_memory_are_read_once",
    ),
    "export/openvino_in_bfloat16_unverified": Fault(
        "for precision in cpu_precisions():",
        "for precision in cpu_precisions()[:1]:",
        "tests/export/test_openvino.py::test_both_precisions_are_verified",
    ),
    # === Presets ===
    "trainer/first_batch_unchecked": Fault(
        "        if self._first_batch:\n",
        "        if not self._first_batch:\n",
        "tests/trainer/test_label_check.py::test_the_first_batch_is_checked_at_once",
    ),
    "trainer/images_of_minus_one_to_one": Fault(
        "if 0 <= low < high <= 1:",
        "if -1 <= low < high <= 1:",
        "tests/trainer/test_image_range.py::test_range",
    ),
    "files/locked_by_several": Fault(
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        "tests/packaging/test_files.py::test_the_second_process_says_who_holds_the_lock",
    ),
    "files/left_overs_of_the_same_number": Fault(
        "is_old = process == own or not _is_running(process)",
        "is_old = not _is_running(process)",
        "tests/packaging/test_files.py::test_left_overs_of_dead_processes_are_removed",
    ),
    "images/floats_of_0_to_1": Fault(
        "np.floating) and 0 < high <= 1:",
        "np.floating) and 0 < high < 0:",
        "tests/data/images/test_image_reader.py::test_files_of_floats_are_checked_like_arrays",
    ),
    "images/special_files": Fault(
        "elif not path.is_file():  # Reading",
        "elif not path.exists():  # Reading",
        "tests/data/images/test_walker.py::test_pipes_and_devices_are_not_images",
    ),
    "images/lossy_masks": Fault(
        'return pil_image.format in ("AVIF", "JPEG", "JPEG2000", "MPO")',
        'return pil_image.format == "JPEG"',
        "tests/data/images/test_mask_reader.py",
    ),
    "images/stored_values": Fault(
        "return (pixels.astype(np.int64) * most + limit // 2) // limit",
        "return pixels",
        "tests/data/images/test_mask_reader.py",
    ),
    "folders/one_folder_of_both": Fault(
        'if kind == "image":  # Predictions',
        'if kind == "mask":  # Predictions',
        "tests/data/test_folders.py::test_one_folder_of_images_and_masks_needs_a_suffix",
    ),
    "finetuning/255": Fault(
        "return with_class_map(experiment, examples)",
        "return experiment",
        "tests/training/test_finetuning.py"
        "::test_255_is_ignored_in_validation_masks_without_class_1",
    ),
    "export/png_texts": Fault(
        "tf.debugging.Assert(chunks <= most,",
        "tf.debugging.Assert(chunks >= 0,",
        "tests/export/serving/test_image_codec.py::test_compressed_texts_are_counted",
    ),
    "export/client_without_end": Fault(
        "if len(body) > most + _OTHER_BYTES:",
        "if len(body) > most + 200 * _OTHER_BYTES:",
        "tests/export/serving/test_client_answers.py::test_an_answer_without_end_is_not_kept",
    ),
    "export/client_size": Fault(
        "(sizes and pil_image.size[::-1] not in sizes)",
        "(sizes and pil_image.size[::-1] is None)",
        "tests/export/serving/test_client_answers.py::test_answers_of_files_that_do_not_fit",
    ),
    "export/jpeg_scans": Fault(
        "tf.debugging.Assert(scans <= MAX_SCANS,",
        "tf.debugging.Assert(scans >= 0,",
        "tests/export/serving/test_image_codec.py::test_scans_are_counted",
    ),
    "export/png_bomb": Fault(
        "packed <= _MOST_BYTES * pixels + _PACKED_SLACK",
        "packed >= 0",
        "tests/export/serving/test_image_codec.py::test_a_png_costs_no_more_than_its_pixels",
    ),
    "presets/decoder_size": Fault(
        "if least > _MOST_PARAMETERS:",
        "if least < 0:",
        "tests/presets/test_config_files.py::test_sizes_are_refused_before_anything_is_built",
    ),
    "presets/weights_not_finite": Fault(
        "if not np.isfinite(array).all():",
        "if np.isinf(array).any():",
        "tests/presets/test_weights_file.py::test_only_plain_values_of_the_model_are_read",
    ),
    "presets/zip_bomb": Fault(
        "_LARGEST_EXPANSION = 20",
        "_LARGEST_EXPANSION = 20_000",
        "tests/presets/test_locations.py::test_other_zip_files_are_refused",
    ),
    "presets/decoder_width": Fault('_lite("s", 64, 1,', '_lite("s", 72, 1,', COUNTS),
    "presets/checksum": Fault(
        'if found != expected["sha256"]:',
        "if not found:",
        f"{PRESETS}::test_damage_gives_one_error_with_file_and_remedy",
    ),
    "presets/any_shape": Fault(
        "if dataset.shape != shape:",
        "if dataset.shape is None:",
        f"{PRESETS}::test_weights_of_another_network_are_refused",
    ),
    "presets/links_followed": Fault(
        "elif not isinstance(group.get(key, getlink=True), h5py.HardLink):",
        "elif group.get(key) is None:",
        "tests/presets/test_weights_file.py::test_only_plain_values_of_the_model_are_read",
    ),
    "presets/new_head_stays_frozen": Fault(
        'frozen = tuple(part for part in config.get("frozen", ()) if part != "head")',
        'frozen = tuple(config.get("frozen", ()))',
        f"{PRESETS}::test_a_new_classifier_trains",
    ),
    "presets/architecture_changes_under_weights": Fault(
        "if load_weights and (structural := sorted(set(overrides) - _FREE_ARGUMENTS)):",
        "if not load_weights and (structural := sorted(set(overrides) - _FREE_ARGUMENTS)):",
        f"{PRESETS}::test_unknown_arguments_raise",
    ),
    # === Data ===
    "data/mask_is_not_mirrored": Fault(
        "image, mask = image[:, ::-1], mask[:, ::-1]",
        "image, mask = image[:, ::-1], mask",
        "tests/data/test_augmentation.py::test_image_and_mask_move_together",
    ),
    "data/distorted_too_often": Fault(
        "happens = rng.random(5) < 0.5",
        "happens = rng.random(5) < 0.9",
        "tests/data/test_photometric_distortion.py"
        "::test_each_happens_half_of_the_time_within_its_range",
    ),
    "data/cast_of_one_factor": Fault(
        "np.array([red, 1, blue], np.float32)",
        "np.array([red, 1, red], np.float32)",
        "tests/data/test_camera_variation.py::test_the_cast_multiplies_red_and_blue",
    ),
    "data/every_epoch_alike": Fault(
        "np.random.default_rng([self.seed, epoch, 0])",
        "np.random.default_rng([self.seed, 0, 0])",
        "tests/data/test_batches.py::test_every_epoch_has_an_order_and_an_augmentation_of_its_own",
    ),
    "data/unpacked_in_another_order": Fault(
        "sorted(pairs, key=lambda pair: self.description.order(split, pair.name))",
        "sorted(pairs, key=lambda pair: pair.name)",
        "tests/data/datasets/test_unpacked.py::test_the_same_batches_in_place_as_from_a_copy",
    ),
    "data/palettes_may_differ": Fault(
        "if first != color:",
        "if first is None:",
        "tests/data/test_folders.py::test_palettes_that_differ",
    ),
    "data/palettes_of_the_splits_may_differ": Fault(
        "            check_palettes(examples, self._val_examples, skip_bad_examples)",
        "            pass",
        "tests/training/test_tasks.py::test_palettes_of_training_and_validation_differ",
    ),
    "data/first_frames_are_read_unasked": Fault(
        "    if first_frame:\n        return\n",
        "    if first_frame is not None:\n        return\n",
        "tests/data/images/test_image_reader.py::test_several_frames_are_refused_by_name",
    ),
    "training/a_replica_may_have_no_image": Fault(
        "fewest = remainder - math.ceil(",
        "fewest = remainder // self.num_devices or math.ceil(",
        "tests/training/test_distribution.py::test_which_last_batches_are_skipped",
    ),
    "training/other_arguments_are_ignored": Fault(
        "if value not in (first.get(name), defaults[name].default)",
        "if name == 'minutes' and value not in (first.get(name), defaults[name].default)",
        "tests/training/test_finetuning.py"
        "::test_other_arguments_are_refused_and_other_minutes_said",
    ),
    "presets/an_edited_card_is_replaced": Fault(
        'return (mark + rest).decode(errors="replace") != _MARK.format(digest)',
        "return False",
        "tests/presets/test_hub.py::test_an_edited_card_is_kept",
    ),
    "data/numbers_are_cut": Fault(
        "while length and any(cuts(name)",
        "while not length and any(cuts(name)",
        "tests/data/test_folders.py::test_words_and_numbers_are_not_cut",
    ),
    "evaluation/ids_of_a_server_are_classes": Fault(
        'as_masks = prediction_ids == "masks" or (',
        'as_masks = prediction_ids == "masks" and (',
        "tests/evaluation/test_label_map_files.py",
    ),
    "data/absent_classes_weigh": Fault(
        "weights[present] = counts.sum() / (present.sum() * counts[present])",
        "weights[present] = counts.sum() / (counts.size * counts[present])",
        "tests/data/test_class_weights.py",
    ),
    # === Training ===
    "data/last_scale_is_missing": Fault(
        "int(rng.integers(0, steps, endpoint=True))",
        "int(rng.integers(0, steps))",
        "tests/data/test_augmentation.py::test_steps_reach_both_ends",
    ),
    "training/ohem_of_images_only": Fault(
        "experiment.ohem_min_kept_pixels,", "None,", f"{RECIPE}::test_every_loss_has_its_arguments"
    ),
    "training/cosine_ends_too_late": Fault(
        "num_steps - warmup_steps,",
        "num_steps,",
        "tests/training/test_recipe.py::test_learning_rate_warms_up_from_zero_and_falls_to_zero",
    ),
    "training/warm_up_without_limit": Fault(
        "int(_MAX_WARMUP * num_steps)",
        "num_steps",
        "tests/training/test_recipe.py::test_a_warm_up_takes_a_fifth_of_the_run_at_most",
    ),
    "training/pseudo_labels_do_not_count": Fault(
        "num_images // max(1, batch_size // 2)",
        "num_images // max(1, batch_size)",
        f"{RECIPE}::test_an_epoch_with_pseudo_labels_has_half_of_each_batch",
    ),
    "training/first_validation_is_not_the_best": Fault(
        "            validate_epoch(leave_validation)\n",
        "            validate(leave_validation)\n",
        "tests/training/test_callbacks.py"
        "::test_a_run_stopped_before_its_first_validation_has_a_result",
    ),
    "training/resumed_validation_is_of_no_epoch": Fault(
        "                user_callbacks.on_epoch_begin(epoch)\n",
        "                pass\n",
        "tests/training/test_callbacks.py"
        "::test_a_run_that_resumes_begins_with_the_interrupted_epoch",
    ),
    "training/pseudo_labels_of_other_classes": Fault(
        "if not is_same or len(names) != num_classes:",
        "if len(names) != num_classes:",
        "tests/training/test_data.py::test_pseudo_labels_are_half_of_each_batch",
    ),
    "training/teacher_by_replica": Fault(
        'return global_mean(ops.sum(pixels), ops.cast(ops.size(pixels), "float32"))',
        "return ops.mean(pixels), 1.0",
        f"{TRAINER}::test_the_loss_of_a_teacher_is_the_mean_over_all_replicas",
    ),
    "training/other_data_is_resumed": Fault(
        '**config_values(experiment), "data_dir": _absolute(data_dir)}',
        "**config_values(experiment)}",
        "tests/training/test_run_files.py::test_other_data_is_refused_and_both_are_named",
    ),
    "training/validation_changes_the_training": Fault(
        "for variable, value in zip(variables, before, strict=True):",
        "for variable, value in zip(variables[:0], before[:0], strict=True):",
        "tests/training/test_run.py::test_statistics_are_fresh_for_a_while",
    ),
    # === Inference and evaluation ===
    "inference/small_scales_are_cropped": Fault(
        "frame = tuple(map(max, seen, scaled(self.image_size, scale)))",
        "frame = scaled(self.image_size, scale)",
        "tests/inference/test_predictor.py"
        "::test_a_small_scale_of_a_fixed_size_still_sees_the_whole_image",
    ),
    "training/other_numbers_of_images": Fault(
        'if config["num_examples"] not in (None, num_examples):',
        "if False:",
        "tests/training/test_run_files.py::test_other_training_images_are_refused",
    ),
    "training/callbacks_change_unscored_weights": Fault(
        "if not is_validated or has_callbacks:",
        "if not is_validated:",
        "tests/training/test_callbacks.py"
        "::test_metrics_are_those_of_the_weights_that_a_callback_leaves",
    ),
    "conversion/runs_shorter_than_the_image": Fault(
        "is_list and sum(runs) == size[0] * size[1]",
        "is_list and sum(runs) <= size[0] * size[1]",
        "tests/conversion/test_coco.py::test_compressed_runs_must_fill_the_image",
    ),
    "inference/a_window_too_few": Fault(
        "count = 1 + -(-(length - window) // (window - overlap))",
        "count = 1 + (length - window) // (window - overlap)",
        "tests/inference/test_sliding_window.py::test_windows_cover_the_axis_and_share_the_overlap",
    ),
    "inference/ramp_without_overlap": Fault(
        "ramp = np.minimum(np.minimum(steps, steps[::-1]) + 1, overlap + 1)",
        "ramp = np.minimum(np.minimum(steps, steps[::-1]) + 1, overlap)",
        "tests/inference/test_sliding_window.py",
    ),
    "inference/errors_end_a_batch_early": Fault(
        "yield from images  # Errors.",
        "yield images[0]  # Errors.",
        "tests/inference/test_predictor.py::test_a_broken_image_is_told_and_the_rest_goes_on",
    ),
    "inference/changed_files_are_skipped": Fault(
        'return (entry.get("size"), entry.get("modified")) == (file.size, file.modified)',
        "return bool(entry)",
        "tests/inference/test_prediction_job.py"
        "::test_a_changed_picture_is_predicted_again_and_a_moved_one_is_not",
    ),
    "inference/times_of_frames": Fault(
        "time = max(frame.pts - first, time + 1)",
        "time = time + tick",
        "tests/inference/test_videos.py::test_times_are_kept_and_begin_at_zero",
    ),
    "evaluation/union_counts_hits_twice": Fault(
        "union = matrix.sum(axis=1) + matrix.sum(axis=0)[: len(hits)] - hits",
        "union = matrix.sum(axis=1) + matrix.sum(axis=0)[: len(hits)]",
        "tests/evaluation/test_scoring.py::test_pixels_without_a_prediction_are_misses",
    ),
    "evaluation/unpredicted_pixels_vanish": Fault(
        "unpredicted = labelled[:, num_classes:].sum(axis=1, keepdims=True)",
        "unpredicted = 0 * labelled[:, num_classes:].sum(axis=1, keepdims=True)",
        "tests/evaluation/test_pixel_table.py::test_each_pixel_is_counted_once",
    ),
    "evaluation/categories": Fault(
        '"human": (11, 12),',
        '"human": (11,),',
        "tests/evaluation/test_official_scores.py",
    ),
    # === Export ===
    "export/first_convolution_in_8_bits": Fault(
        "kept = [convolutions[0].name]",
        "kept = []",
        "tests/export/onnx/test_int8.py"
        "::test_all_but_the_first_convolution_and_the_head_are_in_8_bits",
    ),
    "export/corner_weights": Fault(
        "position = (np.arange(stride) + stride // 2 - (stride - 1) / 2) / stride",
        "position = (np.arange(stride) + stride // 2 - stride / 2) / stride",
        "tests/export/served_graph/test_argmax.py::test_labels_are_those_of_upsampled_logits",
    ),
    "export/resized_twice": Fault(
        "self.replaced.pop(id(layer), None)",
        "self.replaced.get(id(layer), None)",
        "tests/export/served_graph/test_network.py::"
        "test_a_level_sum_replaces_the_resizing_of_each_level",
    ),
    "export/classes_first": Fault(
        "four, shape = tf.transpose(four, (0, 2, 1)), (stride**2, cells.shape[-1], -1)",
        "four, shape = four, (stride**2, cells.shape[-1], -1)",
        "tests/export/served_graph/test_argmax.py::test_labels_are_those_of_upsampled_logits",
    ),
    "export/images_channels_first": Fault(
        '"images_channels_first": channels_first or ends_channels_first',
        '"images_channels_first": channels_first',
        "tests/export/test_openvino.py::test_what_the_files_say",
    ),
    "export/padding_of_rows": Fault(
        "(above_below, [channels * n for n in left_right])",
        "(above_below, left_right)",
        "tests/export/served_graph/test_packing.py::test_rows",
    ),
    "export/odd_widths_packed": Fault(
        "return x.shape[2] is not None and x.shape[2] % 2 == 0",
        "return x.shape[2] is not None",
        "tests/export/served_graph/test_packing.py::test_packed_columns",
    ),
    "export/packed_columns_that_others_read": Fault(
        "and _is_alone(following, layers.Conv2D)\n            and _is_same(before",
        "and _is_same(before",
        "tests/export/served_graph/test_packing.py::test_what_is_packed",
    ),
    # === Conversion ===
    "conversion/crowds_above_objects": Fault(
        "objects.sort(key=lambda item: item[0] is not None)",
        "objects.sort(key=lambda item: item[0] is None)",
        "tests/conversion/test_coco.py::test_crowds_are_ignored_below_everything_else",
    ),
    "conversion/earlier_shapes_above": Fault(
        "mask[pixels] = IGNORE_LABEL if name is None",
        "mask[pixels & (mask == unlabelled)] = IGNORE_LABEL if name is None",
        "tests/conversion/test_coco.py::test_masks_equal_pycocotools",
    ),
    "conversion/other_classes_are_skipped": Fault(
        "else labels.get(name, unlabelled)",
        "else labels.get(name, mask[pixels])",
        "tests/conversion/test_coco.py::test_classes_are_chosen_and_others_are_drawn_as_background",
    ),
    "conversion/layers_upside_down": Fault(
        "shapes.sort(key=lambda item: item[0])",
        "shapes.sort(key=lambda item: -item[0])",
        "tests/conversion/test_cvat.py::test_layers_and_the_order_of_the_file",
    ),
    "conversion/boxes_turn_the_other_way": Fault(
        'math.radians(number("rotation", default=0))',
        '-math.radians(number("rotation", default=0))',
        "tests/conversion/test_cvat.py::test_a_tilted_box_turns_clockwise",
    ),
    "conversion/no_rotation": Fault(
        "if example.size != seen_size:",
        "if example.size == seen_size and False:",
        "tests/conversion/test_conversion.py::test_rotated_images",
    ),
    "conversion/groups_are_torn": Fault(
        "key = match and match[1 if match.re.groups else 0]",
        "key = match and name",
        "tests/conversion/test_conversion.py::test_a_split_keeps_groups_together",
    ),
    "conversion/license_plates_are_drawn": Fault(
        'if entry.get("deleted") or label == _NOT_DRAWN:',
        'if entry.get("deleted"):',
        "tests/conversion/test_cityscapes_polygons.py::test_masks_equal_cityscapesscripts",
    ),
    "conversion/lines_one_pixel_wide": Fault(
        "_LINE_WIDTH, _POINT_RADIUS = 10, 5",
        "_LINE_WIDTH, _POINT_RADIUS = 9, 5",
        "tests/conversion/test_labelme.py::test_every_type_of_shape_is_drawn_as_labelme_does",
    ),
    "conversion/indices_for_colours": Fault(
        'by_color = bool(colors) and pil_image.mode in ("P", "RGB", "RGBA")',
        'by_color = bool(colors) and pil_image.mode in ("RGB", "RGBA")',
        "tests/conversion/test_voc.py::test_the_label_map_of_cvat",
    ),
    "conversion/finetune_splits_again": Fault(
        "return parts if all(parts) else None",
        "return None",
        "tests/training/test_finetuning.py::test_palette_and_split_of_the_folders_are_kept",
    ),
}


@functools.cache
def sources(root: Path) -> dict[Path, str]:
    """Return the files of the package without faults."""
    return {path: path.read_text("utf-8") for path in (root / "eseg_keras").rglob("*.py")}


def find(root: Path, text: str) -> Path:
    """Return the file of the package that contains a text; the text must occur exactly once."""
    found = {str(path): n for path, source in sources(root).items() if (n := source.count(text))}
    if sum(found.values()) != 1:
        raise ValueError(
            f"A fault's text must occur once in eseg_keras/. Received: {text!r}, found in {found}."
            " Update the fault to the current line."
        )
    return Path(*found)


def copy_tree(root: Path):
    """Copy the files that tests need; compile the package to byte code with source hashes."""
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in COPIED:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy2
        copy(source, root / name, **({"ignore": ignore} if source.is_dir() else {}))
    mode = py_compile.PycInvalidationMode.CHECKED_HASH
    compileall.compile_dir(root / "eseg_keras", quiet=2, invalidation_mode=mode)


def run_tests(root: Path, tests: list[str]) -> tuple[int, str]:
    """Return pytest's exit status and the end of its output."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(root), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    return done.returncode, (done.stdout + done.stderr)[-2000:]


def fingerprint(root: Path, fault: Fault) -> str:
    """Return a hash of the fault, its file and its tests."""
    files = [find(root, fault.old)]
    for test in fault.tests.split():
        path = root / test.partition("::")[0]
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path]
    content = repr(fault).encode() + b"".join(path.read_bytes() for path in files)
    return hashlib.sha256(content).hexdigest()


def try_fault(root: Path, fault: Fault) -> str:
    """Return "caught", "SURVIVED" or "ERROR"; restore the file."""
    path = find(root, fault.old)
    before = path.read_bytes()
    path.write_bytes(before.replace(fault.old.encode(), fault.new.encode()))
    try:
        status, output = run_tests(root, fault.tests.split())
    finally:
        path.write_bytes(before)
    if status > 1:
        print(output, flush=True)
    # pytest's status 1: tests failed; above 1: the tests could not run.
    return {0: "SURVIVED", 1: "caught"}.get(status, "ERROR")


def main() -> int:
    """Try the faults and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults to try; default: all")
    parser.add_argument("--results", type=Path, help="JSON file of results, to resume from")
    arguments = parser.parse_args()
    if unknown := sorted(set(arguments.names) - set(FAULTS)):
        parser.error(f"unknown faults {unknown}; expected any of {', '.join(FAULTS)}")
    names = arguments.names or list(FAULTS)
    known = {}
    if arguments.results and arguments.results.is_file():
        known = json.loads(arguments.results.read_text("utf-8"))
    with tempfile.TemporaryDirectory(prefix="mutations.") as folder:
        root = Path(folder)
        copy_tree(root)
        marks = {name: fingerprint(root, FAULTS[name]) for name in names}
        left = [n for n in names if known.get(n, {}).get("fingerprint") != marks[n]]
        if left:
            tests = sorted({test for name in left for test in FAULTS[name].tests.split()})
            print(f"Without a fault: {len(tests)} tests and files", flush=True)
            status, output = run_tests(root, tests)
            if status:
                print(output)
                print("The tests must pass without a fault first.")
                return 1
        for number, name in enumerate(left, start=1):
            start = time.monotonic()
            result = try_fault(root, FAULTS[name])
            seconds = round(time.monotonic() - start, 1)
            print(f"[{number}/{len(left)}] {name}: {result} ({seconds} s)", flush=True)
            known[name] = {"fingerprint": marks[name], "result": result, "seconds": seconds}
            if arguments.results:
                arguments.results.write_text(json.dumps(known, indent=2) + "\n", "utf-8")
    print()
    for name in names:
        print(f"{known[name]['result']:8}  {known[name]['seconds']:6.1f} s  {name}")
    caught = sum(known[name]["result"] == "caught" for name in names)
    print(f"\n{caught} of {len(names)} faults are caught.")
    return int(caught < len(names))


if __name__ == "__main__":
    sys.exit(main())
