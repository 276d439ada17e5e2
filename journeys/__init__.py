"""The language of journeys: read, check, compile and draw marketers' files. Pure: no clock, no I/O but reading files."""
