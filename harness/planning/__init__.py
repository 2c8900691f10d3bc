"""The plan of a run, its preregistration, and the forecast of what it costs and can show."""
