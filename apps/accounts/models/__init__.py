from apps.accounts.models.people import (
    ApiToken,
    IdempotentAnswer,
    Membership,
    User,
    UserManager,
)

__all__ = ["ApiToken", "IdempotentAnswer", "Membership", "User", "UserManager"]
