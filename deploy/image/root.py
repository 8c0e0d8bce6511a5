#!/usr/bin/env python3
"""Lays out the file system of an image: `root.py PACKAGES SOURCES TO`, run where the image is built.

What serving can use and nothing else: the interpreter, its library, the shared objects that both load, the
packages, certificates, one user. No shell, no package manager, no pip, no compiler. Byte code is compiled
here, because the root is read-only later; it is never checked against its source again, so that it stands
whatever dates the files get. TO/runtime and TO/sources are a layer each: only the latter is new in a commit.
"""

from __future__ import annotations

import compileall
import os
import py_compile
import re
import shutil
import site
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

USER = 10001
LIBRARY_UNUSED = re.compile(
    r"ensurepip|idlelib|lib2to3|pydoc_data|tkinter|turtledemo|turtle\.py|venv|(dist|site)-packages|config-3.*"
    r"|(.*/)?(tests?|__pycache__)"
    r"|lib-dynload/(_ctypes_test|_curses|_dbm|_test|_tkinter|_xx|nis|ossaudiodev|readline|xx).*"
)
PACKAGES_UNUSED = re.compile(
    r"bin|(.*/)?(tests?|__pycache__|include|.*\.(a|c|cpp|h|hpp|lib|pxd|pyi|pyx))"
    r"|numpy/(distutils|f2py)|onnxruntime/(datasets|quantization|tools|transformers)"
    r"|onnxruntime/capi/libonnxruntime\.so.*"  # for other languages; Python's module has it all inside
    r"|PIL/_avif.*|pillow\.libs/libavif.*"  # no format that we read
    r"|pygments/lexers/(?!__init__|_mapping|python|special).*"  # Python's is for its own tracebacks
)
LICENCES = Path("/usr/share/common-licenses")  # whose texts Debian's copyright files only name
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
# Process 1 gets no signal that it has not asked for: a SIGTERM would be waited out until the SIGKILL. So it
# ends as any other process does, unless the program takes the signal itself.
FIRST = """import os, signal
if os.getpid() == 1:
    signal.signal(signal.SIGTERM, lambda number, _: os._exit(128 + number))
"""
ACCOUNTS = {
    "passwd": f"root:x:0:0:root:/root:/sbin/nologin\nassay:x:{USER}:{USER}:assay:/tmp:/sbin/nologin\n",
    "group": f"root:x:0:\nassay:x:{USER}:\n",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
}


def main(packages: Path, sources: Path, to: Path) -> None:
    """Make TO/runtime and TO/sources."""
    runtime, assay = to / "runtime", to / "sources" / "assay"
    for name in ("lib", "lib64", "bin", "sbin"):  # merged into /usr, or folders of their own: as in the base
        if (link := Path("/", name)).is_symlink():
            runtime.mkdir(parents=True, exist_ok=True)
            (runtime / name).symlink_to(link.readlink())
    interpreter = Path(sys.executable).resolve()
    _copy(interpreter, runtime)
    _link(runtime, "usr/local/bin/python", interpreter)
    library = Path(sysconfig.get_path("stdlib"))
    _tree(library, _inside(runtime, library), LIBRARY_UNUSED)
    (_inside(runtime, library) / "sitecustomize.py").write_text(FIRST)
    _tree(packages, _inside(runtime, Path(site.getsitepackages()[0])), PACKAGES_UNUSED)
    _strip(runtime)
    needed = sorted(_needed(runtime))
    for path in needed:
        _copy(path, runtime)
    _settle(runtime)
    _tell_origin([interpreter, *library.glob("*.py"), *needed], runtime)
    shutil.copytree(sources, assay)
    _tell_version(assay)
    for folder in (runtime, assay):
        _compile(folder, runtime if folder == runtime else to / "sources")


def _inside(root: Path, path: Path) -> Path:
    """Where a path of this system lies in the new root; its folder without the base's links."""
    return root / (path.parent.resolve() / path.name).relative_to("/")


def _copy(path: Path, root: Path) -> None:
    target = _inside(root, path)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)


def _link(root: Path, name: str, to: Path) -> None:
    if not (link := root / name).exists():
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(to)


