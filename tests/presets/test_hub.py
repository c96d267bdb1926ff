"""Publishing on the Hugging Face Hub, with a fake server."""

import base64
import http.server
import json
import shutil
import threading

import numpy as np
import pytest

from eseg_keras import ESeg
from eseg_keras.presets import push_to_hub
from eseg_keras.presets.files import PresetError
from eseg_keras.presets.hub import model_card

COMMIT = "a" * 40


class Hub(http.server.BaseHTTPRequestHandler):
    """A fake Hub that stores uploaded small files in `server.files`."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/api/repos/create":
            self.server.created = json.loads(body)
            self.answer({"url": f"{self.server.url}/me/leaves", "name": "me/leaves"})
        elif self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            files = json.loads(body)["files"]
            regular = {"uploadMode": "regular", "shouldIgnore": False}
            self.answer({"files": [{"path": file["path"], **regular} for file in files]})
        else:
            assert self.path.startswith("/api/models/me/leaves/commit/main")
            for line in body.splitlines():
                entry = json.loads(line)
                if entry["key"] == "file":
                    content = base64.b64decode(entry["value"]["content"])
                    self.server.files[entry["value"]["path"]] = content
            address = f"{self.server.url}/me/leaves/commit/{COMMIT}"
            self.answer({"commitUrl": address, "commitOid": COMMIT, "success": True})

    def do_GET(self):
        name = self.path.rpartition("/")[2]
        if self.path.startswith("/me/leaves/resolve/"):
            if name not in self.server.files:
                self.send_response(404)
                self.send_header("X-Error-Code", "EntryNotFound")
                self.end_headers()
                return
            self.send_file(self.server.files[name])
        elif "/tree/" in self.path:
            sizes = {path: len(content) for path, content in self.server.files.items()}
            self.answer(
                [
                    {"type": "file", "path": path, "size": size, "oid": path}
                    for path, size in sizes.items()
                ]
            )
        else:
            siblings = [{"rfilename": name} for name in self.server.files]
            self.answer({"id": "me/leaves", "sha": COMMIT, "siblings": siblings})

    do_HEAD = do_GET

    def answer(self, content):
        self.send_file(json.dumps(content).encode(), "application/json")

    def send_file(self, content, kind="application/octet-stream"):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("ETag", f'"{hash(content)}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch, tmp_path):
    constants = pytest.importorskip("huggingface_hub.constants")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.url, server.files = f"http://127.0.0.1:{server.server_port}", {}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        server.url + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def saved(small_eseg, tmp_path_factory):
    path = tmp_path_factory.mktemp("saved") / "preset"
    model = small_eseg(class_names=("leaf", "stem"))
    model.training_long_side = 96
    model.save_to_preset(path)
    return path


@pytest.fixture
def preset(saved, tmp_path):
    return shutil.copytree(saved, tmp_path / "run" / "preset")


def test_what_was_pushed_is_loaded(server, preset):
    scores = {"mean_iou": 0.7654, "num_images": 12}
    (preset.parent / "metrics.json").write_text(json.dumps(scores))
    address = push_to_hub(preset, "hf://me/leaves", license="mit", private=True, token="hf_x")
    assert address == f"{server.url}/me/leaves"
    created = server.created
    assert created["name"] == "leaves"
    # The key depends on the version of huggingface_hub.
    assert created.get("private") is True or created.get("visibility") == "private"
    model, loaded = ESeg.from_preset(preset), ESeg.from_preset("hf://me/leaves")
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    card = server.files["README.md"].decode()
    for part in (
        'license: "mit"', "pipeline_tag:", "# leaves", "leaf, stem", f"{model.count_params():,}",
        "0.765 on 12 validation images", "96 pixels on the longer side", 'from_preset("hf://me/leaves")',
    ):  # fmt: skip
        assert part in card


def test_a_card_of_any_names_without_a_score(small_eseg, tmp_path):
    small_eseg(class_names=("a|b", "c\nd")).save_to_preset(tmp_path / "preset")
    (tmp_path / "metrics.json").write_text(json.dumps({"mean_iou": None, "num_images": 1}))
    card = model_card(tmp_path / "preset", "me/leaves")
    assert "| Classes | a\\|b, c d |" in card and "Mean IoU" not in card


def test_a_card_of_ones_own_is_kept(server, preset):
    (preset / "README.md").write_text("Mine.")
    push_to_hub(preset, "me/leaves", token="hf_x")
    assert server.files["README.md"] == b"Mine."


@pytest.mark.parametrize(
    "edit",
    [
        lambda card: card.replace(b"# leaves", b"# My leaves"),
        lambda card: card + b"Thanks to all.",
        lambda card: b"Mine.",
    ],
    ids=["changed", "added", "new"],
)
def test_an_edited_card_is_kept(server, preset, caplog, edit):
    push_to_hub(preset, "me/leaves", token="hf_x")
    first = server.files["README.md"]
    push_to_hub(preset, "me/leaves", license="mit", token="hf_x")
    # The card was not edited, so it is written again.
    assert b'license: "mit"' in server.files["README.md"] and b"license" not in first
    assert not caplog.text
    server.files["README.md"] = mine = edit(server.files["README.md"])
    del server.files["config.json"]
    push_to_hub(preset, "me/leaves", token="hf_x")
    assert server.files["README.md"] == mine and "config.json" in server.files
    assert f"{server.url}/me/leaves/blob/main/README.md was edited and is kept" in caplog.text
    # A card in the preset directory replaces even an edited card.
    (preset / "README.md").write_text("Other.")
    push_to_hub(preset, "me/leaves", token="hf_x")
    assert server.files["README.md"] == b"Other."


def test_a_damaged_preset_is_not_published(server, preset):
    with (preset / "weights.h5").open("r+b") as file:
        file.write(b"damage")
    with pytest.raises(PresetError, match="is damaged"):
        push_to_hub(preset, "me/leaves", token="hf_x")
    assert not server.files
