"""Adds up what the image would hold, from this checkout and the installed packages: no container engine is needed.

`python3 ispvm/deploy/image_size.py`, with the interpreter of .venv.
"""

import fnmatch
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MIB = 2**20
LIMIT_BYTES = 400_000_000
#: python:3.13-slim on disk (amd64), rounded up.
BASE_BYTES = 130_000_000
#: Shared static files are in the image twice: as they are, and collected, with compressed copies.
COLLECTED = 2.5


def ignore_rules() -> tuple[set[str], list[str]]:
    """What .dockerignore lets in, and the patterns that it keeps out of that."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    return allowed, [line for line in lines if not line.startswith("!") and line != "**"]


def copied_files() -> list[Path]:
    """The files of the checkout that the image holds, relative to it."""
    dockerfile = (ROOT / "ispvm" / "deploy" / "Dockerfile").read_text(encoding="utf-8")
    final = dockerfile.rpartition("\nFROM ")[2].splitlines()
    sources = [
        source
        for line in final
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    allowed, excluded = ignore_rules()
    tracked = subprocess.run(  # noqa: S603  (arguments of our own)
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *sources],  # noqa: S607
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout.splitlines()  # fmt: skip
    return [
        Path(name)
        for name in tracked
        if any(name == root or name.startswith(f"{root}/") for root in allowed)
        and not any(name.startswith(f"{rule}/") or fnmatch.fnmatch(name, rule) for rule in excluded)
        and (ROOT / name).is_file()
    ]


def packages() -> list[str]:
    """Names of the runtime subset's packages that are installed here; others have markers for other machines."""
    text = (ROOT / "ispvm" / "deploy" / "requirements-runtime.txt").read_text(encoding="utf-8")
    names = [line.split("==")[0].split("[")[0] for line in text.splitlines() if line[:1].isalnum()]
    return [name for name in names if _is_installed(name)]


def package_files(name: str) -> list[Path]:
    """The files of an installed package, without compiled modules."""
    found = distribution(name)
    paths = (Path(str(found.locate_file(file))) for file in found.files or ())
    return [path for path in paths if path.suffix != ".pyc" and path.is_file()]


def parts() -> dict[str, int]:
    """Part of the image -> bytes."""
    copied = copied_files()
    static = sum(_size(ROOT / path) for path in copied if path.parts[0] == "static")
    vendor = _vendor_bytes()
    return {
        "base image": BASE_BYTES,
        "packages": sum(
            _installed_size(path) for name in packages() for path in package_files(name)
        ),
        "checkout": sum(_size(ROOT / path) for path in copied),
        "collected static files": int((static + vendor) * COLLECTED),
    }


def _vendor_bytes() -> int:
    """Front-end packages; all of their files, of which only a few are collected."""
    folder = ROOT / "node_modules"
    wanted = ("@dagrejs", "cytoscape", "maplibre-gl", "topojson-client", "uplot", "world-atlas")
    files = (path for name in wanted for path in (folder / name).glob("dist/**/*"))
    return sum(_size(path) for path in files if path.is_file() and path.suffix != ".map")


def _is_installed(name: str) -> bool:
    try:
        distribution(name)
    except PackageNotFoundError:
        return False
    return True


def _size(path: Path) -> int:
    return path.stat().st_size


def _installed_size(path: Path) -> int:
    """pip compiles each module: about as many bytes again."""
    return _size(path) * (2 if path.suffix == ".py" else 1)


def main() -> int:
    found = parts()
    for name, size in found.items():
        sys.stdout.write(f"{size / MIB:8.1f} MiB  {name}\n")
    total = sum(found.values())
    sys.stdout.write(f"{total / MIB:8.1f} MiB  in all (limit {LIMIT_BYTES / MIB:.0f} MiB)\n")
    return 0 if total < LIMIT_BYTES else 1


if __name__ == "__main__":
    sys.exit(main())
