"""The egress client: all connections to URLs configured by tenants are made here."""

from apps.core.http.client import Answer, EgressClient, Request
from apps.core.http.errors import (
    AddressRefused,
    ConnectFailed,
    EgressError,
    ExchangeFailed,
    ResolutionFailed,
    TlsFailed,
    UrlRefused,
)
from apps.core.http.policy import EgressPolicy, check_url, policy_of_installation

__all__ = [
    "AddressRefused",
    "Answer",
    "ConnectFailed",
    "EgressClient",
    "EgressError",
    "EgressPolicy",
    "ExchangeFailed",
    "Request",
    "ResolutionFailed",
    "TlsFailed",
    "UrlRefused",
    "check_url",
    "policy_of_installation",
]