def _tree(folder: Path, to: Path, unused: re.Pattern[str]) -> None:
    """Copy a folder without what is unused, by path below it, and without links to nowhere."""

    def left_out(at: str, names: list[str]) -> set[str]:
        below = Path(at).relative_to(folder)
        return {
            name
            for name in names
            if unused.fullmatch((below / name).as_posix()) or not Path(at, name).exists()
        }

    shutil.copytree(folder, to, ignore=left_out, dirs_exist_ok=True)


def _binaries(root: Path) -> Iterator[Path]:
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def _strip(root: Path) -> None:
    """Drop what only debuggers read, where the base has the tool: a tenth of it all.

    Not of the libraries that wheels bring along: they were patched, and do not load any more once stripped.
    """
    if tool := shutil.which("strip"):
        binaries = [path for path in _binaries(root) if not path.parent.name.endswith(".libs")]
        subprocess.run([tool, "--strip-unneeded", *binaries], check=True)  # noqa: S603


def _needed(root: Path) -> set[Path]:
    """The shared objects of this system which the binaries of the root load."""
    needed: set[Path] = set()
    for binary in _binaries(root):
        told = subprocess.run(["ldd", binary], capture_output=True, text=True)  # noqa: S603, S607
        missing = re.findall(r"(\S+) => not found", told.stdout)
        if missing or told.returncode:
            reason = f"needs {', '.join(missing)}, which the base must have" if missing else told.stderr
            sys.exit(f"{binary.relative_to(root)} cannot be loaded: {reason}")
        found = map(Path, re.findall(r"(/\S+) \(0x", told.stdout))
        needed |= {path for path in found if not path.is_relative_to(root)}
    return needed


def _settle(root: Path) -> None:
    """What every process expects of a system: accounts, certificates, /tmp, the loader's cache."""
    for name, text in ACCOUNTS.items():
        (root / "etc").mkdir(exist_ok=True)
        (root / "etc" / name).write_text(text)
    if CERTIFICATES.exists():
        _copy(CERTIFICATES, root)
    (root / "tmp").mkdir(exist_ok=True)  # an interpreter may lie below it
    (root / "tmp").chmod(0o1777)
    for path in (Path("/etc/ld.so.conf"), *Path("/etc/ld.so.conf.d").glob("*.conf")):
        _copy(path, root)
    subprocess.run(["/sbin/ldconfig", "-r", root], check=True)  # noqa: S603
    shutil.rmtree(root / "var" / "cache", ignore_errors=True)


def _tell_origin(paths: Iterable[Path], root: Path) -> None:
    """The Debian packages that files come from: their licences, and their versions for scanners."""
    names = [str(path) for path in paths]
    names += [str(path.parent.resolve() / path.name) for path in paths]
    names += [name.removeprefix("/usr") for name in names]  # as dpkg knew them before /usr was merged
    told = subprocess.run(["dpkg-query", "--search", *names], capture_output=True, text=True).stdout  # noqa: S603, S607
    for package in sorted({line.rpartition(": ")[0].partition(":")[0] for line in told.splitlines()}):
        _copy(Path("/usr/share/doc", package, "copyright"), root)
        status = subprocess.run(["dpkg-query", "--status", package], capture_output=True, check=True)  # noqa: S603, S607
        entry = root / "var" / "lib" / "dpkg" / "status.d" / package
        entry.parent.mkdir(parents=True, exist_ok=True)
        entry.write_bytes(status.stdout)
    if LICENCES.is_dir():
        shutil.copytree(LICENCES, _inside(root, LICENCES), symlinks=True, dirs_exist_ok=True)
    _copy(Path("/etc/os-release"), root)


def _tell_version(sources: Path) -> None:
    """What `importlib.metadata` would know of the project, had pip installed it."""
    project = tomllib.loads((sources / "pyproject.toml").read_text())["project"]
    folder = sources / f"{project['name']}-{project['version']}.dist-info"
    folder.mkdir()
    text = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (folder / "METADATA").write_text(text)


def _compile(folder: Path, root: Path) -> None:
    """Byte code beside every source that compiles; some packages carry templates that do not."""
    mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
    compileall.compile_dir(
        folder, maxlevels=20, stripdir=str(root), prependdir="/", quiet=2, invalidation_mode=mode, workers=0
    )


if __name__ == "__main__":
    os.umask(0o022)
    main(*map(Path, sys.argv[1:4]))
