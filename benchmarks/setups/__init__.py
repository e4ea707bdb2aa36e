"""Set-ups as owners bring them, right and wrong: small projects with models that leak or do not."""
