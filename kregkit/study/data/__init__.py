"""Files and named data sets become arrays, and arrays the parts of a split."""

from kregkit.study.data.data import Data, Split, load, split

__all__ = ["Data", "Split", "load", "split"]
