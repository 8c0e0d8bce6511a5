"""What is compared or put to the gate: a run that was recorded, or a live model that is asked first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.errors import EvalError
from eval.recorded import Recorded, recorded
from eval.runs import evaluate
from eval.target import Access, name_of

__all__ = ["Asking", "Subject", "run_of", "subject_of"]


@dataclass(frozen=True, slots=True)
class Subject:
    """One side of a comparison; either a folder, or a live model.

    Attributes:
        folder: of a recorded run.
        url: of the service, else empty.
        model, number: which of its models; None as in `evaluate`.
    """

    folder: Path | None = None
    url: str = ""
    model: str | None = None
    number: int | None = None

    @property
    def live(self) -> bool:
        """Whether it must be asked."""
        return self.folder is None


@dataclass(frozen=True, slots=True)
class Asking:
    """How live subjects are asked; the answers do not depend on most of it.

    Attributes:
        access: how an address is spoken to.
        data: name of the data, as `open_data` takes it; recorded runs know their own.
        slices: what the images are also told apart by.
        resume: go on with runs that are there.
    """

    access: Callable[[str], Access] = Access
    data: str | None = None
    limit: int | None = None
    slices: Sequence[str] = ()
    batch: int = 16
    concurrency: int = 4
    resume: bool = False


def subject_of(told: str, model: str | None = None, number: int | None = None) -> Subject:
    """The folder of a run, or `URL#MODEL/VERSION`; `URL#MODEL` is its latest version.

    Args:
        model, number: what an address that does not say it itself means.

    Raises:
        EvalError: it is neither.
    """
    if "://" not in told:
        folder = Path(told)
        if not folder.is_dir():
            raise EvalError(
                f"{told} must be the folder of a run (`assay evaluate --out`) or URL#MODEL/VERSION; "
                "there is no such folder"
            )
        return Subject(folder)
    url, _, fragment = told.partition("#")
    name, slash, version = fragment.rpartition("/")
    if slash and version.isascii() and version.isdigit():
        return Subject(None, url, name, int(version))
    return Subject(None, url, fragment or model, number)


async def run_of(
    subject: Subject, asking: Asking, folder: Path, progress: Callable[[int, int], None] | None = None
) -> Recorded:
    """The run of a subject, every image asked about; a live one is recorded in `folder` first.

    The caller closes its journal.

    Raises:
        EvalError: there is no such run or model, no data to ask about, or the run did not end.
    """
    if subject.folder is not None:
        return _whole(subject.folder)
    if asking.data is None:
        raise EvalError(f"say with --data what {subject.url} is to be asked about")
    await evaluate(
        asking.access(subject.url), asking.data, model=subject.model, number=subject.number,
        limit=asking.limit, slices=asking.slices, batch=asking.batch, concurrency=asking.concurrency,
        out=folder, resume=asking.resume, progress=progress,
    )  # fmt: skip
    return _whole(folder)


def _whole(folder: Path) -> Recorded:
    run = recorded(folder)
    progress = run.journal.progress()
    if progress.done < progress.total:
        with run.journal:
            raise EvalError(
                f"{folder} holds a run of {name_of(run.target)} with {progress.done} of {progress.total} "
                "images; go on with `assay evaluate --resume` first"
            )
    return run
