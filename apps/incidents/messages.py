"""The texts of incidents: titles, evidence, suppression reasons and timeline entries, by message code."""

from collections.abc import Mapping
from types import MappingProxyType

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy as _n

from apps.core.messages import Template

_CAUSES = {
    "incidents.causes.two": _("%(first)s and %(second)s"),
    "incidents.causes.more": _n("%(first)s and %(n)d more", "%(first)s and %(n)d more", "n"),
}

# ``n`` is the number of causes, ``causes`` their names.
_TITLES = {
    "incidents.title.with_effect": _("%(state)s: %(effect)s"),
    "incidents.title.down": _n("%(causes)s is down", "%(causes)s are down", "n"),
    "incidents.title.flapping": _n("%(causes)s is flapping", "%(causes)s are flapping", "n"),
    "incidents.title.site_unreachable": _n(
        "%(causes)s is unreachable", "%(causes)s are unreachable", "n"
    ),
    "incidents.title.without_power": _n(
        "%(causes)s is without power", "%(causes)s are without power", "n"
    ),
    "incidents.title.power_feed_lost": _n(
        "%(causes)s has lost a power feed", "%(causes)s have lost a power feed", "n"
    ),
    "incidents.title.power_supply_lost": _n(
        "%(causes)s has lost a power supply", "%(causes)s have lost a power supply", "n"
    ),
    "incidents.title.management_plane": _n(
        "%(causes)s does not answer on its management plane",
        "%(causes)s do not answer on their management plane",
        "n",
    ),
    "incidents.title.degraded": _n(
        "%(causes)s is degraded (%(check)s)", "%(causes)s are degraded (%(check)s)", "n"
    ),
    "incidents.title.agent_offline": _n("%(causes)s is offline", "%(causes)s are offline", "n"),
    "incidents.title.sessions_lost": _n(
        "%(causes)s has lost all sessions", "%(causes)s have lost all sessions", "n"
    ),
}

_EFFECTS = {
    "incidents.effect.routers_cut_off": _n("%(n)d router cut off", "%(n)d routers cut off", "n"),
    "incidents.effect.routers_lost": _n("%(n)d router lost", "%(n)d routers lost", "n"),
    "incidents.effect.routers_still_running": _n(
        "%(n)d router still running", "%(n)d routers still running", "n"
    ),
    "incidents.effect.redundancy_lost": _("redundancy lost, no router cut off"),
    "incidents.effect.not_monitored": _("its region is not monitored"),
}

_EVIDENCE = {
    "incidents.evidence.summary": _n(
        "Explains its only symptom", "Explains %(n)d of the symptoms", "n"
    ),
    "incidents.evidence.alternative": _("%(name)s alone would explain the same (%(share).2f)"),
    "incidents.evidence.config_changed": _(
        "Configuration of %(name)s (%(category)s) changed %(seconds)d s before"
    ),
    "incidents.evidence.answers_probes": _("%(name)s still answers probes"),
    "incidents.evidence.answers_on_api": _("%(name)s still answers on its API"),
    "incidents.evidence.interface_up": _("%(name)s is still up"),
    "incidents.evidence.adjacency_full": _("The OSPF adjacency %(name)s is still Full"),
    "incidents.evidence.bgp_established": _("The BGP session %(name)s is still Established"),
}

_SUPPRESSIONS = {
    "incidents.suppression.agent": _(
        "Behind %(cause)s: the agent cannot reach the server, its region is not monitored"
    ),
    "incidents.suppression.unreachable": _("Reachable only over %(cause)s"),
    "incidents.suppression.adjacency": _("The adjacency runs over %(cause)s"),
    "incidents.suppression.bgp_session": _("The session has no path without %(cause)s"),
    "incidents.suppression.subscribers": _("Its subscribers reach the network over %(cause)s"),
    "incidents.suppression.dependency": _("Cannot work without %(cause)s"),
}

_TIMELINE = {
    "incidents.timeline.opened": _("Opened: %(cause)s, confidence %(confidence).2f"),
    "incidents.timeline.reopened": _("Reopened: the problem is back"),
    "incidents.timeline.reopened_flapping": _("Reopened: flapping"),
    "incidents.timeline.cause_changed": _("Cause is now %(cause)s; it was %(former)s"),
    "incidents.timeline.merged": _("Merged into INC-%(number)d"),
    "incidents.timeline.joined": _("INC-%(number)d joined: it has the same cause"),
    "incidents.timeline.recovered": _("Every alert has recovered"),
    "incidents.timeline.removed": _("Nothing that it is about is monitored any more"),
    "incidents.timeline.alert_cleared": _("Cleared: %(alert)s"),
    "incidents.timeline.alert_removed": _("Ended, removed from the inventory: %(alert)s"),
    "incidents.timeline.alert_disabled": _("Ended, disabled: %(alert)s"),
    "incidents.timeline.alert_out_of_scope": _("Ended, outside the scope of its rule: %(alert)s"),
    "incidents.timeline.alert_rule_disabled": _("Ended, its rule is disabled: %(alert)s"),
    "incidents.timeline.alert_no_data": _("Ended, no data is stored: %(alert)s"),
    "incidents.timeline.maintenance": _("In maintenance (%(window)s): notifications suppressed"),
    "incidents.timeline.maintenance_critical": _(
        "In maintenance (%(window)s): critical, still notifies"
    ),
    "incidents.timeline.maintenance_ended": _(
        "Maintenance no longer covers its causes: notifications resume"
    ),
    "incidents.timeline.acknowledged": _("Acknowledged by %(user)s"),
    "incidents.timeline.unacknowledged": _("Acknowledgement removed by %(user)s"),
    "incidents.timeline.assigned": _("Assigned to %(user)s"),
    "incidents.timeline.unassigned": _("Unassigned"),
    "incidents.timeline.closed": _("Closed by %(user)s: %(reason)s"),
    "incidents.timeline.delivery_accepted": _("%(event)s accepted by %(endpoint)s"),
    "incidents.timeline.delivery_failed": _("%(event)s for %(endpoint)s failed (dead letter)"),
    # Stored by release 0.1.0.
    "incidents.timeline.webhook_accepted": _("Webhook %(event)s accepted by %(endpoint)s"),
    "incidents.timeline.webhook_failed": _(
        "Webhook %(event)s for %(endpoint)s failed (dead letter)"
    ),
}

CATALOG: Mapping[str, Template] = MappingProxyType(
    {
        **_CAUSES,
        **_TITLES,
        **_EFFECTS,
        **_EVIDENCE,
        **_SUPPRESSIONS,
        **_TIMELINE,
    }
)
