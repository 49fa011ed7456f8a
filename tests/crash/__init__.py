"""Faults from outside, on the build that users install.

Kills, failing calls, power cuts, flipped bits, lost files and full disks.
"""
