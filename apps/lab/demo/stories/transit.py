"""What routers carry: a provider's session, subscribers' sessions."""

from apps.lab.demo.stories.scene import Scene
from apps.lab.demo.stories.story import Expected, Plot, Story


class UpstreamDown(Story):
    """The provider is ill while the light is on: a transit incident, and no router is called down."""

    key, name = "c", "an upstream's BGP session is lost"
    expected_seconds = 110

    def draw(self, scene: Scene) -> Plot:
        link = scene.choose(row["id"] for row in scene.links("upstream"))
        peer = next(row for row in scene.topology["bgp_peers"] if row["link"] == link)
        expected = Expected(f"{peer['device']} {peer['name']}", is_hard=False)
        return Plot([{"kind": "upstream_down", "link": link}], [expected])


class PppoeDied(Story):
    """The concentrator's process is gone and the router is well: a service incident with its subscribers."""

    key, name = "h", "PPPoE dies on a healthy router"
    expected_seconds = 80

    def draw(self, scene: Scene) -> Plot:
        names = sorted(row["device"] for row in scene.topology["services"])
        device = scene.choose(name for name in names if name.startswith("bng"))
        sessions = scene.sessions_on(frozenset({device}))
        service = scene.service_of(device)
        expected = Expected(service, subscribers=sessions, is_hard=False)
        return Plot([{"kind": "pppoe_down", "device": device}], [expected])
