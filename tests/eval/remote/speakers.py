"""One model, spoken to in every way there is.

It has two classes, dark and light: the scores of a picture are 1 - v and v, where v is its mean level as a
fraction.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from eval.target import Access
from models.card import InputSpec, ModelCard
from models.decoding import decode
from models.results import Array
from models.tensors import read_json, read_raw, write_raw
from tests.eval.remote.services import Reply, Request, Speak, error, said

SIDES = 5, 7
LENGTH = "inference-header-content-length"


def scores(image: Array) -> list[float]:
    level = float(image.mean() / 255)
    return [1 - level, level]


def files_in(body: bytes) -> list[bytes]:
    boundary = body[: body.index(b"\r\n")]
    return [part.split(b"\r\n\r\n", 1)[1][:-2] for part in body.split(boundary)[1:-1]]


def assay(request: Request) -> Reply:
    """A service of ours."""
    if request.path == "/models":
        return said(
            {
                "models": [
                    {
                        "name": "m", "version": 3, "task": "classification", "labels": ["dark", "light"],
                        "sha256": "0", "claims": [], "state": "ready", "error": None,
                        "input": {"height": 5, "width": 7},
                    }
                ]
            }
        )  # fmt: skip
    if request.method == "GET":
        return error(404)
    try:
        answers = [{"scores": scores(decode(file))} for file in files_in(request.body)]
    except ValueError as wrong:
        return error(422, str(wrong))
    return said({"model": "m", "version": 3, "task": "classification", "predictions": answers})


def card(**fields: Any) -> ModelCard:
    spec = InputSpec(
        name="pictures", height=SIDES[0], width=SIDES[1], layout="NHWC", **fields.pop("input", {})
    )
    told: dict[str, Any] = {
        "name": "m", "version": 1, "task": "classification", "family": "probabilities", "input": spec,
        "outputs": ("probs",), "labels": ("dark", "light"), "licence": "none", "sha256": "0" * 64,
    }  # fmt: skip
    return ModelCard(**{**told, **fields})


@dataclass(frozen=True)
class Oip:
    """A server of the Open Inference Protocol.

    Attributes:
        datatype, shape: of its one input.
        binary: whether it takes raw bytes behind the JSON, and says so.
        most: images it takes at once; more are an error of status `refuse`.
        answers: it reads its own outputs, as ours does.
        shy: it does not describe inputs and outputs.
    """

    datatype: str = "FP32"
    shape: tuple[int, ...] = (-1, *SIDES, 3)
    binary: bool = False
    most: int = 1000
    refuse: int = 400
    answers: bool = False
    shy: bool = False
    versions: tuple[str, ...] = ()
    output: str = "probs"

    def __call__(self, request: Request) -> Reply:
        path = request.path
        if path == "/v2":
            told = ["binary_tensor_data"] if self.binary else []
            return said({"name": "other", "version": "1.2", "extensions": told})
        if path == "/v2/repository/index":
            return said([{"name": "m", "version": "1", "state": "READY", "reason": ""}])
        if path.endswith("/ready"):
            return Reply()
        if not path.startswith("/v2/models/m"):
            return error(404)
        if not path.endswith("/infer"):
            return self.described(path)
        try:
            return self.inferred(request)
        except (ValueError, KeyError) as wrong:
            return error(400, str(wrong))

    def described(self, path: str) -> Reply:
        version = path.partition("/versions/")[2]
        if version and version not in self.versions:
            return error(404)
        inputs = [{"name": "pictures", "datatype": self.datatype, "shape": list(self.shape)}]
        name = "answer.scores" if self.answers else self.output
        outputs = [{"name": name, "datatype": "FP32", "shape": [-1, 2]}]
        puts = {"inputs": [], "outputs": []} if self.shy else {"inputs": inputs, "outputs": outputs}
        return said({"name": "m", "versions": list(self.versions), "platform": "p", **puts})

    def inferred(self, request: Request) -> Reply:
        size = int(request.headers.get(LENGTH, len(request.body)))
        told = orjson.loads(request.body[:size])
        (given,) = told["inputs"]
        parameters, shape = given.get("parameters", {}), tuple(given["shape"])
        if size < len(request.body):
            if not self.binary:
                raise ValueError("no binary here")
            rest = memoryview(request.body)[size:]
            tensor = read_raw(given["name"], given["datatype"], shape, rest)
        else:
            kind = parameters.get("content_type")
            tensor = read_json(given["name"], given["datatype"], shape, given["data"], content_type=kind)
        wanted = {self.datatype} | ({"BYTES", "UINT8"} if self.answers else set())
        if given["datatype"] not in wanted or given["name"] != "pictures":
            raise ValueError(f"not {given['name']} {given['datatype']}")
        values = tensor.values
        if given["datatype"] == self.datatype == "FP32" and shape[1:] != self.shape[1:]:
            raise ValueError(f"not {list(shape)}")
        images = [decode(v) if not isinstance(v, np.ndarray) else v for v in values]
        if len(images) > self.most or (self.shape[0] > 0 and len(images) != self.shape[0]):
            return error(self.refuse, f"{len(images)} at once")
        scale = 255 if given["datatype"] == "FP32" else 1
        rows = np.array([scores(image * np.float32(scale)) for image in images], "<f4")
        return self.written(rows, binary=size < len(request.body))

    def written(self, rows: Array, *, binary: bool) -> Reply:
        name = "answer.scores" if self.answers else self.output
        told: dict[str, Any] = {"name": name, "datatype": "FP32", "shape": list(rows.shape)}
        if not binary:
            return said({"model_name": "m", "outputs": [{**told, "data": rows.ravel().tolist()}]})
        raw = write_raw(rows)
        told["parameters"] = {"binary_data_size": len(raw)}
        head = orjson.dumps({"model_name": "m", "outputs": [told]})
        return Reply(200, head + raw, {LENGTH: str(len(head))})


def raw(request: Request) -> Reply:
    """Takes a picture as the body, answers percent by class name, best first."""
    try:
        dark, light = scores(decode(request.body))
    except ValueError as wrong:
        return said({"detail": str(wrong)}, 422)
    found = sorted([("dark", dark), ("light", light)], key=lambda pair: -pair[1])
    return said({"result": [{"tag": name, "confidence": score * 100} for name, score in found]})


def form(request: Request) -> Reply:
    """Takes several pictures in a form."""
    try:
        found = [scores(decode(file)) for file in files_in(request.body)]
    except ValueError as wrong:
        return error(400, str(wrong))
    return said({"predictions": [{"dark": dark, "light": light} for dark, light in found]})


def instances(request: Request) -> Reply:
    """Takes several pictures as base64 in JSON, as TensorFlow Serving does."""
    try:
        files = [base64.b64decode(one["image"]["b64"]) for one in orjson.loads(request.body)["instances"]]
        return said({"outputs": {"probabilities": [scores(decode(file)) for file in files]}})
    except (ValueError, KeyError) as wrong:
        return said({"error": {"message": str(wrong)}}, 400)


def pixels(request: Request) -> Reply:
    """Takes one picture as nested lists."""
    image = np.array(orjson.loads(request.body)["pixels"], np.uint8)
    return said(scores(image))


OURS = Oip(answers=True, binary=True, versions=("3",))


def assay_raw(request: Request) -> Reply:
    """A service of ours that takes pixels as they are, too."""
    return (OURS if request.path.startswith("/v2") else assay)(request)


TEMPLATE = "name: m\ntask: classification\nlabels: [dark, light]\n"
TEMPLATES = {
    "raw": "request: {path: /x, body: raw}\n"
    'answer: {scores: "$.result[*].confidence", labels: "$.result[*].tag", percent: true}',
    "form": "request: {path: /x, body: multipart, field: files, images: 4}\n"
    'answer: {each: $.predictions, scores: "$"}',
    "instances": "request: {path: /x, body: json, images: 3, "
    "json: {instances: [{image: {b64: '{base64}'}}]}}\n"
    'answer: {each: $.outputs.probabilities, scores: "$"}',
    "pixels": "request: {path: /x, body: json, json: {pixels: '{pixels}'}}\nanswer: {scores: \"$\"}",
}
SPEAK: Mapping[str, Speak] = {
    "assay": assay,
    "assay raw": assay_raw,
    "oip of ours": Oip(datatype="FP32", answers=True, binary=True),
    "oip files": Oip("BYTES", (-1,)),
    "oip pixels": Oip("UINT8", (-1, -1, -1, 3), binary=True),
    "oip tensors": Oip(),
    "oip binary tensors": Oip(binary=True),
    "oip one at a time": Oip(shape=(1, *SIDES, 3)),
    "oip one at a time, unsaid": Oip(most=1, refuse=500),
    "oip four at a time": Oip(shape=(4, *SIDES, 3)),
    "oip that tells nothing": Oip(shy=True),
    "template raw": raw,
    "template form": form,
    "template instances": instances,
    "template pixels": pixels,
}


def access(kind: str, url: str, folder: Path, **more: Any) -> Access:
    """How a service of that kind is spoken to."""
    protocol, _, name = kind.partition(" ")
    if protocol == "oip":
        path = folder / "card.json"
        card().write(path)
        return Access(url, "oip", card=path, **more)
    if protocol == "template":
        path = folder / "template.yaml"
        path.write_text(TEMPLATE + TEMPLATES[name])
        return Access(url, "template", template=path, **more)
    return Access(url, "assay", **more)
