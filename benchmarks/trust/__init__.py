"""Simulated audits of known truth: do intervals, gates and controls keep what they promise?"""
