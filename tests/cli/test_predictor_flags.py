import argparse

import keras
import pytest

from eseg_keras.cli.evaluate import _describe_view as describe_view
from eseg_keras.cli.flags import add_predictor_arguments, make_predictor
from eseg_keras.data.images.image_reader import MAX_PIXELS
from eseg_keras.inference import TEST_TIME_SCALES


@pytest.fixture(scope="module")
def predictor():
    """Function (flags, settings of a run) -> predictor."""
    images = keras.Input((None, None, 3))
    model = keras.Model(images, keras.layers.Conv2D(2, 1)(images))

    def make(*flags, **options):
        parser = argparse.ArgumentParser()
        add_predictor_arguments(parser)
        args = parser.parse_args(["--preset", "any", *map(str, flags)])
        return make_predictor(args, model, **options)

    return make


def test_without_flags_an_image_is_seen_once_in_its_own_size(predictor):
    plain = predictor()
    assert (plain.scales, plain.flip, plain.window, plain.min_confidence) == (
        (1,),
        False,
        None,
        None,
    )
    assert (plain.long_side, plain.image_size, plain.max_pixels) == (None, None, MAX_PIXELS)


def test_each_flag_has_its_effect(predictor):
    flags = ["--scales", 0.75, 1.5, "--flip", "--min_confidence", 0.5, "--max_pixels", 99]
    made = predictor(*flags, "--window", 64, 96, "--overlap", 8)
    assert (made.scales, made.flip, made.min_confidence) == ((0.75, 1.5), True, 0.5)
    assert (made.window, made.overlap, made.max_pixels) == ((64, 96), (8, 8), 99)
    paper = predictor("--tta")
    assert (paper.scales, paper.flip) == (TEST_TIME_SCALES, True)


def test_what_a_run_had_gives_way_to_the_flags(predictor):
    run = {"long_side": 320, "image_size": (64, 96)}
    sizes = {
        (): (None, (64, 96)),
        ("--long_side", 128): (128, None),
        ("--window", 64, 64): (None, None),
    }
    for flags, size in sizes.items():
        made = predictor(*flags, **run)
        assert (made.long_side, made.image_size) == size
    assert predictor(long_side=320).long_side == 320
    for flags, window in {
        (): "auto",
        ("--window", 64, 64): (64, 64),
        ("--long_side", 64): None,
    }.items():
        assert predictor(*flags, window="auto").window == window
    assert predictor(window="auto", image_size=(64, 96)).window is None
    assert predictor(batch_size=3, maps=("entropy",)).batch_size == 3


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--tta", "--scales", 1], "both set the scales"),
        (["--window", 64, 64, "--long_side", 64], "pass no long_side or image_size"),
        (["--scales", 0], "positive"),
    ],
)
def test_contradictions(predictor, flags, message):
    with pytest.raises(ValueError, match=message):
        predictor(*flags)


def test_the_view_in_words(predictor):
    assert describe_view(predictor()) == "original size"
    assert describe_view(predictor(image_size=(64, 96))) == "resized to fit into 64x96 pixels"
    words = "resized to a longer side of 320 pixels, at the scales 0.5, 1, 2 and mirrored"
    assert describe_view(predictor("--tta", long_side=320)) == words
    words = "original size, in windows of 64x96 pixels"
    assert describe_view(predictor("--window", 64, 96)) == words
