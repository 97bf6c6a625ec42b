"""Scoring against bicubic: inference, cases, statistics, tables, pictures."""
