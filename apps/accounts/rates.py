"""How often a program may ask: a bucket for each API token, shared by every web process."""

from django.conf import settings

from apps.core.buckets import Demand, Rate, demand

#: What may come at once, of a minute's requests.
AT_ONCE = 4


def admit_token(token_id: str) -> None:
    """Count one request of a token. Raises RateExceeded."""
    per_minute = settings.ISPVM_TOKEN_REQUESTS_PER_MINUTE
    rate = Rate(per_minute / 60, max(1, per_minute // AT_ONCE))
    demand([Demand(f"token:{token_id}", rate)])
