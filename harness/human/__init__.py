"""Human labels: studies and votes, agreement of judges with people, and corrected estimates."""
