"""Static files: the files of ``node_modules`` that pages use, collected beside our own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage, Storage
from whitenoise.storage import CompressedManifestStaticFilesStorage

#: Package folder and file; pages use it under ``vendor/``. Modules import each other by these file names.
FILES = (
    ("@dagrejs/dagre/dist", "dagre.esm.js"),
    ("cytoscape/dist", "cytoscape.esm.min.mjs"),
    ("maplibre-gl/dist", "maplibre-gl.css"),
    ("maplibre-gl/dist", "maplibre-gl.mjs"),
    ("maplibre-gl/dist", "maplibre-gl-worker.mjs"),
    ("topojson-client/dist", "topojson-client.min.js"),
    ("uplot/dist", "uPlot.esm.js"),
    ("uplot/dist", "uPlot.min.css"),
    ("world-atlas", "countries-10m.json"),
    ("world-atlas", "countries-50m.json"),
)
PREFIX = "vendor"


class PackageFinder(BaseFinder):
    """Finds them in ``node_modules``; without it pages show a message in place of the chart."""

    def check(self, **_kwargs: Any) -> list[Any]:
        """Missing packages are reported by `run.py setup`, with the reason."""
        return []

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, Storage]]:  # noqa: ARG002
        """Each file with its storage."""
        for folder, name in FILES:
            if (_packages() / folder / name).is_file():
                storage = FileSystemStorage(location=_packages() / folder)
                storage.prefix = PREFIX  # type: ignore[attr-defined]  # collectstatic's own protocol
                yield name, storage

    def find(self, path: str, find_all: bool = False, **_kwargs: Any) -> Any:  # noqa: FBT001, FBT002
        """The path of ``vendor/<name>``, or an empty list."""
        found = [
            str(_packages() / folder / name)
            for folder, name in FILES
            if path == f"{PREFIX}/{name}" and (_packages() / folder / name).is_file()
        ]
        return found[0] if found and not find_all else found


def _packages() -> Path:
    return Path(settings.BASE_DIR) / "node_modules"


class CollectedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise ships no types
    """Hashed names and compressed copies. References to source maps are ignored: they are not shipped."""

    patterns = tuple(
        pattern for pattern in CompressedManifestStaticFilesStorage.patterns if pattern[0] != "*.js"
    )
