from django.db import models

from apps.agents.models.agent import Agent
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class AgentDevice(TenantModel):
    """This agent watches this router. Several agents may watch one; a router that is named so is not also
    watched through its site."""

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


class AgentProbing(TenantModel):
    """This agent judges from where it sits whether this router can be reached. A router that is named so is not also
    probed by the agents that watch it: from next door a router always looks well."""

    agent = TenantForeignKey(Agent, on_delete=models.CASCADE, related_name="probe_assignments")
    device = TenantForeignKey(
        "inventory.Device", on_delete=models.CASCADE, related_name="probing_agents"
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "agent", "device"], name="agents_agentprobing_pair_uniq"
            )
        ]
        indexes = [models.Index(fields=["tenant", "device"], name="agents_probing_device_idx")]


class AgentSite(TenantModel):
    """This agent watches whatever stands at this site and is not assigned by name, now and later."""

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
