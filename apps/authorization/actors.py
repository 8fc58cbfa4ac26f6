"""Who acts: a person, a token, an agent or the system itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """The doer of an act, as audit and timelines name it."""

    kind: str
    id: str
    label: str
    #: Id of the platform operator's visit that the act belongs to; empty outside visits. See ``visits``.
    visit: str = ""
    #: Whether this act may decide where a router's login is sent: the permission and a fresh proof were checked.
    approves_logins: bool = False

    def as_dict(self) -> dict[str, str]:
        """What audit keeps. The rights of the moment are no part of it."""
        named = {"kind": self.kind, "id": self.id, "label": self.label}
        return {**named, "visit": self.visit} if self.visit else named

    @classmethod
    def system(cls, part: str) -> "Actor":
        """The platform itself, named by the part that acts: commands on the server, not requests."""
        return cls("system", part, part, approves_logins=True)

    @classmethod
    def agent(cls, agent_id: object, name: str) -> "Actor":
        return cls("agent", str(agent_id), name)
