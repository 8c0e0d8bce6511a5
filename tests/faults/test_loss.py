"""What the kernel does to packets: loss, a black hole, resets, a link that flaps; in a network of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.cases import Ends
from tests.faults.lossy import WEATHER, alone, impossible
from tests.faults.running import RUNS


@pytest.mark.slow
def test_lost_packets_make_no_wrong_numbers(tmp_path: Path) -> None:
    if why := impossible():
        pytest.skip(why)
    told = alone(tmp_path, brief=True)  # the rest is for `make bench-deploy`
    assert set(told) == {f"{run}: {what}" for run in RUNS for what in WEATHER if not WEATHER[what].long}
    for name, ended in told.items():
        wanted = WEATHER[name.partition(": ")[2]].ends
        assert not ended["wrong"], name
        assert ended["same"] or ended["why"], name
        if wanted is not Ends.EITHER:
            assert ended["same"] is (wanted is Ends.SAME), (name, ended["why"])
