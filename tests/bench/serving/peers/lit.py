"""LitServe as its documentation shows it: three hooks, `BENCH_WORKERS` workers, else its defaults.

The picture comes as base64 in JSON, its default; with multipart it was measured about 10 % slower.
"""

# No postponed annotations here: LitServe looks at those of `decode_request`.

import base64
from typing import Any

import litserve  # type: ignore[import-not-found]  # only in the peers' own environment
from starlette.requests import Request

from tests.bench.serving.peers.work import Net, number


class Api(litserve.LitAPI):  # type: ignore[misc]  # as above
    """One model."""

    def setup(self, device: str) -> None:
        self.net = Net()

    def decode_request(self, request: Request) -> bytes:
        # Its annotation chooses how the body is read; what arrives is the JSON.
        told: Any = request
        return base64.b64decode(told["image"])

    def predict(self, x: bytes) -> dict[str, Any]:
        return self.net.file(x)

    def encode_response(self, output: dict[str, Any]) -> dict[str, Any]:
        return output


if __name__ == "__main__":
    server = litserve.LitServer(Api(), accelerator="cpu", workers_per_device=number("BENCH_WORKERS", 1))
    server.run(host="127.0.0.1", port=number("BENCH_PORT"), log_level="warning", generate_client_file=False)
