"""Production's own Pod, run by podman from its YAML: what it is given, what it answers, how it ends."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.decoding import encode_png
from models.digits import digits
from models.scenes import scene
from tests.deploy.played import (
    CONTAINER,
    LIVE,
    READY,
    STARTUP,
    Played,
    engine_with,
    images,
    patience,
    playing,
    ran,
)
from tests.deploy.rendered import AT_REST, number, of_kind, overlay, settings

pytestmark = pytest.mark.slow
WORKER = "_bentoml_impl.worker.service"
PATHS = {probe["httpGet"]["path"] for probe in (STARTUP, READY, LIVE)}


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    with playing(tmp_path_factory.mktemp("pod")) as pod:
        pod.until(STARTUP, patience(STARTUP), 200)
        yield pod


def test_the_container_has_what_the_manifest_says_and_no_more(pod: Played) -> None:
    assert {pod.status(path) for path in PATHS} == {200}
    found = pod.look()
    assert set(found["uid"]) == set(found["gid"]) == {"10001"}
    assert {int(found[kind], 16) for kind in ("CapEff", "CapBnd")} == {0}
    assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
    assert found["root"] == "Read-only file system"
    limits = CONTAINER["resources"]["limits"]
    assert found["held"] <= 1.2 * AT_REST
    assert float(found["memory"]) == number(limits["memory"])
    assert float(found["quota"]) == 100_000 * number(limits["cpu"])  # microseconds of each 100 ms
    told = {**settings(overlay("production")), **{e["name"]: e["value"] for e in CONTAINER["env"]}}
    assert told.items() <= found["environment"].items()


def test_a_prediction_of_each_task_is_right(pod: Played) -> None:
    pictures, labels = digits("test")
    answer = pod.predict("/classify", encode_png(pictures[0]), "digits")
    assert answer["predictions"][0]["name"] == str(labels[0])
    drawn = scene(5)
    (found,) = pod.predict("/detect", encode_png(drawn.image), "scenes-detector")["predictions"]
    sure = [label for label, score in zip(found["labels"], found["scores"], strict=True) if score >= 0.5]
    assert sorted(sure) == sorted(drawn.labels)
    (found,) = pod.predict("/segment", encode_png(drawn.image), "scenes-segmenter")["predictions"]
    told = np.repeat(found["values"], found["counts"]).reshape(found["size"])
    assert np.mean(told == drawn.semantic) > 0.99


def test_who_has_no_key_is_refused(pod: Played) -> None:
    assert pod.status("/models") == 401


def test_a_job_measures_it(pod: Played, tmp_path: Path) -> None:
    engine_with(*images())
    (job,) = [c for c in of_kind(overlay("podman"), "CronJob") if c["metadata"]["name"] == "assay-evaluation"]
    code, told = ran(job, tmp_path, pod, ["--limit=3"])
    assert code == 0, told
    report = json.loads((tmp_path / "results" / "job-1" / "report.json").read_text())
    assert report["valid"] is True


def test_a_worker_that_dies_is_replaced(pod: Played) -> None:
    """In place: the pod is not ready meanwhile, and live before a kubelet would restart it."""
    before = pod.processes()
    pod.kill(WORKER)
    pod.until(READY, patience(READY), 503, 0)
    pod.until(LIVE, patience(LIVE), 200)
    pod.until(READY, patience(STARTUP), 200)
    after = pod.processes()
    assert len(after) == len(before)
    assert len(set(after) - set(before)) == 1
    assert pod.told("{{.RestartCount}}") == "0"


def test_a_service_that_dies_ends_the_container(pod: Played) -> None:
    """Its restart policy brings it back."""
    pod.kill("bentoml")
    pod.until(READY, patience(READY), 0)
    pod.until(STARTUP, patience(STARTUP), 200)
    assert pod.told("{{.RestartCount}}") == "1"


def test_an_end_is_a_drain(pod: Played) -> None:
    picture = encode_png(digits("test")[0][0])
    with pod.stopping():
        pod.until(READY, patience(READY), 503)
        end = time.monotonic() + float(settings(overlay("production"))["ASSAY_DRAIN_S"]) / 2
        while time.monotonic() < end:  # endpoints that have not forgotten it yet
            assert pod.predict("/classify", picture, "digits")["task"] == "classification"
            assert [pod.status(READY["httpGet"]["path"]), pod.status(LIVE["httpGet"]["path"])] == [503, 200]
    assert pod.told("{{.State.ExitCode}}") == "0", pod.logs()  # 137 where it was killed
