"""One run from request to result, and finished runs compared."""
