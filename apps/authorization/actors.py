"""Actors: a user, a token, an agent or the system itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """Who performed an action, as the audit log and timelines name them."""

    kind: str
    id: str
    label: str
    #: Id of the platform operator's access session that the action belongs to; empty outside of one.
    access_session: str = ""
    #: Whether this action may approve where a router's login is sent: it has the permission and a recent sign-in.
    approves_logins: bool = False

    def as_dict(self) -> dict[str, str]:
        """The form stored in the audit log; ``approves_logins`` is not stored."""
        fields = {"kind": self.kind, "id": self.id, "label": self.label}
        return {**fields, "access_session": self.access_session} if self.access_session else fields

    @classmethod
    def system(cls, component: str) -> "Actor":
        """The platform itself, by its component: commands on the server, not requests."""
        return cls("system", component, component, approves_logins=True)

    @classmethod
    def agent(cls, agent_id: object, name: str) -> "Actor":
        return cls("agent", str(agent_id), name)
