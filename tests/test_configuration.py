"""The code, `.env.example` and the handbook name the same environment variables."""

import ast
import re
from pathlib import Path

from ispvm.supervisor.environment import DATABASE_VARIABLES

PROJECT = Path(__file__).parents[1]
READS = {
    *("text", "bare", "required", "boolean", "choice", "egress", "networks", "address", "folder"),
    "whole",
    "folders",
}
OF_THE_SHELL = {"NO_COLOR"}
HANDBOOK = (PROJECT / "docs/operator-handbook/configuration.md").read_text(encoding="utf-8")


def called_with_a_name(folder: str, owner: str, methods: set[str]) -> dict[str, set[str]]:
    """Variable -> the methods that read it, of calls like ``env.text("NAME")``."""
    found: dict[str, set[str]] = {}
    for path in (PROJECT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in methods
                and ast.unparse(node.func.value) == owner
                and isinstance(node.args[0], ast.Constant)
            ):
                found.setdefault(node.args[0].value, set()).add(node.func.attr)
    return found


SETTINGS = called_with_a_name("ispvm/settings", "env", READS)
LAUNCHER = set(called_with_a_name("ispvm/supervisor", "os.environ", {"get"})) - OF_THE_SHELL
READ = set(SETTINGS) | LAUNCHER | set(DATABASE_VARIABLES)
ROWS = {
    cells[1].strip().strip("`"): [cell.strip() for cell in cells[2:5]]
    for cells in (line.split("|") for line in HANDBOOK.splitlines() if line.startswith("| `"))
}


def test_there_is_something_to_compare():
    assert {"ISPVM_SECRET_KEY", "DATABASE_URL", "REDIS_URL", "ISPVM_POSTGRES"} <= READ


def test_the_example_names_what_the_code_reads():
    text = (PROJECT / ".env.example").read_text(encoding="utf-8")

    named = re.findall(r"^(?:# )?([A-Z][A-Z0-9_]+)=", text, re.MULTILINE)

    assert sorted(named) == sorted(READ)


def test_the_handbook_names_what_the_code_reads_each_with_meaning_and_default():
    assert set(ROWS) == READ
    assert all(all(cells) for cells in ROWS.values())


def test_a_file_twin_is_promised_only_where_it_is_read():
    promised = {name for name, cells in ROWS.items() if cells[2] == f"`{name}_FILE`"}

    assert promised == {
        *("ISPVM_SECRET_KEY", "DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL"),
        *("ISPVM_OIDC_PROVIDERS", "ISPVM_SMTP_PASSWORD"),
    }
    assert all(SETTINGS[name] <= {"text", "required"} for name in promised)
