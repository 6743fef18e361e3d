"""One combination of a sweep; without Keras."""

from dataclasses import dataclass

from kregkit.study.file import types


@dataclass(frozen=True)
class Cell:
    """One combination of a sweep: a trial without its seed."""

    regularizer: str
    target: str
    layers: str
    solver: str
    parameters: tuple[tuple[str, types.Parameter], ...]
    learning_rate: float
    strength: float

    def __str__(self) -> str:
        """Return a description of the combination, for messages."""
        further = "".join(f", {n} {types.told(v)}" for n, v in self.parameters)
        return (
            f"{self.regularizer} on {self.target} (layers {self.layers!r}, solver "
            f"{self.solver!r}) at strength {self.strength:g}, learning rate "
            f"{self.learning_rate:g}{further}"
        )
