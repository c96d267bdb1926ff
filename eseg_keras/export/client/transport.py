"""Send requests to TF Serving over REST or gRPC."""

import base64
import dataclasses
import http.client
import json
import queue
import re
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Any

import numpy as np

from eseg_keras.optional import require

_MOST_CLASSES = 255
# Limits of the size of a response, in bytes: per pixel of a label map (a PNG file in base64), per
# number in JSON (with the white space of TF Serving), and for everything else.
_FILE_BYTES, _NUMBER_BYTES, _OTHER_BYTES = 2, 64, 1 << 20
# Matches the message of an assertion in the SavedModel within TensorFlow's error message.
_ASSERTION = re.compile(r"assertion failed: \[(.*?)\]", re.DOTALL)


class ServingError(ValueError):
    """A server returned an error, or an invalid response."""


@dataclasses.dataclass
class _Transport:
    """Base class of transports; `predict` takes and returns {name: array or list of bytes}.

    `pixels`, the number of pixels of all images of a request, limits the size of its response.
    """

    address: str
    model: str
    signature: str
    version: int | None
    timeout: float
    headers: Mapping[str, str]


@dataclasses.dataclass
class RestTransport(_Transport):
    """TF Serving's REST API, which omits the name of a single output; `predict` names it `""`."""

    def __post_init__(self):
        base = self.address if "://" in self.address else f"http://{self.address}"
        version = "" if self.version is None else f"/versions/{self.version}"
        name = urllib.parse.quote(self.model, safe="")
        self.url = f"{base.rstrip('/')}/v1/models/{name}{version}:predict"

    def predict(self, inputs: Mapping[str, Any], pixels: int) -> dict[str, Any]:
        """Send one request; raise `ConnectionError`, `TimeoutError` or `ServingError`."""
        deadline = time.monotonic() + self.timeout
        outcomes = queue.SimpleQueue()

        def send():
            try:
                outcomes.put((self._send(inputs, pixels, deadline), None))
            except BaseException as error:
                outcomes.put((None, error))

        # Send in a thread, because socket timeouts apply to each read, not to the whole response.
        threading.Thread(target=send, daemon=True).start()
        try:
            answer, error = outcomes.get(timeout=self.timeout)
        except queue.Empty:
            raise TimeoutError(_too_slow(self.url, self.timeout)) from None
        if error is not None:
            raise error
        return answer

    def _send(self, inputs, pixels, deadline):
        is_encoded = self.signature == "encoded"
        most = pixels * (_FILE_BYTES if is_encoded else _MOST_CLASSES * _NUMBER_BYTES)
        content = {name: _to_json(value) for name, value in inputs.items()}
        body = json.dumps({"signature_name": self.signature, "inputs": content}).encode()
        headers = {"Content-Type": "application/json", **self.headers}
        try:
            request = urllib.request.Request(self.url, body, headers)
            with urllib.request.urlopen(request, timeout=self.timeout) as response:
                answer = json.loads(_read(response, deadline, most))["outputs"]
            if not isinstance(answer, dict):
                answer = {"": answer}
            return {name: _from_json(value) for name, value in answer.items()}
        except urllib.error.HTTPError as error:
            raise ServingError(f"{self.url}: {_http_reason(error, deadline)}") from error
        except (OSError, http.client.HTTPException) as error:
            # urllib wraps only some socket errors.
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise TimeoutError(_too_slow(self.url, self.timeout)) from error
            raise ConnectionError(_no_server(self.url, reason, 8501, "SSL_CERT_FILE")) from error
        except (ValueError, LookupError, TypeError, ArithmeticError, RecursionError) as error:
            raise ServingError(
                f"{self.url} did not return a response of TF Serving's Predict API. Check the "
                "address."
            ) from error

    def close(self) -> None:
        """Do nothing: every request opens and closes its own connection."""


@dataclasses.dataclass
class GrpcTransport(_Transport):
    """TF Serving's gRPC API, used without importing TensorFlow."""

    def __post_init__(self):
        self._grpc = grpc = require("grpc", "serving")
        from eseg_keras.export.client import protocol

        self._protocol = protocol
        self._metadata = tuple((name.lower(), value) for name, value in self.headers.items())
        scheme, _, self.url = self.address.rstrip("/").rpartition("://")
        # Label maps may be larger than gRPC's default limit of 4 MiB.
        options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = (
            grpc.secure_channel(self.url, grpc.ssl_channel_credentials(), options)
            if scheme == "https"
            else grpc.insecure_channel(self.url, options)
        )
        self._predict = self._channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=lambda request: request.SerializeToString(),
            response_deserializer=protocol.messages().PredictResponse.FromString,
        )

    def predict(self, inputs: Mapping[str, Any], pixels: int) -> dict[str, Any]:
        """Send one request; raise `ConnectionError`, `TimeoutError` or `ServingError`."""
        request = self._protocol.predict_request(self.model, self.signature, inputs, self.version)
        code = self._grpc.StatusCode
        try:
            response = self._predict(request, timeout=self.timeout, metadata=self._metadata)
        except self._grpc.RpcError as error:
            reason = error.details()
            if error.code() is code.DEADLINE_EXCEEDED:
                raise TimeoutError(_too_slow(self.url, self.timeout)) from error
            if error.code() is code.UNAVAILABLE:
                variable = "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"
                raise ConnectionError(_no_server(self.url, reason, 8500, variable)) from error
            raise ServingError(f"{self.url}: {_reason(reason or error.code().name)}") from error
        except ValueError as error:  # The channel is closed.
            raise ConnectionError(f"{self.url}: {error}") from error
        try:
            return self._protocol.arrays(response, pixels * _MOST_CLASSES)
        except ValueError as error:
            raise ServingError(f"{self.url}: {error}") from error

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()


def _to_json(value):
    if isinstance(value, list):
        return [{"b64": base64.b64encode(content).decode()} for content in value]
    return value.tolist()


def _from_json(value):
    if not isinstance(value, list):
        raise TypeError(f"Expected a list. Received: {value!r}")
    if value and isinstance(value[0], dict):
        return [base64.b64decode(content["b64"]) for content in value]
    return np.asarray(value)


def _read(response, deadline, most=0):
    """Read a response; raise `TimeoutError` after the deadline, `ValueError` if it is too large."""
    body = bytearray()
    while chunk := response.read1(1 << 20):
        body += chunk
        if time.monotonic() > deadline:
            raise TimeoutError
        if len(body) > most + _OTHER_BYTES:
            raise ValueError
    return bytes(body)


def _http_reason(error, deadline):
    try:
        with error:  # Closes the connection.
            return _reason(json.loads(_read(error, deadline))["error"])
    except (OSError, http.client.HTTPException, ValueError, LookupError, TypeError, RecursionError):
        return f"HTTP status {error.code} {error.reason}. Check that it is TF Serving's REST port."


def _reason(message):
    found = _ASSERTION.search(message)
    return found[1] if found else message.strip().split("\n")[0]


def _no_server(url, reason, port, variable):
    if "CERTIFICATE_VERIFY_FAILED" in str(reason):
        return (
            f"The certificate of {url} is not trusted ({reason}). Set the environment variable "
            f"{variable} to the file of its certificate authority."
        )
    return (
        f"There is no server at {url} ({reason}). Start the server, or check the port: TF "
        f"Serving's default port is {port} for this protocol."
    )


def _too_slow(url, timeout):
    return f"{url} did not answer within {timeout:g} seconds. Set a longer timeout."
