"""Webhook delivery while the receiver is down."""

import time

from apps.lab.demo.report import Report
from apps.lab.demo.stories.context import Context
from apps.lab.demo.stories.story import Expected, Scenario, Story

DOWN_FOR_SECONDS = 60.0
CAUGHT_UP_WITHIN = 40.0


class ReceiverDown(Story):
    """The receiver is down for a minute: deliveries are retried until all events have arrived."""

    key, name = "n", "the receiver of webhooks is down for a minute"
    expected_seconds = 110

    def draw(self, context: Context) -> Scenario:
        link = context.choose(row["id"] for row in context.links("core"))
        # Delivered late by design: no limit of 30 s.
        return Scenario([{"kind": "link_cut", "link": link}], [Expected(link, is_hard=False)])

    def begin(self, context: Context) -> None:
        context.echo("  killing the receiver for 60 s ...")
        context.halt("receiver")

    def act(self, context: Context, scenario: Scenario, report: Report) -> None:
        """Deliveries fail while the incident is open; then the receiver returns."""
        began = min(scenario.cause_named_at.values(), default=None)
        if began is None:
            return
        context.watcher.wait_for(lambda: None, seconds=DOWN_FOR_SECONDS - 25)
        delivered = [len(context.watcher.received(pk)) for pk in scenario.incidents.values()]
        report.equal("webhooks while the receiver is down", [0] * len(delivered), delivered)

    def end(self, context: Context) -> None:
        context.release("receiver")

    def afterwards(self, context: Context, scenario: Scenario, report: Report) -> None:
        """Every event arrived once, although its first attempts failed."""
        for incident_id in scenario.incidents.values():

            def everything(incident_id: str = incident_id) -> list[int] | None:
                numbers = sorted(
                    row.incident["sequence"] for row in context.watcher.received(incident_id)
                )
                return numbers if numbers[:1] == [1] and len(numbers) >= 2 else None

            began = time.monotonic()
            numbers = context.watcher.wait_for(everything, seconds=CAUGHT_UP_WITHIN) or []
            waited = time.monotonic() - began
            report.holds(
                "events delivered in the end",
                "all from 1 on",
                f"{numbers} ({waited:.0f} s after the end)",
                is_right=bool(numbers) and numbers == list(range(1, len(numbers) + 1)),
            )
            tries = self._tries(context, incident_id)
            report.holds(
                "attempts of the first event",
                "several, the last one delivered",
                tries,
                is_right=len(tries) > 1
                and tries[-1] == "delivered"
                and "delivered" not in tries[:-1],
            )

    @staticmethod
    def _tries(context: Context, incident_id: str) -> list[str]:
        """Outcomes of the attempts for the incident's first event, from the delivery ledger."""
        first = min(
            context.watcher.received(incident_id),
            key=lambda row: row.incident["sequence"],
            default=None,
        )
        if first is None:
            return []
        for row in context.rest.all("/webhook-deliveries/", incident=incident_id):
            if row["event_id"] == first.event_id:
                whole = context.rest.get(f"/webhook-deliveries/{row['id']}/")
                return [attempt["outcome"] for attempt in whole["attempts"]]
        return []
