"""Claim tests, critical rules, feasibility, interim looks and the decision."""
