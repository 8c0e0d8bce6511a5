"""The digits in MLServer, by its documented custom runtime."""

from __future__ import annotations

from digits import Digits  # type: ignore[import-not-found]  # beside it: the server runs in this folder
from mlserver import MLModel  # type: ignore[import-not-found]  # in .venv-peers
from mlserver.codecs import NumpyCodec  # type: ignore[import-not-found]
from mlserver.types import InferenceRequest, InferenceResponse  # type: ignore[import-not-found]


class Runtime(MLModel):  # type: ignore[misc]
    async def load(self) -> bool:
        self.model = Digits()
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        logits = self.model.logits(self.decode(payload.inputs[0], default_codec=NumpyCodec))
        outputs = [NumpyCodec.encode_output("logits", logits)]
        return InferenceResponse(model_name=self.name, outputs=outputs)
