"""Files of many applications: read, checked, scored and written part by part, with the scores of `Scorer.score`."""
