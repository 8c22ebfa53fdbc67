"""One watch at work, interval by interval."""

import math

import pytest
from watching_world import START, World, calm, frame, says, spiking

from exporter.lmstudio.failures import ModelFailure
from exporter.screening.episodes import CALM_INSTANTS

ALWAYS = {"reason": {"when": "always", "cooldown": "1m"}}


def test_a_calm_watch_is_ok_and_no_model_is_asked():
    world = World()
    picture = world.tick(frame({"x": calm()}))
    assert picture.state == "ok"
    assert world.scores()["x"] < 0.5
    assert (world.pool.jobs, world.outcomes) == ([], ["skipped_calm"])


def test_a_suspicious_group_is_put_to_the_model_and_its_finding_moves_the_score():
    world = World()
    world.tick(frame({"x": spiking(), "y": calm()}))
    screen = world.scores()
    assert screen["x"] >= 0.5
    world.pool.run(says(10))
    assert [verdict.outcome for verdict in world.verdicts] == ["ok"]
    assert world.scores()["x"] > screen["x"]
    table = world.pictures[-1].tables[0]
    assert (table.llm[0], table.confidence[0], table.kind[0]) == (1.0, 1.0, "spike")


def test_a_model_that_calls_it_harmless_lowers_the_score_within_the_band():
    world = World()
    world.tick(frame({"x": spiking()}))
    screen = world.scores()["x"]
    world.pool.run(says(0))
    assert screen - 0.15 <= world.scores()["x"] < screen


def test_a_group_is_not_asked_about_again_while_an_answer_is_awaited_nor_within_the_cooldown():
    world = World(**ALWAYS)
    world.tick(frame({"x": calm()}))
    world.tick(frame({"x": calm()}))
    assert len(world.pool.jobs) == 1
    world.pool.run(says(1))
    world.tick(frame({"x": calm()}))
    world.clock.advance(60)
    world.tick(frame({"x": calm()}, end=START + 60))
    assert world.outcomes == ["skipped_busy", "ok", "skipped_cooldown"]
    assert len(world.pool.jobs) == 1


def test_when_no_server_can_take_the_question_it_is_asked_again_at_the_next_interval():
    world = World()
    world.pool.accepts = False
    world.tick(frame({"x": spiking()}))
    world.pool.accepts = True
    world.tick(frame({"x": spiking()}))
    assert world.outcomes == ["skipped_busy"]
    assert len(world.pool.jobs) == 1


def test_a_question_that_waited_too_long_is_counted_and_asked_again():
    world = World()
    world.tick(frame({"x": spiking()}))
    world.pool.expire()
    world.tick(frame({"x": spiking()}))
    assert world.outcomes == ["skipped_busy"]
    assert len(world.pool.jobs) == 1


def test_groups_are_judged_apart():
    world = World(group_by=["instance"])
    world.tick(
        frame({"x": spiking()}, target="a"), frame({"x": spiking()}, target="b"), frame({"x": calm()}, target="c")
    )
    world.pool.run(says(9))
    assert [dict(verdict.group) for verdict in world.verdicts] == [{"instance": "a"}, {"instance": "b"}]


def test_a_group_may_span_targets():
    world = World()
    world.tick(frame({"x": spiking()}, target="a"), frame({"x": spiking()}, target="b"))
    world.pool.run(says(9))
    (verdict,) = world.verdicts
    assert {dict(finding.series.labels)["instance"] for finding in verdict.findings} == {"a", "b"}


def test_a_model_that_fails_leaves_the_screens_score_and_a_degraded_watch():
    def fails(_request):
        raise ModelFailure("crashed", "The model has crashed.")

    world = World()
    world.tick(frame({"x": spiking()}))
    screen = world.scores()["x"]
    world.pool.run(fails)
    assert world.scores()["x"] == screen
    assert math.isnan(world.pictures[-1].tables[0].llm[0])
    assert world.pictures[-1].state == "degraded"
    assert world.outcomes == ["llm_error"]


