import hashlib

from django.db import models
from django.db.models import Q

from apps.agents.choices import AgentStatus
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class Agent(TenantModel):
    """A collector at work in a PoP (or beside the server): it polls routers and asks probe targets.

    It is what its certificate says; nothing that it sends can make it another. Silence of an agent says nothing
    about the routers that it watches.
    """

    name = models.CharField(max_length=100)
    site = TenantForeignKey(
        "inventory.Site", on_delete=models.SET_NULL, null=True, blank=True, related_name="agents"
    )
    # The router that it is plugged into: from where it sees the network. Null: unknown.
    attached_device = TenantForeignKey(
        "inventory.Device",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="attached_agents",
    )
    # The address that it asks from, for people and firewalls; not checked.
    source_address = models.GenericIPAddressField(null=True, blank=True)
    status = models.CharField(
        max_length=20, choices=AgentStatus.choices, default=AgentStatus.PENDING
    )
    created_at = models.DateTimeField()
    enrolled_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    # What it said of itself last.
    version = models.CharField(max_length=50, blank=True, default="")
    hostname = models.CharField(max_length=253, blank=True, default="")
    capabilities = models.JSONField(default=list, blank=True)
    boot_id = models.UUIDField(null=True, blank=True)
    last_heartbeat_at = models.DateTimeField(null=True, blank=True)
    # Buffer depth and age, poll errors, load, clock: as in the heartbeat.
    health = models.JSONField(default=dict, blank=True)
    # Raw X25519 public key: router passwords leave the server only sealed to it.
    sealing_public_key = models.BinaryField(max_length=32, null=True, blank=True)

    # The sealing key of the host that somebody with the right approved: logins are sealed to no other.
    approved_sealing_key = models.BinaryField(max_length=32, null=True, blank=True)
    host_approved_by = models.JSONField(null=True, blank=True)
    host_approved_at = models.DateTimeField(null=True, blank=True)

    # Fingerprints of the authorities that it trusts, as it said last.
    trusted_authorities = models.JSONField(default=list, blank=True)

    # Since when its clock is more than a minute off; null: it is right.
    skewed_since = models.DateTimeField(null=True, blank=True)
    # The start that the boot id stands for was first heard then, and the starts before it (newest first, at most five).
    boot_since = models.DateTimeField(null=True, blank=True)
    former_boots = models.JSONField(default=list, blank=True)
    # Where its last heartbeat came from.
    heard_address = models.GenericIPAddressField(null=True, blank=True)
    # Serial and level of the last word about a certificate's end.
    expiry_told = models.CharField(max_length=50, blank=True, default="")
    # Two hosts were heard under this identity. It is not renewed until a host enrolls anew.
    conflict_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="agents_agent_name_uniq"),
            models.CheckConstraint(
                condition=Q(status__in=AgentStatus.values), name="agents_agent_status_ck"
            ),
        ]

    @property
    def is_host_approved(self) -> bool:
        """Whether logins may be sealed to the host that it runs on."""
        key, approved = self.sealing_public_key, self.approved_sealing_key
        return key is not None and approved is not None and bytes(key) == bytes(approved)

    @property
    def has_unapproved_host(self) -> bool:
        """A host has enrolled, or told a new key, that nobody approved."""
        return self.sealing_public_key is not None and not self.is_host_approved

    @property
    def host_key(self) -> str:
        """Names the host's sealing key for who approves it; empty: it has told none."""
        key = self.sealing_public_key
        return "" if key is None else hashlib.sha256(bytes(key)).hexdigest()

    def __str__(self) -> str:
        return self.name
