"""The form of the enrollment wizard."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from apps.inventory.models import Device, Site


class NewAgentForm(forms.Form):
    """Name, site and attached device of a new agent."""

    name = forms.CharField(
        max_length=100, label=_("Name"), help_text=_("For example: pop-north-1.")
    )
    site = forms.ModelChoiceField(
        queryset=Site.objects.none(),
        required=False,
        label=_("Site"),
        empty_label=_("Next to the server"),
        help_text=_("It polls and probes the devices of this site."),
    )
    attached_device = forms.ModelChoiceField(
        queryset=Device.objects.none(),
        required=False,
        label=_("Attached to"),
        empty_label=_("Unknown"),
        help_text=_(
            "The router that it is connected to. If that router is down, the missing heartbeat is a consequence."
        ),
    )

    def __init__(
        self, *args: Any, sites: QuerySet[Site], devices: QuerySet[Device], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"].queryset = sites  # type: ignore[attr-defined]
        self.fields["attached_device"].queryset = devices  # type: ignore[attr-defined]
