from django.db import models
from django.utils.translation import gettext_lazy as _

from apps.topology import graph


class GroupMode(models.TextChoices):
    """How many members must work for the dependent to work."""

    ANY = graph.ANY, _("Any")
    ALL = graph.ALL, _("All")
    K_OF_N = graph.K_OF_N, _("At least k")


class MemberType(models.TextChoices):
    """Entity types that can depend on others and be depended on."""

    SITE = graph.SITE, _("Site")
    DEVICE = graph.DEVICE, _("Device")
    INTERFACE = graph.INTERFACE, _("Interface")
    LINK = graph.LINK, _("Link")
    BGP_PEER = graph.BGP_PEER, _("BGP peer")
    OSPF_NEIGHBOR = graph.OSPF_NEIGHBOR, _("OSPF neighbor")
    SERVICE = graph.SERVICE, _("Service")
    PROBE_TARGET = graph.PROBE_TARGET, _("Probe target")
