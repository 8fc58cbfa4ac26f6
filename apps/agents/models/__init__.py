from apps.agents.models.agent import Agent
from apps.agents.models.assignment import AgentDevice, AgentProbeDevice, AgentSite
from apps.agents.models.authority import CertificateAuthority, SigningRequest
from apps.agents.models.identity import AgentCertificate, EnrollmentToken
from apps.agents.models.ownership import FormerAssignment, QuarantinedEntity

__all__ = [
    "Agent",
    "AgentCertificate",
    "AgentDevice",
    "AgentProbeDevice",
    "AgentSite",
    "CertificateAuthority",
    "EnrollmentToken",
    "FormerAssignment",
    "QuarantinedEntity",
    "SigningRequest",
]
