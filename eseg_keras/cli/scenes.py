"""`eseg scenes`."""

from pathlib import Path

HELP = "write made street scenes with masks, as an example of a folder of photos"
EXAMPLE = [
    "eseg scenes --split train --num_examples 200 --output scenes/train",
    "eseg scenes --split validation --num_examples 50 --output scenes/val",
]
SPLITS = ("train", "validation", "test")


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument("--output", required=True, help="folder for images/ and annotations/")
    parser.add_argument("--split", choices=SPLITS, default="train", help="default: train")
    parser.add_argument("--num_examples", type=int, default=8, help="default: 8")
    parser.add_argument(
        "--image_size",
        type=int,
        nargs=2,
        default=(192, 384),
        metavar=("HEIGHT", "WIDTH"),
        help="default: 192 384",
    )
    parser.add_argument("--seed", type=int, default=0, help="default: 0")


def run(args) -> int:
    """Draw the scenes and write them."""
    if args.num_examples < 1 or min(args.image_size) < 32:
        raise ValueError("--num_examples must be at least 1 and --image_size at least 32 32.")

    from PIL import Image

    from eseg_keras.progress import Progress
    from eseg_keras.street_scenes import PALETTE, render_scene
    from eseg_keras.visualization.overlays import label_image

    folders = [Path(args.output) / name for name in ("images", "annotations")]
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    with Progress("Drawing", total=args.num_examples) as progress:
        for index in progress.track(range(args.num_examples)):
            image, mask = render_scene(index, args.split, tuple(args.image_size), args.seed)
            name = f"{args.split}_{index:05d}.png"
            Image.fromarray(image).save(folders[0] / name)
            label_image(mask, PALETTE).save(folders[1] / name)
    print(f"{args.num_examples} scenes: {folders[0]} and {folders[1]}")
    return 0
