"""deployment.md and agents.md followed by a script: somebody signs in, an agent enrols, a router is read."""

import json
import os
import subprocess
import sys

import pytest

from ispvm.supervisor.paths import PROJECT
from tests.deploy.composed import program


def missing() -> str:
    if os.geteuid() != 0:
        return "needs root: accounts and namespaces of its own"
    tools = ("unshare", "ip", "useradd", "runuser", "openssl", "nginx")
    absent = [name for name in tools if program(name) is None]
    if absent:
        return f"needs {', '.join(absent)}"
    tried = subprocess.run(
        ["unshare", "--mount", "--net", "--propagation", "private", "true"],
        check=False,
        capture_output=True,
    )
    return "" if tried.returncode == 0 else "needs to be allowed namespaces"


@pytest.mark.long
@pytest.mark.real
def test_the_handbook_leads_to_a_router_that_is_read(public_folder, record_property):
    if reason := missing():
        pytest.skip(reason)
    done = subprocess.run(
        [
            *("unshare", "--mount", "--propagation", "private"),
            *(sys.executable, "-m", "tests.deploy.first_installation", str(public_folder)),
        ],
        cwd=PROJECT,
        env={
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ISPVM", "DATABASE", "REDIS", "DJANGO"))
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-6000:]}"
    output = json.loads(done.stdout.splitlines()[-1])
    observed = output["observed"]

    assert observed["before"] == ["/setup/", 200]
    assert observed["codes_in_the_log"] == 1
    assert observed["bootstrap"] == "Created the account ops@noc.example."
    assert observed["bootstrap_again"].startswith("Nothing was changed")
    assert observed["setup_afterwards"] == 404
    assert observed["signed_in"] == "ops@noc.example"
    assert observed["state_folder"] == ["ispvm-agent 700", "ispvm-agent 600"]
    assert observed["agent"] == "active"
    assert not observed["agent_is_root"]
    assert all(0 <= row["value"] <= 100 for row in observed["samples"]), observed["samples"]
    assert observed["samples"]
    record_property(
        "bar",
        f"First installation: ran {len(output['ran'])} commands; not run here: {output['not_run']}",
    )
