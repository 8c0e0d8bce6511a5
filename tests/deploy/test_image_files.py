"""The Containerfiles' text, and the root that `root.py` lays out."""

from __future__ import annotations

import importlib.metadata
import json
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import yaml

from deploy.image import root
from deploy.image.bento import BENTOS, ROOT, version
from deploy.image.confinement import USER
from deploy.image.container import PORT
from deploy.image.index import AUTHORITIES

FILES = [ROOT / "deploy" / "image" / "Containerfile", ROOT / "deploy" / "evaluation" / "Containerfile"]
LINES = {path.parent.name: path.read_text().replace("\\\n", "").splitlines() for path in FILES}
SECRET = re.compile(r"(password|token|passwd|apikey|://[^/\s]*@|/etc/pip|PIP_CERT|PIP_INDEX)", re.IGNORECASE)


def final(name: str) -> list[str]:
    """The lines of the last stage."""
    lines = LINES[name]
    return lines[max(i for i, line in enumerate(lines) if line.startswith("FROM ")) :]


def words(name: str, instruction: str) -> list[str]:
    """The words of the last stage's only such instruction, in exec form."""
    (line,) = (line for line in final(name) if line.startswith(f"{instruction} "))
    told: list[str] = json.loads(line.removeprefix(instruction))
    return told


@pytest.mark.parametrize("name", LINES)
def test_the_last_stage_has_nothing_of_the_builder_but_its_root(name: str) -> None:
    lines = final(name)
    assert [line for line in LINES[name] if line.startswith("FROM ")] == [
        "FROM ${BASE} AS builder",
        "FROM scratch",
    ]
    assert [line for line in lines if line.startswith(("COPY", "ADD"))] == [
        "COPY --from=builder /image/runtime/ /",
        "COPY --from=builder /image/sources/ /",
    ]
    assert not [line for line in lines if line.startswith("RUN")]
    assert f"USER {USER}:{USER}" in lines
    assert f"EXPOSE {PORT}" in lines
    assert {"WORKDIR /assay", "STOPSIGNAL SIGTERM"} <= set(lines)
    (variables,) = (line for line in lines if line.startswith("ENV "))
    assert {"HOME=/tmp", "BENTOML_HOME=/tmp/bentoml", "BENTOML_DO_NOT_TRACK=True"} <= set(variables.split())
    assert not SECRET.search("\n".join(lines))
    assert "{{" not in "".join(LINES[name])  # Jinja reads it
    assert root.USER == USER


def test_commands_are_in_exec_form() -> None:
    assert words("image", "ENTRYPOINT") == ["python", "-m", "service"]
    assert words("image", "CMD") == ["--host", "0.0.0.0", "--port", str(PORT)]  # noqa: S104
    assert words("evaluation", "ENTRYPOINT") == ["python", "-m", "eval"]
    (line,) = (line for line in final("image") if line.startswith("HEALTHCHECK "))
    check = json.loads(line.partition(" CMD ")[2])
    assert check[:2] == ["python", "-c"]
    compile(check[2], "health", "exec")
    assert f"{PORT}" in check[2]
    assert "/readyz" in check[2]


def test_both_images_are_built_alike() -> None:
    builders = [
        lines[lines.index("FROM ${BASE} AS builder") : lines.index("FROM scratch")]
        for lines in LINES.values()
    ]
    assert builders[0] == builders[1]
    assert f"target={AUTHORITIES}" in "".join(builders[0])
    for bento in BENTOS:
        options = yaml.safe_load((ROOT / bento.file).read_text())["docker"]
        assert ROOT / options["dockerfile_template"] in FILES
        assert options["setup_script"] == "deploy/image/root.py"


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("numpy/tests", False),
        ("numpy/_core/include", False),
        ("numpy/_core/numeric.pyi", False),
        ("numpy/testing", True),
        ("numpy/_core/numeric.py", True),
        ("onnxruntime/capi/libonnxruntime.so.1.32.0", False),
        ("onnxruntime/capi/libonnxruntime_providers_shared.so", True),
        ("onnxruntime/capi/onnxruntime_pybind11_state.cpython-311-x86_64-linux-gnu.so", True),
        ("onnxruntime/quantization", False),
        ("PIL/_avif.cpython-311-x86_64-linux-gnu.so", False),
        ("PIL/_webp.cpython-311-x86_64-linux-gnu.so", True),
        ("pygments/lexers/python.py", True),
        ("pygments/lexers/cobol.py", False),
        ("bin", False),
        ("google/protobuf/bin", True),
    ],
)
def test_what_is_left_out_of_packages(path: str, kept: bool) -> None:
    assert (root.PACKAGES_UNUSED.fullmatch(path) is None) == kept


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This machine's interpreter and a package of our own, laid out; skips where that cannot be."""
    if not Path("/sbin/ldconfig").exists() or not Path("/etc/ld.so.conf").exists():
        pytest.skip("a root is laid out on Debian only")
    folder = tmp_path_factory.mktemp("laid")
    package = folder / "packages" / "thing"
    (package / "tests").mkdir(parents=True)
    (package / "__init__.py").write_text("VALUE = 7\n")
    (package / "tests" / "test_thing.py").write_text("")
    (folder / "packages" / "bin").mkdir()
    (folder / "sources").mkdir()
    (folder / "sources" / "pyproject.toml").write_bytes((ROOT / "pyproject.toml").read_bytes())
    (folder / "sources" / "program.py").write_text("import thing\nprint(thing.VALUE)\n")
    root.main(folder / "packages", folder / "sources", folder / "root")
    return folder / "root"


@pytest.mark.slow
def test_a_root_holds_what_runs_and_no_more(laid_out: Path) -> None:
    runtime, sources = laid_out / "runtime", laid_out / "sources" / "assay"
    files = {path.relative_to(runtime).as_posix() for path in runtime.rglob("*") if path.is_file()}
    names = {Path(file).name for file in files}
    assert not names & {
        "sh",
        "bash",
        "dash",
        "apt-get",
        "dpkg",
        "pip",
        "pip3",
        "gcc",
        "uv",
        "perl",
        "test_thing.py",
    }
    libraries = sysconfig.get_path("stdlib").lstrip("/")
    assert f"{libraries}/json/decoder.py" in files
    assert not [file for file in files if file.startswith((f"{libraries}/test/", f"{libraries}/ensurepip/"))]
    assert (runtime / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert f"assay:x:{USER}:{USER}" in (runtime / "etc/passwd").read_text()
    assert "etc/ld.so.cache" in files
    whole = {path.name for path in root.LICENCES.glob("*")}
    assert {Path(file).name for file in files if file.startswith("usr/share/common-licenses/")} == whole
    (told,) = importlib.metadata.distributions(path=[str(sources)], name="assay")
    assert told.version == version()
    # Every shared object that the interpreter needs is there, under the name the loader asks for.
    ldd = subprocess.run(["ldd", Path(sys.executable).resolve()], capture_output=True, text=True).stdout
    needed = set(re.findall(r"/\S*/(\S+\.so\S*) \(0x", ldd))
    assert needed
    assert needed <= names


@pytest.mark.slow
def test_byte_code_is_there_and_holds_whatever_the_dates_are(laid_out: Path) -> None:
    cached = list((laid_out / "sources").rglob("program.*.pyc"))
    assert len(cached) == 1
    flags = int.from_bytes(cached[0].read_bytes()[4:8], "little")
    assert flags == 0b01  # by hash, and never looked at again
    assert b"/assay/program.py" in cached[0].read_bytes()
    assert str(laid_out).encode() not in cached[0].read_bytes()