def test_without_a_usable_model_scores_go_on_and_the_watch_is_degraded():
    world = World()
    world.pool.is_usable = False
    picture = world.tick(frame({"x": spiking()}))
    assert picture.state == "degraded"
    assert world.scores()["x"] >= 0.5


def test_a_watch_that_asks_no_model_needs_none():
    world = World(reason={"when": "never"})
    world.pool.is_usable = False
    assert world.tick(frame({"x": spiking()})).state == "ok"
    assert (world.pool.jobs, world.outcomes) == ([], [])


@pytest.mark.parametrize(
    ("frames", "troubles", "state"),
    [
        pytest.param((), (), "warming", id="nothing collected yet"),
        pytest.param((), ("a:1: refused",), "failed", id="nothing could be collected"),
        pytest.param((frame({"x": [1.0, 2.0]}),), (), "warming", id="too little history"),
        pytest.param((frame({"x": calm()}, end=START - 3600),), (), "stale", id="the newest value is old"),
        pytest.param((frame({"x": calm()}),), ("a:1: refused",), "ok", id="one target of two is down"),
    ],
)
def test_the_state_says_why_there_is_no_score(frames, troubles, state):
    picture = World().tick(*frames, troubles=troubles)
    assert picture.state == state
    assert (picture.reason != "") == (state != "ok" or bool(troubles))


def test_a_watch_that_warms_up_tells_how_many_values_it_has_and_needs():
    """A source that is asked for the whole window answers with all of its instants, also those before the first value."""

    def young(count):
        return World().tick(frame({"x": [math.nan] * 240, "y": [math.nan] * (240 - count) + calm(count)}))

    assert young(10).reason.startswith("no series has more than 10 values in the window, scores need about 11")
    assert young(11).state == "ok"


def test_a_verdict_about_an_episode_ends_with_it():
    world = World(reason={"when": "suspicious", "every": "30m", "cooldown": "1m"})
    world.tick(frame({"x": spiking()}))
    world.pool.run(says(9))
    world.clock.advance(30)
    assert world.tick(frame({"x": calm()}, end=START + 30)).verdicts, "calm for a moment only"
    world.clock.advance(15 * CALM_INSTANTS - 15)
    assert world.tick(frame({"x": calm()}, end=START + 15 + 15 * CALM_INSTANTS)).verdicts, "the episode goes on"
    world.clock.advance(15)
    picture = world.tick(frame({"x": calm()}, end=START + 30 + 15 * CALM_INSTANTS))
    assert not picture.verdicts
    assert math.isnan(picture.tables[0].llm[0])


def test_a_regular_verdict_holds_until_the_next_one_is_overdue():
    world = World(reason={"when": "always", "every": "5m", "cooldown": "5m"})
    world.tick(frame({"x": calm()}))
    world.pool.run(says(1))
    world.pool.accepts = False
    world.clock.advance(5 * 60 + 30)
    assert world.tick(frame({"x": calm()}, end=START + 330)).verdicts
    world.clock.advance(1)
    assert not world.tick(frame({"x": calm()}, end=START + 331)).verdicts


def test_the_verdict_on_a_group_that_is_gone_goes_with_it():
    world = World(group_by=["instance"])
    world.tick(frame({"x": spiking()}, target="a"), frame({"x": spiking()}, target="b"))
    world.pool.run(says(9))
    picture = world.tick(frame({"x": spiking()}, target="b"))
    assert [dict(key) for key in picture.verdicts] == [{"instance": "b"}]


def test_a_target_that_fails_once_keeps_its_groups_verdict_and_cooldown():
    world = World(group_by=["instance"])
    world.tick(frame({"x": spiking()}, target="a"))
    world.pool.run(says(9))
    assert not world.tick(troubles=("a: timed out",)).verdicts, "nothing is shown of a group that is not there"
    assert world.tick(frame({"x": spiking()}, target="a")).verdicts
    assert world.outcomes == ["ok", "skipped_cooldown"]


