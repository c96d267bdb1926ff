"""The client against servers with TF Serving's protocols, over sockets."""

import base64
import concurrent.futures
import io
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import urllib.request

import numpy as np
import pytest
from PIL import Image

import eseg_keras
from eseg_keras.export.client import Client, ServingError

NAME = "streets"
PROTOCOLS = ("rest", "grpc")


@pytest.fixture
def connect(server):
    """Function (protocol, ...) -> client connected to the server."""
    clients = []

    def make(protocol, model=NAME, **options):
        clients.append(Client(getattr(server, protocol), model, protocol=protocol, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_label_maps_are_those_of_the_network(protocol, connect, streets, scene):
    images = [scene(0, 96, 160), scene(1, 75, 121)]
    for image, prediction in zip(images, connect(protocol).predict(images), strict=True):
        assert prediction.label_map.dtype == np.uint8
        assert prediction.label_map.shape == image.shape[:2]
        assert (prediction.label_map == streets.segment(image)).mean() > 0.9999
        assert prediction.class_names == streets.class_names
        assert prediction.palette == streets.palette
        assert prediction.scores is None


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("signature", ["serving_default", "logits", "probabilities"])
def test_other_signatures(protocol, signature, connect, streets, scene):
    image = scene(2, 64, 96)
    prediction = connect(protocol, signature=signature)(image)
    assert (prediction.label_map == streets.segment(image)).mean() > 0.9999
    logits = np.asarray(streets(image[None]))[0]
    if signature == "logits":
        np.testing.assert_allclose(prediction.scores, logits, atol=1e-3)
    elif signature == "probabilities":
        exponents = np.exp(logits - logits.max(-1, keepdims=True))
        expected = exponents / exponents.sum(-1, keepdims=True)
        np.testing.assert_allclose(prediction.scores, expected, atol=1e-4)


def test_kinds_of_images(connect, scene, tmp_path, file_of):
    image = scene(3, 64, 96)
    client = connect("rest")
    expected = client(image).label_map
    paths = [tmp_path / "a.png", tmp_path / "a.bmp", str(tmp_path / "no suffix")]
    for path, kind in zip(paths, ("PNG", "BMP", "PNG"), strict=True):
        with open(path, "wb") as file:
            file.write(file_of(image, kind))
    rgba = np.concatenate([image, np.full((64, 96, 1), 9, np.uint8)], axis=-1)
    for sent in [*paths, Image.fromarray(image), rgba, Image.fromarray(rgba)]:
        np.testing.assert_array_equal(client(sent).label_map, expected)
    # Rotated by EXIF tags, as a file and as a Pillow image.
    tags = Image.Exif()
    tags[0x0112] = 6
    turned = tmp_path / "turned.jpg"
    turned.write_bytes(file_of(np.rot90(image), "JPEG", quality=100, subsampling=0, exif=tags))
    for sent in (turned, Image.open(turned)):
        label_map = client(sent).label_map
        assert label_map.shape == expected.shape
        assert (label_map == expected).mean() > 0.98
    # PNG files may have EXIF tags too. The server ignores them, so the client rotates the image.
    png = tmp_path / "turned.png"
    png.write_bytes(file_of(np.rot90(image), "PNG", exif=tags))
    np.testing.assert_array_equal(client(png).label_map, expected)
    grey = image[..., 1]
    np.testing.assert_array_equal(
        client(grey).label_map, client(np.stack([grey] * 3, axis=-1)).label_map
    )
    deep = Image.fromarray(grey.astype(np.uint16) * 257)
    np.testing.assert_array_equal(client(deep).label_map, client(grey).label_map)


def test_jpeg_is_smaller(connect, scene, server):
    image = scene(4, 96, 160)
    exact, near = connect("rest"), connect("rest", jpeg_quality=90)
    assert len(near._file(image)[0]) < len(exact._file(image)[0]) / 2
    assert (near(image).label_map == exact(image).label_map).mean() > 0.95


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_large_image_is_answered_in_kilobytes(protocol, connect, scene, server):
    image = np.kron(scene(5, 512, 1024), np.ones((2, 2, 1), np.uint8))
    label_map = connect(protocol)(image).label_map
    assert label_map.shape == (1024, 2048)
    # With one byte per pixel, the answer would take 2 MiB, and three times as much in JSON.
    assert server.answer_sizes[-1] < 100_000


def test_raw_label_maps_pass_grpcs_default_limit(connect, scene, server):
    image = np.kron(scene(5, 525, 525), np.ones((4, 4, 1), np.uint8))
    prediction = connect("grpc", signature="serving_default")(image)
    assert prediction.label_map.shape == (2100, 2100)
    assert server.answer_sizes[-1] > 4 << 20


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_several_at_once(protocol, connect, scene):
    client = connect(protocol)
    images = [scene(index, 48 + 8 * index, 96) for index in range(8)]
    expected = [client(image).label_map for image in images]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for prediction, alone in zip(pool.map(client, images), expected, strict=True):
            np.testing.assert_array_equal(prediction.label_map, alone)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_servers_reasons(protocol, connect, exported, scene, file_of, tmp_path):
    client = connect(protocol)
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(file_of(scene(0, 64, 96), "JPEG")[:900])
    with pytest.raises(ServingError, match=r"Invalid JPEG data or crop window\.$"):
        client(bad)
    with pytest.raises(ServingError, match="has 1100x3000 pixels, more than the limit of 3145728$"):
        client(np.zeros((1100, 3000, 3), np.uint8))
    with pytest.raises(ServingError, match="Servable not found"):
        connect(protocol, model="other")(scene(0, 64, 96))
    with pytest.raises(ServingError, match="Servable not found"):
        connect(protocol, version=2)(scene(0, 64, 96))
    with pytest.raises(ServingError, match=r"not compatible with expected shape \[\?,\?,\?,3\]\.$"):
        connect(protocol, signature="serving_default")(np.zeros((40, 40, 4), np.uint8))
    # The server still works.
    assert connect(protocol, version=1)(scene(0, 64, 96)).label_map.shape == (64, 96)


@pytest.mark.parametrize("named", [False, True])
def test_plain_http_requests(named, server, scene, file_of, streets):
    image = scene(0, 64, 96)
    row = {"b64": base64.b64encode(file_of(image, "PNG")).decode()}
    request = {"signature_name": "encoded", "instances": [{"image_bytes": row} if named else row]}
    url = f"http://{server.rest}/v1/models/streets:predict"
    with urllib.request.urlopen(url, json.dumps(request).encode()) as answer:
        (prediction,) = json.loads(answer.read())["predictions"]
    assert (prediction["height"], prediction["width"]) == (64, 96)
    label_map = Image.open(io.BytesIO(base64.b64decode(prediction["png_bytes"]["b64"])))
    assert (np.asarray(label_map) == streets.segment(image)).mean() > 0.9999


ROOT = str(pathlib.Path(eseg_keras.__path__[0]).parent)
# Import the client without the package, which would import Keras and take seconds.
CLIENT = f"""
import sys, types
import numpy as np
for name in ("eseg_keras", "eseg_keras.export", "eseg_keras.data"):
    package = types.ModuleType(name)
    package.__path__ = [{ROOT!r} + "/" + name.replace(".", "/")]
    sys.modules[name] = package
from eseg_keras.export.client import Client
"""
ASK = f"""
{CLIENT}
address, protocol, image, answer = sys.argv[1:]
with Client(address, "streets", protocol=protocol) as client:
    np.save(answer, client(np.load(image)).label_map)
"""


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_encrypted_connection(protocol, server, authority, connect, scene, tmp_path):
    image = scene(6, 64, 96)
    np.save(tmp_path / "image.npy", image)
    address = server.encrypted[protocol]
    command = [sys.executable, "-c", ASK, address, protocol, "image.npy", "answer.npy"]
    options = {"cwd": tmp_path, "stderr": subprocess.PIPE, "text": True}
    unknown = subprocess.run(command, **options)
    # Each protocol reads the certificate authority from its own environment variable, once per
    # process.
    variable = {"rest": "SSL_CERT_FILE", "grpc": "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"}[protocol]
    assert unknown.returncode == 1 and "ConnectionError: The certificate of" in unknown.stderr
    assert f"Set the environment variable {variable} to the file" in unknown.stderr
    known = os.environ | {variable: str(authority.path)}
    done = subprocess.run(command, env=known, **options)
    assert done.returncode == 0, done.stderr
    expected = connect(protocol)(image).label_map
    np.testing.assert_array_equal(np.load(tmp_path / "answer.npy"), expected)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_server(protocol, scene):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
    port = {"rest": "8501", "grpc": "8500"}[protocol]
    with (
        Client(address, NAME, protocol=protocol) as client,
        pytest.raises(ConnectionError, match=f"no server at .*{address}.* {port} for this"),
    ):
        client(scene(0, 40, 40))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_server_that_is_too_slow(protocol, connect, server, scene):
    server.delay = threading.Event()
    try:
        with pytest.raises(TimeoutError, match="within 0.3 seconds"):
            connect(protocol, timeout=0.3)(scene(0, 40, 40))
    finally:
        server.delay.set()
        server.delay = None


def test_another_server(server, scene):
    with pytest.raises(ServingError, match="Malformed request"):
        Client(f"http://{server.rest}/prefix", NAME)(scene(0, 40, 40))
    # The gRPC server does not understand HTTP/1.
    with pytest.raises((ConnectionError, ServingError)):
        Client(server.grpc, NAME)(scene(0, 40, 40))


@pytest.mark.parametrize(
    "answer",
    [
        {"outputs": 3},
        {"outputs": {"png_bytes": 3}},
        {"outputs": {"png_bytes": [{"x": "a"}]}},
        {"outputs": {"png_bytes": [{"b64": "a"}]}},
        {"outputs": {"png_bytes": [{"b64": "abcd"}]}},
        {"outputs": {"png_bytes": ["abcd"]}},
        {"outputs": {"png_bytes": []}},
        {"outputs": [[1, 2], [3]]},
        [],
    ],
    ids=str,
)
def test_answers_that_make_no_sense(answer, monkeypatch, scene):
    body = io.BytesIO(json.dumps(answer).encode())
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: body)
    with pytest.raises(ServingError, match="localhost:1/v1/models/streets:predict"):
        Client("localhost:1", NAME)(scene(0, 40, 40))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_headers(protocol, connect, server, scene):
    connect(protocol, headers={"Authorization": "Bearer x"})(scene(0, 40, 40))
    seen = server.last_headers if protocol == "rest" else server.last_metadata
    assert {name.lower(): value for name, value in seen.items()}["authorization"] == "Bearer x"


def test_wrong_arguments(connect, tmp_path, scene):
    for options, message in (
        ({"protocol": "http"}, "'rest' or 'grpc'"),
        ({"signature": "labels"}, "must be one of encoded"),
        ({"jpeg_quality": 0}, "1 to 100"),
        ({"timeout": -1}, "above 0 seconds. Received: -1"),
    ):
        with pytest.raises(ValueError, match=message):
            Client("localhost:1", NAME, **options)
    client = Client("localhost:1", NAME)
    with pytest.raises(ValueError, match="Call the client itself"):
        client.predict(tmp_path / "a.png")
    with pytest.raises(ValueError, match="Call the client itself"):
        client.predict(scene(0, 40, 40))
    with pytest.raises(ValueError, match="uint8, int32 or float32. Received: float64"):
        connect("grpc", signature="logits")(np.zeros((40, 40, 3)))
    with pytest.raises(ValueError, match=r"float64 of shape \(40, 40, 3\)"):
        client(np.zeros((40, 40, 3)))
    with pytest.raises(ValueError, match="nothing.bmp cannot be read"):
        client(tmp_path / "nothing.bmp")
    (tmp_path / "text.bmp").write_text("text")
    with pytest.raises(ValueError, match="text.bmp: cannot be read as an image"):
        client(tmp_path / "text.bmp")
    with pytest.raises(ValueError, match="one image per request"):
        connect("grpc", signature="logits").predict([scene(0, 40, 40), scene(0, 40, 48)])
    assert client.predict([]) == []


def test_the_client_leaves_tensorflow_alone():
    # The client must import neither TensorFlow nor Keras.
    code = f"""
{CLIENT}
for protocol in ("rest", "grpc"):
    try:
        Client("127.0.0.1:9", "m", protocol=protocol)(np.zeros((40, 40, 3), np.uint8))
    except ConnectionError:
        pass
print(sorted({{"tensorflow", "keras", "tensorflow_serving"}} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr[-2000:]
