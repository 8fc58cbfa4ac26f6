"""Actors: a user, a token, an agent or the system itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """Who performed an action, as the audit log and timelines name them."""

    kind: str
    id: str
    label: str
    #: Id of the platform operator's access session that the act belongs to; empty outside of one.
    access_session: str = ""
    #: Whether this act may decide where a router's login is sent: the permission and a fresh proof were checked.
    approves_logins: bool = False

    def as_dict(self) -> dict[str, str]:
        """The form stored in the audit log; ``approves_logins`` is not stored."""
        named = {"kind": self.kind, "id": self.id, "label": self.label}
        return {**named, "access_session": self.access_session} if self.access_session else named

    @classmethod
    def system(cls, part: str) -> "Actor":
        """The platform itself, by its part: commands on the server, not requests."""
        return cls("system", part, part, approves_logins=True)

    @classmethod
    def agent(cls, agent_id: object, name: str) -> "Actor":
        return cls("agent", str(agent_id), name)
