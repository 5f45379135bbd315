"""What a training keeps: the best of its start, some checkpoints on the way, and its end, by a measure.

The measure is taken on images that the training does not see, always the same ones, so that candidates are compared
question by question. Weights that were trained before are given up only for what is certainly better; random ones
always.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from samepoint.training.plan import Probe, Scores

Name = Literal["start", "checkpoint", "end", "halfway"]
State = Mapping[str, Tensor]

MARKS = (0.25, 0.5, 0.75)
"""Shares of the budget after which a checkpoint is measured."""
FEWEST_STEPS = 5
"""Steps between two measurements, at least."""
SLOWER = 0.1
"""The rate after a retreat, as a share of that before it."""
RESAMPLES = 2000
CERTAIN = 0.9
"""In so many of the resamples a candidate must be better than trained weights to take their place."""


@dataclass(frozen=True)
class Measure:
    """How a training is judged: `probe` gives scores (higher is better) `on` what is said there. `form` says a score
    in words (fields `score` and `loss`, its negative). `known_start`: it goes on from weights that were trained.
    `held_out` false: on what it trains on, where more training always looks better; the end is kept unless it is
    worse than the start. `verified`: the answers are true ones, of other images.
    `retreats`: a training that has got worse by the first checkpoint begins again from the start, more slowly.
    """

    probe: Probe
    on: str
    known_start: bool
    held_out: bool = True
    verified: bool = False
    retreats: bool = False
    form: str = "finds {score:.3f} of the points"

    def words(self, score: float) -> str:
        return self.form.format(score=score, loss=-score)


@dataclass(frozen=True)
class Candidate:
    """Weights that might be kept. `scores` is None where they are not all finite."""

    name: Name
    step: int
    scores: Scores | None

    @property
    def score(self) -> float:
        """The mean over kinds of the mean over questions."""
        if not self.scores:
            return -torch.inf
        return sum(sum(values) / len(values) for values in self.scores.values()) / len(self.scores)

    def said(self) -> str:
        where = {"start": "the start", "end": f"the end (step {self.step})"}
        where["halfway"] = f"half-way between the start and step {self.step}"
        return where.get(self.name, f"step {self.step}")

    def to_json(self) -> dict[str, Any]:
        score = None if self.scores is None else round(self.score, 5)
        kinds = {kind: round(sum(v) / len(v), 5) for kind, v in (self.scores or {}).items()}
        return {"name": self.name, "step": self.step, "score": score, **({"kinds": kinds} if kinds else {})}


@dataclass
class Keeper:
    """Measures candidates, and holds the weights of the best one on the way. In the first process."""

    measure: Measure
    start: State
    candidates: list[Candidate] = field(default_factory=list)
    best: State | None = None
    between: State | None = None

    def add(self, name: Name, step: int, network: nn.Module, state: State) -> None:
        """Measure `network`, whose weights are `state`. It is left in evaluation mode."""
        self.candidates = [c for c in self.candidates if c.name != name or name == "checkpoint"]
        seen = [c for c in self.candidates if c.step == step and c.name in ("checkpoint", "end") and step > 0]
        if seen and name in ("checkpoint", "end"):
            self.candidates = [replace(c, name=name) if c in seen else c for c in self.candidates]
            return
        candidate = Candidate(name, step, self._scores(network, state))
        before = self.best_trained
        self.candidates.append(candidate)
        if name == "halfway":
            self.between = copied(state)
        elif name != "start" and (before is None or self._prefers(candidate, before)):
            self.best = copied(state)

    def _scores(self, network: nn.Module, state: State) -> Scores | None:
        if not all(bool(value.isfinite().all()) for value in state.values()):
            return None
        network.eval()
        with torch.no_grad():
            scores = self.measure.probe(network)
        values = [value for of_kind in scores.values() for value in of_kind]
        return scores if values and bool(torch.tensor(values).isfinite().all()) else None

    def _prefers(self, new: Candidate, old: Candidate) -> bool:
        """Whether a later checkpoint takes an earlier one's place. From random weights it does unless the earlier one
        is certainly better; where nothing is held out, always."""
        if old.scores is None:
            return True
        if new.scores is None:
            return False
        if not self.measure.held_out:
            return True
        if self.measure.known_start:
            return new.score >= old.score
        return certainty(new.scores, old.scores) < CERTAIN

    @property
    def best_trained(self) -> Candidate | None:
        """The best one on the way."""
        best: Candidate | None = None
        for candidate in self.candidates:
            if candidate.name in ("checkpoint", "end") and (best is None or self._prefers(candidate, best)):
                best = candidate
        return best

    def loses(self) -> bool:
        """Whether all on the way is certainly worse than the start."""
        start, best = next(c for c in self.candidates if c.name == "start"), self.best_trained
        if best is None or start.scores is None:
            return False
        return best.scores is None or certainty(best.scores, start.scores) >= CERTAIN

    @property
    def usable(self) -> bool:
        """Whether there is anything but random weights to keep: a start that was trained, or finite numbers."""
        best = self.best_trained
        return self.measure.known_start or (best is not None and best.scores is not None)

    def halfway(self) -> State | None:
        """Between the start and the best: what is learnt, on what was known. None where the start knew nothing."""
        best, judged = self.best_trained, self.measure.known_start and self.measure.held_out
        if not judged or self.best is None or best is None or best.scores is None:
            return None
        return {
            name: torch.lerp(value, self.best[name], 0.5)
            if value.is_floating_point()
            else self.best[name].clone()
            for name, value in self.start.items()
        }

    def choose(self, failed: str | None = None) -> tuple[State, dict[str, Any]]:
        """The weights to keep, and what to say of it. `failed`: why the training ended before its time."""
        start = next(c for c in self.candidates if c.name == "start")
        others = [c for c in self.candidates if c.name == "halfway" or c is self.best_trained]
        best = max(others, key=lambda c: c.score, default=None)
        kept, why = self._judged(start, best)
        states = {"start": self.start, "halfway": self.between}
        state = states.get(kept.name, self.best)
        assert state is not None, "what is measured is held"
        line = f"kept {kept.said()}: {why}, on {self.measure.on}"
        if failed:
            line = f"{failed}; {line}"
        told = {
            "kept": kept.name,
            "step": kept.step,
            "line": line,
            "why": why,
            "measured_on": self.measure.on,
            "candidates": [c.to_json() for c in self.candidates],
        }
        return state, told

    def _judged(self, start: Candidate, best: Candidate | None) -> tuple[Candidate, str]:
        words = self.measure.words
        if best is None:
            return start, "nothing on the way was measured"
        if best.scores is None:
            return start, "the training has no weights that are finite numbers"
        if start.scores is None:
            return best, f"it {words(best.score)}"
        if not self.measure.known_start:
            worse = "; random weights are better there" if best.score <= start.score else ""
            return best, f"it {words(best.score)}, random weights {words(start.score)}{worse}"
        if best.score <= start.score:
            return start, f"it {words(start.score)}, {best.said()} {words(best.score)}; a lower --lr may help"
        sure = certainty(start.scores, best.scores)
        if sure < CERTAIN:
            line = (
                f"it {words(start.score)}, {best.said()} {words(best.score)}, which is too little to be sure"
            )
            return start, line
        return best, f"it {words(best.score)}, the start {words(start.score)}"

    def state_dict(self) -> dict[str, Any]:
        rows = [{"name": c.name, "step": c.step, "scores": c.scores} for c in self.candidates]
        return {"candidates": rows, "best": None if self.best is None else dict(self.best)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """A run that goes on after its end has a checkpoint there."""
        rows = [Candidate(**row) for row in state["candidates"] if row["name"] != "halfway"]
        self.candidates = [replace(c, name="checkpoint") if c.name == "end" else c for c in rows]
        self.best = state["best"]


def certainty(start: Scores, other: Scores) -> float:
    """In which share of resamples (of the questions, the same ones for both) `other` is better."""
    generator = torch.Generator().manual_seed(0)
    gain = torch.zeros(RESAMPLES, dtype=torch.float64)
    for kind, values in start.items():
        difference = torch.tensor(other[kind]).double() - torch.tensor(values).double()
        drawn = torch.randint(len(difference), (RESAMPLES, len(difference)), generator=generator)
        gain += difference[drawn].mean(1) / len(start)
    return float((gain > 0).double().mean())


def copied(state: State) -> dict[str, Tensor]:
    """On the CPU, and not changed by what follows."""
    return {name: value.detach().to("cpu", copy=True) for name, value in state.items()}


def due(progress: float, mark: int, steps: int) -> bool:
    """Whether a checkpoint is to be measured at this share of the budget, `steps` after the last measurement; `mark`
    counts those that are done."""
    return mark < len(MARKS) and MARKS[mark] <= progress < 1 and steps >= FEWEST_STEPS


def marks_before(progress: float) -> int:
    return sum(mark <= progress for mark in MARKS)
