"""The evaluation image measures the container that serves, as a Job would."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from deploy.image.bento import ROOT
from deploy.image.container import HARDENED, PORT, Container
from deploy.image.engine import EngineError

__all__ = ["accuracy", "claimed"]

MODEL, NUMBER = "digits", 2
DATA = "digits:test"


def claimed() -> float:
    """The accuracy that the model's card claims on the data."""
    card = json.loads((ROOT / "models" / "zoo" / MODEL / str(NUMBER) / "card.json").read_text())
    (value,) = (c["value"] for c in card["claims"] if (c["metric"], c["data"]) == ("accuracy", DATA))
    return float(value)


def accuracy(container: Container, image: str) -> float | None:
    """The accuracy its report tells, asked inside the container's network; None where it is not valid.

    Raises:
        EngineError: there is no such image, or the run was not done.
    """
    if not container.engine.has_image(image):
        raise EngineError(f"there is no image {image}; `make image` builds it")
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)  # the image's user is nobody here
        where = [f"--network=container:{container.name}", f"--volume={folder}:/results"]
        asked = ["evaluate", f"http://127.0.0.1:{PORT}", f"--model={MODEL}"]
        asked += [f"--version={NUMBER}", f"--data={DATA}", "--out=/results/run", "--quiet"]
        container.engine.run("run", "--rm", *HARDENED, *where, image, *asked)
        report = json.loads((Path(folder) / "run" / "report.json").read_text())
    told = report["figures"].get(f"{MODEL}.{NUMBER}.accuracy")
    return None if told is None or not report["valid"] else float(told)
