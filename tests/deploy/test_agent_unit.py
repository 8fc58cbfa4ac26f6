"""The agent's systemd unit: no root, no capability, and commands that exist."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from agent.__main__ import _parser

UNIT = Path(__file__).parents[2] / "agent/systemd/ispvm-agent.service"
TEXT = UNIT.read_text(encoding="utf-8")
#: Of 10; what systemd itself calls OK.
WORST_EXPOSURE = 2.0


def setting(name: str) -> str:
    return re.search(rf"^{name}=(.*)$", TEXT, re.MULTILINE)[1]


def test_it_is_not_root_and_has_no_capability():
    assert setting("User") not in {"", "root", "0"}
    assert setting("CapabilityBoundingSet") == setting("AmbientCapabilities") == ""
    assert setting("NoNewPrivileges") == "yes"


def test_it_starts_what_the_agent_knows():
    words = shlex.split(setting("ExecStart"))

    settings_lines = _parser().parse_args(words[3:])

    assert words[1:3] == ["-m", "agent"]
    assert settings_lines.state_dir == Path("/var/lib") / setting("StateDirectory")
    assert setting("ConditionPathExists") == str(settings_lines.state_dir / "agent.json")


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd-analyze")
def test_systemd_calls_it_hardly_exposed(record_property):
    result = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )

    exposure = float(re.search(r"exposure level for \S+: ([\d.]+)", result.stdout)[1])
    record_property("bar", f"STRIDE 69: systemd's exposure level of the agent's unit: {exposure}")
    assert exposure <= WORST_EXPOSURE
