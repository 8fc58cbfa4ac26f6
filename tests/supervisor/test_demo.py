import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ispvm.supervisor.demo.kills import ALL_KINDS, KINDS, Killer, of_kind, plan_kinds
from ispvm.supervisor.demo.options import parse
from ispvm.supervisor.demo.surroundings import Identity, Surroundings, read_json, write_json
from ispvm.supervisor.errors import LaunchError
from tests.supervisor.waiting import eventually


class TestPlanKinds:
    @given(count=st.integers(0, 60), seed=st.integers())
    def test_every_kind_has_its_fifth(self, count, seed):
        kinds = plan_kinds(count, random.Random(seed))

        assert len(kinds) == count
        assert set(kinds) <= set(KINDS)
        for kind in KINDS:
            assert Counter(kinds)[kind] >= count // 5

    def test_follows_from_the_seed(self):
        assert plan_kinds(20, random.Random(4)) == plan_kinds(20, random.Random(4))

    @given(count=st.integers(0, 60), seed=st.integers())
    def test_all_kinds_share_alike(self, count, seed):
        kinds = plan_kinds(count, random.Random(seed), ALL_KINDS)

        assert len(kinds) == count
        for kind in ALL_KINDS:
            assert Counter(kinds)[kind] >= count // (len(ALL_KINDS) + 1)


def test_a_deliverer_is_a_kind_of_its_own_and_a_worker():
    names = ["worker-deliver", "web", "worker", "agent-north"]

    assert of_kind("deliver", names) == ["worker-deliver"]
    assert of_kind("worker", names) == ["worker", "worker-deliver"]
    assert of_kind("keeper", names) == []


class TestIdentity:
    def test_is_that_of_existing_data_by_default(self, tmp_path):
        write_json(tmp_path / "identity.json", {"seed": 7, "port": 9000})

        assert Identity.resolve(tmp_path, seed=None, port=None) == Identity(7, 9000)
        assert Identity.resolve(tmp_path, seed=7, port=None) == Identity(7, 9000)

    def test_refuses_to_mix_two_networks_in_one_folder(self, tmp_path):
        write_json(tmp_path / "identity.json", {"seed": 7, "port": 9000})

        with pytest.raises(LaunchError, match="has seed 7 and port 9000; add --reset"):
            Identity.resolve(tmp_path, seed=8, port=None)

    def test_seed_zero_is_a_seed(self, tmp_path):
        assert Identity.resolve(tmp_path, seed=0, port=None).seed == 0


class TestWorld:
    def test_the_plan_names_addresses_that_follow_from_the_port(self, tmp_path):
        surroundings = Surroundings(tmp_path / "demo", Identity(3, 9100))

        plan = surroundings.prepare()

        assert plan.web_url == "http://127.0.0.1:9100"
        assert plan.ingest_url == "https://127.40.0.1:9104"
        assert read_json(tmp_path / "demo" / "demo.json")["control_url"] == "http://127.0.0.1:9102"

    def test_agents_get_no_settings_of_the_platform(self, tmp_path, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "postgres://secret")
        surroundings = Surroundings(tmp_path / "demo", Identity(3, 9100))
        plan = surroundings.prepare()
        entry = {
            "name": "north",
            "token_file": "/t",
            "source_address": "127.30.0.2",
            "state_dir": "/s",
        }
        write_json(tmp_path / "demo" / "agents.json", [entry])

        (agent,) = surroundings.agents(plan)
        spec = surroundings.agent(agent)

        assert spec.name == "agent-north"
        assert "127.30.0.2" in spec.argv
        assert "DATABASE_URL" not in spec.env
        assert not any(name.startswith("ISPVM") for name in spec.env)


class RecordingSupervisor:
    """Stands at the edge to real processes: says who runs, records who is killed."""

    def __init__(self) -> None:
        self.kills: list[str] = []
        self.output: list[str] = []

    def pids(self) -> dict[str, int]:
        names = ("worker", "beat", "ingest", "agent-core", "agent-north", "web", "simulator")
        return {name: number for number, name in enumerate(names, 100)}

    def kill(self, name: str) -> int:
        self.kills.append(name)
        return self.pids()[name]

    def is_ready(self, name: str) -> bool:
        return name in self.kills


class TestKiller:
    def test_kills_only_while_a_story_runs(self, tmp_path):
        phase = tmp_path / "phase.json"
        supervisor = RecordingSupervisor()
        killer = Killer(
            supervisor, phase, count=10, seed=5, echo=supervisor.output.append, min_seconds=0.05
        )
        phase.write_text(json.dumps({"phase": "preparing"}))
        killer.start()
        before = list(supervisor.kills)

        phase.write_text(json.dumps({"phase": "story", "seconds": 1}))
        eventually(lambda: len(killer.kills) == 10)

        assert before == []
        assert killer.finish() == 0
        kinds = Counter(name.split("-")[0] for name in supervisor.kills)
        assert all(kinds[kind] >= 2 for kind in KINDS)
        assert sum(kinds.values()) == 10
        assert [text.split()[2] for text in supervisor.output] == supervisor.kills

    def test_returns_the_number_of_missing_kills(self, tmp_path):
        killer = Killer(RecordingSupervisor(), tmp_path / "phase.json", count=5, seed=5, echo=print)
        killer.start()

        assert killer.finish() == 5

    def test_a_fault_is_injected_and_recorded_like_a_kill(self, tmp_path):
        phase = tmp_path / "phase.json"
        phase.write_text(json.dumps({"phase": "story", "seconds": 1}))
        supervisor = RecordingSupervisor()
        struck = iter([None, ("valkey-flush", 0)])
        killer = Killer(
            supervisor,
            phase,
            count=1,
            seed=5,
            echo=supervisor.output.append,
            kinds=("valkey-flush",),
            faults={"valkey-flush": lambda _: next(struck)},
            min_seconds=0.05,
        )
        killer.start()

        eventually(lambda: len(killer.kills) == 1)

        assert killer.finish() == 0
        assert supervisor.output == ["valkey-flush"]
        assert supervisor.kills == []


class TestParse:
    def test_kinds_are_some_or_all(self):
        given = ["--check", "--kills", "2", "--kill-kinds"]

        assert parse([*given, "all"]).kill_kinds == ALL_KINDS
        assert parse([*given, "web,valkey-flush,web"]).kill_kinds == ("web", "valkey-flush")
        assert parse(["--check"]).kill_kinds == KINDS

    @pytest.mark.parametrize("text", ["", "everything", "web,simulator"])
    def test_an_unknown_kind_is_refused(self, text, capsys):
        with pytest.raises(SystemExit):
            parse(["--check", "--kills", "2", "--kill-kinds", text])

        assert "--kill-kinds takes all" in capsys.readouterr().err

    def test_kills_need_a_check(self, capsys):
        with pytest.raises(SystemExit) as refused:
            parse(["--kills", "5"])

        assert refused.value.code == 2
        assert "--kills needs --check" in capsys.readouterr().err
