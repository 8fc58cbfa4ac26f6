"""Front-end packages: the few files of ``node_modules`` that pages use, collected beside our own."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.staticfiles.finders import BaseFinder
from django.core.files.storage import FileSystemStorage, Storage
from whitenoise.storage import CompressedManifestStaticFilesStorage

#: Package folder and file, as pages name it under ``vendor/``. Modules import each other by these plain names.
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
    """Finds them where ``npm ci`` put them; nothing where it could not: pages then say so in the chart's place."""

    def check(self, **_kwargs: Any) -> list[Any]:
        """Missing packages are told by the set-up, with its reason."""
        return []

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, Storage]]:  # noqa: ARG002
        """Each file with the storage that holds it."""
        for folder, name in FILES:
            if (_packages() / folder / name).is_file():
                storage = FileSystemStorage(location=_packages() / folder)
                storage.prefix = PREFIX  # type: ignore[attr-defined]  # collectstatic's own protocol
                yield name, storage

    def find(self, path: str, find_all: bool = False, **_kwargs: Any) -> Any:  # noqa: FBT001, FBT002
        """The path of ``vendor/<name>``, or nothing."""
        found = [
            str(_packages() / folder / name)
            for folder, name in FILES
            if path == f"{PREFIX}/{name}" and (_packages() / folder / name).is_file()
        ]
        return found[0] if found and not find_all else found


def _packages() -> Path:
    return Path(settings.BASE_DIR) / "node_modules"


class CollectedFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise ships no types
    """Hashed names and compressed twins. Source maps that packages mention are not shipped, so none is looked for."""

    patterns = tuple(
        pattern for pattern in CompressedManifestStaticFilesStorage.patterns if pattern[0] != "*.js"
    )
