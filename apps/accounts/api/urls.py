from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.accounts.api.resources import MeView, TokenViewSet

router = SimpleRouter()
router.register("tokens", TokenViewSet, basename="token")

urlpatterns = [
    path("me/", MeView.as_view(), name="me"),
    path("", include(router.urls)),
]
