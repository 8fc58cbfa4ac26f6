from rest_framework.routers import SimpleRouter

from apps.inventory.api import grants, resources

router = SimpleRouter()
router.register("sites", resources.SiteViewSet, basename="site")
router.register("devices", resources.DeviceViewSet, basename="device")
router.register("interfaces", resources.InterfaceViewSet, basename="interface")
router.register("bgp-peers", resources.BgpPeerViewSet, basename="bgp-peer")
router.register("ospf-neighbors", resources.OspfNeighborViewSet, basename="ospf-neighbor")
router.register("links", resources.LinkViewSet, basename="link")
router.register("probe-targets", resources.ProbeTargetViewSet, basename="probe-target")
router.register("services", resources.ServiceViewSet, basename="service")
router.register("grants/sites", grants.SiteGrantViewSet, basename="site-grant")
router.register("grants/devices", grants.DeviceGrantViewSet, basename="device-grant")

urlpatterns = router.urls
