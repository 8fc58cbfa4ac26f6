from django.urls import path

from apps.delivery.web import views

app_name = "delivery"

urlpatterns = [
    path("webhooks/", views.delivery_log, name="deliveries"),
    path("webhooks/<uuid:delivery_id>/", views.delivery, name="delivery"),
    path("webhooks/<uuid:delivery_id>/resend/", views.resend, name="resend"),
]
