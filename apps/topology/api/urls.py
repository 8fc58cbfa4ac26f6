from django.urls import include, path
from rest_framework.routers import SimpleRouter

from apps.topology.api.resources import DependencyGroupViewSet, GraphView

router = SimpleRouter()
router.register("dependency-groups", DependencyGroupViewSet, basename="dependency-group")

urlpatterns = [
    path("topology/", include(router.urls)),
    path("topology/graph/", GraphView.as_view(), name="topology-graph"),
]
