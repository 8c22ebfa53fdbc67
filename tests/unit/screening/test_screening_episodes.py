"""Episodes: what becomes of flickering scores, instant by instant."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from screening_support import MIDNIGHT, followed, noise

from exporter.screening.archive import BEGAN, CALM_SINCE, KIND, ODD_SINCE, SETTLED
from exporter.screening.episodes import STILL_ODD, Pace, follow
from exporter.screening.result import KINDS, THRESHOLD

STEP = 60.0
PACE = Pace(settle=1200.0, release=180.0)
"""Three calm minutes end an episode; one of 20 minutes has become normal."""
ODD, HELD, CALM, NONE = 0.8, (STILL_ODD + THRESHOLD) / 2, STILL_ODD / 2, np.nan
SPIKE, DROP = KINDS.index("spike"), KINDS.index("drop")
SCORES = {"o": ODD, "h": HELD, ".": CALM, "?": NONE}
"""Odd, still odd, calm, no score."""


def run(said, *, wait=0.0, certain="", pace=PACE, kind=SPIKE, lasts=None):
    """One series whose score at each minute is a letter of `SCORES`; what became of each.

    `lasts` are letters too, of what still goes on; the score itself where nothing is said.
    """
    episode = np.array([[np.nan], [np.nan], [np.nan], [0.0], [-1.0]])
    found = []
    for minute, (letter, goes_on) in enumerate(zip(said, lasts or said, strict=True)):
        score = np.array([SCORES[letter]])
        found.append(
            follow(
                episode,
                score,
                np.array([SCORES[goes_on]]),
                np.where(score >= THRESHOLD, kind, -1).astype(np.int8),
                certain=np.array([certain[minute : minute + 1] == "!"]),
                wait=np.array([wait]),
                now=MIDNIGHT + STEP * minute,
                pace=pace,
            )
        )
        episode = found[-1].episode
    return found


def picture(found):
    """`#` while an episode is shown, `-` without, `?` without a score."""
    return "".join("?" if np.isnan(one.score[0]) else "#" if one.score[0] >= THRESHOLD else "-" for one in found)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param("....", "----", id="calm"),
        pytest.param("..hhh", "-----", id="still odd begins nothing"),
        pytest.param("..o...........", "--####--------", id="three calm minutes are part of it"),
        pytest.param("..o.o..o......", "--#########---", id="flicker is one episode"),
        pytest.param("..o..h..h..h......", "--#############---", id="what is still odd goes on"),
        pytest.param("..ooo...o....", "--##########-", id="odd again in the third calm minute"),
        pytest.param("..ooo....o...", "--######-####", id="odd again when three are over: another one"),
        pytest.param("?????", "?????", id="no score"),
        pytest.param("o???o....", "#???####-", id="no score for a moment"),
        pytest.param("o.???....", "##???----", id="calm before a gap and after it: calm all the time"),
        pytest.param("o???.....", "#???###--", id="calm begins when it is seen"),
        pytest.param("??o....", "??####-", id="odd at the first score"),
    ],
)
def test_an_episode_from_its_onset_to_its_end(said, shown):
    assert picture(run(said)) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        pytest.param("oooooo....", "---######-", id="odd for three minutes"),
        pytest.param("oo.oo.oo..", "----------", id="each time too short"),
        pytest.param("oohooooo...", "------#####", id="less than odd begins the wait anew"),
        pytest.param("oo??oooo....", "--??#######-", id="without a score it goes on waiting"),
    ],
)
def test_an_oddness_has_to_last_as_long_as_the_user_wants(said, shown):
    assert picture(run(said, wait=180.0)) == shown


def test_while_it_waits_a_score_stays_below_the_threshold():
    waiting = run("ooo", wait=180.0)
    assert all(STILL_ODD < one.score[0] < THRESHOLD for one in waiting)
    assert all(one.kind[0] == -1 for one in waiting)


def test_what_stays_has_become_normal_until_it_was_calm_once():
    said = "o" * 30 + "hhh" + "o" * 5 + "." + "oo"
    shown = "#" * 20 + "-" * 18 + "-" + "##"
    found = run(said)
    assert picture(found) == shown
    assert [minute for minute, one in enumerate(found) if one.over[0]] == [20]
    assert [one.episode[SETTLED, 0] for one in (found[19], found[20], found[37], found[38])] == [0, 1, 1, 0]


@pytest.mark.parametrize(
    ("said", "lasts", "shown"),
    [
        pytest.param("..ooo.....", "..ooo.....", "--######--", id="score and what lasts calm together"),
        pytest.param(
            "..ooooooooo", "..oo.......", "--#####----", id="odd by what has passed: it ends, and is not told again"
        ),
        pytest.param("..oooooo...oo", "..oo.......oo", "--#####----##", id="after one calm instant what comes is told"),
        pytest.param("..oooooohhhoo", "..oo.......oo", "--#####------", id="less than odd is not calm"),
        pytest.param("..ooooooo....", "..oo..o......", "--########---", id="goes on again in its second calm minute"),
        pytest.param("..hhhh", "..oooo", "------", id="what lasts begins nothing: the score does"),
    ],
)
def test_an_episode_ends_by_what_lasts_and_is_not_told_again_before_a_calm_instant(said, lasts, shown):
    found = run(said, lasts=lasts)
    assert picture(found) == shown
    assert sum(one.over[0] for one in found) == (1 if "#-" in shown else 0)


def test_what_ended_while_its_score_was_odd_scores_below_the_threshold_until_calm():
    ended = run("..ooooooooo", lasts="..oo.......")[-1]
    assert STILL_ODD < ended.score[0] < THRESHOLD
    assert ended.kind[0] == -1
    assert ended.episode[SETTLED, 0] == 1


def test_what_has_passed_does_not_settle():
    """At twenty minutes nothing of it goes on any more: it ends by its calm, not by its age."""
    found = run("o" * 24, lasts="o" * 19 + "." * 5)
    assert picture(found) == "#" * 22 + "--"
    assert [minute for minute, one in enumerate(found) if one.over[0]] == [22]


def test_what_is_certain_is_told_though_an_episode_has_just_ended():
    assert picture(run("ooooooo", lasts="o......", certain=" " * 5 + "!!")) == "####-##"


def test_an_episode_that_flickers_settles_all_the_same():
    found = run("o.." * 8)
    assert picture(found) == "#" * 21 + "---"


def test_what_is_certain_neither_waits_nor_settles():
    assert picture(run("o" * 60, certain="!" * 60, wait=180.0)) == "#" * 60
    found = run("o" * 30 + "...o....", certain="!" * 30)
    assert picture(found) == "#" * 33 + "-----", "it ends as any other, but an oddness of that age is normal"


def test_what_is_certain_is_shown_after_its_level_has_become_normal():
    assert picture(run("o" * 30, certain=" " * 25 + "!" * 5)) == "#" * 20 + "-" * 5 + "#" * 5


def test_without_a_score_nothing_that_is_known_changes():
    """In quiet hours for longer than a level needs to become normal; whatever is certain meanwhile."""
    for before in ("", "..", "oo", "oo.", "o" * 25):
        found = run(before + "?" * 40, certain=" " * (len(before) + 5) + "!" * 10)
        first = found[len(before) - 1].episode if before else np.array([[np.nan], [np.nan], [np.nan], [0.0], [-1.0]])
        for one in found[len(before) :]:
            assert np.array_equal(one.episode, first, equal_nan=True)
            assert not one.over[0]
            assert np.isnan(one.score[0])
            assert one.kind[0] == -1


def test_an_episode_is_over_once_and_tells_while_it_goes_on():
    found = run("..oo.......")
    assert [bool(one.going_on[0]) for one in found] == [letter == "#" for letter in picture(found)]
    assert [minute for minute, one in enumerate(found) if one.over[0]] == [7]


def test_while_an_episode_is_held_its_score_is_the_threshold_and_its_kind_the_last_that_was_seen():
    episode = np.array([[np.nan], [np.nan], [np.nan], [0.0], [-1.0]])
    seen = []
    for minute, (score, kind) in enumerate([(0.9, SPIKE), (0.1, -1), (0.7, DROP), (0.4, -1), (0.1, -1)]):
        one = follow(
            episode,
            np.array([score]),
            np.array([score]),
            np.array([kind], dtype=np.int8),
            certain=np.array([False]),
            wait=np.zeros(1),
            now=MIDNIGHT + STEP * minute,
            pace=PACE,
        )
        episode = one.episode
        seen.append((float(one.score[0]), int(one.kind[0])))
    assert seen == [(0.9, SPIKE), (THRESHOLD, SPIKE), (0.7, DROP), (THRESHOLD, DROP), (THRESHOLD, DROP)]


def test_series_are_followed_apart():
    rows = ["..oo.......", "...........", "oooo???oooo", "..h.h.h.h.h"]
    alone = [run(said) for said in rows]
    episode = np.tile(np.array([[np.nan], [np.nan], [np.nan], [0.0], [-1.0]]), len(rows))
    for minute in range(len(rows[0])):
        score = np.array([SCORES[said[minute]] for said in rows])
        one = follow(
            episode,
            score,
            score,
            np.where(score >= THRESHOLD, SPIKE, -1).astype(np.int8),
            certain=np.zeros(4, dtype=bool),
            wait=np.zeros(4),
            now=MIDNIGHT + STEP * minute,
            pace=PACE,
        )
        episode = one.episode
        expected = np.concatenate([single[minute].episode for single in alone], axis=1)
        assert np.array_equal(episode, expected, equal_nan=True)


@given(st.text("oh.?", min_size=1, max_size=60), st.sampled_from([0.0, 60.0, 240.0]))
def test_a_score_is_at_the_threshold_exactly_while_an_episode_goes_on(said, wait):
    before = np.array([[np.nan], [np.nan], [np.nan], [0.0], [-1.0]])
    for one, letter in zip(run(said, wait=wait), said, strict=True):
        if letter != "?":
            assert (one.score[0] >= THRESHOLD) == one.going_on[0]
            assert (one.kind[0] >= 0) == one.going_on[0]
        assert np.isnan(one.score[0]) == (letter == "?")
        assert one.going_on[0] == (not np.isnan(one.episode[BEGAN, 0]))
        assert np.isnan(one.episode[CALM_SINCE, 0]) or one.going_on[0]
        assert (one.episode[KIND, 0] >= 0) == one.going_on[0]
        assert np.isnan(one.episode[ODD_SINCE, 0]) or one.episode[ODD_SINCE, 0] >= MIDNIGHT
        assert not (one.over[0] and one.going_on[0])
        assert not one.over[0] or not np.isnan(before[BEGAN, 0])
        before = one.episode


@given(st.text("oh.", min_size=1, max_size=80))
def test_a_new_episode_needs_calm_before_it(said):
    """Between two onsets lies at least the calm that ended the first, or the one calm instant after it became normal."""
    shown = picture(run(said))
    for end in (place for place in range(len(shown) - 1) if shown[place : place + 2] == "-#"):
        assert "." in said[: end + 1] or "#" not in shown[: end + 1]


@pytest.mark.parametrize(("settle", "shown"), [(24 * 3600.0, True), (5 * 3600.0, False)])
def test_quiet_hours_hide_an_episode_and_what_is_there_after_them_is_as_old_as_it_is(settle, shown):
    """The level rises at 23:00; quiet from midnight to 6:00, when it is seven hours old."""
    values = noise(1, 24 * 5)
    values[0, 24 * 4 - 1 : 24 * 4 + 9] += 300
    result = followed(values, settle=settle, quiet_hours=["00:00-06:00"])
    night, morning = slice(24 * 4, 24 * 4 + 6), slice(24 * 4 + 6, 24 * 4 + 9)
    assert result.alarm[0, 24 * 4 - 1]
    assert np.isnan(result.score[0, night]).all()
    assert set(result.kind[0][night]) == {None}
    assert result.alarm[0, morning].tolist() == [shown] * 3
