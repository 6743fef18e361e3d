"""Reads files and named data sets as arrays, and splits them into parts."""

from kregkit.study.data.data import Data, Split, load, split

__all__ = ["Data", "Split", "load", "split"]
