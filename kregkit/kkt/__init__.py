"""Whether data and penalties balance at the weights: the KKT conditions."""
