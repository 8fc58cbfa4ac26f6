from apps.webhooks.models.delivery import Attempt, Delivery
from apps.webhooks.models.endpoint import Endpoint, Secret

__all__ = ["Attempt", "Delivery", "Endpoint", "Secret"]
