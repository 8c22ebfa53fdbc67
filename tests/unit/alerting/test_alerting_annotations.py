"""Verdicts as annotations: which of them, one region an episode, and a Grafana that misbehaves."""

import pytest
from alerting_cases import NOW, finding, picture, series, verdict
from alerting_fake import wait_until
from grafana_fake import TOKEN, FakeGrafana

from exporter.alerting.annotations import CALM_SECONDS, Annotations
from exporter.alerting.annotator import Annotator
from exporter.alerting.episodes import Episode, finds_something
from exporter.alerting.grafana import REASONS, Annotation, GrafanaClient
from exporter.alerting.wording import Links
from exporter.app import App, Options
from exporter.board import Board, ReloadState
from exporter.clock import ManualClock, SystemClock
from exporter.config.model import Config, Grafana
from exporter.metrics.annotating import AnnotationInstruments

GROUP = (("instance", "a:1"),)
MINUTE = 60_000


@pytest.fixture
def fake():
    grafana = FakeGrafana()
    yield grafana
    grafana.close()


@pytest.fixture
def token(tmp_path):
    path = tmp_path / "token.txt"
    path.write_text(f"{TOKEN}\n")
    return path


def counted(registry, outcome):
    return registry.get_sample_value("lmwatch_grafana_annotations_total", {"outcome": outcome})


def failures(registry, reason):
    return registry.get_sample_value("lmwatch_grafana_annotation_failures_total", {"reason": reason})


# -- which verdicts


@pytest.mark.parametrize(
    ("made", "found"),
    [
        (verdict(), True),
        (verdict(group_score=0.5), True),
        (verdict(group_score=0.4), False),
        (verdict(group_score=None, outcome="invalid"), False),
        (verdict(finding(series(), llm_score=0.7), group_score=0.1), True),
        (verdict(finding(series(), llm_score=0.7, grounded=False), group_score=0.1), False),
    ],
)
def test_a_verdict_finds_something_when_group_or_series_reach_the_threshold(made, found):
    assert finds_something(made, 0.5) is found


def test_an_annotation_says_what_where_and_leads_to_the_verdict():
    made = Episode.of(verdict(at=NOW)).still(NOW + 90).annotation(("lmwatch", "prod"), Links("http://lmwatch.example"))
    assert made == Annotation(
        time=1_700_000_000_000,
        time_end=1_700_000_090_000,
        tags=("lmwatch", "prod", "watch:w", "instance:a:1"),
        text='w instance="a:1"\nThe host is overloaded.\nProbable cause: A job that was started at noon.\n'
        '<a href="http://lmwatch.example/verdicts/0abc" target="_blank">Verdict</a>',
    )


def test_what_a_model_writes_stays_text():
    made = Episode.of(verdict(summary="<script>alert(1)</script> & more", cause="", group=(("a", "<b>"),)))
    assert made.annotation((), Links()).text == 'w a="&lt;b&gt;"\n&lt;script&gt;alert(1)&lt;/script&gt; &amp; more'


def test_a_tag_fits_into_grafanas_database():
    made = Episode.of(verdict(group=(("path", "x" * 5000),))).annotation((), Links())
    assert [len(part) <= 100 for tag in made.tags for part in tag.split(":", 1)] == [True] * 4


# -- episodes


