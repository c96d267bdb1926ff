import dataclasses
import inspect
import typing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eseg_keras.training import Experiment, override

BASE = Experiment(class_names=("road", "car"))


@pytest.mark.parametrize(
    "assignment, expected",
    [
        ("epochs=3", 3),
        ("learning_rate=1e-2", 0.01),
        ("learning_rate=1", 1.0),
        ("augment=false", False),
        ("augment=True", True),
        ("preset=eseg_s", "eseg_s"),
        ("preset=a=b", "a=b"),
        ("image_size=360,480", (360, 480)),
        ("image_size= 360 , 480 ", (360, 480)),
        ("scale=0.5,2", (0.5, 2.0)),
        ("class_names=sky,road", ("sky", "road")),
        ("freeze=", ()),
        ("freeze=encoder", ("encoder",)),
        ("palette=0,0,0;128,64,128", ((0, 0, 0), (128, 64, 128))),
        ("palette=none", None),
        ("class_map=11:255,12:255", {11: 255, 12: 255}),
        ("class_map=None", None),
        ("mask_colors=0,0,0;128,64,128", ((0, 0, 0), (128, 64, 128))),
        ("mask_colors=0,0,0:255;128,64,128:1", {(0, 0, 0): 255, (128, 64, 128): 1}),
        ("class_weights=balanced", "balanced"),
        ("class_weights=0.5,2", (0.5, 2.0)),
        ("keep=best", "best"),
    ],
)
def test_values(assignment, expected):
    key = assignment.partition("=")[0]
    value = getattr(override(BASE, [assignment]), key)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    "assignment, message",
    [
        ("epoch=3", "no 'epoch'. Nearest keys: epochs"),
        ("epochs", "Expected key=value"),
        ("epochs=3.5", "epochs must be an integer or auto. Received: epochs=3.5"),
        ("epochs=many", "epochs must be an integer"),
        ("epochs=none", "epochs must be an integer"),
        ("epochs=0", "epochs must be at least 1"),
        ("epochs=" + 20 * "9", r"epochs must be below 2\*\*32. Received: epochs=9{20}"),
        ("epochs=" + 400 * "9", "epochs must be an integer or auto. Received: epochs=9{70}"),
        ("learning_rate=fast", "learning_rate must be a number"),
        ("learning_rate=nan", "learning_rate must be a number"),
        ("learning_rate=inf", "learning_rate must be a number"),
        ("augment=1", "augment must be true or false"),
        ("image_size=512", "image_size must be 2 values separated by commas, each an integer"),
        ("image_size=1,2,3", "image_size must be 2 values"),
        ("image_size=a,b", "image_size must be 2 values"),
        ("palette=0,0;1,1,1", "palette must be a list, separated by semicolons, each 3 values"),
        ("class_map=11", "class_map must be pairs such as 11:255,12:255 or none"),
        ("class_map=a:b", "class_map must be pairs"),
        (
            "data=folder",
            "data must be one of folders, street_scenes, .*camvid.*Received: data='folder'",
        ),
        ("keep=worst", "keep must be last or best"),
        ("class_weights=heavy", "class_weights must be a list.*or balanced or none"),
    ],
)
def test_refusals(assignment, message):
    with pytest.raises(ValueError, match=message):
        override(BASE, [assignment])


@pytest.mark.parametrize("start", ["", "epochs=", "loss=", "class_weights=", "class_map="])
def test_long_values_are_cut(start):
    with pytest.raises(ValueError) as error:
        override(BASE, [start + "x" * 5000])
    assert "xxx..." in str(error.value) and "x" * 81 not in str(error.value)
    with pytest.raises(ValueError, match="no 'xxx.*xxx...'"):
        override(BASE, ["x" * 5000 + "=3"])


def test_keys_may_be_limited():
    assert override(BASE, ["epochs=3"], ("epochs", "seed")).epochs == 3
    with pytest.raises(ValueError, match="'momentum' has no effect here.*: epochs, seed$"):
        override(BASE, ["epochs=3", "momentum=0"], ("epochs", "seed"))
    with pytest.raises(ValueError, match="no 'epoch'"):
        override(BASE, ["epoch=3"], ("epochs", "seed"))


def test_the_last_assignment_wins_and_the_base_is_unchanged():
    changed = override(BASE, ["epochs=3", "epochs=4", "seed=7"])
    assert (changed.epochs, changed.seed) == (4, 7)
    assert dataclasses.replace(changed, epochs=BASE.epochs, seed=BASE.seed) == BASE


def test_new_class_names_are_counted_again():
    assert override(BASE, ["class_names=a,b,c"]).num_classes == 3


def test_every_key_can_be_described_and_refused():
    for key, hint in typing.get_type_hints(Experiment).items():
        takes_any_text = "str" in inspect.formatannotation(hint)
        if not takes_any_text:
            with pytest.raises(ValueError, match=f"{key} must be"):
                override(BASE, [f"{key}=?"])


@given(st.dictionaries(st.integers(0, 65535), st.integers(0, 255), min_size=1))
def test_label_maps_round_trip(class_map):
    text = ",".join(f"{old}:{new}" for old, new in class_map.items())
    assert override(BASE, [f"class_map={text}"]).class_map == class_map
    assert override(BASE, [f"class_map={class_map}"]).class_map == class_map
