"""Files and named data sets become arrays, and arrays the parts of a split."""
