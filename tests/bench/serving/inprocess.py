"""The ceiling: decode and predict in a loop on every CPU, no server. Prints images/s.

`python -m tests.bench.serving.inprocess REPOSITORY MODEL PICTURE SECONDS`
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from models.decoding import decode
from models.repository import newest, open_version, versions
from tests.bench.serving.load import Speed
from tests.bench.serving.processes import ROOT
from tests.bench.serving.servers import cpus

__all__ = ["in_process"]

WARM_S = 1.0


def in_process(repository: Path, model: str, picture: Path, seconds: float) -> Speed:
    """Measured in a fresh process."""
    what = [str(repository), model, str(picture), str(seconds)]
    command = [sys.executable, "-m", "tests.bench.serving.inprocess", *what]
    ran = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Speed(float(ran.stdout))


def main(repository: str, model: str, picture: str, seconds: str) -> None:
    predictor = open_version(newest(versions(Path(repository)), model), threads=1)
    data = Path(picture).read_bytes()
    done = [0] * cpus()
    over = threading.Event()

    def work(worker: int) -> None:
        while not over.is_set():
            predictor.predict([decode(data)])
            done[worker] += 1

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(cpus())]
    for thread in threads:
        thread.start()
    time.sleep(WARM_S)
    before, began = sum(done), time.perf_counter()
    time.sleep(float(seconds))
    count, took = sum(done) - before, time.perf_counter() - began
    over.set()
    for thread in threads:
        thread.join()
    print(count / took)


if __name__ == "__main__":
    main(*sys.argv[1:])
