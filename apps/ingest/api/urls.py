from django.urls import path

from apps.ingest.api import batches, certificates

urlpatterns = [
    path("ca", certificates.authority),
    path("enroll", certificates.enroll),
    path("certificate", certificates.renew),
    path("config", certificates.config),
    path("heartbeat", batches.heartbeat),
    path("batch", batches.batch),
]
