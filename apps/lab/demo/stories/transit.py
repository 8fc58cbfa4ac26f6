"""Services of routers: a provider's BGP session, PPPoE sessions."""

from apps.lab.demo.stories.context import Context
from apps.lab.demo.stories.story import Expected, Scenario, Story


class UpstreamDown(Story):
    """The BGP session is lost while the link is up: a transit incident, and no router is reported down."""

    key, name = "c", "an upstream's BGP session is lost"
    expected_seconds = 110

    def draw(self, context: Context) -> Scenario:
        link = context.choose(row["id"] for row in context.links("upstream"))
        peer = next(row for row in context.topology["bgp_peers"] if row["link"] == link)
        expected = Expected(f"{peer['device']} {peer['name']}", is_hard=False)
        return Scenario([{"kind": "upstream_down", "link": link}], [expected])


class PppoeDied(Story):
    """The PPPoE server fails on a healthy router: a service incident with its subscribers."""

    key, name = "h", "PPPoE dies on a healthy router"
    expected_seconds = 80

    def draw(self, context: Context) -> Scenario:
        names = sorted(row["device"] for row in context.topology["services"])
        device = context.choose(name for name in names if name.startswith("bng"))
        sessions = context.sessions_on(frozenset({device}))
        service = context.service_of(device)
        expected = Expected(service, subscribers=sessions, is_hard=False)
        return Scenario([{"kind": "pppoe_down", "device": device}], [expected])
