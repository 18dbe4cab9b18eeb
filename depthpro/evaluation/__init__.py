"""Evaluation: benchmarks as they are shipped, systems, measures, tables; and speed.

reader → case → a system's prediction → measures → row → table
"""
