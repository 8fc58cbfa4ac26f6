from rest_framework.routers import SimpleRouter

from apps.alerts.api.views import AlertViewSet, RuleViewSet

router = SimpleRouter()
router.register("alert-rules", RuleViewSet, basename="alert-rule")
router.register("alerts", AlertViewSet, basename="alert")

urlpatterns = router.urls
