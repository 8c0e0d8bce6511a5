"""Which engine and which base are taken, what is told where there is none, what the builder knows of pip."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.image import base, engine, index
from deploy.image.__main__ import main
from deploy.image.bento import BENTOS, version
from deploy.image.build import build_images, megabytes
from deploy.image.engine import CONFIGURATION, RUNNERS, Engine, EngineError, find

Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a program into a folder that is the whole PATH: a name and a shell script."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.delenv("CONTAINERS_CONF", raising=False)

    def put(name: str, script: str) -> Path:
        program = folder / name
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        return program

    return put


NO_DAEMON = 'echo "Cannot connect to the Docker daemon" >&2; exit 1'


@pytest.mark.parametrize(
    ("there", "of", "expected"),
    [
        ({"docker": "exit 0", "podman": "exit 0"}, engine.BUILDERS, "docker"),
        ({"docker": NO_DAEMON, "podman": "exit 0"}, engine.BUILDERS, "podman"),
        ({"docker": NO_DAEMON, "buildah": "exit 0"}, engine.BUILDERS, "buildah"),
        ({"podman": "exit 0", "buildah": "exit 0"}, ("buildah",), "buildah"),
    ],
)
def test_the_first_engine_that_answers_is_taken(
    install: Install, there: dict[str, str], of: tuple[engine.Name, ...], expected: str
) -> None:
    for name, script in there.items():
        install(name, script)
    assert find(of).name == expected


def test_what_is_told_where_no_engine_serves(install: Install) -> None:
    with pytest.raises(
        EngineError, match=r"docker or podman or buildah must work here: none is installed; .*apt-get"
    ):
        find()
    install("docker", NO_DAEMON)
    install("buildah", "exit 0")  # which builds and does not run
    with pytest.raises(EngineError, match="docker is installed but does not answer"):
        find(RUNNERS)


def test_podman_gets_our_configuration_only_where_its_own_needs_systemd(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install("podman", 'echo "$CONTAINERS_CONF"')
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(engine, "SYSTEMD", tmp_path / "none")
    ours = find()
    assert ours.ask("info") == str(CONFIGURATION)
    assert ours.has_host_network
    monkeypatch.setenv("CONTAINERS_CONF", "/etc/mine.conf")
    assert find().ask("info") == "/etc/mine.conf"
    assert not find().has_host_network
    monkeypatch.setenv("CONTAINERS_CONF", str(CONFIGURATION))  # ours, by hand
    assert find().has_host_network
    monkeypatch.delenv("CONTAINERS_CONF")
    monkeypatch.setattr(engine, "SYSTEMD", tmp_path)
    assert find().ask("info") == ""
    monkeypatch.setattr(engine, "SYSTEMD", tmp_path / "none")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert find().ask("info") == ""


def test_an_engine_that_fails_is_told_with_its_last_words(install: Install) -> None:
    engine = Engine("podman", str(install("podman", "echo first >&2; echo 'no such image' >&2; exit 125")))
    with pytest.raises(EngineError, match=r"^podman tag failed: first \| no such image$"):
        engine.ask("tag", "a", "b")
    assert not engine.has_image("a")
    assert engine.run("tag", check=False).returncode == 125


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (f'[ "$1 $4" = "inspect {base.PUBLIC}" ]', base.PUBLIC),  # it is here
        ('[ "$1" = pull ]', base.PUBLIC),  # it can be had
        (f'[ "$1 $4" = "inspect {base.LOCAL}" ]', base.LOCAL),  # no registry, and made before
    ],
)
def test_the_base_is_the_public_one_if_it_can_be_had(install: Install, script: str, expected: str) -> None:
    podman = Engine("podman", str(install("podman", script)))
    assert base.base_image(podman) == expected


@pytest.mark.parametrize(
    "script", ['[ "$1 $4" = "inspect example.org/own:1" ]', '[ "$1 $3" = "pull example.org/own:1" ]']
)
def test_a_base_that_is_named_must_be_had(install: Install, script: str) -> None:
    podman = Engine("podman", str(install("podman", script)))
    assert base.base_image(podman, "example.org/own:1") == "example.org/own:1"
    away = Engine("podman", str(install("podman", "echo 'retrying' >&2; echo 'no such host' >&2; exit 125")))
    with pytest.raises(EngineError, match=r"^--base must be .* got example\.org/own:1: no such host$"):
        base.base_image(away, "example.org/own:1")


def test_without_a_registry_a_debian_is_made_and_imported(install: Install, tmp_path: Path) -> None:
    called = tmp_path / "called"
    podman = Engine("podman", str(install("podman", f'echo "$@" >> {called}; [ "$1" = import ]')))
    with pytest.raises(
        EngineError, match=r"no base image: .* cannot be pulled .*--base.*apt-get install mmdebstrap"
    ):
        base.base_image(podman)
    install("apt-get", 'echo "http://mirror.example/debian/ bookworm main bookworm"')
    install("mmdebstrap", f'echo "$@" > {tmp_path}/made')
    assert base.base_image(podman) == base.LOCAL
    assert called.read_text().splitlines()[-1].endswith(f"/base.tar {base.LOCAL}")
    assert (tmp_path / "made").read_text().endswith("deb http://mirror.example/debian/ bookworm main\n")
    install("mmdebstrap", "echo 'E: no mirror answers' >&2; exit 1")
    with pytest.raises(EngineError, match="mmdebstrap made no base image: E: no mirror answers"):
        base.base_image(podman)


def test_only_mirrors_of_the_suite_are_used(install: Install) -> None:
    assert base.mirrors() == []
    lines = (
        "http://a/ bookworm main bookworm|http://a/ bookworm contrib bookworm|http://b/ trixie main trixie"
    )
    security = "http://a/s/ bookworm-security main bookworm-security|https://c/ nodistro main $(CODENAME)"
    install("apt-get", "".join(f"echo '{line}';" for line in f"{lines}|{security}".split("|")))
    assert base.mirrors() == ["deb http://a/ bookworm main contrib", "deb http://a/s/ bookworm-security main"]


def test_pip_is_told_to_the_builder_as_secrets(tmp_path: Path) -> None:
    settings = {
        "index-url": "https://user:word@index.example/simple",
        "extra-index-url": "file:///opt/simple https://more.example/simple",
        "find-links": "/opt/wheels",
        "constraint": "/etc/constraints.txt",
        "timeout": "180",
        "cert": "/etc/authorities.crt",
    }
    options = index.secrets(tmp_path, settings, {})
    assert options == [
        f"--secret=id=pip.conf,src={tmp_path / 'pip.conf'}",
        "--secret=id=authorities.pem,src=/etc/authorities.crt",
    ]
    assert (tmp_path / "pip.conf").read_text().splitlines() == [
        "[global]",
        "index-url = https://user:word@index.example/simple",
        "extra-index-url = https://more.example/simple",
        "timeout = 180",
        f"cert = {index.AUTHORITIES}",
    ]
    assert index.secrets(tmp_path, {}, {"CURL_CA_BUNDLE": "/c.pem"})[1].endswith("src=/c.pem")
    assert len(index.secrets(tmp_path, {}, {})) == 1


def test_pip_says_how_it_is_configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pip.conf").write_text("[global]\ntimeout = 7\nproxy = http://file.example:1\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_PROXY", "http://variable.example:1")
    monkeypatch.delenv("PIP_DEFAULT_TIMEOUT", raising=False)
    told = index.pip_settings()
    assert told["timeout"] == "7"
    assert told["proxy"] == "http://variable.example:1"


def test_a_full_disk_and_a_lack_of_bentoml_are_told(
    install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    install("podman", '[ "$1" != build ] || { echo "write: no space left on device" >&2; exit 1; }')
    monkeypatch.setattr("deploy.image.build.build_bento", lambda *_: tmp_path)
    monkeypatch.setattr("deploy.image.build.pip_settings", dict)
    assert main(["build", "--base", "localhost/base", "--only", "assay"]) == 1
    told = capsys.readouterr().err.splitlines()
    assert told[-1].startswith("Error: podman build failed: write: no space left on device; 3 GB are needed")
    assert "podman image prune" in told[-1]
    monkeypatch.undo()
    install("python", "echo 'No module named bentoml' >&2; exit 1")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "bin" / "python"))
    monkeypatch.setattr("deploy.image.build.pip_settings", dict)
    podman = Engine("podman", str(tmp_path / "bin" / "podman"))
    with pytest.raises(EngineError, match="`make setup`"):
        build_images(podman, BENTOS, "localhost/base")


def test_sizes_are_decimal_megabytes(install: Install) -> None:
    assert megabytes(Engine("podman", str(install("podman", "echo 248123456"))), "a") == pytest.approx(
        248.123456
    )
    listed = install("buildah", """echo '[{"size": "1.5 GB"}]'""")
    assert megabytes(Engine("buildah", str(listed)), "a") == 1500


def test_images_are_tagged_with_the_version() -> None:
    assert [bento.image for bento in BENTOS] == [
        f"localhost/assay:{version()}",
        f"localhost/assay-evaluation:{version()}",
    ]
    told = subprocess.run([sys.executable, "-m", "deploy.image", "--help"], capture_output=True, text=True)
    assert told.returncode == 0
    assert {"build", "smoke"} <= set(
        told.stdout.replace(",", " ").replace("{", " ").replace("}", " ").split()
    )
