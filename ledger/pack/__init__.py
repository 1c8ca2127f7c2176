"""A pack of evidence: what an examiner asks for first, in one file that says how each part of it is verified."""
