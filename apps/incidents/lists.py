"""The list of incidents: filters, search and orders of the page, CSV and REST."""

from typing import Any

from django.db.models import IntegerField, Q, QuerySet, Value
from django.db.models.functions import Coalesce
from rest_framework import serializers

from apps.alerts.choices import Severity
from apps.alerts.lists import SEVERITY_RANK
from apps.authorization.access import Access
from apps.incidents.choices import IncidentStatus
from apps.pages.lists import EntityList, Filter, Order, equals, search
from apps.pages.ordering import SORT

ALL = "all"
UNASSIGNED, MINE = "nobody", "me"
#: Sort value of a count that is unknown.
UNCOUNTED = -1


def _of_status(rows: QuerySet[Any], value: str, _access: Access) -> QuerySet[Any]:
    return rows if value == ALL else rows.filter(status=value)


def _of_owner(rows: QuerySet[Any], value: str, access: Access) -> QuerySet[Any]:
    if value == UNASSIGNED:
        return rows.filter(acked_at=None, assigned_user_id=None)
    return rows.filter(Q(assigned_user_id=access.user.pk) | Q(acked_by=access.actor.label))


def _caused_by(rows: QuerySet[Any], value: Any, access: Access) -> QuerySet[Any]:
    rows = rows.filter(root_id=value)
    # A limited member must not learn of a cause outside the grants by filtering.
    return rows.filter(root_is_visible=True) if access.is_limited else rows


INCIDENTS = EntityList(
    name="Incident",
    filters=(
        Filter(
            "status",
            serializers.ChoiceField(
                choices=[*IncidentStatus.choices, (ALL, "Open and closed")], required=False
            ),
            _of_status,
        ),
        Filter(
            "severity",
            serializers.ChoiceField(choices=Severity.choices, required=False),
            equals("severity"),
        ),
        Filter(
            "number",
            serializers.IntegerField(min_value=1, required=False),
            equals("number"),
        ),
        Filter(
            "root_id",
            serializers.UUIDField(required=False, help_text="Id of the first cause's entity."),
            _caused_by,
        ),
        Filter(
            "started_after",
            serializers.DateTimeField(required=False, help_text="RFC 3339."),
            equals("started_at__gt"),
        ),
        Filter(
            "owner",
            serializers.ChoiceField(
                choices=[
                    (UNASSIGNED, "Neither acknowledged nor assigned"),
                    (MINE, "Assigned to or acknowledged by the caller"),
                ],
                required=False,
            ),
            _of_owner,
        ),
        Filter(
            "q",
            serializers.CharField(
                max_length=100, required=False, help_text="Part of title or cause, or a number."
            ),
            search,
        ),
    ),
    orders=(
        Order("started_at"),
        Order("opened_at"),
        Order("number"),
        Order("severity", SEVERITY_RANK, tie="-number"),
        Order("sites", "sites_affected", tie="-number"),
        Order("devices", "devices_affected", tie="-number"),
        Order(
            "subscribers",
            Coalesce("subscribers_affected", Value(UNCOUNTED), output_field=IntegerField()),
            tie="-number",
        ),
    ),
    page_defaults={"status": IncidentStatus.OPEN.value, SORT: "-number"},
)
