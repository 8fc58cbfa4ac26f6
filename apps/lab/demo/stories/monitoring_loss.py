"""Loss of monitoring: a dead agent, a locked API. Blind is not down."""

from apps.lab.demo.stories.context import Context
from apps.lab.demo.stories.story import Expected, Scenario, Story

LOCKED_FOR_SECONDS = 20


class AgentKilled(Story):
    """An agent's process is killed: its region is blind, and no device in it is reported down."""

    key, name = "e", "an agent is killed"
    expected_seconds = 80

    def draw(self, context: Context) -> Scenario:
        # The other agent probes reachability: without this one no device is wrongly reported.
        return Scenario([], [Expected("agent-north", severity="warn", is_hard=False)])

    def begin(self, context: Context) -> None:
        context.echo("  killing agent-north ...")
        context.halt("agent-north")

    def end(self, context: Context) -> None:
        context.release("agent-north")


class ApiLocked(Story):
    """The API does not answer while the router forwards: a management-plane warning."""

    key, name = "i", "a router's API is locked"
    expected_seconds = 80

    def draw(self, context: Context) -> Scenario:
        names = sorted(row["name"] for row in context.topology["devices"] if row["role"] == "core")
        device = context.choose(names)
        expected = Expected(device, severity="warn", is_hard=False)
        return Scenario([{"kind": "api_down", "device": device}], [expected])

    def begin(self, context: Context) -> None:
        """The shipped five minutes are too long for a story: an override shortens them."""
        changes = {"for_seconds": LOCKED_FOR_SECONDS}
        body = {"scope": "tenant", "target": "", "changes": changes, "reason": "demo scenario"}
        path = f"/alert-rules/{self._rule(context)}/overrides/"
        context.rest.post(path, body)
        context.echo(f"  override for this scenario: management_plane for the tenant: {changes}")

    def end(self, context: Context) -> None:
        rule = self._rule(context)
        for row in context.rest.get(f"/alert-rules/{rule}/overrides/")["results"]:
            if row["reason"] == "demo scenario":
                context.rest.delete(f"/alert-rules/{rule}/overrides/{row['id']}/")

    @staticmethod
    def _rule(context: Context) -> str:
        rules = context.rest.all("/alert-rules/")
        return str(next(row["id"] for row in rules if row["key"] == "management_plane"))
