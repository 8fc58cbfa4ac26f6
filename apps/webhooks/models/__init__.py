from apps.webhooks.models.endpoint import Endpoint, Secret

__all__ = ["Endpoint", "Secret"]
