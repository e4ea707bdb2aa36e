"""The reference deployment: the shipped subjects, and what a project of one's own looks like."""
