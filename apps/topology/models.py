"""Dependencies that operators define, beyond those that follow from links."""

from django.db import models
from django.db.models import Q

from apps.tenancy.fields import TenantForeignKey
from apps.tenancy.models import TenantModel
from apps.topology.choices import GroupMode, MemberType


class DependencyGroup(TenantModel):
    """The dependent works while any / all / at least k of the members work.

    Several groups on one dependent must all be satisfied. Only operators create them.
    """

    dependent_type = models.CharField(max_length=20, choices=MemberType.choices)
    dependent_id = models.UUIDField()
    mode = models.CharField(max_length=10, choices=GroupMode.choices)
    # Set for k_of_n and for nothing else.
    k = models.PositiveSmallIntegerField(null=True, blank=True)
    note = models.CharField(max_length=200, blank=True, default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=Q(mode__in=GroupMode.values), name="topology_dependencygroup_mode_ck"
            ),
            models.CheckConstraint(
                condition=Q(dependent_type__in=MemberType.values),
                name="topology_dependencygroup_type_ck",
            ),
            models.CheckConstraint(
                condition=Q(mode=GroupMode.K_OF_N, k__gte=1)
                | (~Q(mode=GroupMode.K_OF_N) & Q(k__isnull=True)),
                name="topology_dependencygroup_k_ck",
            ),
        ]
        indexes = [
            models.Index(
                fields=["tenant", "dependent_type", "dependent_id"],
                name="topology_group_dependent_idx",
            )
        ]


class DependencyMember(TenantModel):
    """One entity that the dependent of a group depends on."""

    group = TenantForeignKey(DependencyGroup, on_delete=models.CASCADE, related_name="members")
    member_type = models.CharField(max_length=20, choices=MemberType.choices)
    member_id = models.UUIDField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "group", "member_type", "member_id"],
                name="topology_dependencymember_uniq",
            ),
            models.CheckConstraint(
                condition=Q(member_type__in=MemberType.values),
                name="topology_dependencymember_type_ck",
            ),
        ]
