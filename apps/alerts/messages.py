"""Texts of alerts by message code. Those of shipped rules are translated; those that operators wrote are not."""

import re
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy as _n
from django.utils.translation import override

from apps.core.messages import Message, Template

#: A summary that an operator wrote in a rule; the parameter is the rendered text.
TEXT = "alerts.summary.text"
FLAPPING = "alerts.summary.flapping"
LAST_SAMPLE = "alerts.value.last_sample"

# In English they are the summary templates of the shipped rules: see ``_template_of``.
_SUMMARIES: Mapping[str, Template] = MappingProxyType(
    {
        "alerts.summary.interface_down": _("%(entity)s went down"),
        "alerts.summary.ospf_not_full": _("OSPF neighbor %(entity)s is %(state)s, not Full"),
        "alerts.summary.ebgp_not_established": _(
            "BGP session %(entity)s is %(state)s, not Established"
        ),
        "alerts.summary.unreachable": _("%(entity)s does not respond to probes"),
        "alerts.summary.management_plane": _("The API of %(entity)s does not respond"),
        "alerts.summary.agent_heartbeat_missed": _(
            "Agent %(entity)s is offline: its devices are not monitored"
        ),
        "alerts.summary.pppoe_sessions_lost": _("%(entity)s has no active sessions"),
        "alerts.summary.cpu_high": _("CPU of %(entity)s is at %(value)g %%"),
        "alerts.summary.power_supply": _(
            "A power supply of %(entity)s has failed or lost its input"
        ),
        "alerts.summary.login_held": _(
            "The login of %(entity)s is held: its destination is not approved"
        ),
        "alerts.summary.certificate_changed": _(
            "%(entity)s presents another TLS certificate; no login was sent"
        ),
        "alerts.summary.agent_data_quarantined": _(
            "Agent %(entity)s sends data about entities that are not assigned to it"
        ),
        "alerts.summary.agent_clock_skewed": _(
            "The clock of agent %(entity)s is off by %(value)g s"
        ),
    }
)

_RULE_NAMES: Mapping[str, Template] = MappingProxyType(
    {
        "alerts.rule.interface_down": _("Interface down"),
        "alerts.rule.ospf_not_full": _("OSPF neighbor not Full"),
        "alerts.rule.ebgp_not_established": _("BGP session not Established"),
        "alerts.rule.unreachable": _("Device unreachable"),
        "alerts.rule.management_plane": _("Management plane does not respond"),
        "alerts.rule.agent_heartbeat_missed": _("Agent missed its heartbeats"),
        "alerts.rule.pppoe_sessions_lost": _("All PPPoE sessions lost"),
        "alerts.rule.cpu_high": _("CPU high"),
        "alerts.rule.power_supply": _("Power supply failed"),
        "alerts.rule.login_held": _("Login held"),
        "alerts.rule.certificate_changed": _("Router certificate changed"),
        "alerts.rule.agent_data_quarantined": _("Agent sends data about unassigned devices"),
        "alerts.rule.agent_clock_skewed": _("Agent clock skewed"),
    }
)

CATALOG: Mapping[str, Template] = MappingProxyType(
    {
        **_SUMMARIES,
        **_RULE_NAMES,
        FLAPPING: _n(
            "%(entity)s is flapping: %(changes)d change in %(seconds)g s",
            "%(entity)s is flapping: %(changes)d changes in %(seconds)g s",
            "changes",
        ),
        LAST_SAMPLE: _("last sample at %(time)s"),
        TEXT: "%(text)s",
    }
)

_PLACEHOLDER = re.compile(r"%\((\w+)\)[a-z]")
_FIELDS = {"entity": "entity.name", "device": "device.name"}


def summary_message(template: str, params: Mapping[str, Any], *, text: str) -> Message:
    """The summary of an alert: by code where the rule has the template of a shipped one, else its rendered text."""
    code = _summary_codes().get(template)
    if code is not None:
        with override(None):
            names = _PLACEHOLDER.findall(str(_SUMMARIES[code]))
        values = {name: params[name] for name in names}
        if None not in values.values():
            return Message(code, values)
    return Message(TEXT, {"text": text})


def rule_name(document: Mapping[str, Any]) -> str:
    """The name of a rule in the active language, or as an operator wrote it; its key without a name."""
    key = str(document.get("id", ""))
    name = str(document.get("name", key))
    shipped = _RULE_NAMES.get(f"alerts.rule.{key}")
    if shipped is None:
        return name
    with override(None):
        is_shipped = str(shipped) == name
    return str(shipped) if is_shipped else name


@cache
def _summary_codes() -> Mapping[str, str]:
    with override(None):
        return {_template_of(str(text)): code for code, text in _SUMMARIES.items()}


def _template_of(text: str) -> str:
    """The summary template of a rule document with this English text."""
    return _PLACEHOLDER.sub(lambda match: f"{{{_FIELDS.get(match[1], match[1])}}}", text).replace(
        "%%", "%"
    )
