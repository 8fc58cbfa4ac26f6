import hashlib

from django.db import models
from django.db.models import Q

from apps.agents.choices import AgentStatus
from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel


class Agent(TenantModel):
    """A collector in a PoP (or next to the server) that polls routers and probes targets.

    Its identity comes from its certificate only. A missing heartbeat says nothing about the state of its devices.
    """

    name = models.CharField(max_length=100)
    site = TenantForeignKey(
        "inventory.Site", on_delete=models.SET_NULL, null=True, blank=True, related_name="agents"
    )
    # The router that it is connected to: its viewpoint in the network. Null: unknown.
    attached_device = TenantForeignKey(
        "inventory.Device",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        related_name="attached_agents",
    )
    # The address that it polls from, for documentation and firewall rules; not verified.
    source_address = models.GenericIPAddressField(null=True, blank=True)
    status = models.CharField(
        max_length=20, choices=AgentStatus.choices, default=AgentStatus.PENDING
    )
    created_at = models.DateTimeField()
    enrolled_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    # From the last heartbeat.
    version = models.CharField(max_length=50, blank=True, default="")
    hostname = models.CharField(max_length=253, blank=True, default="")
    capabilities = models.JSONField(default=list, blank=True)
    boot_id = models.UUIDField(null=True, blank=True)
    last_heartbeat_at = models.DateTimeField(null=True, blank=True)
    # Buffer depth and age, poll errors, load, clock: as in the heartbeat.
    health = models.JSONField(default=dict, blank=True)
    # Raw X25519 public key: router passwords are sent only sealed to it.
    sealing_public_key = models.BinaryField(max_length=32, null=True, blank=True)

    # The approved host's sealing key: credentials are sealed to no other.
    approved_sealing_key = models.BinaryField(max_length=32, null=True, blank=True)
    host_approved_by = models.JSONField(null=True, blank=True)
    host_approved_at = models.DateTimeField(null=True, blank=True)

    # Fingerprints of the authorities that it trusts, from the last heartbeat.
    trusted_authorities = models.JSONField(default=list, blank=True)

    # Since when its clock is off by more than two seconds; null: in sync.
    skewed_since = models.DateTimeField(null=True, blank=True)
    # Its clock minus the server's by the last heartbeats of its present boot; null: not measured.
    clock_skew_seconds = models.FloatField(null=True, blank=True)
    # The measurements that it is from, oldest first, at most three.
    clock_skews = models.JSONField(default=list, db_default=[], blank=True)
    # When the present boot id was first reported, and the boot ids before it (newest first, at most five).
    boot_first_seen_at = models.DateTimeField(null=True, blank=True)
    previous_boots = models.JSONField(default=list, blank=True)
    # Source address of its last heartbeat.
    last_address = models.GenericIPAddressField(null=True, blank=True)
    # ``serial:percent`` of the last certificate expiry event.
    expiry_notified = models.CharField(max_length=50, blank=True, default="")
    # Two hosts use this identity (cloned). It is not renewed until a host enrolls again.
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
        """Whether credentials may be sealed to its present host."""
        key, approved = self.sealing_public_key, self.approved_sealing_key
        return key is not None and approved is not None and bytes(key) == bytes(approved)

    @property
    def has_unapproved_host(self) -> bool:
        """Whether its present host (or a new sealing key) is not approved."""
        return self.sealing_public_key is not None and not self.is_host_approved

    @property
    def host_key(self) -> str:
        """Digest of the host's sealing key, shown for approval; empty: none reported."""
        key = self.sealing_public_key
        return "" if key is None else hashlib.sha256(bytes(key)).hexdigest()

    def __str__(self) -> str:
        return self.name
