"""What is merely not heard: an agent that died, an API that is locked. Blind is not down."""

from apps.lab.demo.stories.scene import Scene
from apps.lab.demo.stories.story import Expected, Plot, Story

LOCKED_FOR_SECONDS = 20


class AgentKilled(Story):
    """An agent's process is gone: its region is blind, and nothing in it is called down."""

    key, name = "e", "an agent is killed"
    expected_seconds = 80

    def draw(self, scene: Scene) -> Plot:  # noqa: ARG002
        # The other agent judges who can be reached: without it there is nothing to be wrong about.
        return Plot([], [Expected("agent-north", severity="warn", is_hard=False)])

    def begin(self, scene: Scene) -> None:
        scene.say("  killing agent-north ...")
        scene.halt("agent-north")

    def end(self, scene: Scene) -> None:
        scene.release("agent-north")


class ApiLocked(Story):
    """The API does not answer and the router forwards: a warning about its management plane."""

    key, name = "i", "a router's API is locked"
    expected_seconds = 80

    def draw(self, scene: Scene) -> Plot:
        names = sorted(row["name"] for row in scene.topology["devices"] if row["role"] == "core")
        device = scene.choose(names)
        expected = Expected(device, severity="warn", is_hard=False)
        return Plot([{"kind": "api_down", "device": device}], [expected])

    def begin(self, scene: Scene) -> None:
        """Five minutes are right for an ISP and too long for a story: an override for its length, said aloud."""
        changes = {"for_seconds": LOCKED_FOR_SECONDS}
        body = {"scope": "tenant", "target": "", "changes": changes, "reason": "demo story"}
        path = f"/alert-rules/{self._rule(scene)}/overrides/"
        scene.rest.post(path, body)
        scene.say(f"  override for this story: management_plane for the tenant: {changes}")

    def end(self, scene: Scene) -> None:
        rule = self._rule(scene)
        for row in scene.rest.get(f"/alert-rules/{rule}/overrides/")["results"]:
            if row["reason"] == "demo story":
                scene.rest.delete(f"/alert-rules/{rule}/overrides/{row['id']}/")

    @staticmethod
    def _rule(scene: Scene) -> str:
        rules = scene.rest.all("/alert-rules/")
        return str(next(row["id"] for row in rules if row["key"] == "management_plane"))
