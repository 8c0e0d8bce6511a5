"""A plain FastAPI server, as its tutorial writes one."""

from __future__ import annotations

from typing import Any

from digits import Digits  # type: ignore[import-not-found]  # beside it: the server runs in this folder
from fastapi import FastAPI  # type: ignore[import-not-found]  # in .venv-peers
from pydantic import BaseModel

app = FastAPI()
model = Digits()


class Question(BaseModel):
    images: list[str]


@app.post("/predict")  # type: ignore[untyped-decorator]
def predict(question: Question) -> Any:
    return model.answer(question.model_dump())


@app.get("/health")  # type: ignore[untyped-decorator]
def health() -> Any:
    return {"fine": True}
