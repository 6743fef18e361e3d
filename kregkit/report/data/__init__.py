"""The tables of a store as what a report computes with."""
