from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eseg_keras.visualization import add_legend
from eseg_keras.visualization.grids import sheet
from eseg_keras.visualization.texts import font_for, printable, shorten

FONT = font_for([], 12)


@given(st.text("abcdefgWi ./_", max_size=40), st.integers(0, 300))
def test_a_shortened_text_fits_and_keeps_both_ends(text, width):
    short = shorten(text, FONT, width)
    if FONT.getlength(text) <= width:
        assert short == text
        return
    start, _, end = short.partition("…")
    assert short.count("…") == 1 and text.startswith(start) and text.endswith(end)
    assert len(start) <= len(end) <= len(start) + 1
    assert FONT.getlength(short) <= width or short == "…"


def test_as_much_is_kept_as_fits():
    text = "0123456789" * 4
    short = shorten(text, FONT, 100)
    kept = len(short)  # With one more character, the text would be too wide.
    longer = f"{text[: kept // 2]}…{text[len(text) - (kept + 1) // 2 :]}"
    assert FONT.getlength(short) <= 100 < FONT.getlength(longer)


def test_what_no_font_has_is_an_escape():
    assert printable("a b\tä木[/]\n\udce9\x1b") == r"a b\tä木[/]\n\udce9\x1b"
    names = ["\udce9\n", "\u202e"]
    image = Image.new("RGB", (200, 40))
    assert add_legend(image, names, [None, None]).width == 200
    assert sheet([[image]], [names[:1]], names[:1]).width > 200


def test_letters_beyond_english_are_drawn():
    # A font draws the same box for every letter that it lacks.
    font = font_for(["Straße", "дорога"], 20)
    pictures = {bytes(font.getmask(letter)) for letter in "ßдорга"}
    assert len(pictures) == 6
    assert len({bytes(font_for([], 20).getmask(letter)) for letter in "ßдорга"}) == 1
