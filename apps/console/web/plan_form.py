"""The form that plans maintenance."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy as _lazy
from django.utils.translation import ngettext

from apps.console.web.planning import Targets
from apps.maintenance.services import MAX_DURATION

DURATIONS = (
    ("30", _lazy("30 min")),
    ("60", _lazy("1 h")),
    ("120", _lazy("2 h")),
    ("240", _lazy("4 h")),
)


class DateTimeLocalInput(forms.DateTimeInput):
    """Date and time to the minute: in UTC, or with JavaScript in the time zone that the user chose."""

    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(attrs={"data-datetime": ""}, format="%Y-%m-%dT%H:%M")


class PlanForm(forms.Form):
    """Title, reason, start and end of a window. Without a start it starts now."""

    title = forms.CharField(
        max_length=200,
        label=_lazy("Title"),
        help_text=_lazy(
            "Shown on the incidents in its scope, for example: power supply replacement."
        ),
    )
    reason = forms.CharField(
        max_length=2000,
        required=False,
        label=_lazy("Reason"),
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    starts_at = forms.DateTimeField(
        required=False,
        label=_lazy("Start"),
        help_text=_lazy("Leave empty for now."),
        widget=DateTimeLocalInput(),
    )
    length = forms.ChoiceField(
        choices=DURATIONS, initial="60", label=_lazy("Duration"), widget=forms.RadioSelect
    )
    ends_at = forms.DateTimeField(
        required=False,
        label=_lazy("Or end"),
        help_text=_lazy("Overrides the length if set."),
        widget=DateTimeLocalInput(),
    )
    notify_critical = forms.BooleanField(
        required=False, label=_lazy("Still notify for critical incidents")
    )

    def __init__(self, *args: Any, targets: Targets, at: datetime, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._targets, self._at = targets, at

    def clean(self) -> dict[str, Any]:
        values = super().clean() or {}
        if self._targets.has_unknown:
            self.add_error(None, _("An object no longer exists, or you do not have access to it."))
        elif self._targets.is_empty:
            self.add_error(None, _("Choose a site or a device."))
        if {"starts_at", "length", "ends_at"} & self.errors.keys():
            return values
        starts_at = values["starts_at"] or self._at
        length = timedelta(minutes=int(values.pop("length")))
        values |= {"starts_at": starts_at, "ends_at": values["ends_at"] or starts_at + length}
        self._check(values["starts_at"], values["ends_at"])
        return values

    def _check(self, starts_at: datetime, ends_at: datetime) -> None:
        if ends_at <= starts_at:
            self.add_error("ends_at", _("The end must be after the start."))
        elif ends_at - starts_at > MAX_DURATION:
            text = ngettext(
                "A window lasts at most %(days)d day.",
                "A window lasts at most %(days)d days.",
                MAX_DURATION.days,
            )
            self.add_error("ends_at", text % {"days": MAX_DURATION.days})
        elif ends_at <= self._at:
            self.add_error("starts_at", _("The window would already have ended."))
