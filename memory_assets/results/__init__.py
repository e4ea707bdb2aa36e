"""The language of results: what can be measured, and which limit an owner may set on it."""
