"""Choices of the inventory."""

from collections.abc import Sequence
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from agent.collectors.registry import COLLECTORS


def collector_choices() -> Sequence[tuple[str, Any]]:
    """The installed collectors. A callable: another collector needs no migration."""
    return [(facts.name, _(facts.label)) for facts in COLLECTORS.values()]


class DeviceRole(models.TextChoices):
    """What a router does in the network."""

    CORE = "core", _("Core")
    EDGE = "edge", _("Edge")
    AGG = "agg", _("Aggregation")
    BNG = "bng", _("BNG")
    ACCESS = "access", _("Access")
    OTHER = "other", _("Other")


class LinkKind(models.TextChoices):
    """The role of a link."""

    RING = "ring", _("Ring")
    BACKHAUL = "backhaul", _("Backhaul")
    ACCESS = "access", _("Access")
    EDGE = "edge", _("Edge")
    OTHER = "other", _("Other")


class ProbeMethod(models.TextChoices):
    """How an agent probes an address."""

    UDP_ECHO = "udp_echo", _("UDP echo")
    TCP = "tcp", _("TCP connect")


class ServiceKind(models.TextChoices):
    """Kinds of customer services."""

    PPPOE = "pppoe", _("PPPoE")
    TRANSIT = "transit", _("Transit")
    OTHER = "other", _("Other")


class Source(models.TextChoices):
    """Who created a row."""

    OPERATOR = "operator", _("Operator")
    DISCOVERED = "discovered", _("Discovered")


class EntityType(models.TextChoices):
    """The inventory's entity types, as metrics and alerts name them."""

    SITE = "site", _("Site")
    DEVICE = "device", _("Device")
    INTERFACE = "interface", _("Interface")
    LINK = "link", _("Link")
    BGP_PEER = "bgp_peer", _("BGP peer")
    OSPF_NEIGHBOR = "ospf_neighbor", _("OSPF neighbor")
    PROBE_TARGET = "probe_target", _("Probe target")
    SERVICE = "service", _("Service")


class LoginState(models.TextChoices):
    """Whether a device's credentials are sent to agents, and if not, why."""

    NONE = "none", _("No login")
    APPROVED = "approved", _("Approved")
    HELD = "held", _("Login held")
    CERTIFICATE_CHANGED = "certificate_changed", _("Certificate changed")


class HoldReason(models.TextChoices):
    """What differs between the present destination and the approved one."""

    NEVER_APPROVED = "never_approved", _("never approved")
    ADDRESS = "address", _("another address")
    PORT = "port", _("another port")
    TLS = "tls", _("TLS switched")
    CREDENTIAL_SETS = "credential_sets", _("another credential set")
    AGENTS = "agents", _("another agent")
    AGENT_HOST = "agent_host", _("an agent on another host")
