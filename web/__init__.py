"""Tenfold's web application: the desk that people use, the API and the other pages."""

import os

# Gradio reads these when it is imported: it sends no usage data, and keeps few of its own events.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["GRADIO_ANALYTICS_MAX_EVENTS"] = "100"
