"""Settings that every test shares."""

import gc
import os
import sys

import pytest
from hypothesis import settings

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Examples of hypothesis are the same in every run, however busy the machine is.
settings.register_profile("kregkit", derandomize=True, deadline=None, max_examples=25)
settings.load_profile("kregkit")


_MANY = 300_000
"""Objects that a collection of garbage looks at in more than a quarter of a second."""


def pytest_collection_finish():
    """Let no collection of garbage look at what imports have left: it is for ever.

    Keras collects whenever a session is cleared.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _few_objects_to_collect():
    """Do the same with what a module has left: graphs that TensorFlow never forgets."""
    yield
    if len(gc.get_objects()) > _MANY:
        gc.collect()
        gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _without_determinism():
    """Undo what a study sets for its process, which also forbids `jit_compile`."""
    yield
    if "tensorflow" in sys.modules:
        # TensorFlow exports the switch in one direction only.
        from tensorflow.python.util import _pywrap_determinism

        _pywrap_determinism.enable(False)
