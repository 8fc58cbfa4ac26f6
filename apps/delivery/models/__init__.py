from apps.delivery.models.delivery import Attempt, Delivery
from apps.delivery.models.destination import Destination

__all__ = ["Attempt", "Delivery", "Destination"]
