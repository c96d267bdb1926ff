"""Servers that run an exported SavedModel and implement TF Serving's protocols on sockets."""

import base64
import concurrent.futures
import importlib.util
import io
import json
import pathlib
import re
import ssl
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from eseg_keras.export.saved_model.exporter import export_saved_model
from eseg_keras.street_scenes import render_scene, scene_images

spec = importlib.util.spec_from_file_location("c_api", pathlib.Path(__file__).with_name("c_api.py"))
c_api = importlib.util.module_from_spec(spec)
spec.loader.exec_module(c_api)

MAX_PIXELS = 3 << 20
NAME = "streets"


@pytest.fixture(scope="session")
def exported(streets, tmp_path_factory):
    """The trained network as a SavedModel: directory and verification."""
    output = tmp_path_factory.mktemp("models") / NAME
    images = scene_images("test", 2, (192, 384))
    verification = export_saved_model(
        streets, output, verification_images=images, max_pixels=MAX_PIXELS
    )
    return SimpleNamespace(
        path=output, version=output / "1", verification=verification, max_pixels=MAX_PIXELS
    )


@pytest.fixture(scope="session")
def signatures(exported):
    """The signatures of the SavedModel, loaded by TensorFlow."""
    loaded = tf.saved_model.load(str(exported.version))
    # The functions keep no reference to the loaded model, so keep one here.
    return SimpleNamespace(loaded=loaded, by_name=loaded.signatures)


@pytest.fixture(scope="session")
def run_c_api():
    """Function that runs requests with TensorFlow's C API, see c_api.py."""
    return c_api.answers


@pytest.fixture(scope="session")
def scene():
    """Function (index, height, width) -> street scene, uint8 [H, W, 3]."""
    return lambda index, height, width: render_scene(index, "test", (height, width))[0]


