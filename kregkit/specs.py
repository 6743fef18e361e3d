"""One `Spec` for each penalty: its formula, parameters and properties, without Keras.

Study files are checked against these before Keras is loaded. `@register` copies the
properties of the spec to the class. A test compares formulas, parameters and properties
with what the class does.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kregkit.known import (
    DECOUPLED,
    GROUP,
    ORTHOGONALITY,
    SPECTRAL,
    STRENGTH,
    WEIGHTING,
    Choice,
    Range,
)


@dataclass(frozen=True)
class Spec:
    """The formula, parameters and properties of a penalty.

    A `Range` is a numeric parameter; the trials of one batch may have different values.
    A `Choice` is structural: it is the same for a batch. A class defines a property
    itself if it depends on a parameter.

    Args:
        formula: the unscaled value.
        parameters: the parameters other than `strength`, with their valid values.
        proximal: whether it has a proximal operator.
        differentiable: whether its gradient is useful for training.
        convex: whether its value is known to be convex.
        makes_zeros: whether some weights or groups end at exactly zero.
        smooth_off_zero: whether minima lie at kinks only where a weight is zero.
        scalar_step_only: whether its proximal operator needs the same step size for all
            weights.
        arrays: the numeric parameters that may be arrays of the weight's shape.
        maskable: whether it is a sum over elements, so that elements can be masked.
        only_on: "kernel" or "activity", if it is for this target only.
    """

    formula: str
    parameters: Mapping[str, Range | Choice] = field(default_factory=dict)
    proximal: bool = True
    differentiable: bool = True
    convex: bool = False
    makes_zeros: bool = False
    smooth_off_zero: bool = True
    scalar_step_only: bool = False
    arrays: frozenset[str] = frozenset()
    maskable: bool = False
    only_on: str | None = None

    @property
    def ranges(self) -> dict[str, Range]:
        """The numeric parameters, `strength` first."""
        further = self.parameters.items()
        numbers = {name: own for name, own in further if isinstance(own, Range)}
        return {"strength": STRENGTH} | numbers


_RATIO: Final = Range(0.0, 1.0, default=0.5)
_WIDTH: Final = Range(1e-6, 1e6, default=0.1)  # its square fits in float32
_BEND: Final = Range(1.001, 1e6, default=3.7)
_REFERENCE: Final = Range(-1e6, 1e6, default=0.0)

SPECS: Final[dict[str, Spec]] = {
    "L0": Spec("#{w ≠ 0}", differentiable=False, makes_zeros=True),
    "L1": Spec("Σ|w|", convex=True, makes_zeros=True, maskable=True),
    "L2": Spec("Σw²", convex=True, maskable=True),
    "L1L2": Spec(
        "r·Σ|w| + (1−r)·Σw²",
        parameters={"ratio": _RATIO},
        convex=True,
        makes_zeros=True,
        maskable=True,
    ),
    "WeightedL1": Spec(
        "Σ cᵢ·|wᵢ|",
        parameters={"factors": Range(0.0, 1e6, default=1.0)},
        convex=True,
        makes_zeros=True,
        arrays=frozenset({"factors"}),
    ),
    "L1SP": Spec(
        "Σ|w − w₀|",
        parameters={"reference": _REFERENCE},
        convex=True,
        makes_zeros=True,
        smooth_off_zero=False,
        arrays=frozenset({"reference"}),
    ),
    "L2SP": Spec(
        "Σ(w − w₀)²",
        parameters={"reference": _REFERENCE},
        convex=True,
        arrays=frozenset({"reference"}),
    ),
    "GroupLasso": Spec(
        "Σ_g √d_g·‖w_g‖₂",
        parameters={"group": GROUP, "weighting": WEIGHTING},
        convex=True,
        makes_zeros=True,
    ),
    "SparseGroupLasso": Spec(
        "r·Σ|w| + (1−r)·Σ_g √d_g·‖w_g‖₂",
        parameters={"ratio": _RATIO, "group": GROUP, "weighting": WEIGHTING},
        convex=True,
        makes_zeros=True,
    ),
    "GroupLInf": Spec(
        "Σ_g max|w_g|",
        parameters={"group": GROUP, "weighting": Choice(WEIGHTING.words, "none")},
        convex=True,
        makes_zeros=True,
        smooth_off_zero=False,
    ),
    "GroupMCP": Spec(
        "Σ_g d_g·MCP(‖w_g‖₂/√d_g)",
        parameters={"threshold": _WIDTH, "group": GROUP, "weighting": WEIGHTING},
        makes_zeros=True,
        scalar_step_only=True,
    ),
    "GroupSCAD": Spec(
        "Σ_g d_g·SCAD(‖w_g‖₂/√d_g)",
        parameters={
            "threshold": _WIDTH,
            "a": _BEND,
            "group": GROUP,
            "weighting": WEIGHTING,
        },
        makes_zeros=True,
        scalar_step_only=True,
    ),
    "ExclusiveLasso": Spec(
        "½·Σ_g (Σ|w_g|)²", parameters={"group": GROUP}, convex=True, makes_zeros=True
    ),
    "LInf": Spec("max|w|", convex=True, smooth_off_zero=False),
    "SLOPE": Spec(
        "Σ λᵢ·|w|₍ᵢ₎",
        parameters={"last": _RATIO},
        convex=True,
        makes_zeros=True,
        smooth_off_zero=False,
        scalar_step_only=True,
    ),
    "L1MinusL2": Spec(
        "Σ|w| − β·√Σw²",
        parameters={"beta": Range(0.0, 1.0, default=1.0)},
        makes_zeros=True,
        scalar_step_only=True,
    ),
    "MCP": Spec(
        "Σ (m − m²/2θ), m = min(|w|, θ)",
        parameters={"threshold": _WIDTH},
        makes_zeros=True,
        maskable=True,
    ),
    "SCAD": Spec(
        "Σ (m − max(m − κ, 0)²/2(θ − κ)), m = min(|w|, θ), κ = θ/a",
        parameters={"threshold": _WIDTH, "a": _BEND},
        makes_zeros=True,
        maskable=True,
    ),
    "CappedL1": Spec(
        "Σ min(|w|, θ)",
        parameters={"threshold": _WIDTH},
        makes_zeros=True,
        maskable=True,
    ),
    "LogSum": Spec(
        "Σ log(1 + |w|/ε)",
        parameters={"epsilon": _WIDTH},
        makes_zeros=True,
        maskable=True,
    ),
    "TransformedL1": Spec(
        "Σ (a + 1)·|w|/(a + |w|)",
        parameters={"a": _WIDTH},
        makes_zeros=True,
        maskable=True,
    ),
    "LHalf": Spec("Σ √|w|", makes_zeros=True, maskable=True),
    "LTwoThirds": Spec("Σ |w|^(2/3)", makes_zeros=True, maskable=True),
    "Huber": Spec(
        "Σ (m²/2δ + |w| − m), m = min(|w|, δ)",
        parameters={"delta": _WIDTH},
        convex=True,
        maskable=True,
    ),
    "Hoyer": Spec("Σ|w|/√Σw²", proximal=False, makes_zeros=True),
    "HoyerSquare": Spec("(Σ|w|)²/Σw²", proximal=False, makes_zeros=True),
    "GroupHoyerSquare": Spec(
        "(Σ_g ‖w_g‖₂)²/Σw²",
        parameters={"group": GROUP},
        proximal=False,
        makes_zeros=True,
    ),
    "Orthogonality": Spec(
        "‖WᵀW − I‖_F²",
        parameters={"form": ORTHOGONALITY},
        proximal=False,
        only_on="kernel",
    ),
    "NuclearNorm": Spec(
        "Σᵢ σᵢ(W)",
        convex=True,
        smooth_off_zero=False,
        scalar_step_only=True,
        only_on="kernel",
    ),
    "SpectralNorm": Spec(
        "σ₁(W)²",
        parameters={"form": SPECTRAL},
        proximal=False,
        convex=True,
        only_on="kernel",
    ),
    "HoyerActivity": Spec("Σᵢ ‖hᵢ‖₁/‖hᵢ‖₂", proximal=False, only_on="activity"),
    "KLSparsity": Spec(
        "n·Σⱼ (ρ·log(ρ/mⱼ) + (1−ρ)·log((1−ρ)/(1−mⱼ)))",
        parameters={"rho": Range(1e-3, 0.999, default=0.05)},
        proximal=False,
        convex=True,
        only_on="activity",
    ),
    "DeCov": Spec("n·½·Σ_{i≠j} C_ij²", proximal=False, only_on="activity"),
    "VarianceCovariance": Spec(
        "n/d·(Σⱼ max(γ − √(C_jj + 1e-4), 0) + ν·Σ_{i≠j} C_ij²)",
        parameters={
            "gamma": Range(1e-6, 1e6, default=1.0),
            "nu": Range(0.0, 1e6, default=0.04),
        },
        proximal=False,
        only_on="activity",
    ),
    "EntropyPenalty": Spec(
        "Σᵢ Σⱼ hᵢⱼ·log hᵢⱼ",
        proximal=False,
        convex=True,
        maskable=True,
        only_on="activity",
    ),
    "TotalVariation": Spec(
        "Σᵢ Σ|hᵢ[…, t+1, …] − hᵢ[…, t, …]|",
        proximal=False,
        convex=True,
        only_on="activity",
    ),
    DECOUPLED: Spec(
        "w ← w − learning rate·strength·w in each step, no loss (AdamW)",
        proximal=False,
        only_on="kernel",
    ),
}
"""Every penalty by its class name, and `DECOUPLED` weight decay."""
