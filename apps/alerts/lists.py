"""The list of alerts: filters, search and orders of the page, CSV and REST."""

from typing import Any
from uuid import UUID

from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from rest_framework import serializers

from agent.protocol.registry import ENTITY_TYPES
from apps.alerts.choices import AlertState, Severity
from apps.authorization.access import Access
from apps.pages.lists import EntityList, Filter, Order, equals, search
from apps.pages.states import SEVERITIES

OPEN = "open"
#: Rank of each severity, the worst first.
SEVERITY_RANK = Case(
    *(When(severity=key, then=Value(state.rank)) for key, state in SEVERITIES.items()),
    default=Value(9),
    output_field=IntegerField(),
)


def _of_state(rows: Any, value: str, _access: Access) -> QuerySet[Any]:
    found: QuerySet[Any] = rows.open() if value == OPEN else rows.filter(state=value)
    return found


def _of_rule(rows: QuerySet[Any], value: str, _access: Access) -> QuerySet[Any]:
    try:
        return rows.filter(Q(rule_id=UUID(value)))
    except ValueError:
        return rows.filter(rule__key=value)


ALERTS = EntityList(
    name="Alert",
    filters=(
        Filter(
            "state",
            serializers.ChoiceField(
                choices=[*AlertState.choices, (OPEN, "Firing or recovering")], required=False
            ),
            _of_state,
        ),
        Filter(
            "severity",
            serializers.ChoiceField(choices=Severity.choices, required=False),
            equals("severity"),
        ),
        Filter(
            "entity_type",
            serializers.ChoiceField(choices=list(ENTITY_TYPES), required=False),
            equals("entity_type"),
        ),
        Filter("entity_id", serializers.UUIDField(required=False), equals("entity_id")),
        Filter(
            "rule",
            serializers.CharField(max_length=63, required=False, help_text="A rule's key or id."),
            _of_rule,
        ),
        Filter(
            "q",
            serializers.CharField(
                max_length=100, required=False, help_text="Part of the summary, in English."
            ),
            search,
        ),
    ),
    orders=(Order("since"), Order("summary"), Order("severity", SEVERITY_RANK)),
    page_defaults={"state": OPEN},
)
