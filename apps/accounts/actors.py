"""Who acts: a person, a token, an agent or the system itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Actor:
    """The doer of an act, as audit and timelines name it."""

    kind: str
    id: str
    label: str

    def as_dict(self) -> dict[str, str]:
        return {"kind": self.kind, "id": self.id, "label": self.label}

    @classmethod
    def system(cls, part: str) -> "Actor":
        """The platform itself, named by the part that acts."""
        return cls("system", part, part)

    @classmethod
    def agent(cls, agent_id: object, name: str) -> "Actor":
        return cls("agent", str(agent_id), name)
