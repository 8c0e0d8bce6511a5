"""The right protocol, model and version are found; what is missing is named."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.errors import EndpointError, EvalError, Gone
from eval.remote.access import endpoint_of, kind_of, target_of
from eval.remote.assay import AssayEndpoint
from eval.remote.oip import OipEndpoint
from eval.remote.template_endpoint import TemplateEndpoint
from eval.target import Access, Target
from models.card import Claim
from models.decoding import encode_png
from models.results import Detections, Segmentation
from tests.eval.remote.services import Reply, Request, Service, Speak, error, said
from tests.eval.remote.speakers import Oip, access, assay, card, raw

PNG = encode_png(np.full((5, 7, 3), 51, np.uint8))


def found(speak: Speak, model: str | None = None, number: int | None = None, **told: Any) -> Target:
    async def main() -> Target:
        async with Service(speak).served() as url:
            return await target_of(Access(url, **told), model, number)

    return asyncio.run(main())


def a_card(folder: Path, **fields: Any) -> Path:
    path = folder / "card.json"
    card(**fields).write(path)
    return path


def test_the_protocol_is_found_out(tmp_path: Path) -> None:
    path = a_card(tmp_path, claims=(Claim(metric="accuracy", value=0.5, support=3, data="d"),))
    own = found(assay)
    assert (own.access.kind, own.model, own.version, own.labels) == ("assay", "m", 3, ("dark", "light"))
    other = found(Oip(), card=path)
    assert (other.access.kind, other.model, other.version, other.sha256) == ("oip", "m", None, "")
    assert other.claims == {"accuracy": (0.5, "d")}
    template = access("template raw", "http://h", tmp_path).template
    told = found(raw, template=template)
    assert (told.access.kind, told.model, told.version, told.partial) == ("template", "m", None, False)
    kinds = [type(endpoint_of(target)) for target in (own, other, told)]
    assert kinds == [AssayEndpoint, OipEndpoint, TemplateEndpoint]


def test_a_bare_address_will_do() -> None:
    async def main() -> Target:
        async with Service(assay).served() as url:
            return await target_of(f"{url}/", None, None)

    assert asyncio.run(main()).model == "m"


def test_a_service_that_speaks_nothing_known() -> None:
    with pytest.raises(EndpointError, match=r"is it an Assay service.*does not speak.*with --template"):
        found(lambda _: error(404))


def test_nobody_there() -> None:
    with pytest.raises(Gone, match="is the service running"):
        asyncio.run(kind_of(Access("http://127.0.0.1:9")))


def test_a_key_is_sent_from_the_first_request_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_KEY", "secret")

    def speak(request: Request) -> Reply:
        return assay(request) if request.headers.get("authorization") == "Bearer secret" else error(401)

    assert found(speak, headers={"authorization": "Bearer $A_KEY"}).model == "m"
    with pytest.raises(EndpointError, match="401 words"):
        found(speak, kind="assay")


def test_a_target_tells_no_secret() -> None:
    told = Access("http://h", headers={"authorization": "s3cr3t"}, told="{}")
    assert "s3cr3t" not in repr(told)
    assert pickle.loads(pickle.dumps(told)) == told  # noqa: S301  # our own


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://user:s3cr3t@h", "no user or password"),
        ("127.0.0.1:3000", "must begin with http"),
        ("ftp://h", "must begin with http"),
        ("http://", "must begin with http"),
        ("http://h:x", "must be an address"),
        ("", "must begin with http"),
    ],
)
def test_what_is_no_address(url: str, words: str) -> None:
    with pytest.raises(EvalError, match=words) as caught:
        asyncio.run(target_of(url, None, None))
    assert "s3cr3t" not in str(caught.value)


def test_the_card_is_needed_and_checked(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="--card"):
        found(Oip())
    with pytest.raises(EvalError, match=r"gone\.json cannot be read"):
        found(Oip(), card=tmp_path / "gone.json")
    broken = tmp_path / "broken.json"
    broken.write_text('{"name": "m"}')
    with pytest.raises(EvalError, match=r"broken\.json: version: "):
        found(Oip(), card=broken)
    with pytest.raises(EvalError, match="needs --template"):
        found(raw, kind="template")


def test_versions(tmp_path: Path) -> None:
    path = a_card(tmp_path)
    numbered = Oip(versions=("2", "10", "1"))
    assert found(numbered, card=path).version == 10
    assert found(numbered, "m", 2, card=path).version == 2
    with pytest.raises(EvalError, match="no version 3 of 'm'"):
        found(numbered, "m", 3, card=path)
    assert found(Oip(versions=("v1.2", "canary")), card=path).version is None
    with pytest.raises(EvalError, match="no model 'n'"):
        found(numbered, "n", card=path)


def test_a_version_that_is_listed_but_not_there(tmp_path: Path) -> None:
    class Odd(Oip):
        def described(self, path: str) -> Reply:
            return error(404) if "versions" in path else super().described(path)

    assert found(Odd(versions=("1",)), card=a_card(tmp_path)).version is None


def test_the_version_is_asked_for(tmp_path: Path) -> None:
    service = Service(Oip(versions=("2", "10")))

    async def main() -> None:
        async with service.served() as url:
            target = await target_of(Access(url, "oip", card=a_card(tmp_path)), None, None)
            async with endpoint_of(target) as endpoint:
                await endpoint.predict_files([PNG])

    asyncio.run(main())
    assert service.asked[0].path == "/v2/models/m/versions/10/infer"


def listing(*answers: tuple[str, Reply]) -> Speak:
    def speak(request: Request) -> Reply:
        return dict(answers).get(request.path) or Oip()(request)

    return speak


def test_the_model_must_be_named_where_there_are_several(tmp_path: Path) -> None:
    path = a_card(tmp_path)
    two = said([{"name": "m"}, {"name": "n"}])
    with pytest.raises(EvalError, match=r"name the model with --model; .* serves m, n"):
        found(listing(("/v2/repository/index", two)), card=path)
    kserve = listing(("/v2/repository/index", error(405)), ("/v2/models", said({"models": ["m"]})))
    assert found(kserve, card=path).model == "m"
    silent = listing(("/v2/repository/index", error(404)), ("/v2/models", error(404)))
    with pytest.raises(EvalError, match="does not tell what it serves"):
        found(silent, card=path)
    assert found(silent, "m", card=path).model == "m"


@pytest.mark.parametrize(
    ("reply", "fine"),
    [
        (Reply(), True), (error(404), True), (said({"name": "m", "ready": True}), True),
        (error(400), False), (error(503), False), (said({"ready": False}), False),
    ],
)  # fmt: skip
def test_a_model_must_be_ready(reply: Reply, fine: bool, tmp_path: Path) -> None:
    speak, path = listing(("/v2/models/m/ready", reply)), a_card(tmp_path)
    if fine:
        assert found(speak, card=path).model == "m"
    else:
        with pytest.raises(EvalError, match="not ready"):
            found(speak, card=path)


def ask(speak: Speak, target: Target) -> Any:
    async def main() -> Any:
        async with Service(speak).served() as url:
            there = replace(target, url=url)
            async with endpoint_of(there) as endpoint:
                return await endpoint.predict_files([PNG])

    return asyncio.run(main())


def ports(inputs: list[Any], outputs: list[Any]) -> Speak:
    told = {"name": "m", "inputs": inputs, "outputs": outputs}
    return listing(("/v2/models/m", said(told)))


PICTURES = {"name": "pictures", "datatype": "FP32", "shape": [-1, 5, 7, 3]}
PROBS = {"name": "probs", "datatype": "FP32", "shape": [-1, 2]}
UNFIT = {
    "another type": (
        [{**PICTURES, "datatype": "UINT8"}],
        [PROBS],
        "takes pictures UINT8 .*, the card",
    ),
    "another size": ([{**PICTURES, "shape": [-1, 6, 7, 3]}], [PROBS], "is it this model's card"),
    "two inputs": ([PICTURES, {**PICTURES, "name": "size"}], [PROBS], "must have one input"),
    "other outputs": ([PICTURES], [{**PROBS, "name": n} for n in "ab"], "answers a, b, the card reads probs"),
    "a name in colours": ([{**PICTURES, "name": "\x1b[31m"}], [PROBS], "a name must be text in one line"),
    "no list": (3, [PROBS], "cannot be read"),
    "no shape": ([{"name": "pictures", "datatype": "FP32"}], [PROBS], "cannot be read"),
}


@pytest.mark.parametrize("name", UNFIT)
def test_a_card_of_another_model(name: str, tmp_path: Path) -> None:
    inputs, outputs, words = UNFIT[name]
    target = found(Oip(), card=a_card(tmp_path))
    with pytest.raises(EndpointError, match=words):
        ask(ports(inputs, outputs), target)  # type: ignore[arg-type]


def test_outputs_by_place_where_names_differ(tmp_path: Path) -> None:
    """As a server that was written around the graph may call them."""
    answers = ask(Oip(output="y"), found(Oip(), card=a_card(tmp_path)))
    np.testing.assert_allclose(answers[0].scores, [0.8, 0.2], rtol=1e-6)


def test_no_answer_names_a_class_that_is_not_there() -> None:
    target = Target("http://h", "m", 3, "detection", ("a", "b"), "", {}, Access("http://h", "assay"))
    boxes = {"boxes": [[0, 0, 1, 1]], "scores": [1], "labels": [1]}
    told = {"task": "detection", "predictions": [boxes]}
    (fine,) = ask(lambda _: said(told), target)
    assert isinstance(fine, Detections)
    boxes["labels"] = [2]
    with pytest.raises(EndpointError, match="labels must be 0 to 1, got 2 to 2"):
        ask(lambda _: said(told), target)
    runs = {"size": [5, 7], "values": [1], "counts": [35]}
    told = {"task": "segmentation", "predictions": [runs]}
    (fine,) = ask(lambda _: said(told), replace(target, task="segmentation"))
    assert isinstance(fine, Segmentation)
    runs["values"] = [255]
    with pytest.raises(EndpointError, match="got 255 to 255"):
        ask(lambda _: said(told), replace(target, task="segmentation"))


@pytest.mark.parametrize("shape", [(1, 5, 7), (1, 7, 5), (1, 6, 7), (1, 0, 7), (2, 5, 7)])
def test_a_label_map_has_the_pixels_of_its_picture(shape: tuple[int, ...], tmp_path: Path) -> None:
    """Looked at before it is made eight times as large."""
    path = a_card(tmp_path, task="segmentation", family="labels", outputs=("map",))
    put = {"name": "answer.labels", "datatype": "UINT8", "shape": list(shape)}
    told = said({"outputs": [{**put, "data": [1] * int(np.prod(shape))}]})
    described = {"name": "m", "inputs": [PICTURES], "outputs": [put]}
    speak = listing(("/v2/models/m", said(described)), ("/v2/models/m/infer", told))
    target = found(Oip(), card=path)
    if np.prod(shape) == 35:
        (answer,) = ask(speak, target)
        assert isinstance(answer, Segmentation)
        assert answer.labels.shape == shape[1:]
    else:
        with pytest.raises(EndpointError, match="pixels of their pictures"):
            ask(speak, target)


def test_headers_and_parameters_of_a_template(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its secrets stay where they are until a request is sent; what the command line says comes first."""
    monkeypatch.setenv("A_KEY", "k3y")
    path = tmp_path / "api.yaml"
    path.write_text(
        "{task: classification, labels: [dark, light], answer: {label: $.l}, request: {path: '/x?fixed=1', "
        "body: raw, headers: {x-key: $A_KEY, x-mine: t}, query: {n: 5, s: $A_KEY}}}"
    )
    service = Service(lambda _: said({"l": "light"}))

    async def main() -> Target:
        async with service.served() as url:
            told = Access(url, template=path, headers={"x-mine": "own"})
            target = await target_of(told, "named", 7)
            async with endpoint_of(target) as endpoint:
                await endpoint.predict_files([PNG])
            return target

    target = asyncio.run(main())
    assert (target.model, target.version, target.partial) == ("named", 7, True)
    assert "k3y" not in str(pickle.dumps(target))
    (request,) = service.asked
    assert request.path == "/x?fixed=1&n=5&s=k3y"
    assert (request.headers["x-key"], request.headers["x-mine"]) == ("k3y", "own")
    assert request.headers["content-type"] == "image/png"
