"""Webhook endpoints, deliveries and dead letters."""

from datetime import timedelta
from typing import Any

from django.db.models import F, QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework import mixins, status
from rest_framework.decorators import action
from rest_framework.request import Request
from rest_framework.response import Response

from apps.authorization.permissions import Permission
from apps.delivery import services as delivery
from apps.delivery.models import Delivery
from apps.rest.pagination import SignedCursorPagination
from apps.rest.views import PartialUpdateMixin, TenantViewSet
from apps.webhooks import selectors, services
from apps.webhooks.api.serializers import (
    DeadLetterFilterSerializer,
    DeliveryDetailSerializer,
    DeliverySerializer,
    EndpointSerializer,
    EndpointWithSecretSerializer,
    ResentSerializer,
    RotationSerializer,
)
from apps.webhooks.models import Endpoint

RESEND_LIMIT = 1000


class NewestFirst(SignedCursorPagination):
    ordering = ("-created_at", "-id")  # type: ignore[assignment]  # ties need the id


class WebhookViewSet(mixins.ListModelMixin, mixins.RetrieveModelMixin, TenantViewSet):
    """Newest first."""

    pagination_class = NewestFirst


class EndpointViewSet(PartialUpdateMixin, mixins.DestroyModelMixin, WebhookViewSet):
    """Receivers of incident events. A secret is shown once, in the response that creates it."""

    serializer_class = EndpointSerializer
    filters = {"name": "destination__name", "pause_reason": "destination__pause_reason"}
    orderings = ("name", "created_at")
    permission_map = {
        "list": Permission.WEBHOOKS_VIEW,
        "retrieve": Permission.WEBHOOKS_VIEW,
        "create": Permission.WEBHOOKS_MANAGE,
        "partial_update": Permission.WEBHOOKS_MANAGE,
        "destroy": Permission.WEBHOOKS_MANAGE,
        "test": Permission.WEBHOOKS_MANAGE,
        "rotate_secret": Permission.WEBHOOKS_MANAGE,
        "pause": Permission.WEBHOOKS_MANAGE,
        "resume": Permission.WEBHOOKS_MANAGE,
    }
    #: These return a secret or change where signed bodies are sent.
    fresh_sign_in = frozenset({"create", "partial_update", "rotate_secret"})

    def get_queryset(self) -> QuerySet[Endpoint]:
        rows = selectors.visible_endpoints(self.access).prefetch_related("secrets")
        return rows.annotate(name=F("destination__name"))  # type: ignore[no-redef]  # it replaces the cached property

    @extend_schema(responses={201: EndpointWithSecretSerializer})
    def create(self, request: Request) -> Response:
        serializer = self.get_serializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        endpoint, secret = services.create_endpoint(
            **serializer.validated_data, **self.actor_and_time()
        )
        body = {**self.get_serializer(endpoint).data, "secret": secret}
        return Response(body, status=status.HTTP_201_CREATED)

    def perform_update(self, serializer: Any) -> None:
        serializer.instance = services.change_endpoint(
            endpoint=serializer.instance, **serializer.validated_data, **self.actor_and_time()
        )

    def perform_destroy(self, instance: Endpoint) -> None:
        services.delete_endpoint(endpoint=instance, **self.actor_and_time())

    @extend_schema(request=None, responses={202: DeliverySerializer})
    @action(detail=True, methods=["post"])
    def test(self, request: Request, pk: str) -> Response:
        """Send ``webhook.ping``; returns the delivery, whose state shows the result."""
        queued = delivery.test_destination(
            destination=self.get_object().destination, **self.actor_and_time()
        )
        return Response(DeliverySerializer(queued).data, status=status.HTTP_202_ACCEPTED)

    @extend_schema(request=RotationSerializer, responses=EndpointWithSecretSerializer)
    @action(detail=True, methods=["post"], url_path="rotate-secret")
    def rotate_secret(self, request: Request, pk: str) -> Response:
        """Stage, promote or retire a signing secret."""
        endpoint = self.get_object()
        serializer = RotationSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        body: dict[str, Any] = {}
        step = serializer.validated_data["step"]
        if step == "stage":
            body["secret"] = services.stage_secret(endpoint=endpoint, **self.actor_and_time())
        elif step == "promote":
            grace = timedelta(hours=serializer.validated_data["grace_hours"])
            services.promote_secret(endpoint=endpoint, grace=grace, **self.actor_and_time())
        else:
            services.retire_secret(endpoint=endpoint, **self.actor_and_time())
        return Response({**self.get_serializer(self.get_object()).data, **body})

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def pause(self, request: Request, pk: str) -> Response:
        """Stop sending; events are queued until ``resume``."""
        delivery.pause_destination(
            destination=self.get_object().destination, **self.actor_and_time()
        )
        return Response(self.get_serializer(self.get_object()).data)

    @extend_schema(request=None)
    @action(detail=True, methods=["post"])
    def resume(self, request: Request, pk: str) -> Response:
        """Send queued events."""
        delivery.resume_destination(
            destination=self.get_object().destination, **self.actor_and_time()
        )
        return Response(self.get_serializer(self.get_object()).data)


