from rest_framework.routers import SimpleRouter

from apps.vault.api.resources import CredentialSetViewSet

router = SimpleRouter()
router.register("credential-sets", CredentialSetViewSet, basename="credential-set")

urlpatterns = router.urls
