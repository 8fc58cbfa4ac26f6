from rest_framework.routers import SimpleRouter

from apps.maintenance.api.views import WindowViewSet

router = SimpleRouter()
router.register("maintenance-windows", WindowViewSet, basename="maintenance-window")

urlpatterns = router.urls
