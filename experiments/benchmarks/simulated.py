"""Studies whose truth is known, as stores in memory: nothing is trained.

Each trial is the baseline of its seed, plus the true effect of its setting, plus
noise. Effects are the same at every strength but the last, which has collapsed; the
one before it is near the tolerance, so that seeds choose different strengths.

Noise is normal or skewed (an exponential variable minus its mean). What is computed
on held-out rows has a part in common over the seeds of a setting, as redrawn splits of
one data set have: of variance n_held/(n_held + n_train) of the whole. Scores are whole
numbers of `n_test` rows, with the spread of a binomial share.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from kregkit.report.analysis.claims import CLAIMS
from kregkit.report.analysis.verdicts import Part
from kregkit.report.effects import amount
from kregkit.schema import FINALS, PROBE, ROLES, ROWS, SCHEMA_VERSION, TENSORS
from kregkit.store import Contents, frame

N_VAL = 100
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1)
TARGET_ROLES = (("kernel", "kernel"), ("bias", "bias"), ("activity", "activation"))
FACTORS = (-1.5, -0.5, 0.0, 0.5, 0.98, 1.02, 1.5, 3.0)
"""True effects, in units of the smallest that counts."""

Truth = dict[tuple[int, int], float]
"""By claim and place of the part in it: the true effect, in the unit of the part."""

PARTS: dict[int, tuple[tuple[str, float], ...]] = {
    claim.number: tuple(
        (one.rule, amount(one.smallest, regression=False))
        for one in (claim.instead or claim.parts)
    )
    for claim in CLAIMS
}
"""What each claim asks of studies of classification by gradient, as these are."""


@dataclass(frozen=True)
class Size:
    """How large a simulated study is."""

    seeds: int
    n_train: int
    n_test: int


def truth(random: np.random.Generator) -> Truth:
    """Draw a true effect for every part of every claim."""
    found = {}
    for number, parts in PARTS.items():
        for place, (rule, smallest) in enumerate(parts):
            sign = -1 if rule in ("falls", "not below") else 1
            found[number, place] = sign * smallest * float(random.choice(FACTORS))
    found[9, 1] = found[9, 0]  # one effect on the gap, whichever strength is chosen
    return found


def untrue(part: Part, effect: float) -> bool:
    """Return whether a part's verdict says of the true effect what it is not."""
    rule, smallest = part.contrast.rule, part.contrast.smallest
    along = -effect if rule == "falls" else effect
    if part.verdict == "undecided":
        return False
    if part.verdict == "negligible":
        return abs(effect) > smallest
    if rule == "stays":
        return (part.verdict == "supported") != (abs(effect) <= smallest)
    if rule == "not below":
        return (part.verdict == "supported") != (effect > -smallest)
    return along <= 0 if part.verdict == "supported" else along >= 0


class _Noise:
    """Noise of a setting: for every seed its own part, and what seeds share."""

    def __init__(self, random: np.random.Generator, size: Size) -> None:
        self._random = random
        self._size = size

    def __call__(self, spread: float, held: int = 0, skewed: bool = False) -> Any:
        """Return the noise of the seeds; `held` rows that a split holds out."""
        seeds, shared = self._size.seeds, held / (held + self._size.n_train)
        own = self._random.normal(size=seeds)
        if skewed:
            own = self._random.exponential(size=seeds) - 1
        common = self._random.normal()
        return spread * (np.sqrt(shared) * common + np.sqrt(1 - shared) * own)


