"""Hypothesis without its time limit per example, which a busy machine exceeds."""

from __future__ import annotations

import hypothesis

hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")
