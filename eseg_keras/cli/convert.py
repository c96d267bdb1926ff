"""The command `eseg convert`: convert files of annotation tools."""

from eseg_keras.cli.flags import at_least, check_parent

HELP = "convert the files of an annotation tool to images and masks"
EXAMPLE = [
    "eseg convert labelme photos data --val_share 0.2",
    "eseg convert coco annotations.json data --images photos --class_names cat,dog",
    "eseg convert cvat export data --val_share 0.2 --group '^(.*)_frame'",
]
FORMATS = ("labelme", "coco", "voc", "cvat", "roboflow", "cityscapes-polygons")


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    parser.add_argument("format", choices=FORMATS, help="annotation tool or export format")
    parser.add_argument("source", help="folder of the annotations, or one annotation file")
    parser.add_argument("output", help="new folder for images, annotations and experiment.py")
    parser.add_argument("--images", help="another folder to search for images")
    parser.add_argument(
        "--class_names",
        metavar="NAME,NAME",
        help="classes to keep, in the order of their ids; other shapes are treated like pixels "
        "outside all shapes",
    )
    parser.add_argument(
        "--no_background",
        action="store_true",
        help="ignore pixels outside all shapes; otherwise they become the class background",
    )
    parser.add_argument(
        "--val_share",
        type=at_least(0, float),
        metavar="SHARE",
        help="split off this share of the images for validation, such as 0.2",
    )
    parser.add_argument(
        "--group",
        metavar="PATTERN",
        help="regular expression; images whose names contain the same match stay in one split",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the split; default: 0")


def run(args) -> int:
    """Convert, and print the classes and the next commands."""
    check_parent(args.output)
    import shlex

    from eseg_keras.conversion import convert

    names = args.class_names and [name.strip() for name in args.class_names.split(",")]
    done = convert(
        args.format,
        args.source,
        args.output,
        images=args.images,
        class_names=names,
        background=not args.no_background,
        val_share=args.val_share,
        group=args.group,
        seed=args.seed,
    )
    counts = [f"{n} {split}".strip() for split, n in sorted(done.num_images.items())]
    print(f"{', '.join(counts)} images, {len(done.class_names)} classes: {args.output}")
    print(f"Classes: {', '.join(done.class_names)}")
    for what, count in done.skipped.items():
        print(f"Skipped: {count} {what}")
    output = shlex.quote(args.output)
    experiment = f"--experiment {output}/experiment.py --data_dir {output}"
    print(f"Check: eseg data-check {experiment}")
    classes = shlex.quote(",".join(done.class_names))
    print(
        f"Train: eseg finetune {output}/images {output}/annotations --class_names {classes} "
        "--output runs/mine"
    )
    if "val" in done.num_images:
        print(f"   or: eseg train {experiment} --model_dir runs/mine")
    return 0
