"""Samples at given seconds, and evaluations of the rules over them."""

from datetime import timedelta

from apps.alerts import services
from apps.alerts.models import Alert
from apps.authorization.actors import Actor
from apps.core import clock
from apps.ingest.models import Uptime
from apps.telemetry import store
from apps.telemetry.store import Sample, SeriesKey, TextSample
from apps.tenancy import acting_in

ACTOR = Actor.system("test")


class Simulation:
    """Writes samples and evaluates the rules at given seconds."""

    def __init__(self, tenant, t0) -> None:
        self.tenant, self.t0 = tenant, t0

    def at(self, seconds: float):
        return self.t0 + timedelta(seconds=seconds)

    def add_sample(
        self, seconds: float, metric: str, entity_type: str, entity_id, value, *, is_late=False
    ) -> None:
        key = SeriesKey(entity_type, entity_id, metric)
        with acting_in(self.tenant):
            if isinstance(value, str):
                store.write_batch(
                    texts=[TextSample(key, self.at(seconds), value)], received_at=self.at(seconds)
                )
            else:
                store.write_batch(
                    samples=[Sample(key, self.at(seconds), value)],
                    received_at=self.at(seconds),
                    is_late=is_late,
                )

    def evaluate(self, seconds: float) -> int:
        return services.evaluate_tenant(tenant_id=self.tenant.id, at=self.at(seconds))

    def run(self, metric: str, entity_type: str, entity_id, *values, every: float = 5) -> None:
        for index, value in enumerate(values):
            if value is not None:
                self.add_sample(index * every, metric, entity_type, entity_id, value)
            self.evaluate(index * every + 1)

    def alerts(self) -> list[tuple[str, str]]:
        with acting_in(self.tenant):
            return sorted(Alert.objects.values_list("rule__key", "state"))


def record_ingest_uptime(started: float, last_recorded: float) -> None:
    """Ingest started and last recorded its uptime so many seconds ago, by the real clock."""
    now = clock.now()
    since, until = now - timedelta(seconds=started), now - timedelta(seconds=last_recorded)
    Uptime.objects.create(id=1, since=since, until=until)
