"""Write one example body per event type from deliveries that a receiver accepted."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.delivery.choices import DeliveryState, EventType
from apps.delivery.models import Delivery
from apps.tenancy import acting_in
from apps.tenancy.models import Tenant
from apps.webhooks.models import Endpoint


class Command(BaseCommand):
    help = "Write <event type>.json files from the newest accepted deliveries of a tenant."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--tenant", required=True, help="the tenant's slug")
        parser.add_argument("--into", required=True, type=Path, help="an existing folder")

    def handle(self, *_: Any, tenant: str, into: Path, **__: Any) -> None:
        row = Tenant.objects.filter(slug=tenant).first()
        if row is None:
            raise CommandError(f"There is no tenant {tenant}.")
        if not into.is_dir():
            raise CommandError(f"{into} is not a folder.")
        with acting_in(row):
            bodies = {event: _newest(event) for event in EventType}
        for event, body in bodies.items():
            if body is None:
                self.stdout.write(f"{event}: no accepted delivery")
                continue
            text = json.dumps(json.loads(body), indent=2, ensure_ascii=False, sort_keys=True)
            (into / f"{event}.json").write_text(text + "\n", encoding="utf-8")
            self.stdout.write(f"{event}: written")


def _newest(event: EventType) -> bytes | None:
    accepted = Delivery.objects.filter(
        event_type=event,
        state=DeliveryState.DELIVERED,
        # Only complete bodies are useful as examples.
        destination__in=Endpoint.objects.filter(
            is_thin=False, hides_tenant_name=False, hides_people=False, hides_evidence=False
        ).values("destination"),
    )
    row = accepted.order_by("-created_at").first()
    return bytes(row.body) if row else None
