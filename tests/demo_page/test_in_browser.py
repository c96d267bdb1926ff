"""The page in Chromium, compared with the same network in Python."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from eseg_keras.data.geometry import resize_long_side
from eseg_keras.data.images.image_reader import read_image
from eseg_keras.demo_page import write_demo_page
from eseg_keras.inference import Predictor
from eseg_keras.street_scenes import render_scene
from eseg_keras.visualization import overlay

pytestmark = pytest.mark.slow

SIZE = (200, 330)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Street scenes in several file formats and modes."""
    folder = tmp_path_factory.mktemp("photos")
    scene, _ = render_scene(40, "test", SIZE)
    picture = Image.fromarray(scene)
    picture.save(folder / "plain.png")
    picture.save(folder / "plain.webp", lossless=True)
    exif = Image.Exif()
    exif[0x0112] = 6  # Display rotated by 90 degrees.
    picture.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.jpg", exif=exif, quality=95)
    # Transparent pixels keep their colours in the file, and Python reads these colours.
    alpha = np.tile(np.linspace(0, 255, SIZE[1]).astype("uint8"), (SIZE[0], 1))
    Image.fromarray(np.dstack([scene, alpha])).save(folder / "transparent.png")
    picture.convert("L").save(folder / "grey.png")
    # A colour profile that swaps red and blue. Python ignores profiles.
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = profile.replace(b"rXYZ", b"____").replace(b"bXYZ", b"rXYZ").replace(b"____", b"bXYZ")
    picture.save(folder / "profile.png", icc_profile=swapped)
    return folder


def choose_size(page, name):
    page.get_by_role("radio", name=name, exact=True).check(force=True)


@pytest.fixture
def segment(wait_for):
    def segment(page, path):
        page.locator("#file").set_input_files(path)
        wait_for(page, "#status", f"{path.name}:")

    return segment


def saved(page, selector):
    with page.expect_download() as download:
        page.locator(selector).click()
    return Image.open(download.value.path())


@pytest.mark.parametrize(
    "name", ["plain.png", "plain.webp", "turned.jpg", "transparent.png", "grey.png", "profile.png"]
)
def test_label_maps_are_those_of_python(open_page, model, photos, name, segment):
    page = open_page()
    choose_size(page, "Original")
    segment(page, photos / name)
    labels = saved(page, "#save-labels")
    expected = Predictor(model)(photos / name).label_map
    assert labels.mode == "P"
    assert (np.asarray(labels) == expected).mean() >= 0.995
    colors = np.reshape(labels.getpalette()[: 3 * model.num_classes], (-1, 3))
    assert colors.tolist() == [list(color) for color in model.palette]


def test_label_maps_at_a_working_size_are_those_of_python(open_page, model, tmp_path, segment):
    scene, _ = render_scene(41, "test", (420, 811))
    Image.fromarray(scene).save(tmp_path / "wide.png")
    page = open_page()
    segment(page, tmp_path / "wide.png")
    assert page.locator("#seen-size").text_content() == "512 × 265"
    labels = np.asarray(saved(page, "#save-labels"))
    # The page upsamples the labels of the small image by nearest neighbour. Python upsamples the
    # logits, so a few labels differ.
    small, _ = resize_long_side(scene, scene[..., 0], 512)
    rows, columns = (
        ((np.arange(side) + 0.5) * seen / side).astype(int)
        for side, seen in zip(scene.shape, small.shape[:2], strict=False)
    )
    assert (labels == model.segment(small)[rows][:, columns]).mean() >= 0.995
    assert (labels == Predictor(model, long_side=512)(scene).label_map).mean() >= 0.98


@pytest.mark.parametrize("size", [(48, 32), (37, 25), (96, 64), (200, 133), (9, 6)])
def test_pictures_are_resized_as_in_python(open_page, size):
    page = open_page(is_ready=False)
    image = np.random.default_rng(0).integers(0, 256, (64, 96, 3), np.uint8)
    script = """async ([pixels, width, height, newWidth, newHeight]) => {
        const { resize } = await import("/scripts/resize.js");
        return [...resize(Uint8Array.from(pixels), width, height, newWidth, newHeight)];
    }"""
    result = page.evaluate(script, [image.ravel().tolist(), 96, 64, *size])
    expected = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(np.reshape(result, (size[1], size[0], 3)), expected)


def test_overlays_are_those_of_python(open_page, photos, segment):
    page = open_page()
    choose_size(page, "Original")
    segment(page, photos / "plain.png")
    page.locator("#opacity").fill("25")
    picture = saved(page, "#save-overlay").convert("RGB")
    labels = np.asarray(saved(page, "#save-labels"))
    palette = page.evaluate("fetch('model/model.json').then(r => r.json())")["palette"]
    expected = overlay(read_image(photos / "plain.png"), labels, palette, alpha=0.25)
    difference = np.abs(np.asarray(picture, int) - np.asarray(expected, int))
    assert difference.max() <= 2


def colors_shown(page):
    picture = page.locator("#picture").screenshot()
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"), int)


