import contextlib
import functools
import http.server
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from eseg_keras import ESeg
from eseg_keras.demo_page import write_demo_page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def model():
    """The network trained on street scenes, whose labels are meaningful."""
    return ESeg.from_preset("eseg_lite_s_streets")


@pytest.fixture(scope="session")
def demo(model, tmp_path_factory):
    """Folder of a demo page of the trained network."""
    if not shutil.which("npm"):
        lack("npm, which fetches onnxruntime-web", "apt-get install npm")
    folder = tmp_path_factory.mktemp("demo") / "demo"
    write_demo_page(model, folder)
    return folder


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium whose camera shows a moving test image."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        lack("the package playwright", "pip install playwright")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        lack("Chromium", "apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--use-fake-device-for-media-stream"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def display():
    """Name of a virtual X display, such as `:99`."""
    if not shutil.which("Xvfb"):
        lack("Xvfb", "apt-get install xvfb")
    command = ["Xvfb", "-displayfd", "1", "-screen", "0", "1280x1024x24", "-nolisten", "tcp"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        yield f":{int(process.stdout.readline())}"
        process.terminate()


@pytest.fixture(scope="session")
def webkit(display):
    """WebDriver of a browser with WebKit, from Debian's package."""
    try:
        from selenium import webdriver
    except ModuleNotFoundError:
        lack("the package selenium", "pip install selenium")
    path = next(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"), None)
    if path is None or not shutil.which("WebKitWebDriver"):
        lack("WebKit's driver", "apt-get install webkit2gtk-driver")
    options = webdriver.WebKitGTKOptions()
    options.binary_location = str(path)
    options.add_argument("--automation")
    service = webdriver.WebKitGTKService(
        shutil.which("WebKitWebDriver"), env=os.environ | {"DISPLAY": display}
    )
    driver = webdriver.WebKitGTK(options=options, service=service)
    driver.set_script_timeout(60)
    yield driver
    driver.quit()


def lack(what, command):
    if os.environ.get("CI"):
        pytest.fail(f"This test needs {what}: {command}")
    pytest.skip(f"This test needs {what}: {command}")


class Server(http.server.ThreadingHTTPServer):
    """Serve a folder like `python -m http.server`, and record the requests."""

    def __init__(self, folder, headers):
        self.headers, self.requests = headers, []
        super().__init__(("127.0.0.1", 0), functools.partial(_Handler, directory=folder))
        self.url = f"http://127.0.0.1:{self.server_port}/"


class _Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self):
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        super().end_headers()

    def log_request(self, *_):
        self.server.requests.append(self.path)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def serving():
    """Context manager that serves a folder: `with serving(folder, **headers) as server`."""

    @contextlib.contextmanager
    def serving(folder, **headers):
        with Server(folder, headers) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            yield server
            server.shutdown()

    return serving


@pytest.fixture(scope="session")
def served(demo, serving):
    with serving(demo) as server:
        yield server


@pytest.fixture
def open_page(browser, served, wait_for):
    """Function that opens the page in a new browser context; script errors fail the test."""
    with contextlib.ExitStack() as stack:

        def open_page(url=None, is_ready=True, **options):
            context = stack.enter_context(browser.new_context(**options))
            page = context.new_page()
            page.set_default_timeout(60_000)
            errors = []
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.goto(url or served.url)
            if is_ready:
                wait_for(page, "#status", "Ready")
            stack.callback(lambda: check(errors))
            return page

        def check(errors):
            assert errors == []

        yield open_page


@pytest.fixture(scope="session")
def wait_for(browser):
    """Function that waits until an element of a page contains a text."""
    from playwright.sync_api import expect

    def wait_for(page, selector, text):
        expect(page.locator(selector)).to_contain_text(text, timeout=60_000)

    return wait_for
