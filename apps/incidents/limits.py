"""What of an incident a limited member sees: that it is, and its parts within the grant; the rest is only counted."""

from django.db.models import BooleanField, Case, Q, QuerySet, Value, When

from apps.authorization.access import Access
from apps.authorization.limits import limit_rows
from apps.core.errors import Forbidden
from apps.incidents.models import Incident, IncidentAlert
from apps.inventory.limits import entities_within


class OutsideGrant(Forbidden):
    """Part of it is about what this member may not see."""

    default_code = "outside_grant"


def register_limits() -> None:
    limit_rows(IncidentAlert, entities_within)
    limit_rows(
        Incident,
        lambda user_id: Q(
            pk__in=IncidentAlert.objects.filter(entities_within(user_id)).values("incident")
        ),
    )


def with_root_seen(rows: QuerySet[Incident], access: Access) -> QuerySet[Incident]:
    """Each with ``is_root_seen``: whether its first cause may be named."""
    within = entities_within(access.user.pk, "root_")
    return rows.annotate(
        is_root_seen=Case(
            When(within, then=Value(value=True)),
            default=Value(value=False),
            output_field=BooleanField(),
        )
    )


def seen_alerts(access: Access, rows: QuerySet[IncidentAlert]) -> QuerySet[IncidentAlert]:
    """Those within the grant; a suppression by something outside says so and no more."""
    within = entities_within(access.user.pk, "suppressed_by_")
    return rows.filter(entities_within(access.user.pk)).annotate(
        is_cause_seen=Case(
            When(within, then=Value(value=True)),
            default=Value(value=False),
            output_field=BooleanField(),
        )
    )


def is_whole(access: Access, incident: Incident) -> bool:
    """Whether every alert of the incident and its cause are within the grant. No query unless one is limited."""
    if not access.is_limited:
        return True
    alerts = IncidentAlert.objects.filter(incident=incident)
    seen = alerts.filter(entities_within(access.user.pk))
    return getattr(incident, "is_root_seen", False) and alerts.count() == seen.count()


def require_whole(access: Access, incident: Incident) -> None:
    """Raise OutsideGrant unless it is whole."""
    if not is_whole(access, incident):
        raise OutsideGrant(message="This incident reaches beyond what you may see.")
