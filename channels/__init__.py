"""Channels: one file per vendor behind one protocol. They speak; they decide nothing and import nothing of ours."""