class World:
    """Annotations over a board and a clock that a test moves."""

    def __init__(self, fake, registry, token):
        self.clock = ManualClock(NOW)
        self.board = Board(started_at=NOW, reload=ReloadState(True, NOW))
        self.annotations = Annotations(
            self.clock, lambda: self.board, AnnotationInstruments(registry, REASONS), base_url="http://lmwatch.example"
        )
        self.fake = fake
        self.config = configured({"url": fake.url, "token_file": str(token)})
        self.annotations.follow(self.config)

    def screened(self, score):
        seen = picture(at=self.clock.now(), standings={GROUP: score})
        self.board = Board(started_at=NOW, reload=ReloadState(True, NOW), watches={"w": seen})
        self.annotations.tick()

    def verdict(self, **changes):
        self.annotations.put(verdict(at=self.clock.now(), **changes))

    def settled(self, *spans):
        """Wait until Grafana has regions of these minutes, counted from the beginning."""
        start = int(NOW * 1000)

        def seen():
            return [
                ((one["time"] - start) / MINUTE, (one["timeEnd"] - start) / MINUTE) for one in self.fake.kept.values()
            ]

        wait_until(lambda: seen() == list(spans), f"{spans}, but {seen()}")


def configured(grafana):
    return Config.model_validate(
        {
            "servers": [],
            "sources": [{"name": "s", "scrape": {"targets": ["127.0.0.1:1"], "interval": "1h"}}],
            "watches": [{"name": "w", "source": "s", "select": ["load"], "window": "2h", "interval": "1h"}],
            "grafana": grafana,
        }
    )


@pytest.fixture
def world(fake, registry, token):
    world = World(fake, registry, token)
    yield world
    world.annotations.stop(5.0)


def test_an_episode_is_one_region_with_the_newest_words_and_ends_when_the_screen_is_calm(world):
    world.verdict()
    world.settled((0, 0))
    world.clock.advance(300)
    world.screened(0.9)
    world.verdict(summary="It goes on.")
    world.settled((0, 5))
    assert "It goes on." in world.fake.kept[1]["text"]
    world.clock.advance(60)
    world.screened(0.8)
    world.clock.advance(CALM_SECONDS)
    world.screened(0.1)
    world.settled((0, 6))
    world.clock.advance(600)
    world.verdict()
    world.settled((0, 6), (18, 18))


def test_a_group_that_comes_back_soon_goes_on_in_the_same_region(world):
    world.verdict()
    world.clock.advance(CALM_SECONDS - 60)
    world.screened(0.1)
    world.verdict()
    world.settled((0, 1))


def test_a_verdict_that_finds_nothing_ends_the_episode(world):
    world.verdict()
    world.settled((0, 0))
    world.clock.advance(60)
    world.screened(0.9)
    world.verdict(group_score=0.1)
    world.settled((0, 1))
    world.clock.advance(60)
    world.verdict()
    world.settled((0, 1), (2, 2))


def test_an_answer_that_cannot_be_read_ends_nothing(world):
    world.verdict()
    world.clock.advance(60)
    world.verdict(group_score=None, outcome="invalid")
    world.verdict()
    world.settled((0, 1))


def test_groups_have_regions_of_their_own(world):
    world.verdict()
    world.verdict(group=(("instance", "b:1"),))
    world.settled((0, 0), (0, 0))
    assert {tag for one in world.fake.kept.values() for tag in one["tags"]} >= {"instance:a:1", "instance:b:1"}


def test_what_finds_nothing_answers_alerts_or_is_of_no_watch_is_not_written(world):
    world.verdict(group_score=0.2)
    world.verdict(answers="HighLoad fires")
    world.verdict(watch="another")
    world.verdict(group=(("instance", "b:1"),))
    world.settled((0, 0))
    assert world.fake.methods == ["POST"]


def test_a_watch_that_leaves_the_configuration_ends_its_episodes(world):
    world.verdict()
    world.settled((0, 0))
    world.clock.advance(60)
    world.screened(0.9)
    world.annotations.follow(world.config.model_copy(update={"watches": []}))
    world.annotations.tick()
    world.settled((0, 1))


def test_the_end_of_lmwatch_writes_how_far_an_episode_came(world):
    world.verdict()
    world.settled((0, 0))
    world.clock.advance(180)
    world.screened(0.9)
    world.annotations.stop(5.0)
    world.settled((0, 3))


def test_without_a_grafana_nothing_happens(world):
    world.annotations.follow(configured(None))
    world.verdict()
    world.annotations.tick()
    assert world.fake.asked == []


