"""What `inspect` says of one file's pairs beside what others read there."""

import collections

import sweep
from elf_view import ElfView
from explanations import Case, explain

# Where no start is known, and beside those that are, reading begins so far in front of the pair.
NEAR = [241 - 15 * i for i in range(8)]
BEHIND = 48  # and goes on so far behind it
# No start from further away is read: a disassembler has fallen into step long before.
LONGEST_READ = 1 << 20


class Comparison:
    """`compared` pairs and window instructions, `differences` by explanation, `problems` without."""

    def __init__(self, path, said):
        self.path, self.view = path, ElfView(path)
        self.said = {pair["address"]: pair for pair in said["pairs"]}
        self.windows = {site["address"]: [line["address"] for line in site["code"]["before"]]
                        for site in said["sites"]}
        self.problems, self.differences = [], collections.defaultdict(list)
        self.compared = collections.Counter()

    def run(self):
        pairs = self.view.pairs()
        odd = sorted(set(pairs) ^ set(self.said))
        if odd:
            self.problems.append(f"{len(odd)} pairs are in one list only, as {odd[0]:#x}")
        code = [pair for pair in pairs if pair in self.said and not self._is_data(pair)]
        for case in self._read(code):
            self._judge(case)
        self.view = None  # what goes back to the parent process is small
        return self

    def _is_data(self, pair):
        """Told to be data by a symbol or a section, which the file's own tables must confirm."""
        said = self.said[pair]
        if said["class"] != "data":
            return False
        self.compared["data"] += 1
        section = self.view.section_of(pair)
        if said["evidence"] == "a data symbol covers it":
            confirmed = self.view.objects.holding(pair)
        else:
            confirmed = self.view.sections and (section is None or not section.code)
        if not confirmed:
            self.problems.append(f"{pair:#x} is called data, but no header or symbol says so")
        return True

    def _starts_for(self, pair):
        """(known starts, starts in front)"""
        known = {start for start, _ in self.view.frames.holding(pair) +
                 self.view.symbols.holding(pair) if pair - start <= LONGEST_READ}
        known = {self.view.behind_tables(start, pair) for start in known} - {None}
        first = self.view.segment_of(pair).address
        near = {max(pair - distance, first) for distance in NEAR}
        return known, near

    def _read(self, pairs):
        starts = {pair: self._starts_for(pair) for pair in pairs}
        ends = {}
        for pair, (known, near) in starts.items():
            for start in known | near:
                ends[start] = max(ends.get(start, 0), pair + BEHIND)
        places = [sweep.Place(start, self.view.bytes(start, end)) for start, end in ends.items()]
        rows = {(reader, place.address): found for reader in sweep.READERS
                for place, found in zip(places, sweep.read(reader, places))}
        for pair, kinds in starts.items():
            known, near = ({(reader, start): rows[reader, start] for reader in sweep.READERS
                            for start in some} for some in kinds)
            yield Case(self.view, self.said[pair], self.windows.get(self.said[pair]["instruction"], []),
                       known, near)

    def _judge(self, case):
        self.compared[case.said["class"]] += 1
        self.compared["window"] += len(case.window)
        if case.agrees():
            return
        name = explain(case)
        if name is None:
            self.problems.append(case.text())
        else:
            self.differences[name].append(case.text())
