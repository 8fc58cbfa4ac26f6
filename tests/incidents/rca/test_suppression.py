"""Which cause a suppressed alert is blamed on."""

import pytest

from apps.incidents.rca.impact_graph import ImpactGraph
from apps.incidents.rca.suppression import suppressions
from tests.incidents.rca.isp import backhaul_cut, dev, isp, link_ref, snapshot, symptom

NORTH, SOUTH = link_ref("cr2-agg1"), link_ref("cr4-agg2")


@pytest.mark.parametrize("causes", [(NORTH, SOUTH), (SOUTH, NORTH)])
def test_each_alert_is_blamed_on_the_cause_that_explains_it(causes):
    """Two backhauls cut at once, whichever of them is the first cause."""
    north, south = backhaul_cut("north"), backhaul_cut("south")
    symptoms = tuple(row for rows, _ in (north, south) for row in rows)
    network = ImpactGraph(snapshot(symptoms, unreachable=(*north[1], *south[1])))

    found = suppressions(network, causes, symptoms)

    ref_of = {row.alert_id: row.ref for row in symptoms}
    blamed = {ref_of[row.alert_id]: row.by for row in found}
    expected = {dev(name): NORTH for name in north[1]} | {dev(name): SOUTH for name in south[1]}
    assert {ref: by for ref, by in blamed.items() if ref in expected} == expected
    for row in found:
        assert row.reason.params["cause"] == {NORTH: "cr2-agg1", SOUTH: "cr4-agg2"}[row.by]


def test_what_only_several_causes_explain_is_blamed_on_the_first():
    """A router with two uplinks is cut off only by both."""
    links = ("cr1-cr2", "cr1-acc1", "cr2-acc1")
    causes = (link_ref("cr1-acc1"), link_ref("cr2-acc1"))
    row = symptom("unreachable", dev("acc1"))
    network = ImpactGraph(snapshot([row], unreachable=("acc1",), graph=isp(links)))

    (found,) = suppressions(network, causes, (row,))

    assert (found.alert_id, found.by) == (row.alert_id, causes[0])
