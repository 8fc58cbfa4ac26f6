"""Provisions the simulated ISP over REST, as an operator would. Ports, neighbors and sessions are left to discovery."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from apps.lab.demo.folder import Folder
from apps.lab.demo.rest import Rest

#: Faster than the defaults, so that a story takes at most 90 s; the check prints it.
POLLING = {"fast_s": 5, "medium_s": 15, "slow_s": 30, "command_timeout_s": 3}
PROBE_SECONDS = 5
DEFAULT_PROBE_SECONDS = 10
LINK_KINDS = {
    "core": "ring",
    "backhaul": "backhaul",
    "access": "access",
    "edge": "edge",
    "upstream": "edge",
}


class Provisioner:
    """Creates what is missing. Idempotent."""

    def __init__(self, rest: Rest, topology: Mapping[str, Any], folder: Folder) -> None:
        self._rest = rest
        self._topology = topology
        self._folder = folder

    def run(self) -> None:
        sites = {
            row["key"]: self._ensure(
                "/sites/",
                row["name"],
                code=row["key"],
                latitude=row["latitude"],
                longitude=row["longitude"],
            )
            for row in self._topology["sites"]
        }
        devices = self._devices(sites)
        self._links(devices)
        self._agents(sites, devices)
        self._receiver()

    def _devices(self, sites: Mapping[str, str]) -> dict[str, str]:
        login = self._topology["credentials"]
        stored = self._rest.post(
            "/credential-sets/",
            {
                "name": "routers",
                "kind": "routeros_api",
                "username": login["username"],
                "secret": login["password"],
            },
        )
        devices = {
            row["name"]: self._ensure(
                "/devices/",
                row["name"],
                site=sites[row["site"]],
                role=row["role"],
                management_address=row["address"],
                api_port=self._topology["api_port"],
                credential_set=stored["id"],
                polling_profile=POLLING,
            )
            for row in self._topology["devices"]
        }
        probe = {
            "methods": ["udp_echo"],
            "echo_port": self._topology["echo_port"],
            "interval_seconds": PROBE_SECONDS,
        }
        for pk in devices.values():
            self._rest.post(f"/devices/{pk}/default-probe-targets/", probe)
        return devices

    def _links(self, devices: Mapping[str, str]) -> None:
        for row in self._topology["links"]:
            near, far = row["a"], row["z"]
            self._ensure(
                "/links/",
                row["id"],
                kind=LINK_KINDS[row["kind"]],
                capacity_bps=row["capacity_bps"],
                a_device=devices[near["device"]],
                a_interface_name=near["interface"],
                z_device=devices[far["device"]] if far else None,
                z_interface_name=far["interface"] if far else "",
            )

    def _agents(self, sites: Mapping[str, str], devices: Mapping[str, str]) -> None:
        """Each agent polls the routers near it; only the agent at the hub probes reachability."""
        listed = []
        for row in self._topology["agents"]:
            pk = self._ensure(
                "/agents/",
                row["name"],
                site=sites[row["site"]],
                attached_device=devices[row["attached_to"]],
                source_address=row["source_address"],
            )
            probed = sorted(devices.values()) if row["site"] == "hub" else []
            assigned = {
                "device_ids": [devices[name] for name in row["polls"]],
                "probe_device_ids": probed,
            }
            self._rest.post(f"/agents/{pk}/assignments/", assigned)
            state_dir = self._folder.path / row["name"]
            token_file = f"{row['name']}.token"
            if self._rest.get(f"/agents/{pk}/")["status"] == "pending":
                token = self._rest.post(f"/agents/{pk}/enroll-token/")["token"]
                self._folder.write_text(token_file, token)
                # An agent that enrolled with an earlier demo's certificate has to do so again.
                (state_dir / "enrolled-by-demo").unlink(missing_ok=True)
            listed.append(
                {
                    "name": row["name"],
                    "token_file": str(self._folder.path / token_file),
                    "source_address": row["source_address"],
                    "state_dir": str(state_dir),
                }
            )
        self._folder.write_json("agents.json", listed)

    def _receiver(self) -> None:
        """The webhook endpoint of the demo's receiver, and its secret."""
        secret_file = Path(self._folder.plan["webhook_secret_file"]).name
        url = self._folder.plan["receiver_url"]
        known = {row["url"]: row["id"] for row in self._rest.all("/webhook-endpoints/")}
        if url not in known:
            created = self._rest.post("/webhook-endpoints/", {"name": "demo receiver", "url": url})
            self._folder.write_text(secret_file, created["secret"])
        elif not self._folder.read_text(secret_file):
            # Created by a run that ended before it stored the secret, which is shown only once.
            path = f"/webhook-endpoints/{known[url]}/rotate-secret/"
            staged = self._rest.post(path, {"step": "stage"})
            self._folder.write_text(secret_file, staged["secret"])
            self._rest.post(path, {"step": "promote", "grace_hours": 0})

    def _ensure(self, path: str, name: str, **fields: Any) -> str:
        """The id of the row of that name, created if it does not exist."""
        for row in self._rest.all(path):
            if row["name"] == name:
                return str(row["id"])
        return str(self._rest.post(path, {"name": name, **fields})["id"])
