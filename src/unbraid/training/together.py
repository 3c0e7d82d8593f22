"""Several runs trained at once: one pass and one update a step for all of them."""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from unbraid.nets import compute_as
from unbraid.progress import ProgressBar
from unbraid.runs import Run
from unbraid.settings import Computation
from unbraid.training.alike import check_members, computations_together
from unbraid.training.device import training_on
from unbraid.training.ensemble import Ensemble
from unbraid.training.interruption import StopRequest
from unbraid.training.loop import DivergedError, Loop

LOGGER = logging.getLogger("unbraid")


class Together:
    """Runs that train as one, each of them an ordinary `Loop` that keeps an ordinary run folder.

    All are at the same step. One that diverges or stops early leaves, and the others go on.

    Raises:
        ValueError: the members cannot be computed as one.
    """

    def __init__(self, members: Sequence[Loop]):
        self.members, first = list(members), members[0]
        check_members(members)
        self.training, self.ensemble = first.training, joined(members)
        self.seconds, self.saved_at, self.failures = first.seconds, time.monotonic(), 0
        self.failure = DivergedError()

    @property
    def alive(self) -> list[Loop]:
        """Those who still train."""
        return self.ensemble.members

    def __call__(self) -> list[Run]:
        """Train to the end; a checkpoint of every run is left behind, except that a diverged one is not saved.

        Raises:
            DivergedError: all of them diverged.
        """
        with ExitStack() as locks:
            for member in self.members:
                locks.enter_context(member.run.locked())
            for member in self.members:
                member.run.cut_metrics(member.metrics_bytes)
                member.run.set_status("running", member.step, member.seconds)
            try:
                self.work()
            except KeyboardInterrupt:
                for member in self.alive:
                    member.run.set_status("interrupted", member.saved_step, member.seconds, "stopped from outside")
                raise
            except Exception as error:
                for member in self.alive:
                    member.run.set_status("failed", member.step, member.seconds, str(error))
                raise
        if self.failures == len(self.members):
            raise self.failure
        return [member.run for member in self.members]

    def work(self) -> None:
        """All updates, and what goes with them."""
        began = time.monotonic() - self.seconds
        self.part_from([member for member in self.alive if member.stopped])
        device = self.members[0].device
        with training_on(device), StopRequest() as request, self.progress_bar() as display:
            while self.alive and self.ensemble.step < self.training.steps:
                self.ensemble.update()
                self.seconds = time.monotonic() - began
                for member in self.alive:
                    member.seconds = self.seconds
                self.follow_up(display)
                if request.wanted:
                    self.save()
                    raise KeyboardInterrupt
        self.part_from(self.alive)

    def progress_bar(self) -> ProgressBar:
        """How far training is, for whoever waits."""
        name = f"{self.members[0].run.path.parent.name} ({len(self.members)} runs)"
        return ProgressBar(name, self.training.steps, "steps", every=30.0, start=self.ensemble.step)

    def follow_up(self, display: ProgressBar) -> None:
        """Log, validate and save when it is time."""
        step, last = self.ensemble.step, self.ensemble.step == self.training.steps
        if last or step % self.training.log_every == 0:
            losses = self.log_window()
            if losses:
                alive = f"{len(losses)} of {len(self.members)} alive"
                display.show(step, f"loss {min(losses):.1f} to {max(losses):.1f}, {alive}")
        self.snapshot()  # before those leave whose training ends here
        if self.alive and self.alive[0].validation is not None and (last or step % self.training.validate_every == 0):
            self.each(Loop.validate)
            self.part_from([member for member in self.alive if member.stopped])
        if time.monotonic() - self.saved_at >= self.training.checkpoint_seconds:
            self.save()

    def snapshot(self) -> None:
        """Keep a copy of every member's weights if it is time."""
        every, step = self.training.snapshots, self.ensemble.step
        if self.alive and every is not None and (step % every == 0 or step == self.training.steps):
            self.ensemble.hand_back()
            self.each(Loop.snapshot)

    def log_window(self) -> list[float]:
        """Log each member's means since the last time; those of the loss."""
        means: dict[int, dict[str, float]] = {}
        tables = {}
        for index, group in enumerate(self.ensemble.groups):
            names, table = group.table([entry[index] for entry in self.ensemble.window])
            tables |= {id(member): (names, own.double()) for member, own in zip(group.members, table, strict=True)}

        def log(member: Loop) -> None:
            names, values = tables[id(member)]
            member.check_terms(names, values)
            means[id(member)] = dict(zip(names, values.mean(0).tolist(), strict=True))
            member.write("train", means[id(member)])

        self.each(log, after=self.forget_window)
        return [found["loss"] for found in means.values()]

    def forget_window(self) -> None:
        """Begin a new window of terms."""
        self.ensemble.window.clear()
        for member in self.members:
            member.window.clear()

    def save(self) -> None:
        """Write a checkpoint of every run, all of this step."""
        self.ensemble.hand_back()
        self.each(Loop.save)
        self.saved_at = time.monotonic()

    # leaving

    def each(self, action: Callable[[Loop], None], after: Callable[[], None] = lambda: None) -> None:
        """Do something for every member, and then `after`; those that turn out to have diverged leave."""
        failed = [member for member in self.alive if not self.survives(member, action)]
        after()
        self.leave(failed)

    def survives(self, member: Loop, action: Callable[[Loop], None]) -> bool:
        """Whether the member has not diverged; its run says so if it has."""
        try:
            action(member)
        except DivergedError as error:
            member.run.set_status("failed", member.step, member.seconds, str(error))
            LOGGER.warning("%s: %s", member.run.path.name, error)
            self.failures, self.failure = self.failures + 1, error
            return False
        return True

    def part_from(self, members: Sequence[Loop]) -> None:
        """Finish the runs of these members."""
        if members:
            self.ensemble.hand_back()
            for member in list(members):
                self.survives(member, _finish)
            self.leave(members)

    def leave(self, members: Sequence[Loop]) -> None:
        """Go on without these members."""
        if not members:
            return
        self.ensemble.hand_back()
        for member in members:
            self.ensemble.stack.release(member.model)
        self.ensemble.arrange([member for member in self.alive if member not in members])


def joined(members: Sequence[Loop]) -> Ensemble:
    """The members as one, computing in the best way that they can together.

    Raises:
        ValueError: there is none.
    """
    first = members[0]
    *better, last = computations_together(first.training, first.model, first.device)
    for computation in better:
        try:
            return computing(members, computation)
        except ValueError as error:
            LOGGER.info("not computed in the way '%s': %s", computation.kernels, error)
    return computing(members, last)


def computing(members: Sequence[Loop], computation: Computation) -> Ensemble:
    """The members as one, computing in the given way.

    Raises:
        ValueError: they cannot.
    """
    for member in members:
        member.computation = computation
        member.model.train()
        compute_as(member.model, computation, member.device)
    return Ensemble(members)


def _finish(member: Loop) -> None:
    if member.stopped and member.window:
        member.log_window()
    member.finish()
    member.tidy()
