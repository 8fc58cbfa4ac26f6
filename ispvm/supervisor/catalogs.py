"""Whether the translation catalogs name exactly the texts of the code: `makemessages` would change nothing."""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ispvm.supervisor.paths import PROJECT

LANGUAGES = ("ar", "es", "pt")
SOURCES = ("agent", "apps", "ispvm", "locale", "static", "templates", "manage.py")
OPTIONS = ("--no-location", "--no-obsolete", "--no-wrap", "--verbosity", "0")


def main() -> int:
    """Prints the texts that differ; returns 1 if there are any. Nothing of the project is changed."""
    if shutil.which("xgettext") is None:
        print("Not checked: there is no gettext on this machine.")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in SOURCES:
            copy_source(PROJECT / name, copy / name)
        languages = [option for language in LANGUAGES for option in ("-l", language)]
        command = [sys.executable, "manage.py", "makemessages", *languages, *OPTIONS]
        subprocess.run(command, check=True, cwd=copy)
        differences = {
            language: texts_of(copy, language) ^ texts_of(PROJECT, language)
            for language in LANGUAGES
        }
    for language, texts in differences.items():
        for text in sorted(texts):
            print(f"{language}: {text}")
    if any(differences.values()):
        print("Run makemessages as CONTRIBUTING says, and translate what is new.")
        return 1
    return 0


def copy_source(source: Path, target: Path) -> None:
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", "*.mo")
        shutil.copytree(source, target, ignore=ignored)
    else:
        shutil.copy(source, target)


def texts_of(project: Path, language: str) -> set[str]:
    """The msgids of a catalog, and whether each is marked fuzzy."""
    catalog = project / "locale" / language / "LC_MESSAGES/django.po"
    entries = catalog.read_text(encoding="utf-8").split("\n\n")[1:]
    return {
        entry[entry.index("msgid ") :].partition("\nmsgstr")[0]
        + (" (fuzzy)" if "#, fuzzy" in entry else "")
        for entry in entries
        if "msgid " in entry
    }


if __name__ == "__main__":
    sys.exit(main())