@pytest.fixture(scope="session")
def file_of():
    """Function that encodes an array or a Pillow image: (image, "PNG" or "JPEG", ...) -> bytes."""

    def encode(image, kind, **options):
        file = io.BytesIO()
        picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
        picture.save(file, kind, **options)
        return file.getvalue()

    return encode


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Files of an untrusted certificate authority, and of a key and certificate that it issued."""
    trustme = pytest.importorskip("trustme")
    folder = tmp_path_factory.mktemp("authority")
    authority = trustme.CA()
    given = authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(folder / "authority.pem")
    given.private_key_pem.write_to_path(folder / "key.pem")
    given.cert_chain_pems[0].write_to_path(folder / "certificate.pem")
    return SimpleNamespace(
        path=folder / "authority.pem", key=folder / "key.pem", given=folder / "certificate.pem"
    )


@pytest.fixture(scope="session")
def server(exported, authority):
    """Servers for REST and gRPC, each without and with TLS.

    `rest` and `grpc` are the addresses without TLS; `encrypted` is {protocol: address with TLS}.
    `answer_sizes` lists the size of each answer in bytes.
    """
    with (
        pytest.MonkeyPatch.context() as environment,
        concurrent.futures.ThreadPoolExecutor(4) as threads,
    ):
        environment.setenv("no_proxy", "localhost,127.0.0.1")
        state = SimpleNamespace(answer_sizes=[], delay=None)
        state.signatures = c_api.read_signatures(exported.version)
        state.session = c_api.Session(exported.version, c_api.libraries())
        handler = _rest_handler(state)
        rest, rest_tls = (ThreadingHTTPServer(("127.0.0.1", 0), handler) for _ in range(2))
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(authority.given, authority.key)
        rest_tls.socket = context.wrap_socket(
            rest_tls.socket, server_side=True, do_handshake_on_connect=False
        )
        for http_server in (rest, rest_tls):
            threading.Thread(target=http_server.serve_forever, daemon=True).start()
        grpc_server, grpc_port, grpc_tls_port = _grpc_server(state, threads, authority)
        state.rest = f"127.0.0.1:{rest.server_port}"
        state.grpc = f"127.0.0.1:{grpc_port}"
        state.encrypted = {
            "rest": f"https://localhost:{rest_tls.server_port}",
            "grpc": f"https://localhost:{grpc_tls_port}/",
        }
        yield state
        grpc_server.stop(None).wait()
        for http_server in (rest, rest_tls):
            http_server.shutdown()
            http_server.server_close()


class Refusal(Exception):
    """An error answer of TF Serving: HTTP status and message."""


def _run(state, name, version, signature, inputs):
    """Run a request like TF Serving: compare inputs with the signature, then run the session."""
    if name != NAME or version not in (None, 1):
        which = "Latest" if version is None else f"Specific({version})"
        raise Refusal(404, f"Servable not found for request: {which}({name})")
    if state.delay is not None:
        state.delay.wait(20)
    if signature not in state.signatures:
        raise Refusal(400, f'Serving signature key "{signature}" not found.')
    expected = state.signatures[signature]
    if set(expected.inputs) != set(inputs):
        raise Refusal(400, "input size does not match signature")
    try:
        return state.session.run(*c_api.names(expected, inputs))
    except c_api.Failure as failure:
        raise Refusal(400, str(failure)) from failure


def _rest_handler(state):
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            try:
                answer, status = self._answer(body), 200
            except Refusal as refusal:
                status, message = refusal.args
                answer = {"error": message}
            content = json.dumps(answer).encode()
            state.answer_sizes.append(len(content))
            state.last_headers = dict(self.headers)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _answer(self, body):
            path = re.fullmatch(r"/v1/models/([^/]+)(?:/versions/(\d+))?:predict", self.path)
            if not path:
                raise Refusal(404, f"Malformed request: POST {self.path}")
            request = json.loads(body)
            signature = request.get("signature_name", "serving_default")
            version = None if path[2] is None else int(path[2])
            in_rows = "instances" in request
            inputs = self._rows(request) if in_rows else request["inputs"]
            specs = state.signatures[signature].inputs
            if not isinstance(inputs, dict):
                (only,) = specs
                inputs = {only: inputs}
            arrays = {key: _from_json(value, specs[key].dtype) for key, value in inputs.items()}
            outputs = _run(state, path[1], version, signature, arrays)
            outputs = {key: _jsonable(key, value) for key, value in outputs.items()}
            if in_rows:
                rows = [
                    dict(zip(outputs, row, strict=True))
                    for row in zip(*outputs.values(), strict=True)
                ]
                return {"predictions": [_bare(row) for row in rows]}
            return {"outputs": _bare(outputs)}

        def _rows(self, request):
            rows = request["instances"]
            if isinstance(rows[0], dict) and set(rows[0]) != {"b64"}:
                return {key: [row[key] for row in rows] for key in rows[0]}
            return rows

        def log_message(self, *arguments):
            pass

    return Handler


def _from_json(value, dtype):
    if dtype == tf.string:
        return [base64.b64decode(content["b64"]) for content in value]
    return np.array(value, tf.dtypes.as_dtype(dtype).as_numpy_dtype)


def _jsonable(name, value):
    if isinstance(value, np.ndarray):
        return value.tolist()
    assert name.endswith("_bytes"), "TF Serving sends other names as text"
    return [{"b64": base64.b64encode(content).decode()} for content in value]


def _bare(outputs):
    return next(iter(outputs.values())) if len(outputs) == 1 else outputs


def _grpc_server(state, threads, authority):
    import grpc
    from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

    class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            model = request.model_spec
            version = model.version.value if model.HasField("version") else None
            state.last_metadata = dict(context.invocation_metadata())
            try:
                inputs = {key: _from_proto(value) for key, value in request.inputs.items()}
                outputs = _run(state, model.name, version, model.signature_name, inputs)
            except Refusal as refusal:
                status, message = refusal.args
                codes = {404: grpc.StatusCode.NOT_FOUND, 400: grpc.StatusCode.INVALID_ARGUMENT}
                context.abort(codes[status], message)
            response = predict_pb2.PredictResponse(model_spec=model)
            for key, value in outputs.items():
                response.outputs[key].CopyFrom(_proto(value))
            state.answer_sizes.append(response.ByteSize())
            return response

    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    server = grpc.server(threads, options=options)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    pair = (authority.key.read_bytes(), authority.given.read_bytes())
    tls_port = server.add_secure_port("localhost:0", grpc.ssl_server_credentials([pair]))
    server.start()
    return server, port, tls_port


def _from_proto(proto):
    array = tf.make_ndarray(proto)
    return array.tolist() if array.dtype == object else array


def _proto(value):
    """Return a TensorProto with the values in the `*_val` list of their type, like TF Serving."""
    if isinstance(value, list):
        return tf.make_tensor_proto(value)
    proto = tf.make_tensor_proto(np.zeros(0, value.dtype))
    proto.tensor_shape.CopyFrom(tf.TensorShape(value.shape).as_proto())
    values = proto.float_val if value.dtype == np.float32 else proto.int_val
    values.extend(value.ravel().tolist())
    return proto
