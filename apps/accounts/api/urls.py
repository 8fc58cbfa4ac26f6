from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.accounts.api import schemes  # noqa: F401  (registers itself)
from apps.accounts.api.audit import AuditLogViewSet
from apps.accounts.api.members import MembershipViewSet, RolesView, UserViewSet
from apps.accounts.api.personal import MyInvitationViewSet
from apps.accounts.api.platform import AccessSessionsViewSet, PlatformTenantsViewSet
from apps.accounts.api.resources import MeView, TokenViewSet
from apps.accounts.api.sessions import SessionViewSet
from apps.accounts.api.tenants import BreakGlassViewSet, InvitationViewSet, TenantsViewSet

router = SimpleRouter()
router.register("tokens", TokenViewSet, basename="token")
router.register("users", UserViewSet, basename="user")
router.register("memberships", MembershipViewSet, basename="membership")
router.register("invitations", InvitationViewSet, basename="invitation")
router.register("tenants", TenantsViewSet, basename="tenant")
router.register("break-glass", BreakGlassViewSet, basename="break-glass")
router.register("platform/tenants", PlatformTenantsViewSet, basename="platform-tenant")
router.register(
    "platform/access-sessions", AccessSessionsViewSet, basename="platform-access-session"
)
router.register("audit-logs", AuditLogViewSet, basename="audit-log")
router.register("sessions", SessionViewSet, basename="session")
router.register("my-invitations", MyInvitationViewSet, basename="my-invitation")

urlpatterns = [
    path("me/", MeView.as_view(), name="me"),
    path("roles/", RolesView.as_view(), name="roles"),
    path("", include(router.urls)),
]
