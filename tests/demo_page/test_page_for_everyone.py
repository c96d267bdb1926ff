"""Keyboard, screen reader, small screens, dark mode, and errors on the page."""

import json
import shutil

import onnx
import pytest
from PIL import Image

from eseg_keras.street_scenes import render_scene

pytestmark = pytest.mark.slow

NAMED = {
    *("alert", "application", "button", "image", "link", "list", "progressbar", "radio"),
    *("radiogroup", "group", "slider", "region", "RootWebArea", "Canvas"),
}


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    path = tmp_path_factory.mktemp("photo") / "scene.png"
    Image.fromarray(render_scene(40, "test", (120, 240))[0]).save(path)
    return path


def tab_to(page, name):
    """Press Tab until the focused element has the id `name` or a text that starts with `name`."""
    focused = "[document.activeElement.id, document.activeElement.textContent]"
    for _ in range(40):
        page.keyboard.press("Tab")
        id_, text = page.evaluate(focused)
        if id_ == name or text.startswith(name):
            return
    pytest.fail(f"The tab key does not reach {name}")


def test_everything_works_by_keyboard(open_page, wait_for):
    page = open_page()
    # Register the listener early, because it becomes active with a delay in Chromium.
    choosers = []
    page.on("filechooser", lambda chooser: choosers.append(chooser))
    tab_to(page, "choose")
    page.keyboard.press("Enter")
    page.locator("#examples button").first.focus()
    page.keyboard.press("Enter")
    wait_for(page, "#status", "street scene 1:")
    assert len(choosers) == 1
    page.evaluate("document.activeElement.blur()")
    tab_to(page, "picture")
    # The first arrow key shows the cross in the middle; further arrow keys move it.
    page.keyboard.press("ArrowDown")
    assert page.locator("#cross").is_visible()
    for _ in range(4):
        page.keyboard.press("Shift+ArrowDown")
    top = page.locator("#cross").evaluate("cross => parseFloat(cross.style.top)")
    assert top == pytest.approx(90)
    assert page.locator("#spoken").text_content() == "road"
    assert page.locator("#tip").text_content() == "road"
    page.keyboard.press("Escape")
    assert page.locator("#cross").is_hidden()
    tab_to(page, "save-labels")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    assert download.value.suggested_filename == "street scene 1_labels.png"
    tab_to(page, "opacity")
    page.keyboard.press("End")
    assert page.locator("#opacity-text").text_content() == "100 %"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowRight")
    wait_for(page, "#seen-size", "1024 × 512")
    tab_to(page, "sky")
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="sky").get_attribute("aria-pressed") == "true"
    tab_to(page, "notices")


def test_everything_has_a_name_and_changes_are_announced(open_page, photo, wait_for):
    page = open_page()
    page.locator("#file").set_input_files(photo)
    wait_for(page, "#status", "scene.png:")
    session = page.context.new_cdp_session(page)
    tree = session.send("Accessibility.getFullAXTree")["nodes"]
    nodes = [
        (node["role"]["value"], node.get("name", {}).get("value", ""))
        for node in tree
        if not node["ignored"]
    ]
    assert [role for role, name in nodes if role in NAMED - {"list"} and not name] == []
    assert ("slider", "Opacity of the colours") in nodes
    assert ("button", "Use the camera") in nodes
    assert ("button", "Label map (PNG)") in nodes
    assert any(role == "button" and name.startswith("road ") for role, name in nodes)
    assert ("button", "Choose an image") in nodes
    [picture] = [node for node in tree if node.get("role", {}).get("value") == "application"]
    assert "road" in picture["description"]["value"]
    live = {
        node["role"]["value"]
        for node in tree
        if any(entry["name"] == "live" for entry in node.get("properties", ()))
    }
    assert "status" in live
    # Pressed buttons show their state by more than colour: a check mark.
    road = page.get_by_role("button", name="road")
    road.click()
    mark = (
        "getComputedStyle(document.querySelector('[aria-pressed=true] .name'), '::after').content"
    )
    assert "✓" in page.evaluate(mark)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_and_dark_screens(open_page, photo, scheme, wait_for):
    page = open_page(viewport={"width": 360, "height": 740}, color_scheme=scheme)
    page.locator("#file").set_input_files(photo)
    wait_for(page, "#status", "scene.png:")
    assert page.evaluate("document.scrollingElement.scrollWidth") == 360
    red = int(page.evaluate("getComputedStyle(document.body).backgroundColor")[4:].split(",")[0])
    assert (red < 60) == (scheme == "dark")


def test_many_classes_fold_to_those_of_the_picture(open_page, served, photo, wait_for):
    def many(route):
        model = route.fetch().json()
        model["names"] += [f"class {label}" for label in range(8, 150)]
        model["palette"] += [[label, 0, 0] for label in range(8, 150)]
        route.fulfill(body=json.dumps(model), content_type="application/json")

    page = open_page(is_ready=False)
    page.route("**/model.json", many)
    page.reload()
    wait_for(page, "#status", "Ready")
    entries = page.locator("#legend button:visible")
    assert entries.count() == 150
    page.locator("#file").set_input_files(photo)
    wait_for(page, "#status", "scene.png:")
    assert 2 <= entries.count() <= 8
    page.locator("#show-absent").click()
    assert entries.count() == 150


