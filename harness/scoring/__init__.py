"""From judgements to score columns and paired differences."""
