"""BIDS data sets of series: a plan of what each volume becomes, and the export of a plan.

The names are those of BIDS 1.10 (https://bids-specification.readthedocs.io).
"""