# -- a Grafana that misbehaves


def annotation(minute=0, **changes):
    at = int(NOW * 1000) + minute * MINUTE
    return Annotation(**{"time": at, "time_end": at, "tags": ("lmwatch", "watch:w"), "text": "words", **changes})


@pytest.fixture
def make(fake, registry, token):
    """Makes an annotator that does not pause for long."""
    made = []

    def build(**options):
        settings = Grafana.model_validate({"url": f"{fake.url}/", "token_file": str(token)})
        client = GrafanaClient(settings, deadline_seconds=options.pop("deadline", 10.0))
        instruments = AnnotationInstruments(registry, REASONS)
        annotator = Annotator(client, instruments, SystemClock(), first_pause=0.01, **options)
        made.append(annotator)
        annotator.start()
        return annotator

    yield build
    for annotator in made:
        annotator.stop(0.0)


@pytest.mark.parametrize(
    ("answer", "reason"), [(500, "server_error"), (503, "server_error"), (429, "rate_limited"), (502, "server_error")]
)
def test_what_may_pass_is_tried_again(answer, reason, fake, make, registry):
    fake.answers = [answer, answer]
    make().put(annotation())
    wait_until(lambda: counted(registry, "created") == 1, "it is written")
    assert len(fake.kept) == 1
    assert failures(registry, reason) == 2
    assert counted(registry, "dropped") == 0


@pytest.mark.parametrize(
    ("answer", "reason"), [(401, "unauthorized"), (403, "unauthorized"), (400, "rejected"), ("page", "bad_answer")]
)
def test_what_is_refused_is_given_up_and_the_next_is_tried(answer, reason, fake, make, registry):
    fake.answers = [answer]
    annotator = make()
    annotator.put(annotation())
    annotator.put(annotation(1))
    wait_until(lambda: counted(registry, "created") == 1, "the next is written")
    assert (failures(registry, reason), counted(registry, "dropped")) == (1, 1)
    assert [one["time"] for one in fake.kept.values()] == [annotation(1).time]


def test_an_answer_that_was_lost_does_not_make_a_second_annotation(fake, make, registry):
    fake.answers = ["lost"]
    make().put(annotation())
    wait_until(lambda: counted(registry, "updated") == 1, "it is found")
    assert fake.methods == ["POST", "GET", "PATCH"]
    assert len(fake.kept) == 1


def test_one_that_was_never_taken_is_written_after_it_was_looked_for(fake, make, registry):
    fake.answers = [500]
    make().put(annotation())
    wait_until(lambda: counted(registry, "created") == 1, "it is written")
    assert fake.methods == ["POST", "GET", "POST"]


def test_a_slow_grafana_is_given_up_at_the_deadline_and_asked_again(fake, make, registry):
    fake.answers = ["hang"]
    make(deadline=0.2).put(annotation())
    wait_until(lambda: counted(registry, "created") == 1, "it is written")
    assert failures(registry, "timeout") == 1


def test_an_annotation_that_somebody_deleted_is_not_written_anew(fake, make, registry):
    annotator = make()
    annotator.put(annotation())
    wait_until(lambda: counted(registry, "created") == 1, "it is written")
    fake.kept.clear()
    annotator.put(annotation(text="newer"))
    wait_until(lambda: counted(registry, "dropped") == 1, "it is given up")
    assert fake.kept == {}


def test_the_newest_version_takes_the_place_of_one_that_waits(fake, make, registry):
    fake.answers = ["hang"]
    annotator = make()
    annotator.put(annotation(9))
    wait_until(lambda: fake.asked, "it is asked")
    annotator.put(annotation(text="old"))
    annotator.put(annotation(text="new"))
    fake.released.set()
    wait_until(lambda: counted(registry, "created") == 2, "both are written")
    assert {one["text"] for one in fake.kept.values()} == {"words", "new"}


