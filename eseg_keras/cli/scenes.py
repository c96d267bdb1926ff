"""The command `eseg scenes`: write synthetic street scenes."""

from pathlib import Path

from eseg_keras.cli.flags import add_image_size_argument, at_least, check_parent

HELP = "write synthetic street scenes with masks, as an example data set"
EXAMPLE = [
    "eseg scenes --split train --num_examples 200 --output scenes/train",
    "eseg scenes --split validation --num_examples 50 --output scenes/val",
]
SPLITS = ("train", "validation", "test")


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument("--output", required=True, help="folder for images/ and annotations/")
    parser.add_argument("--split", choices=SPLITS, default="train", help="default: train")
    parser.add_argument("--num_examples", type=at_least(1), default=8, help="default: 8")
    add_image_size_argument(parser, default=(192, 384))
    parser.add_argument("--seed", type=int, default=0, help="default: 0")


def run(args) -> int:
    """Render the scenes and write them."""
    from PIL import Image

    from eseg_keras.files import atomic_file
    from eseg_keras.progress import Progress
    from eseg_keras.street_scenes import PALETTE, render_scene
    from eseg_keras.visualization.overlays import label_image

    check_parent(args.output)
    images, masks = (Path(args.output) / name for name in ("images", "annotations"))
    with Progress("Rendering", total=args.num_examples) as progress:
        for index in progress.track(range(args.num_examples)):
            image, mask = render_scene(index, args.split, tuple(args.image_size), args.seed)
            name = f"{args.split}_{index:05d}.png"
            for folder, pil_image in (
                (images, Image.fromarray(image)),
                (masks, label_image(mask, PALETTE)),
            ):
                with atomic_file(folder / name) as temporary:
                    pil_image.save(temporary)
    print(f"{args.num_examples} scenes: {images} and {masks}")
    return 0
