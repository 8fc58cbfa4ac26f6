from django.urls import path

from apps.delivery.web import views

app_name = "delivery"

urlpatterns = [
    path("delivery/", views.delivery_log, name="deliveries"),
    path("delivery/<uuid:delivery_id>/", views.delivery, name="delivery"),
    path("delivery/<uuid:delivery_id>/resend/", views.resend, name="resend"),
]
