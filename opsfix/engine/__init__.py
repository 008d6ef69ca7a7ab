"""The one way through every repair: find, plan, act, verify, fallback, verify, report."""
