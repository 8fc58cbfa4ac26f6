"""The stories that the demo plays and checks: what breaks, what must be said of it, and how it ends."""

from apps.console.demo.stories.links import BackhaulCut, DualHomed, RingCut
from apps.console.demo.stories.scene import Scene
from apps.console.demo.stories.several import TwoAtOnce
from apps.console.demo.stories.silence import AgentKilled, ApiLocked
from apps.console.demo.stories.story import Story
from apps.console.demo.stories.transit import PppoeDied, UpstreamDown

STORIES: dict[str, Story] = {
    story.key: story
    for story in (
        RingCut(),
        BackhaulCut(),
        UpstreamDown(),
        AgentKilled(),
        DualHomed(),
        PppoeDied(),
        ApiLocked(),
        TwoAtOnce(),
    )
}

__all__ = ["STORIES", "Scene", "Story"]
