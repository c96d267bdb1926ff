"""The client checks every answer, raises the documented errors, and respects its timeout."""

import base64
import io
import json
import socketserver
import threading
import time

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from eseg_keras.export.client import Client, ServingError, protocol

IMAGE = np.zeros((40, 48, 3), np.uint8)


class Server(socketserver.ThreadingTCPServer):
    """A server that reads a request and sends the parts that `answer` yields, with pauses."""

    daemon_threads = True

    def __init__(self, answer, pause=0.0):
        self.answer, self.pause = answer, pause
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(socketserver.StreamRequestHandler):
    def handle(self):
        length = 0
        while (line := self.rfile.readline().strip()) != b"":
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        self.rfile.read(length)
        try:
            for part in self.server.answer():
                self.wfile.write(part)
                time.sleep(self.server.pause)
        except OSError:
            pass  # The client closed the connection.


def answer_with(content, status=b"200 OK"):
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return lambda: [b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n" % (status, len(body)), body]


@pytest.fixture
def ask():
    """Function (parts of an answer, ...) -> prediction of the client for one image."""
    servers = []

    def ask(answer, pause=0.0, image=IMAGE, **options):
        servers.append(Server(answer, pause))
        return Client(servers[-1].address, "m", **options)(image)

    yield ask
    for server in servers:
        server.shutdown()
        server.server_close()


def png(array, text=None, **options):
    file, info = io.BytesIO(), PngImagePlugin.PngInfo()
    if text is not None:
        info.add_itxt("eseg-classes", text)
    Image.fromarray(array).save(file, "PNG", pnginfo=info, **options)
    return file.getvalue()


def encoded(*files):
    return {"outputs": {"png_bytes": [{"b64": base64.b64encode(x).decode()} for x in files]}}


LABELS = np.ones((40, 48), np.uint8)
JPEG = io.BytesIO()
Image.fromarray(LABELS).save(JPEG, "JPEG")
NAMES = '{"class_names": ["a", "b"], "palette": [[0, 0, 0], [1, 2, 3]]}'


def test_an_answer_as_documented(ask):
    prediction = ask(answer_with(encoded(png(LABELS, NAMES))))
    np.testing.assert_array_equal(prediction.label_map, LABELS)
    assert prediction.class_names == ("a", "b") and prediction.palette[1] == (1, 2, 3)


@pytest.mark.parametrize(
    "answer",
    [
        encoded(png(LABELS[:39])),
        encoded(png(LABELS.T)),
        encoded(png(np.zeros((20_000, 20_000), bool))),
        encoded(png(LABELS.astype(np.uint16))),
        encoded(png(IMAGE)),
        encoded(JPEG.getvalue()),
        encoded(png(LABELS)[:-30]),
        encoded(png(LABELS), png(LABELS)),
        encoded(),
        encoded(png(LABELS, "[]")),
        encoded(png(LABELS, "{")),
        encoded(png(LABELS, "[" * 100_000)),
        encoded(png(LABELS, '{"class_names": ["a"]}')),
        encoded(png(LABELS, '{"class_names": 3}')),
        encoded(png(LABELS, '{"class_names": [1, 2]}')),
        encoded(png(LABELS, '{"palette": [[0, 0], [1, 1]]}')),
        {"outputs": {"png_bytes": [[1, 2]]}},
        {"outputs": {"png_bytes": None}},
        {"outputs": {"labels": LABELS[None].tolist()}},
        b"[" * 100_000,
        b'{"outputs": ' + b"1" * 5000 + b"}",
        b"\xff\xfe",
        b"",
    ],
    ids=map(str, range(23)),
)
def test_answers_of_files_that_do_not_fit(ask, answer):
    with pytest.raises(ServingError, match="/v1/models/m:predict"):
        ask(answer_with(answer))


@pytest.mark.parametrize(
    "signature, values",
    [
        ("serving_default", LABELS[None, :39]),
        ("serving_default", LABELS),
        ("serving_default", np.stack([LABELS] * 2)),
        ("serving_default", LABELS[None] + 255.0),
        ("serving_default", LABELS[None].astype(int) * 300),
        ("serving_default", LABELS[None].astype(int) * -1),
        ("serving_default", np.full((1, 40, 48), "a")),
        ("serving_default", np.full((1, 40, 48), 2.0**70)),
        ("logits", LABELS[None]),
        ("logits", np.full((1, 40, 48, 2), np.nan)),
        ("probabilities", np.zeros((1, 40, 48, 0))),
        ("probabilities", np.zeros((1, 40, 47, 2))),
    ],
    ids=map(str, range(12)),
)
def test_answers_of_arrays_that_do_not_fit(ask, signature, values):
    with pytest.raises(ServingError, match="/v1/models/m:predict returned"):
        ask(answer_with({"outputs": values.tolist()}), signature=signature)


def test_arrays_as_documented(ask):
    answer = answer_with({"outputs": LABELS[None].tolist()})
    prediction = ask(answer, signature="serving_default")
    assert prediction.label_map.dtype == np.uint8 and prediction.scores is None
    scores = np.random.default_rng(0).random((1, 40, 48, 3))
    prediction = ask(answer_with({"outputs": {"logits": scores.tolist()}}), signature="logits")
    np.testing.assert_array_equal(prediction.label_map, scores[0].argmax(-1))
    assert prediction.scores.dtype == np.float32


@pytest.mark.parametrize(
    "content", [b"\xff", b"[" * 100_000, b'{"error": 3}', b'{"error": null}', b"[]", b""]
)
def test_errors_that_make_no_sense(ask, content):
    with pytest.raises(ServingError, match=r"HTTP status 500 Oh\."):
        ask(answer_with(content, b"500 Oh"))


def slow_body():
    yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    yield from [b"x"] * 1000


def slow_head():
    yield b"HTTP/1.1 200 OK\r\n"
    yield from [b"A: b\r\n"] * 90


def slow_error():
    yield b"HTTP/1.1 500 Oh\r\nContent-Length: 1000\r\n\r\n"
    yield from [b"x"] * 1000


@pytest.mark.parametrize("answer", [slow_body, slow_head, slow_error])
def test_the_timeout_is_for_the_whole_call(ask, answer):
    start = time.monotonic()
    with pytest.raises(TimeoutError, match="within 0.4 seconds"):
        ask(answer, pause=0.05, timeout=0.4)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize("status", [b"200 OK", b"500 Oh"])
def test_an_answer_without_end_is_not_kept(ask, status):
    sent = []

    def answer():
        yield b"HTTP/1.1 %b\r\n\r\n" % status
        while True:
            yield b" " * (1 << 20)
            sent.append(1)

    with pytest.raises(ServingError):
        ask(answer, timeout=20)
    assert len(sent) < 100


@pytest.mark.parametrize(
    "answer",
    [
        lambda: [b""],
        lambda: [b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"],
        lambda: [b"220 smtp\r\n"],
        lambda: [b"HTTP/1.1 200 OK\r\n" + b"a" * 70_000],
    ],
)
def test_connections_that_end(ask, answer):
    with pytest.raises((ConnectionError, ServingError)):
        ask(answer)


def test_a_port_that_does_not_exist():
    for address in ("127.0.0.1:99999", "no host at all"):
        with pytest.raises((ConnectionError, ServingError)):
            Client(address, "m")(IMAGE)


# === gRPC: a short message may declare a tensor of any size ===


@pytest.mark.parametrize("shape", [(1, 1 << 40), (-1, 4), (1, 40, 49)])
def test_tensors_are_compared_with_the_request_before_they_are_made(shape):
    pytest.importorskip("google.protobuf")
    response = protocol.messages().PredictResponse()
    tensor = response.outputs["labels"]
    tensor.dtype = 4
    tensor.int_val.append(1)
    for size in shape:
        tensor.tensor_shape.dim.add(size=size)
    with pytest.raises(ValueError, match="'labels' has the shape"):
        protocol.arrays(response, 40 * 48)


def test_arrays_of_16_bits_are_sent_as_pixel_values(ask):
    sent = Client("localhost:1", "m", signature="logits")
    sent._transport.predict = lambda inputs, pixels: sent.__dict__.update(inputs) or {}
    with pytest.raises(ServingError):
        sent(np.full((40, 48, 3), 32896, np.uint16))
    np.testing.assert_array_equal(sent.images, np.full((1, 40, 48, 3), 128.0))


@pytest.mark.parametrize(
    "image, message",
    [
        (np.zeros((1, 40, 40, 3), np.uint8), r"\[H, W, C\]. Received: shape \(1, 40, 40, 3\)"),
        (np.full((40, 40, 3), 0.5, np.float32), "multiply by 255"),
        (np.full((40, 40, 3), np.nan, np.float32), "0 to 255"),
        (np.full((40, 40, 3), 300, np.int32), "0 to 255"),
        (np.full((40, 40, 3), "a"), "an integer or float image"),
    ],
)
def test_arrays_are_checked_before_they_are_sent(image, message):
    with pytest.raises(ValueError, match=message):
        Client("localhost:1", "m", signature="logits")(image)
