"""A template: YAML that describes any JSON API about pictures, so that no code is needed to ask it."""

from __future__ import annotations

from pathlib import Path as File
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from eval.errors import EvalError
from eval.remote.jsonpath import Path
from eval.remote.template_body import Body
from models.card import TaskName

__all__ = ["Reading", "Request", "Template", "read_template"]

MOST_BYTES = 4_000_000  # of a template: class names are its largest part


def _path(text: str) -> str:
    Path.read(text)
    return text


def _text(value: Any) -> Any:
    """Numbers in YAML may stand for text, such as the names of digits; yes and no may not."""
    return str(value) if type(value) in (int, float) else value


Where = Annotated[str, AfterValidator(_path)]
Text = Annotated[str, BeforeValidator(_text)]


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Request(_Told):
    """How a picture is sent.

    Attributes:
        path: behind the URL of the command line.
        query, headers: `$VARIABLE` in a value is read from the environment when it is sent.
        body: `raw`: the file itself; `multipart`: as the field `field` of a form; `json`: as `json` says.
        content_type: of a raw file; by default what it is.
        json: the body, with `{base64}`, `{data_url}` or `{pixels}` where the picture goes.
        images: most in one request. The list of one element in `json` that holds the picture is made
            as long, or the field of the form is repeated.
    """

    method: Literal["POST", "PUT"] = "POST"
    path: str = ""
    query: dict[str, Text] = {}
    headers: dict[str, Text] = {}
    body: Literal["raw", "multipart", "json"]
    field: str = Field("image", pattern=r"^[\w.\[\]-]{1,100}$")
    content_type: str | None = Field(None, pattern=r"^[\w.+-]+/[\w.+-]+$")
    value: Any = Field(None, alias="json")
    images: int = Field(1, ge=1, le=1024)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.body == "json":
            Body.of(self.value, self.images)
        elif self.value is not None:
            raise ValueError(f"json must be left out where the body is {self.body}")
        if self.body == "raw" and self.images > 1:
            raise ValueError(f"images must be 1 where the body is raw, got {self.images}")
        if self.path and not self.path.startswith("/"):
            raise ValueError(f"path must begin with /, got {self.path!r}")
        return self


class Reading(_Told):
    """Where the answer is.

    Attributes:
        each: a list with one element for each picture of the request, in order; every other path begins
            in such an element. Without it, the whole answer is about the one picture.
        scores: classification: a list in the order of `labels`, or an object by class name, or, beside
            `labels`, one for each of these. Detection: one an object.
        labels: the classes the scores are of, by name or number.
        label, score: the one best class, and how probable it is.
        partial: not every class has a score in the answer; those that have none get 0.
        boxes: a list of four numbers for each object, or four paths to lists of numbers.
        format: what the four numbers are.
        normalised: they are fractions of the picture's sides, not pixels.
        percent: scores are percent.
        first_label: the number the service gives to the first of `labels`.
        map: classes of pixels, as `encoding` says: `nested` lists of rows, a grey or palette `png` in
            base64, or `runs`: an object with `size` (H, W), `values` and `counts`, row by row.
    """

    each: Where | None = None
    scores: Where | None = None
    labels: Where | None = None
    label: Where | None = None
    score: Where | None = None
    partial: bool = False
    boxes: Where | tuple[Where, Where, Where, Where] | None = None
    format: Literal["xyxy", "yxyx", "xywh", "cxcywh"] = "xyxy"
    normalised: bool = False
    percent: bool = False
    first_label: int = 0
    map: Where | None = None
    encoding: Literal["nested", "png", "runs"] = "nested"


NEEDS: dict[TaskName, tuple[tuple[str, ...], ...]] = {
    "classification": (("scores",), ("label",)),
    "detection": (("boxes", "scores", "labels"),),
    "segmentation": (("map",),),
}
PLACES = {"scores", "labels", "label", "score", "boxes", "map"}
MAY: dict[TaskName, set[str]] = {
    "classification": {"scores", "labels", "label", "score"},
    "detection": {"boxes", "scores", "labels"},
    "segmentation": {"map"},
}


class Template(_Told):
    """Everything about a foreign API.

    Attributes:
        name, version: what reports call the model.
        labels: class names, index = class.
        labels_file: a text file with one name a line, beside the template, instead of `labels`.
    """

    name: str = Field("model", pattern=r"^[\w.@-]{1,100}$")
    version: int | None = Field(None, ge=1)
    task: TaskName
    labels: tuple[Text, ...] = Field((), max_length=1_000_000)
    labels_file: str | None = None
    request: Request
    answer: Reading

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if bool(self.labels) == bool(self.labels_file):
            raise ValueError("labels or labels_file must be given, and not both")
        if len(set(self.labels)) < len(self.labels):
            twice = next(name for i, name in enumerate(self.labels) if name in self.labels[:i])
            raise ValueError(f"labels must differ, got {twice!r} twice")
        there = {place for place in PLACES if getattr(self.answer, place) is not None}
        if not any(there.issuperset(needed) for needed in NEEDS[self.task]) or there - MAY[self.task]:
            ways = " or ".join(" and ".join(needed) for needed in NEEDS[self.task])
            told = ", ".join(sorted(there)) or "none"
            raise ValueError(f"answer must say where {ways} of a {self.task} are, got {told}")
        if {"scores", "label"} <= there or ("score" in there and "label" not in there):
            raise ValueError("answer must say where scores are, or label (and score): not both")
        if self.request.images > 1 and self.answer.each is None:
            raise ValueError("answer must say with `each` where the list of the pictures' answers is")
        return self

    @property
    def partial(self) -> bool:
        """Whether answers lack the scores of some classes, so that nothing may rest on them."""
        return self.answer.partial or self.answer.label is not None


def read_template(path: File) -> Template:
    """The template in a file, with the labels of its labels file.

    Raises:
        EvalError: it cannot be read; names the file and the key.
    """
    import yaml  # only templates need it

    try:
        data = path.read_bytes()
        if len(data) > MOST_BYTES:
            raise EvalError(f"{path} must have at most {MOST_BYTES} bytes, got {len(data)}")
        template = Template.model_validate(yaml.safe_load(data))
        if template.labels_file is None:
            return template
        names = (path.parent / template.labels_file).read_text(encoding="utf-8").splitlines()
        given = template.model_dump(by_alias=True, exclude_unset=True, exclude={"labels_file"})
        return Template.model_validate({**given, "labels": [name for name in names if name.strip()]})
    except OSError as error:
        raise EvalError(f"{error.filename or path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise EvalError(f"{path}: {_first(error)}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise EvalError(f"{path} must be YAML: {' '.join(str(error).split())[:300]}") from error


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(map(str, first["loc"])) or "the template"
    return f"{where}: {first['msg'].removeprefix('Value error, ')}"
