"""The digits in KServe's own server, by its documented custom model: `python on_kserve.py --http_port N`."""

from __future__ import annotations

import argparse
from typing import Any

from digits import Digits  # type: ignore[import-not-found]  # beside it: the server runs in this folder
from kserve import (  # type: ignore[import-not-found]  # in .venv-peers
    InferOutput,
    InferRequest,
    InferResponse,
    Model,
    ModelServer,
    model_server,
)


class Served(Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__("digits")
        self.digits = Digits()
        self.ready = True

    def predict(self, payload: InferRequest, headers: Any = None, response_headers: Any = None) -> Any:
        logits = self.digits.logits(payload.inputs[0].as_numpy())
        output = InferOutput("logits", list(logits.shape), "FP32")
        output.set_data_from_numpy(logits, binary_data=False)
        return InferResponse(response_id="1", model_name=self.name, infer_outputs=[output])


if __name__ == "__main__":
    options, _ = argparse.ArgumentParser(parents=[model_server.parser]).parse_known_args()
    ModelServer(http_port=options.http_port, enable_grpc=False).start([Served()])
