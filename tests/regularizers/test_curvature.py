"""Second derivatives, against differences of the gradients of the formulas."""

import numpy as np
import pytest

from helpers.formulas import CASES, Case
from helpers.gradients import curvature
from kregkit.regularizers import NuclearNorm, SpectralNorm

pytestmark = [pytest.mark.jax, pytest.mark.torch]


def constant(case: Case) -> bool:
    """Return whether singular vectors are constants to its gradient."""
    of_vectors = isinstance(case.penalty, NuclearNorm | SpectralNorm)
    return of_vectors or getattr(case.penalty, "form", "") == "srip"


@pytest.mark.parametrize(
    "case", [c for c in CASES if c.penalty.differentiable and not constant(c)], ids=str
)
def test_the_gradient_has_the_derivatives_of_the_formula(case: Case) -> None:
    random = np.random.default_rng(3)
    w = case.fit(random.uniform(0.2, 0.9, (3, 4)))
    along = random.normal(size=w.shape)
    step = 1e-6
    ahead, behind = case.slope(w + step * along), case.slope(w - step * along)
    expected = case.penalty.strength * (ahead - behind) / (2 * step)
    found = curvature(case.penalty, w, along)
    rounding = max(1e-7, 20 * np.finfo(found.dtype).eps)  # float32 on JAX
    scale = max(1.0, float(np.abs(expected).max()))
    np.testing.assert_allclose(found, expected, 0, rounding * scale)