def test_one_that_fails_does_not_hold_up_the_others(fake, make, registry):
    fake.answers = ["hang"]
    annotator = make()
    annotator.put(annotation())
    wait_until(lambda: fake.asked, "it is asked")
    annotator.put(annotation(1))
    fake.released.set()
    wait_until(lambda: counted(registry, "created") == 2, "both are written")
    assert [one["time"] for one in fake.kept.values()] == [annotation(1).time, annotation().time]


def test_a_full_queue_drops_the_first_and_counts_them(fake, make, registry):
    fake.answers = ["hang"]
    annotator = make(capacity=2)
    annotator.put(annotation())
    wait_until(lambda: fake.asked, "it is asked")
    for minute in (1, 2, 3):
        annotator.put(annotation(minute))
    fake.released.set()
    wait_until(lambda: counted(registry, "created") == 2, "the rest is written")
    assert counted(registry, "dropped") == 2
    assert [one["time"] for one in fake.kept.values()] == [annotation(3).time, annotation().time]


def test_one_that_asks_to_be_left_alone_is(fake, make, registry, monkeypatch):
    rests = []
    annotator = make()
    monkeypatch.setattr(annotator, "_rest", rests.append)
    fake.answers, fake.retry_after = [429], "30"
    annotator.put(annotation())
    wait_until(lambda: counted(registry, "created") == 1, "it is written")
    assert rests == [30.0]


def test_an_annotation_that_cannot_even_be_sent_ends_nothing(fake, make, registry, caplog):
    annotator = make()
    annotator.put(annotation(text=object()))
    annotator.put(annotation(1))
    wait_until(lambda: counted(registry, "created") == 1, "the next one is written")
    assert counted(registry, "dropped") == 1
    assert "an annotation was given up" in caplog.text


def test_what_cannot_be_written_until_the_end_is_counted(fake, make, registry):
    fake.answers = ["hang"]
    annotator = make()
    annotator.put(annotation())
    annotator.put(annotation(1))
    wait_until(lambda: fake.asked, "it is asked")
    annotator.stop(0.0)
    assert counted(registry, "dropped") == 2
    assert registry.get_sample_value("lmwatch_grafana_annotation_queue_length") == 0


def test_a_token_that_cannot_be_read_is_a_failure_that_may_pass(fake, make, registry, token):
    token.unlink()
    make().put(annotation())
    wait_until(lambda: failures(registry, "credentials"), "it is counted")
    token.write_text(TOKEN)
    wait_until(lambda: counted(registry, "created") == 1, "it is written")


def test_the_token_is_in_no_log(fake, make, registry, caplog):
    fake.answers = [401, 500]
    annotator = make()
    annotator.put(annotation())
    annotator.put(annotation(1))
    wait_until(lambda: counted(registry, "created") == 1, "it is written")
    assert "annotations:create" in str([record.__dict__ for record in caplog.records])
    assert TOKEN not in str([record.__dict__ for record in caplog.records])


# -- the whole program


def test_the_program_annotates_over_a_reload_to_another_grafana(fake, token):
    other = FakeGrafana()
    urls = [fake.url]
    app = App(
        lambda: configured({"url": urls[-1], "token_file": str(token), "tags": ["ours"]}),
        Options(listen=("127.0.0.1:0",)),
    )
    app.start()
    try:
        reporter = app._services.reporter
        reporter.verdict(verdict(at=NOW))
        wait_until(lambda: fake.kept, "it is written")
        urls.append(other.url)
        app.reload()
        reporter.verdict(verdict(at=NOW + 60, id="0abd"))
        wait_until(lambda: other.kept, "the new one has it")
    finally:
        app.stop()
        other.close()
    assert [len(grafana.kept) for grafana in (fake, other)] == [1, 1]
    assert fake.kept[1]["tags"] == ["ours", "watch:w", "instance:a:1"]
