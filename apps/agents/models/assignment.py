from django.db import models

from apps.agents.models.agent import Agent
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class AgentDevice(TenantModel):
    """An agent polls a device. Several agents may poll one; a device with such a row is not also polled through
    its site."""

    agent = TenantForeignKey(Agent, on_delete=models.CASCADE, related_name="device_assignments")
    device = TenantForeignKey(
        "inventory.Device", on_delete=models.CASCADE, related_name="agent_assignments"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "agent", "device"], name="agents_agentdevice_pair_uniq"
            )
        ]
        indexes = [models.Index(fields=["tenant", "device"], name="agents_agentdevice_device_idx")]


class AgentProbeDevice(TenantModel):
    """An agent probes a device. A device with such a row is not also probed by the agents that poll it: a device in the
    agent's own PoP is nearly always reachable from there."""

    agent = TenantForeignKey(Agent, on_delete=models.CASCADE, related_name="probe_assignments")
    device = TenantForeignKey(
        "inventory.Device", on_delete=models.CASCADE, related_name="probing_agents"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "agent", "device"], name="agents_agentprobedevice_pair_uniq"
            )
        ]
        indexes = [models.Index(fields=["tenant", "device"], name="agents_probedevice_device_idx")]


class AgentSite(TenantModel):
    """An agent polls all present and future devices of a site that are not assigned individually."""

    agent = TenantForeignKey(Agent, on_delete=models.CASCADE, related_name="site_assignments")
    site = TenantForeignKey(
        "inventory.Site", on_delete=models.CASCADE, related_name="agent_assignments"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "agent", "site"], name="agents_agentsite_pair_uniq"
            )
        ]
