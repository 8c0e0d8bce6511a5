"""What cannot be served is said in one line, before anything starts."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import pytest

from service.__main__ import main


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("ASSAY_RUNS", "many", "ASSAY_RUNS: Input should be a valid integer"),
        ("ASSAY_VERSIONS", "newest", "ASSAY_VERSIONS: "),
        ("ASSAY_API_KEYS_FILE", "nowhere", "the keys in nowhere cannot be read"),
    ],
)
def test_nonsense_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, value: str, told: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["service", "--port", "0"])
    monkeypatch.setenv(name, value)
    assert main() == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"Error: {told}")


def test_short_keys_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "keys").write_text("secret  # too short\n")
    monkeypatch.setattr(sys, "argv", ["service", "--port", "0"])
    monkeypatch.setenv("ASSAY_ADMIN_KEYS_FILE", str(tmp_path / "keys"))
    assert main() == 2
    told = capsys.readouterr().err
    assert "16 characters or more" in told
    assert "secret" not in told


def test_a_port_that_is_taken_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(sys, "argv", ["service", "--port", str(port)])
        assert main() == 2
    assert f"nothing can listen on 127.0.0.1:{port}" in capsys.readouterr().err
