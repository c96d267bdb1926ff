"""The command `eseg demo-page`: write a web page that runs a network."""

from pathlib import Path

from eseg_keras.cli.flags import (
    add_calibration_argument,
    add_weights_arguments,
    check_parent,
    load_model,
    read_calibration,
    run_experiment,
)

HELP = "write a static web page that runs a network in the browser"
EXAMPLE = [
    "eseg demo-page --preset eseg_lite_s_streets --output demo",
    'eseg demo-page --model_dir runs/demo --output demo --title "Our roads" --examples 1.jpg 2.jpg',
]


def add_arguments(parser) -> None:
    """Add the flags of this command to its parser."""
    add_weights_arguments(parser)
    parser.add_argument(
        "--output", required=True, help="folder of the page; any web server can serve it"
    )
    parser.add_argument("--title", help="title of the page")
    parser.add_argument(
        "--long_side",
        type=int,
        help="longer side in pixels to which images are resized, until the user chooses another "
        "size on the page; default: as in the run of --model_dir, else at most 512",
    )
    parser.add_argument(
        "--examples",
        nargs="+",
        metavar="IMAGE",
        help="images that the page offers to try; default: synthetic street scenes",
    )
    parser.add_argument(
        "--precision",
        choices=("float32", "int8"),
        default="float32",
        help="an int8 network has a quarter of the size and is faster, but "
        "changes the labels of some pixels; default: float32",
    )
    add_calibration_argument(parser)
    parser.add_argument(
        "--runtime",
        metavar="FILE",
        help="onnxruntime-web 1.30.0, as the .tgz file that `npm pack` writes or as a folder; "
        "default: npm downloads it once",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing demo page")


def run(args) -> int:
    """Write the page and print how to open it."""
    from eseg_keras.demo_page import write_demo_page

    check_parent(args.output)
    if (Path(args.output) / "model" / "model.json").is_file() and not args.overwrite:
        raise ValueError(
            f"{args.output} is a demo page. Choose another --output, or give --overwrite."
        )
    options = {"precision": args.precision, **read_calibration(args)}
    if args.title is not None:
        options["title"] = args.title
    model = load_model(args)
    long_side = args.long_side
    if long_side is None and args.model_dir:
        long_side = run_experiment(args.model_dir)[0].long_side
    verification = write_demo_page(
        model,
        args.output,
        long_side=long_side,
        examples=args.examples,
        runtime=args.runtime,
        overwrite=args.overwrite,
        **options,
    )
    print(
        f"Written: {args.output}. In {verification.runtime}, {verification.label_agreement:.3%} "
        "of the pixels have the same label as in Keras."
    )
    print(f"Open it: python -m http.server --directory {args.output}, then http://localhost:8000")
    return 0