def test_a_slow_answer_does_not_make_the_watch_stale():
    world = World()
    world.tick(frame({"x": spiking()}))
    world.clock.advance(600)
    world.pool.run(says(9))
    assert world.pictures[-1].state == "ok"


def test_an_answer_that_comes_while_its_group_is_gone_breaks_nothing():
    world = World(group_by=["instance"])
    world.tick(frame({"x": spiking()}, target="a"))
    jobs, world.pool.jobs = world.pool.jobs, []
    world.tick(frame({"x": calm()}, target="b"))
    world.pool.jobs = jobs
    world.pool.run(says(9))
    assert not world.tick(frame({"x": calm()}, target="b")).verdicts
    assert world.watcher.waiting() == 0


def test_a_closed_watch_neither_screens_nor_keeps_an_answer():
    world = World()
    world.tick(frame({"x": spiking()}))
    world.watcher.close()
    world.pool.run(says(9))
    world.watcher.tick()
    assert (len(world.pictures), world.verdicts, world.outcomes) == (1, [], [])


def test_a_question_of_a_closed_watch_is_neither_put_to_a_model_nor_counted():
    world, asked = World(), []
    world.tick(frame({"x": spiking()}))
    world.watcher.close()
    ((_, expire),) = world.pool.jobs
    world.pool.run(asked.append)
    expire()
    assert (asked, world.outcomes) == ([], [])


def test_a_screening_that_breaks_shows_as_failed_and_is_not_hidden():
    world = World()
    broken = frame({"x": calm()})
    object.__setattr__(broken, "values", None)
    with pytest.raises(TypeError, match="NoneType"):
        world.tick(broken)
    assert world.pictures[-1].state == "failed"


def test_a_series_that_vanished_before_the_answer_came_is_not_shown():
    world = World()
    world.tick(frame({"x": spiking(), "y": calm()}))
    jobs, world.pool.jobs = world.pool.jobs, []
    world.tick(frame({"y": calm()}))
    world.pool.jobs = jobs
    world.pool.run(says(9))
    assert list(world.scores()) == ["y"]


def test_a_picture_carries_the_watchs_threshold_also_of_a_screening_that_breaks():
    world = World(threshold=0.75)
    world.tick(frame({"x": calm()}))
    broken = frame({"x": calm()})
    object.__setattr__(broken, "values", None)
    with pytest.raises(TypeError, match="NoneType"):
        world.tick(broken)
    assert [(picture.state, picture.threshold) for picture in world.pictures] == [("ok", 0.75), ("failed", 0.75)]


def test_a_closed_watch_shows_nothing_any_more():
    world = World()
    world.tick(frame({"x": spiking()}))
    world.watcher.close()
    shown = len(world.pictures)
    world.pool.run(says(9))
    assert len(world.pictures) == shown


def test_value_and_band_are_shown_for_suspicious_series_and_those_marked():
    marked = World(select=[{"series": "x", "band": True}])
    marked.tick(frame({"x": calm()}))
    plain = World()
    plain.tick(frame({"x": calm(), "y": spiking()}))
    assert not math.isnan(marked.pictures[-1].tables[0].value[0])
    assert [math.isnan(value) for value in plain.pictures[-1].tables[0].value] == [True, False]


def test_pages_get_the_groups_with_evidence_for_suspicious_series():
    world = World()
    world.tick(frame({"x": spiking(), "y": calm()}))
    (group,) = world.watcher.groups()
    assert [each.series.name for each in group.series] == ["x", "y"]
    assert group.series[0].evidence


def test_the_model_is_told_which_alerts_fire_about_a_group():
    asked = []
    world = World(
        group_by=["instance"],
        context="Two hosts.",
        firing=lambda key: f"Alerts firing now: Load on {dict(key)['instance']}.",
    )
    world.tick(frame({"x": spiking()}))
    answer = says(9)
    world.pool.run(lambda request: asked.append(request) or answer(request))
    assert "about: Two hosts. Alerts firing now: Load on t." in asked[0].messages[-1].content
