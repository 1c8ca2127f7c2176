"""The face of Tenfold: the desk that people use, and what stands beside it."""

import os

# Gradio reads these while it is imported: no word of what happens here leaves, and little is kept of it.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "100"
