from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q

from apps.tenancy.models import TenantModel


class Site(TenantModel):
    """A location with devices: a PoP, a tower, a data center. Created by operators only."""

    name = models.CharField(max_length=100)
    code = models.CharField(max_length=20, blank=True, default="")
    # WGS 84, degrees. Null: not on the map.
    latitude = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(-90), MaxValueValidator(90)]
    )
    longitude = models.FloatField(
        null=True, blank=True, validators=[MinValueValidator(-180), MaxValueValidator(180)]
    )

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["tenant", "name"], name="inventory_site_name_uniq"),
            models.UniqueConstraint(
                fields=["tenant", "code"], condition=~Q(code=""), name="inventory_site_code_uniq"
            ),
            models.CheckConstraint(
                condition=Q(latitude__isnull=True) | Q(latitude__range=(-90, 90)),
                name="inventory_site_latitude_ck",
            ),
            models.CheckConstraint(
                condition=Q(longitude__isnull=True) | Q(longitude__range=(-180, 180)),
                name="inventory_site_longitude_ck",
            ),
        ]

    def __str__(self) -> str:
        return self.name