def contents(random: np.random.Generator, size: Size, true: Truth) -> Contents:
    """Return the store of one study with these true effects."""
    seeds = size.seeds
    noise, n = _Noise(random, size), size.n_test
    base = {name: random.normal(size=seeds) for name in ("norm", "score", "shape")}
    rows: list[dict[str, Any]] = []
    finals: list[dict[str, Any]] = []
    swept: list[tuple[str | None, str | None, float | None]] = [(None, None, None)]
    swept += [
        (regularizer, target, strength)
        for target, _ in TARGET_ROLES
        for regularizer in ("L1", "L2")
        for strength in STRENGTHS
    ]
    for i, (regularizer, target, strength) in enumerate(swept):
        effects = _effects(regularizer, target, true)
        collapsed = strength == STRENGTHS[-1]
        near = strength == STRENGTHS[-2]

        def drawn(
            name: str,
            spread: float,
            held: int = 0,
            skewed: bool = False,
            own: dict[str, float] = effects,
        ) -> Any:
            return own.get(name, 0.0) + noise(spread, held, skewed)

        scores = base["score"] * 0.01 + 0.85 - 0.2 * collapsed
        binomial = float(np.sqrt(0.85 * 0.15 / n))
        test = np.rint(n * (scores + drawn("score", binomial, n))) / n
        lost = np.rint(n * (0.1 + drawn("noise", binomial / 2, n, skewed=True))) / n
        val = scores + drawn("val", 0.004) - 0.0095 * near
        val_loss = np.exp(0.1 * base["score"] + drawn("", 0.02)) + collapsed
        gap = 0.4 + 0.05 * base["shape"] + drawn("gap", 0.02, N_VAL, skewed=True)
        scale = 1.0 + np.arange(seeds) + i % 3
        measured = {
            "logit_norm_at_zero": np.exp(
                base["norm"] + drawn("f0", 0.1, n, skewed=True)
            ),
            "logit_scale": scale,
            "jacobian_norm": scale * np.exp(base["norm"] + drawn("jacobian", 0.05, n)),
            "inputs_near_ignored": 0.3 + drawn("inputs", 0.03, skewed=True),
            "val_score": val,
            "test_score": test,
            "noisy": test - lost,
            "val_data_loss": val_loss,
            "train_data_loss": val_loss * (1 - gap),
        }
        roles = {}
        for _, role in TARGET_ROLES:
            held = min(N_VAL, PROBE) if role == "activation" else 0
            tail = drawn(f"tail {role}", 0.02, held, skewed=True)
            tail = 1.5 + 0.1 * base["shape"] + tail
            roles[role] = {
                "l2": np.exp(base["norm"] + drawn(f"l2 {role}", 0.05, held)),
                "hoyer": 0.5
                + 0.02 * base["shape"]
                + drawn(f"hoyer {role}", 0.02, held),
                "tail": np.exp(tail),
            }
        for seed in range(seeds):
            trial = f"{i:08x}{seed:08x}"
            own = {name: float(values[seed]) for name, values in measured.items()}
            noisy = own.pop("noisy")
            tails = {
                f"{role}_quantiles": [1.0, 2.0, float(roles[role]["tail"][seed])]
                for role in ROLES
            }
            finals.append(
                {"study": "simulated", "trial": trial, "status": "done"}
                | {"data": "simulated", "task": "classification", "model": "none"}
                | {"regularizer": regularizer, "target": target, "strength": strength}
                | {"layers": regularizer and "all", "solver": "gradient", "seed": seed}
                | {"n_train": size.n_train, "n_val": N_VAL, "n_test": n}
                | {"split_redrawn": True, "parameters": "{}"}
                | {"score_under_noise": [0.0, noisy, 0.0], "majority_score": 0.1}
                | {"noise_sizes": [0.1, 0.3, 1.0], "learning_rate": 1e-3}
                | {"schema_version": SCHEMA_VERSION, **own, **tails}
            )
            for role in ROLES:
                shapes = {n: float(roles[role][n][seed]) for n in ("l2", "hoyer")}
                rows.append(
                    {"trial": trial, "step": 10, "epoch": 1, "layer": "dense"}
                    | {"tensor": role, "role": role, "size": 100, **shapes}
                )
    return Contents(None, frame(rows, ROWS), frame(finals, FINALS), frame((), TENSORS))


def _effects(
    regularizer: str | None, target: str | None, true: Truth
) -> dict[str, float]:
    """Return the true effects of a setting on what `contents` draws."""
    if target is None:
        return {}
    place = [name for name, _ in TARGET_ROLES].index(target)
    role = TARGET_ROLES[place][1]
    if regularizer == "L1":
        own = {f"hoyer {role}": true[4, 2 * place + 1]}
        if target == "kernel":
            own |= {"inputs": true[6, 0], "score": true[8, 0]}
        return own
    own = {f"tail {role}": true[4, 2 * place]}
    if target == "kernel":
        own |= {"l2 kernel": true[1, 0], "l2 bias": true[1, 1], "score": true[8, 0]}
        own |= {"noise": true[5, 0], "jacobian": true[5, 1], "gap": true[9, 0]}
    if target == "bias":
        own |= {"l2 bias": true[1, 2], "f0": true[2, 0]}
    if target == "activity":
        own |= {"l2 activation": true[1, 3]}
    return own
