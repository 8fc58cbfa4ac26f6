"""The stories that the demo plays and checks: what breaks, what must be said of it, and how it ends."""

from apps.lab.demo.stories.changes import ChangedThenFailed
from apps.lab.demo.stories.delivery import ReceiverDown
from apps.lab.demo.stories.late import UplinkCut
from apps.lab.demo.stories.links import BackhaulCut, DualHomed, FlappingLink, RingCut
from apps.lab.demo.stories.scene import Scene
from apps.lab.demo.stories.several import TwoAtOnce
from apps.lab.demo.stories.silence import AgentKilled, ApiLocked
from apps.lab.demo.stories.sites import Maintenance, PowerLost
from apps.lab.demo.stories.story import Plot, Story
from apps.lab.demo.stories.transit import PppoeDied, UpstreamDown

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
