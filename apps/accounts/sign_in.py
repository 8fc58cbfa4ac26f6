"""Checking a password: limited by where it is tried, failures audited."""

from datetime import datetime

from django.contrib import auth
from django.http import HttpRequest

from apps.accounts.actors import Actor
from apps.accounts.attempts import ATTEMPTS, count_attempt
from apps.accounts.errors import SignInRefused, TooManyAttempts
from apps.accounts.models import User
from apps.audit.services import record_platform


def authenticate(
    request: HttpRequest, *, email: str, password: str, address: str, device: str, at: datetime
) -> User:
    """The person behind these words. Raises SignInRefused, TooManyAttempts.

    The limit is per name and place: wrong passwords sent from elsewhere cannot lock a named operator out.
    """
    if count_attempt(email=email, address=address, device=device, at=at) > ATTEMPTS:
        raise TooManyAttempts
    user = auth.authenticate(request, username=email, password=password)
    if user is None:
        record_platform(
            action="sign_in.failed",
            actor=Actor("user", "", email[:200]),
            entity=("user", email[:100]),
            at=at,
            detail={"address": address},
        )
        raise SignInRefused
    return user
