"""What the enroll wizard asks."""

from typing import Any

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from apps.inventory.models import Device, Site


class NewAgentForm(forms.Form):
    """A collector's name, where it stands, and what it watches there."""

    name = forms.CharField(
        max_length=100, label=_("Name"), help_text=_("As people will call it: pop-north-1.")
    )
    site = forms.ModelChoiceField(
        queryset=Site.objects.none(),
        required=False,
        label=_("Site"),
        empty_label=_("Beside the server"),
        help_text=_("It reads and probes the devices of this site."),
    )
    attached_device = forms.ModelChoiceField(
        queryset=Device.objects.none(),
        required=False,
        label=_("Attached to"),
        empty_label=_("Not known"),
        help_text=_(
            "The router that it is wired to. When that one is cut off, the agent's silence is a consequence."
        ),
    )

    def __init__(
        self, *args: Any, sites: QuerySet[Site], devices: QuerySet[Device], **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.fields["site"].queryset = sites  # type: ignore[attr-defined]
        self.fields["attached_device"].queryset = devices  # type: ignore[attr-defined]
