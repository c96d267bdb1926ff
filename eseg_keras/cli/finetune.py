"""The command `eseg finetune`: train on folders of images and masks."""

import signal

from eseg_keras.cli.flags import (
    add_first_frame_argument,
    add_image_range_argument,
    at_least,
    check_parent,
)

HELP = "train on folders of images and masks within a time limit, with automatic settings"
EXAMPLE = [
    "eseg finetune photos/images photos/masks --minutes 20 --output runs/mine",
    "eseg finetune images masks --output runs/mine --class_names background,leaf,stem",
]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument("images", help="folder of the images")
    parser.add_argument("masks", help="folder of the masks, paired with the images by name")
    parser.add_argument(
        "--output", required=True, help="folder for the preset, the report and the run"
    )
    parser.add_argument(
        "--minutes",
        type=at_least(0.1, float),
        default=20.0,
        help="time limit of the whole command in minutes; default: 20",
    )
    parser.add_argument(
        "--class_names",
        metavar="NAME,NAME",
        help="names of the classes in the order of their ids; default: class 0, class 1, ...",
    )
    for kind, other, example in (("mask", "image", "_labels"), ("image", "mask", "_rgb")):
        parser.add_argument(
            f"--{kind}_suffix",
            default="",
            help=f"end of the {kind} names that the {other} names do not have, such as {example}",
        )
    add_image_range_argument(parser)
    add_first_frame_argument(parser)
    parser.add_argument(
        "--preset",
        help="preset to start from; default: eseg_edge_s if its ImageNet weights are installed, "
        "else eseg_lite_s",
    )


def run(args) -> int:
    """Fine-tune, print the scores and the next commands."""
    check_parent(args.output)
    from eseg_keras.training.callbacks import Preempted

    names = args.class_names and tuple(name.strip() for name in args.class_names.split(","))

    from eseg_keras.cli.tables import print_scores
    from eseg_keras.training.finetuning import finetune

    try:
        evaluation = finetune(
            args.images,
            args.masks,
            args.output,
            minutes=args.minutes,
            class_names=names,
            mask_suffix=args.mask_suffix,
            image_suffix=args.image_suffix,
            image_range=args.image_range and tuple(args.image_range),
            first_frame=args.first_frame,
            preset=args.preset,
        )
    except Preempted:
        print("eseg finetune: stopped by SIGTERM; the state is saved. Rerun the command to resume.")
        return 128 + signal.SIGTERM
    print_scores(evaluation.summary(), title="Validation")
    preset = f"{args.output}/preset"
    print(f"Preset directory: {preset}")
    # With --model_dir, images are scaled as in training; with --preset, they are not.
    print(f"Predict: eseg predict FOLDER --model_dir {args.output} --output predictions")
    for kind, suffix in (
        ("onnx", "model.onnx"),
        ("tflite", "model.tflite"),
        ("saved_model", "served"),
    ):
        output = f"{args.output}/{suffix}"
        print(f"Export: eseg export --preset {preset} --format {kind} --output {output}")
    return 0
