from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.webhooks.api.views import DeadLetterViewSet, DeliveryViewSet, EndpointViewSet

router = SimpleRouter()
router.register("webhook-endpoints", EndpointViewSet, basename="webhook-endpoint")
router.register("webhook-deliveries", DeliveryViewSet, basename="webhook-delivery")
router.register("webhook-dead-letters", DeadLetterViewSet, basename="webhook-dead-letter")

urlpatterns = [path("", include(router.urls))]
