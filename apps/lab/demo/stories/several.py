"""More than one thing at a time."""

from apps.lab.demo.stories.scene import Scene
from apps.lab.demo.stories.story import Expected, Plot, Story


class TwoAtOnce(Story):
    """Two failures that have nothing to do with each other: two incidents, and neither hides the other."""

    key, name = "l", "two unrelated failures at once"
    expected_seconds = 80

    def draw(self, scene: Scene) -> Plot:
        backhaul = scene.link(scene.choose(row["id"] for row in scene.links("backhaul")))
        dark = scene.routers_of(scene.site_of(backhaul["z"]["device"]))
        ring = [
            row["id"]
            for row in scene.links("core")
            if backhaul["a"]["device"] not in {row["a"]["device"], row["z"]["device"]}
        ]
        link = scene.choose(ring)
        return Plot(
            [{"kind": "link_cut", "link": backhaul["id"]}, {"kind": "link_cut", "link": link}],
            [Expected(backhaul["id"], dark, scene.sessions_on(dark)), Expected(link)],
        )
