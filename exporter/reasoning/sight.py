"""Which models are shown a chart, and which ones have turned out not to take one."""

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter.config.base import AutoOnOff
from exporter.lmstudio.failures import ModelFailure
from exporter.lmstudio.wire import Image, Model
from exporter.reasoning.image import Panel, can_draw, draw_chart

logger = logging.getLogger(__name__)

MAX_MODELS = 256
"""That are remembered, the latest ones."""
_STRIKES = 2
_CERTAIN = ("image_refused", "invalid_request")
"""Failures that come from the chart if the same question is answered without it. Others may have passed by themselves, so
it takes two of them in a row."""


@dataclass(frozen=True, slots=True)
class Look:
    """Whether a model is to be shown a chart."""

    show: bool
    problem: str = ""
    """Why not, in words, where the user asked for it; said once for each model."""


class Sight:
    """Decides about charts and learns from what comes of them. Safe to use from several threads.

    Args:
        draw: makes the chart of some series.
        available: whether `draw` can work at all.
    """

    def __init__(
        self,
        draw: Callable[[Sequence[Panel]], Image] = draw_chart,
        available: Callable[[], bool] = can_draw,
    ) -> None:
        self._draw = draw
        self._available = available
        self._lock = threading.Lock()
        self._strikes: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._told: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._broken = False

    def look(self, wanted: AutoOnOff, server: str, model: Model) -> Look:
        """Whether to show a chart to this model.

        Args:
            wanted: `auto` and `on` where the model can see and charts can be drawn; `on` says so where not.
            server: the name of the model's server.
            model: the instance to ask.
        """
        if wanted == "off":
            return Look(show=False)
        obstacle = self._obstacle(model)
        if not obstacle:
            with self._lock:
                return Look(show=self._strikes.get((server, model.id), 0) < _STRIKES)
        if wanted == "auto" or not self._is_new((server, model.id)):
            return Look(show=False)
        problem = f"{model.id} on {server} is asked without a chart: {obstacle}"
        logger.warning("%s", problem)
        return Look(show=False, problem=problem)

    def draw(self, panels: Sequence[Panel]) -> Image | None:
        """The chart; None where it cannot be drawn, which is logged."""
        try:
            return self._draw(panels)
        except (ImportError, OSError) as error:
            self._broken = True
            logger.warning("models are asked without charts from now on, matplotlib does not work: %s", error)
        except Exception:
            logger.exception("a chart could not be drawn")
        return None

    def took(self, server: str, model_id: str) -> None:
        """The model answered a question with a chart."""
        with self._lock:
            self._strikes.pop((server, model_id), None)

    def failed(self, server: str, model_id: str, failure: ModelFailure) -> None:
        """A question with a chart failed in a way that it does not without, or that may be due to the chart."""
        with self._lock:
            strikes = self._strikes.pop((server, model_id), 0)
            now = _STRIKES if failure.reason in _CERTAIN else strikes + 1
            self._strikes[server, model_id] = now
            if len(self._strikes) > MAX_MODELS:
                self._strikes.popitem(last=False)
        if now >= _STRIKES > strikes:
            logger.warning("%s on %s is asked without charts from now on: %s", model_id, server, failure)

    def _obstacle(self, model: Model) -> str:
        """What stands against a chart, in words; empty where nothing does."""
        if not (model.vision or model.kind == "vlm"):
            return "its server does not say that it can see"
        if self._broken or not self._available():
            return "charts need matplotlib, the extra lmwatch[plot]"
        return ""

    def _is_new(self, key: tuple[str, str]) -> bool:
        """Whether this model was not spoken of yet."""
        with self._lock:
            if key in self._told:
                return False
            self._told[key] = None
            if len(self._told) > MAX_MODELS:
                self._told.popitem(last=False)
            return True
