"""The stories of the demo: what fails, and the incidents that the platform must report."""

from apps.lab.demo.stories.changes import ChangedThenFailed
from apps.lab.demo.stories.context import Context
from apps.lab.demo.stories.delivery import ReceiverDown
from apps.lab.demo.stories.late_data import UplinkCut
from apps.lab.demo.stories.links import BackhaulCut, DualHomed, FlappingLink, RingCut, TwoAtOnce
from apps.lab.demo.stories.monitoring_loss import AgentKilled, ApiLocked
from apps.lab.demo.stories.sites import Maintenance, PowerLost
from apps.lab.demo.stories.story import Scenario, Story
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
#: For "all": stories of one group run at the same time, in different parts of the network.
ALL_GROUPS = (
    ("c", "h", "i", "k"),
    ("e", "n"),
    ("f", "j"),
    ("a",),
    ("d", "g"),
    ("l",),
    ("b",),
    ("m",),
)


def parse_groups(text: str) -> list[list[str]]:
    """Groups of stories: "a,b" one after the other, "a+b" at once, "all" for ALL_GROUPS."""
    if text == "all":
        return [list(group) for group in ALL_GROUPS]
    return [group.split("+") for group in text.split(",") if group]


__all__ = ["ALL_GROUPS", "STORIES", "Context", "Scenario", "Story", "parse_groups"]
