"""How a name, a dict or a penalty becomes a penalty."""

import keras
import pytest

from kregkit import regularizers
from kregkit.errors import ParameterError, UnknownNameError
from kregkit.regularizers import (
    L0,
    L1,
    L1L2,
    L1SP,
    L2,
    L2SP,
    MCP,
    SCAD,
    SLOPE,
    CappedL1,
    DeCov,
    EntropyPenalty,
    ExclusiveLasso,
    GroupHoyerSquare,
    GroupLasso,
    GroupLInf,
    GroupMCP,
    GroupSCAD,
    Hoyer,
    HoyerActivity,
    HoyerSquare,
    Huber,
    KLSparsity,
    L1MinusL2,
    LHalf,
    LInf,
    LogSum,
    LTwoThirds,
    NuclearNorm,
    Orthogonality,
    SparseGroupLasso,
    SpectralNorm,
    TotalVariation,
    TransformedL1,
    VarianceCovariance,
    WeightedL1,
)


def test_get_knows_every_name_of_every_class() -> None:
    known = {
        "capped_l1": CappedL1,
        "de_cov": DeCov,
        "entropy_penalty": EntropyPenalty,
        "exclusive_lasso": ExclusiveLasso,
        "group_hoyer_square": GroupHoyerSquare,
        "group_l_inf": GroupLInf,
        "group_lasso": GroupLasso,
        "group_mcp": GroupMCP,
        "group_scad": GroupSCAD,
        "hoyer": Hoyer,
        "hoyer_activity": HoyerActivity,
        "hoyer_square": HoyerSquare,
        "huber": Huber,
        "kl_sparsity": KLSparsity,
        "l0": L0,
        "l1": L1,
        "l1_l2": L1L2,
        "l1_minus_l2": L1MinusL2,
        "l1_sp": L1SP,
        "l2": L2,
        "l2_sp": L2SP,
        "l_half": LHalf,
        "l_inf": LInf,
        "l_two_thirds": LTwoThirds,
        "log_sum": LogSum,
        "mcp": MCP,
        "nuclear_norm": NuclearNorm,
        "orthogonality": Orthogonality,
        "scad": SCAD,
        "slope": SLOPE,
        "sparse_group_lasso": SparseGroupLasso,
        "spectral_norm": SpectralNorm,
        "total_variation": TotalVariation,
        "transformed_l1": TransformedL1,
        "variance_covariance": VarianceCovariance,
        "weighted_l1": WeightedL1,
    }
    assert regularizers.names() == tuple(known)
    assert len(regularizers.names()) == len(regularizers.classes())
    for name, cls in known.items():
        for spelled in (name, cls.__name__):
            penalty = regularizers.get(spelled)
            assert type(penalty) is cls
            assert penalty.strength == 0.01
    assert regularizers.get("l1_l2").get_config() == {
        "kregkit": 1,
        "l1": 0.005,
        "l2": 0.005,
    }


def test_get_passes_a_penalty_and_none_through() -> None:
    penalty = L1(0.3)
    assert regularizers.get(penalty) is penalty
    assert regularizers.get(None) is None


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("l1l2", " Did you mean 'l1_l2'?"),
        ("L12", " Did you mean 'l2'?"),
        ("l3", " Did you mean 'l2'?"),
        ("dropout", ""),
        ("", ""),
    ],
)
def test_an_unknown_name_is_refused_with_the_nearest(name: str, hint: str) -> None:
    for call in (regularizers.get, lambda name: regularizers.make(name, 0.1)):
        with pytest.raises(UnknownNameError) as caught:
            call(name)
        message = str(caught.value)
        known = ", ".join(regularizers.names())
        assert message == f"regularizers: unknown {name!r}.{hint} Known: {known}."


@pytest.mark.parametrize("given", [1, 0.5, ["l1"], L1, keras.regularizers.L1(0.1)])
def test_get_refuses_what_names_no_penalty(given: object) -> None:
    rule = "must be a name, a serialized penalty, a penalty or None"
    with pytest.raises(ParameterError) as caught:
        regularizers.get(given)
    assert str(caught.value) == (
        f"regularizers.get: `identifier` {rule}; received {given!r}."
    )


def test_make_gives_strength_and_parameters() -> None:
    assert regularizers.make("L2", 0.3).get_config() == L2(0.3).get_config()
    for strength, ratio in ((0.1, 0.5), (1e-6, 0.3), (2.0, 1.0), (0.7, 0.0)):
        penalty = regularizers.make("l1_l2", strength, ratio=ratio)
        assert penalty.strength == pytest.approx(strength, rel=1e-15)
        assert penalty.ratio == pytest.approx(ratio, rel=1e-15)
        assert penalty.l1 == strength * ratio
