from rest_framework.routers import SimpleRouter

from apps.diagnostics.api.resources import ConnectionTestViewSet

router = SimpleRouter()
router.register("diagnostics/connection-tests", ConnectionTestViewSet, basename="connection-test")

urlpatterns = router.urls