class DeliveryViewSet(WebhookViewSet):
    """One row per event and endpoint; the detail lists every attempt."""

    serializer_class = DeliverySerializer
    filters = {
        "state": "state",
        "endpoint": "destination_id",
        "event_type": "event_type",
        "event_id": "event_id",
        "incident": "incident_id",
    }
    orderings = ("created_at",)
    permission_map = {
        "list": Permission.WEBHOOKS_VIEW,
        "retrieve": Permission.WEBHOOKS_VIEW,
        "resend": Permission.WEBHOOKS_MANAGE,
    }

    def get_queryset(self) -> QuerySet[Delivery]:
        return selectors.visible_deliveries(self.access)

    def get_serializer_class(self) -> type[DeliverySerializer]:
        return DeliverySerializer if self.action == "list" else DeliveryDetailSerializer

    @extend_schema(request=None, responses={202: DeliveryDetailSerializer})
    @action(detail=True, methods=["post"])
    def resend(self, request: Request, pk: str) -> Response:
        """Send the same bytes again. No effect while the delivery is pending."""
        delivery.resend_delivery(delivery=self.get_object(), **self.actor_and_time())
        return Response(
            self.get_serializer(self.get_object()).data, status=status.HTTP_202_ACCEPTED
        )


class DeadLetterViewSet(WebhookViewSet):
    """Deliveries that failed for good, and resending them."""

    serializer_class = DeliverySerializer
    filters = DeliveryViewSet.filters
    orderings = DeliveryViewSet.orderings
    permission_map = {
        "list": Permission.WEBHOOKS_VIEW,
        "retrieve": Permission.WEBHOOKS_VIEW,
        "resend": Permission.WEBHOOKS_MANAGE,
    }

    def get_queryset(self) -> QuerySet[Delivery]:
        return selectors.dead_letters(self.access)

    @extend_schema(request=DeadLetterFilterSerializer, responses={202: ResentSerializer})
    @action(detail=False, methods=["post"])
    def resend(self, request: Request) -> Response:
        """Resend by filter and time, oldest first, at most 1000 per request."""
        serializer = DeadLetterFilterSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        lookups = {
            "endpoint": "destination_id",
            "incident": "incident_id",
            "event_type": "event_type",
            "created_from": "created_at__gte",
            "created_to": "created_at__lt",
        }
        filters = {lookups[name]: value for name, value in serializer.validated_data.items()}
        rows = self.get_queryset().filter(**filters).order_by("created_at", "id")
        resent, skipped = delivery.resend_deliveries(
            deliveries=list(rows[:RESEND_LIMIT]), **self.actor_and_time()
        )
        return Response({"resent": resent, "skipped": skipped}, status=status.HTTP_202_ACCEPTED)
