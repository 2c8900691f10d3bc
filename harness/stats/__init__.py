"""Paired statistics on plain vectors: numbers in, estimates, intervals and p-values out.

The item is the unit of every formula here (or the cluster of items that share a source), never
the judge call. d_i is the candidate's score less the baseline's. No module of this package reads
a file, and no value is dropped. Import from the modules.
"""
