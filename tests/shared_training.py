"""`kstep` with a record of what each process of a training does, for tests of several.

Run as a script, since Lightning starts the other processes by running the same script again.
Into the folder of the variable RECORDS every process writes the numbers of the batches it drew
and, at the end, what must be equal in all of them. The first process fails at batch FAIL_AT, and
the clocks of the others are wrong.
"""

import hashlib
import json
import os
import sys
from pathlib import Path

from kstep.errors import KstepError
from kstep.regressed.training.module import Clock, JumpTraining
from kstep.regressed.training.stream import BatchStream
from kstep.workflow.cli.main import main

RECORDS = Path(os.environ["RECORDS"])
RANK = int(os.environ.get("LOCAL_RANK", 0))
FAIL_AT = int(os.environ.get("FAIL_AT", -1))


def record_draws() -> None:
    original = BatchStream._augmented

    def draw(self, windows, number):
        with (RECORDS / f"drawn_{RANK}.txt").open("a") as stream:
            stream.write(f"{number}\n")
        return original(self, windows, number)

    BatchStream._augmented = draw


def fail_on_the_way() -> None:
    original = JumpTraining.training_step

    def step(self, batch, index):
        if RANK == 0 and self.batches_done == FAIL_AT:
            raise KstepError("the first process failed.")
        return original(self, batch, index)

    JumpTraining.training_step = step


def mistake_the_time() -> None:
    """All clocks but that of the first process say that the time is over."""
    if RANK > 0:
        Clock.minutes = lambda self: 1e6


def record_end() -> None:
    def end(self):
        weights = [value.numpy().tobytes() for value in self.average.state_dict().values()]
        digest = hashlib.sha256(b"".join(weights)).hexdigest()
        final = {"average": digest, "batches": self.batches_done, "progress": self.progress}
        (RECORDS / f"end_{RANK}.json").write_text(json.dumps(final))

    JumpTraining.on_train_end = end


if __name__ == "__main__":
    record_draws()
    fail_on_the_way()
    mistake_the_time()
    record_end()
    sys.exit(main())
