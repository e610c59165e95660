"""The registrations between the visits of a series: as many pairs as are needed."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import combinations
from typing import TypeVar

import numpy as np

from stnreg.images.volume import Volume
from stnreg.registration.anatomy.encode import threads_of_each
from stnreg.registration.anatomy.encoded import EncodedImage
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.register import register_pair
from stnreg.registration.result import RegistrationResult
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.people import Evidence, groups, links

ALL_PAIRS = 6  # visits, up to which every pair is registered
NEIGHBOURS = 3  # of each visit on either side, in a larger series
PAIR_DOF = {6: 6, 7: 7, 9: 12, 12: 12}  # scales along the axes of two scanners have no nine parameters

Item = TypeVar("Item")
Out = TypeVar("Out")


@dataclass
class Pairs:
    """The registrations between visits, in the order of their content."""

    visits: Sequence[EncodedImage]
    options: SeriesOptions
    masks: Sequence[Volume | None]
    results: dict[tuple[int, int], RegistrationResult] = field(default_factory=dict)
    group: list[int] = field(default_factory=list)

    def compared(self) -> "Pairs":
        """Register as many pairs as are needed, and find the largest group of one person."""
        count = len(self.visits)
        wanted = list(combinations(range(count), 2))
        if count > ALL_PAIRS:
            near = {tuple(sorted((i, (i + step) % count))) for i in range(count) for step in range(1, NEIGHBOURS + 1)}
            wanted = sorted(near)  # type: ignore[arg-type]
        self._register(wanted)
        if count > ALL_PAIRS:  # whoever is left out is compared with all others
            out = set(range(count)) - set(self.group)
            self._register([(i, j) for i, j in combinations(range(count), 2) if {i, j} & out])
        return self

    @property
    def evidence(self) -> dict[tuple[int, int], Evidence]:
        """What each pair says of its visits."""
        found = {}
        for pair, result in self.results.items():
            refined, verdict = result.refined, result.verdict
            if refined is None:  # there is nothing like a head in one of them
                found[pair] = Evidence(False, False, 0.0, verdict.reasons)
            else:
                passed = bool(verdict.passed)
                found[pair] = Evidence(passed, refined.same_person, refined.local_correlation, verdict.reasons)
        return found

    @property
    def typical_correlation(self) -> float:
        """Local correlation at 2 mm between the visits of the group."""
        return float(np.mean([found.correlation for found in self.good.values()]))

    @property
    def good(self) -> dict[tuple[int, int], Evidence]:
        """The usable pairs inside the group."""
        return {p: found for p, found in links(self.evidence).items() if p[0] in self.group and p[1] in self.group}

    def _register(self, wanted: Sequence[tuple[int, int]]) -> None:
        missing = [pair for pair in wanted if pair not in self.results]
        threads = self.options.thread_count
        of_pair = RegistrationOptions(
            dof=PAIR_DOF[self.options.dof],
            model=self.options.model,
            min_score=self.options.min_score,
            header_source=self.options.header_source,
            volume=self.options.volume,
            device=self.options.device,
            threads=threads_of_each(threads, min(threads, max(len(missing), 1))),
        )

        def register(pair: tuple[int, int]) -> RegistrationResult:
            names = ("fixed_exclude", "moving_exclude")
            masks = {name: self.masks[k] for name, k in zip(names, pair, strict=True)}
            return register_pair(self.visits[pair[0]], self.visits[pair[1]], of_pair, masks)

        made = in_parallel(register, missing, threads)
        self.results.update(zip(missing, made, strict=True))
        self.group = sorted(groups(self.evidence, len(self.visits))[0]) if self.visits else []


def in_parallel(work: Callable[[Item], Out], items: Sequence[Item], threads: int) -> list[Out]:
    """Return the results in order; a few at once if there are threads."""
    if threads < 2 or len(items) < 2:
        return [work(item) for item in items]
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        return list(pool.map(work, items))
