"""Studies whose model or optimizer no study file can express."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from helpers.small_study import STUDY, written
from kregkit.study.file.config import load
from kregkit.study.problem.resolve import Study, resolve


@dataclass(frozen=True, eq=False)
class Made(Study):
    """A study with a model and an optimizer of its own."""

    model: Callable[[tuple[int, ...], int], Any] | None = None
    rule: Callable[[], Any] | None = None

    @property
    def own_model(self) -> bool:
        return self.model is not None

    def build(self) -> Any:
        if self.model is None:
            return super().build()
        return self.model(self.data.x.shape[1:], self.outputs)

    def optimizer(self) -> Any:
        return super().optimizer() if self.rule is None else self.rule()


def made(folder, model=None, rule=None, text=STUDY):
    """Return the small study with this model and this optimizer."""
    file = written(folder, text)
    study = resolve(load(file)[0], file)
    own = {field.name: getattr(study, field.name) for field in fields(study)}
    return Made(**own, model=model, rule=rule)