def test_opacity_and_chosen_classes_change_what_is_shown(open_page, model, photos, segment):
    page = open_page()
    segment(page, photos / "plain.png")
    page.locator("#opacity").fill("0")
    photo = colors_shown(page)
    assert page.locator("#opacity-text").text_content() == "0 %"
    page.locator("#opacity").fill("100")
    whole = colors_shown(page)
    page.locator("#opacity").fill("50")
    half = colors_shown(page)
    assert np.abs(whole - photo).mean() > 20
    assert np.abs(half - (whole + photo) / 2).mean() < 2

    page.locator("#opacity").fill("100")
    # If a class is chosen, all others are covered by a light or dark shade that contrasts with the
    # colour of the chosen class.
    for name, is_light in (("road", True), ("sky", False)):
        button = page.get_by_role("button", name=name)
        button.click()
        assert button.get_attribute("aria-pressed") == "true"
        only = colors_shown(page)
        color = model.palette[model.class_names.index(name)]
        is_chosen = np.abs(whole - color).max(-1) == 0
        assert is_chosen.mean() > 0.05
        np.testing.assert_array_equal(only[is_chosen], whole[is_chosen])
        others = only[~is_chosen].mean(-1)
        assert ((others > 200) if is_light else (others < 60)).mean() > 0.9
        button.click()
    button.click()
    page.get_by_role("button", name="Show all").click()
    np.testing.assert_array_equal(colors_shown(page), whole)


def test_nothing_outside_is_asked(open_page, served, demo, photos, serving, segment, wait_for):
    with serving(demo) as other:
        asked = []
        page = open_page(is_ready=False)
        page.context.on("request", lambda request: asked.append(request.url))
        page.reload()
        wait_for(page, "#status", "Ready")
        segment(page, photos / "plain.png")
        page.locator("#examples button").first.click()
        wait_for(page, "#status", "street scene 1:")
        saved(page, "#save-labels")
        inside = (served.url, f"blob:{served.url}", "data:")
        assert [url for url in asked if not url.startswith(inside)] == []
        assert any(url.endswith(".wasm") for url in asked)
        # The content security policy blocks other servers, in the worker too.
        script = "url => fetch(url, { mode: 'no-cors' }).then(() => 'sent', () => 'refused')"
        [worker] = page.workers
        assert page.evaluate(script, other.url) == "refused"
        assert worker.evaluate(script, other.url) == "refused"
        assert other.requests == []
        assert worker.evaluate(script, served.url) == "sent"


def test_the_page_lives_while_the_network_works(open_page, tmp_path, wait_for):
    scene, _ = render_scene(42, "test", (512, 1024))
    Image.fromarray(scene).resize((2048, 1024)).save(tmp_path / "large.png")
    page = open_page()
    choose_size(page, "Original")
    page.locator("#file").set_input_files(tmp_path / "large.png")
    page.locator("#busy").wait_for(state="visible")
    page.evaluate(
        "new Promise(requestAnimationFrame).then(() => new Promise(requestAnimationFrame))"
    )
    assert page.locator("#busy").is_visible()
    wait_for(page, "#status", "large.png:")
    assert page.locator("#busy").is_hidden()
    assert "ms" in page.locator("#time").text_content()


def test_another_size_while_an_image_is_opened(open_page, photos, tmp_path, segment, wait_for):
    scene, _ = render_scene(42, "test", (512, 1024))
    Image.fromarray(scene).resize((2048, 1024)).save(tmp_path / "large.png")
    page = open_page()
    segment(page, photos / "plain.png")
    choose_size(page, "Original")
    wait_for(page, "#status", "plain.png:")
    page.locator("#file").set_input_files(tmp_path / "large.png")
    page.locator("#busy").wait_for(state="visible")
    page.get_by_role("radio").first.check(force=True)
    wait_for(page, "#status", "large.png:")
    assert page.locator("#photo-size").text_content() == "2048 × 1024"
    assert page.locator("#seen-size").text_content() != "2048 × 1024"


def test_threads_are_used_where_the_server_isolates_the_page(
    open_page, demo, photos, model, serving, segment
):
    headers = {
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Embedder-Policy": "require-corp",
    }
    with serving(demo, **headers) as server:
        page = open_page(server.url)
        assert int(page.locator("#threads").text_content()) >= 2
        choose_size(page, "Original")
        segment(page, photos / "plain.png")
        labels = np.asarray(saved(page, "#save-labels"))
    assert (labels == Predictor(model)(photos / "plain.png").label_map).mean() >= 0.995
    assert open_page().locator("#threads").text_content() == "1"


def test_a_network_of_8_bits(open_page, model, photos, serving, segment, tmp_path):
    verification = write_demo_page(model, tmp_path / "demo", precision="int8")
    assert verification.passed
    with serving(tmp_path / "demo") as server:
        page = open_page(server.url)
        choose_size(page, "Original")
        segment(page, photos / "plain.png")
        labels = np.asarray(saved(page, "#save-labels"))
    assert (labels == Predictor(model)(photos / "plain.png").label_map).mean() >= 0.97


def test_the_camera(open_page, wait_for):
    page = open_page(permissions=["camera"])
    button = page.get_by_role("button", name="Use the camera")
    button.click()
    wait_for(page, "#status", "camera is on")
    page.locator("#picture").wait_for()
    first = colors_shown(page)
    for _ in range(60):
        if np.abs(colors_shown(page) - first).max() > 50:
            break
        page.wait_for_timeout(1000)
    else:
        pytest.fail("The camera's image does not change.")
    page.get_by_role("button", name="Stop the camera").click()
    wait_for(page, "#status", "last frame is kept")
    button.wait_for()
    size = [int(side) for side in page.locator("#photo-size").text_content().split(" × ")]
    assert saved(page, "#save-labels").size == tuple(size)
    still = colors_shown(page)
    page.wait_for_timeout(1500)
    np.testing.assert_array_equal(colors_shown(page), still)
