"""A client whose machine's clock is two hours ahead: `clockwrong.py SCRIPT ARGUMENTS…`."""

import datetime
import runpy
import sys
import time

AHEAD = 7200
real = time.time
time.time = lambda: real() + AHEAD


class Ahead(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(real() + AHEAD, tz)


datetime.datetime = Ahead
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0])
