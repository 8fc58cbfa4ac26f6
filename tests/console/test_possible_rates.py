"""Traffic that a port cannot have is a gap; real traffic is drawn, whatever an operator noted (cases 18 and 19)."""

import pytest

from apps.console.web.device_parts import hardware_speed, possible_rates
from apps.inventory.models import Interface

GIGABIT = 1e9


def drawn(bits: list[float | None], port: Interface, reported: float | None = None):
    """Rates in bits per second, as the chart of this port has them."""
    rates = possible_rates(
        [None if rate is None else rate / 8 for rate in bits], hardware_speed(port, reported)
    )
    return [None if rate is None else rate * 8 for rate in rates]


@pytest.mark.parametrize("petabits", [14.4e15, 2e12, 1.6e12 + 1])
def test_a_replaced_counter_of_a_port_of_unknown_speed_is_a_gap(petabits):
    assert drawn([1.6e6, petabits, 1.6e6], Interface()) == [1.6e6, None, 1.6e6]


@pytest.mark.parametrize("bits", [0.0, 9.4e9, 780e9])
def test_every_speed_in_the_field_is_drawn(bits):
    assert drawn([bits], Interface()) == [bits]


def test_more_than_an_operator_noted_is_drawn():
    port = Interface(speed_bps=200_000_000, operator_fields=["speed_bps"])

    assert drawn([600e6] * 60, port) == [600e6] * 60
    assert drawn([600e6], port, reported=GIGABIT) == [600e6]


def test_more_than_the_hardware_can_is_a_gap():
    discovered = Interface(speed_bps=1_000_000_000)
    noted = Interface(speed_bps=200_000_000, operator_fields=["speed_bps"])

    assert drawn([1.3e9, 1.2e9], discovered) == [None, 1.2e9]
    assert drawn([1.3e9, 1.2e9], noted, reported=GIGABIT) == [None, 1.2e9]
