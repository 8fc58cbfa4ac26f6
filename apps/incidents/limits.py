"""What a member with limited grants sees of an incident: its parts within the grants; the rest is only counted."""

from django.db.models import BooleanField, Case, Q, QuerySet, Value, When

from apps.authorization.access import Access
from apps.authorization.limits import limit_rows
from apps.core.errors import Forbidden
from apps.incidents.models import Incident, IncidentAlert
from apps.inventory.limits import entities_within


class OutsideGrant(Forbidden):
    """Part of the incident is outside the member's grants."""

    default_code = "outside_grant"


def register_limits() -> None:
    limit_rows(IncidentAlert, entities_within)
    limit_rows(
        Incident,
        lambda user_id: Q(
            pk__in=IncidentAlert.objects.filter(entities_within(user_id)).values("incident")
        ),
    )


def alerts_within_grant(access: Access, rows: QuerySet[IncidentAlert]) -> QuerySet[IncidentAlert]:
    """Alerts within the grants, annotated with ``cause_is_visible``: a suppressing cause outside them is not named."""
    within = entities_within(access.user.pk, "suppressed_by_")
    return rows.filter(entities_within(access.user.pk)).annotate(
        cause_is_visible=Case(
            When(within, then=Value(value=True)),
            default=Value(value=False),
            output_field=BooleanField(),
        )
    )


def is_fully_visible(access: Access, incident: Incident) -> bool:
    """Whether every alert of the incident and its cause are within the grant. No query unless one is limited."""
    if not access.is_limited:
        return True
    alerts = IncidentAlert.objects.filter(incident=incident)
    visible = alerts.filter(entities_within(access.user.pk))
    return getattr(incident, "root_is_visible", False) and alerts.count() == visible.count()


def require_fully_visible(access: Access, incident: Incident) -> None:
    """Raise OutsideGrant unless the whole incident is within the grants."""
    if not is_fully_visible(access, incident):
        raise OutsideGrant(message="This incident reaches beyond what you may see.")
