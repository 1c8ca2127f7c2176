"""Files of many applications: read, checked, scored and written part by part, with the scores of `Scorer.score`."""

import os

# Arrow reads this when it is imported. Its own pool keeps what was freed.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
