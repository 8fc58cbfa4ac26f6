from django.urls import path

from apps.webhooks.web import views

app_name = "webhooks"

urlpatterns = [
    path("webhooks/", views.ledger, name="ledger"),
    path("webhooks/<uuid:delivery_id>/", views.delivery, name="delivery"),
    path("webhooks/<uuid:delivery_id>/resend/", views.resend, name="resend"),
]
