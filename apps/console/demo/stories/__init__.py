"""The stories that the demo plays and checks: what breaks, what must be said of it, and how it ends."""

from apps.console.demo.stories.changes import ChangedThenFailed
from apps.console.demo.stories.delivery import ReceiverDown
from apps.console.demo.stories.late import UplinkCut
from apps.console.demo.stories.links import BackhaulCut, DualHomed, FlappingLink, RingCut
from apps.console.demo.stories.scene import Scene
from apps.console.demo.stories.several import TwoAtOnce
from apps.console.demo.stories.silence import AgentKilled, ApiLocked
from apps.console.demo.stories.sites import Maintenance, PowerLost
from apps.console.demo.stories.story import Plot, Story
from apps.console.demo.stories.transit import PppoeDied, UpstreamDown

STORIES: dict[str, Story] = {
    story.key: story
    for story in (
        RingCut(),
        BackhaulCut(),
        UpstreamDown(),
        PowerLost(),
        AgentKilled(),
        UplinkCut(),
        DualHomed(),
        PppoeDied(),
        ApiLocked(),
        ChangedThenFailed(),
        FlappingLink(),
        TwoAtOnce(),
        Maintenance(),
        ReceiverDown(),
    )
}
#: All of them within minutes: what is played at the same time happens in different parts of the network.
PROGRAMME = (
    ("c", "h", "i", "k"),
    ("e", "n"),
    ("f", "j"),
    ("a",),
    ("d", "g"),
    ("l",),
    ("b",),
    ("m",),
)


def read_programme(text: str) -> list[list[str]]:
    """Groups of stories: "a,b" one after the other, "a+b" at once, "all" as it suits them."""
    if text == "all":
        return [list(group) for group in PROGRAMME]
    return [group.split("+") for group in text.split(",") if group]


__all__ = ["PROGRAMME", "STORIES", "Plot", "Scene", "Story", "read_programme"]