def test_files_that_are_no_pictures(open_page, tmp_path, photo, wait_for):
    page = open_page()
    (tmp_path / "notes.png").write_text("no picture")
    page.locator("#file").set_input_files(tmp_path / "notes.png")
    wait_for(page, "#problem", "notes.png cannot be read as an image")
    Image.new("RGB", (20, 300)).save(tmp_path / "narrow.png")
    page.locator("#file").set_input_files(tmp_path / "narrow.png")
    wait_for(page, "#problem", "20 × 300 pixels; the network needs at least 32 × 32")
    Image.new("RGB", (40, 1300)).save(tmp_path / "long.png")
    page.locator("#file").set_input_files(tmp_path / "long.png")
    wait_for(page, "#problem", "resized to 16 × 512")
    # The next valid image removes the message.
    page.locator("#file").set_input_files(photo)
    wait_for(page, "#status", "scene.png:")
    assert page.locator("#problem").is_hidden()


def test_photos_are_dropped(open_page, photo, wait_for):
    page = open_page()
    content = list(photo.read_bytes())
    drop = """content => {
        const data = new DataTransfer();
        if (content) data.items.add(new File([Uint8Array.from(content)], "dropped.png"));
        document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: data, bubbles: true }));
    }"""
    page.evaluate(drop, None)
    wait_for(page, "#problem", "The dropped item is not a file")
    page.evaluate(drop, content)
    wait_for(page, "#status", "dropped.png:")


def test_without_a_camera(open_page, wait_for):
    page = open_page()  # Without permission to use the camera.
    page.get_by_role("button", name="Use the camera").click()
    wait_for(page, "#problem", "The browser blocks the camera")
    refuse = """() => {
        navigator.mediaDevices.getUserMedia = async () => {
            throw new DOMException("", "NotFoundError");
        };
    }"""
    page.evaluate(refuse)
    page.get_by_role("button", name="Use the camera").click()
    wait_for(page, "#problem", "no camera")
    page.evaluate("Object.defineProperty(navigator, 'mediaDevices', { value: undefined })")
    page.get_by_role("button", name="Use the camera").click()
    wait_for(page, "#problem", "https")


@pytest.mark.parametrize(
    "name", ["model/model.onnx", "model/model.json", "onnxruntime/ort-wasm-simd-threaded.wasm"]
)
def test_parts_that_are_missing(open_page, demo, tmp_path, name, serving, wait_for):
    shutil.copytree(demo, tmp_path / "demo")
    (tmp_path / "demo" / name).unlink()
    with serving(tmp_path / "demo") as server:
        page = open_page(server.url, is_ready=False)
        wait_for(page, "#problem", f"{name.split('/')[-1]} cannot be loaded")


def test_damaged_network(open_page, demo, tmp_path, serving, wait_for):
    shutil.copytree(demo, tmp_path / "demo")
    (tmp_path / "demo" / "model" / "model.onnx").write_bytes(b"no network")
    with serving(tmp_path / "demo") as server:
        page = open_page(server.url, is_ready=False)
        wait_for(page, "#problem", "The neural network cannot be started")
        # The message is shown again when the page is used.
        page.locator("#examples button").first.click()
        wait_for(page, "#problem", "The neural network cannot be started")


def test_a_network_that_fails_is_started_again(open_page, demo, tmp_path, photo, serving, wait_for):
    shutil.copytree(demo, tmp_path / "demo")
    path = tmp_path / "demo" / "model" / "model.onnx"
    network = onnx.load(path)
    # Fix the input size: the network then fails for images of other sizes.
    for axis in (1, 2):
        network.graph.input[0].type.tensor_type.shape.dim[axis].dim_value = 64
    onnx.save(network, path)
    Image.open(photo).resize((64, 64)).save(tmp_path / "fits.png")
    with serving(tmp_path / "demo") as server:
        page = open_page(server.url)
        page.locator("#file").set_input_files(photo)
        wait_for(page, "#problem", "The neural network failed at 240 × 120 pixels")
        page.locator("#file").set_input_files(tmp_path / "fits.png")
        wait_for(page, "#status", "fits.png:")
        assert len(page.workers) == 1


def test_a_network_that_is_stopped_leaves_nothing_waiting(open_page):
    answer = open_page().evaluate(
        """async () => {
            const { makeNetwork } = await import("./scripts/network.js");
            const network = makeNetwork();
            const asked = network.decode(new Blob());
            network.stop();
            return asked.then(() => "decoded", (error) => error.message);
        }"""
    )
    assert answer == "The neural network was restarted. Try again."


def test_opened_as_a_file(open_page, demo, wait_for):
    page = open_page((demo / "index.html").as_uri(), is_ready=False)
    page.locator("#not-started").wait_for(state="visible")
    assert "python -m http.server" in page.locator("#not-started").text_content()
