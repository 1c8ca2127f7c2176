"""Does a release still hold: drift of what comes in, and bad loans observed over expected. NumPy alone."""
