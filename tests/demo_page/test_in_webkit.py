"""The page in WebKit, the engine of Safari."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from eseg_keras.inference import Predictor
from eseg_keras.street_scenes import render_scene

pytestmark = pytest.mark.slow

# Scripts that keep the file that the page would download, and read it as a data URL.
KEEP_SAVED = """
const make = URL.createObjectURL;
URL.createObjectURL = (blob) => { window.saved = blob; return make(blob); };
"""
READ_SAVED = """
const [answer] = arguments;
const reader = new FileReader();
reader.onload = () => answer(reader.result);
reader.readAsDataURL(window.saved);
"""


def test_label_maps_are_those_of_python(webkit, served, model, tmp_path):
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    scene, _ = render_scene(40, "test", (200, 330))
    exif = Image.Exif()
    exif[0x0112] = 6  # Display rotated by 90 degrees.
    Image.fromarray(scene).save(tmp_path / "plain.png")
    Image.fromarray(scene).save(tmp_path / "turned.jpg", exif=exif, quality=95)

    def find(name):
        return webkit.find_element(By.ID, name)

    def wait_for(text):
        WebDriverWait(webkit, 60).until(lambda _: text in find("status").text)

    webkit.get(served.url)
    wait_for("Ready")
    webkit.execute_script(KEEP_SAVED)
    for name in ("plain.png", "turned.jpg"):
        find("file").send_keys(str(tmp_path / name))
        wait_for(f"{name}:")
        find("save-labels").click()
        WebDriverWait(webkit, 60).until(
            lambda driver: driver.execute_script("return window.saved?.type") == "image/png"
        )
        _, content = webkit.execute_async_script(READ_SAVED).split(",")
        webkit.execute_script("window.saved = null")
        labels = np.asarray(Image.open(io.BytesIO(base64.b64decode(content))))
        expected = Predictor(model)(tmp_path / name).label_map
        assert (labels == expected).mean() >= 0.995
