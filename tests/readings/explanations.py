"""A pair, what is said of it, what is read there, and why the two may differ."""

import collections

import sweep

RESTORER = bytes.fromhex("48c7c00f0000000f05")  # mov $15, %rax; syscall
PREFIXES = frozenset(b"\x26\x2e\x36\x3e\x64\x65\x66\x67\xf0\xf2\xf3" + bytes(range(0x40, 0x50)))


class Case:
    """`known` and `near`: by (reader, where it began), what stands at the pair."""

    def __init__(self, view, said, window, known, near):
        self.view, self.pair, self.said, self.window = view, said["address"], said, window
        self.known = {key: self._verdict(rows) for key, rows in known.items()}
        self.near = {key: self._verdict(rows) for key, rows in near.items()}
        # Where a read from a function's start does not come by all of the window's instructions.
        self.out_of_step = [start for (_, start), rows in known.items()
                            if not {row.address for row in rows}.issuperset(window)]

    def _verdict(self, rows):
        """("call" or "inside", start), or ("nothing", None) where no instruction is read."""
        row = sweep.holding(rows, self.pair)
        if row is None or not row.text:
            return "nothing", None
        return ("call" if sweep.is_call(row, self.pair) else "inside"), row.address

    @property
    def readings(self):
        return set((self.known or self.near).values())

    @property
    def ours(self):
        kind = {"instruction": "call", "inside": "inside"}.get(self.said["class"], "nothing")
        return kind, self.said["instruction"] if kind != "nothing" else None

    def agrees(self):
        return self.readings == {self.ours} and not self.out_of_step

    def text(self):
        def tally(readings):
            counts = collections.Counter((key[0], *value) for key, value in readings.items())
            return ", ".join(f"{n}x {reader} {kind} {start or 0:#x}"
                             for (reader, kind, start), n in sorted(counts.items(), key=str)) or "-"
        section = self.view.section_of(self.pair)
        return (f"{self.pair:#x} {section.name if section else '-'}: {self.said['class']}, "
                f"{self.said['evidence']}, start {self.ours[1] or 0:#x}; read from known starts: "
                f"{tally(self.known)}; from in front: {tally(self.near)}; out of step from "
                f"{[hex(start) for start in self.out_of_step]}")


def early_signal_frame(case):
    """An unwinder looks up the byte in front of a return address, so the FDE of a signal restorer
    begins one byte early, in padding. Reading on from there is out of step for an instruction."""
    return (case.readings == {case.ours} and
            all(start in case.view.signal_frames and
                case.view.bytes(start + 1, start + 1 + len(RESTORER)) == RESTORER
                for start in case.out_of_step))


def idle_prefix(case):
    """A prefix without effect is an instruction of its own for one, part of the next for others."""
    starts = sorted(start for kind, start in case.readings if kind == "inside")
    return (len(starts) == len(case.readings) == 2 and case.ours in case.readings and
            not case.out_of_step and
            PREFIXES.issuperset(case.view.bytes(starts[0], starts[1])))


def second_test(case):
    """TEST with an immediate has a second encoding (F6 and F7 with 1 in ModRM.reg), which the processor, AMD's manual and
    one reader know. No compiler makes it: these are tables of GHC's, and the answer changes no byte."""
    kind, start = case.ours
    if kind != "inside" or case.readings != {case.ours, ("nothing", None)} or case.out_of_step:
        return False
    opcode, modrm = case.view.bytes(start, start + 2)
    return opcode in (0xf6, 0xf7) and modrm >> 3 & 7 == 1


def no_start_is_known(case):
    """No symbol and no unwind table names a function around the pair, or a table of GHC's holds it, so
    all readings are guesses, and "uncertain" is the answer that changes no byte and is reported."""
    return case.said["class"] == "uncertain" and not case.known


def return_point(case):
    """GHC's functions hold the tables of their return points, and the code behind one is entered by its
    address alone: no flow leads there, decodes from in front end at the table, and "uncertain" is the
    answer that changes no byte and is reported."""
    return (case.said["class"] == "uncertain" and
            case.view.return_points.issuperset(start for _, start in case.known))


# In this order; the text says why a reading may differ from ours.
EXPLANATIONS = (early_signal_frame, idle_prefix, second_test, no_start_is_known, return_point)


def explain(case):
    return next((rule.__name__ for rule in EXPLANATIONS if rule(case)), None)
