"""An ELF file as its headers, symbols and unwind table tell it.

Written from the specification and on purpose not from the rewriter, whose own reader is what is
compared with it. It reads files that the toolchain of this machine made, not hostile ones.
"""

import bisect
import collections
import struct

Segment = collections.namedtuple("Segment", "address offset size")
Section = collections.namedtuple("Section", "name address size code")
PAIR = b"\x0f\x05"
# GHC: the types of tables in front of return points, RET_SMALL and RET_BIG
RETURN_POINTS = (struct.pack("<I", 30), struct.pack("<I", 31))
NOBITS = 8  # SHT_NOBITS: no bytes in the file
ABSOLUTE, PC_RELATIVE = 0x00, 0x10
POINTER_FORMATS = {0x00: "<Q", 0x02: "<H", 0x03: "<I", 0x04: "<Q", 0x0A: "<h", 0x0B: "<i", 0x0C: "<q"}


class Ranges:
    """[start, end) ranges that may nest."""

    def __init__(self, ranges):
        self.sorted = sorted(set(ranges))
        self.longest = max((end - start for start, end in self.sorted), default=0)

    def holding(self, address):
        found = []
        at = bisect.bisect_right(self.sorted, (address, 1 << 64))
        while at > 0 and address - self.sorted[at - 1][0] <= self.longest:
            at -= 1
            if address < self.sorted[at][1]:
                found.append(self.sorted[at])
            if len(found) == 4:
                break
        return found

    def starts_in(self, begin, end):
        return [s for s, _ in self.sorted[bisect.bisect_left(self.sorted, (begin, 0)):
                                          bisect.bisect_left(self.sorted, (end, 0))]]


class ElfView:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = file.read()
        (self.entry, phoff, shoff, _, _, phsize, phnum, shsize, shnum, shnames) = struct.unpack_from(
            "<QQQIHHHHHH", self.data, 24)
        self.segments = []
        for i in range(phnum):
            kind, flags, offset, address, _, size = struct.unpack_from("<IIQQQQ", self.data,
                                                                       phoff + i * phsize)
            if kind == 1 and flags & 1:
                self.segments.append(Segment(address, offset, size))
        self.sections, self.headers = [], []
        if shoff and shnum:
            self._read_sections(shoff, shsize, shnum, shnames)
        functions, objects = self._symbols()
        self.symbols, self.objects = Ranges(functions), Ranges(objects)
        self.haskell = b"_con_info\0" in self.data
        self.signal_frames, self.return_points = set(), set()
        self.frames = Ranges(self._frames())

    def _read_sections(self, offset, size, count, names):
        self.headers = [struct.unpack_from("<IIQQQQIIQQ", self.data, offset + i * size)
                        for i in range(count)]
        strings = self.headers[names][4]
        for name, kind, flags, address, _, length, *_ in self.headers:
            begin = strings + name
            text = self.data[begin:self.data.index(b"\0", begin)].decode(errors="replace")
            if flags & 2:  # SHF_ALLOC
                self.sections.append(Section(text, address, length, bool(flags & 4) and kind == 1))

    def _symbols(self):
        functions, objects = [], []
        for _, kind, _, _, offset, size, *_ in self.headers:
            if kind not in (2, 11):  # SHT_SYMTAB, SHT_DYNSYM
                continue
            table = self.data[offset:offset + size // 24 * 24]
            for _, info, _, section, value, length in struct.iter_unpack("<IBBHQQ", table):
                if section == 0 or length == 0:
                    continue
                if info & 15 in (2, 10):
                    functions.append((value, value + length))
                elif info & 15 == 1:
                    objects.append((value, value + length))
        return functions, objects

    def _frames(self):
        """[start, end) of each FDE in .eh_frame."""
        section = next((s for s in self.sections if s.name == ".eh_frame"), None)
        if section is None:
            return []
        header = next(h for h in self.headers if h[3] == section.address and h[5] == section.size)
        if header[1] == NOBITS:
            return []  # a file that holds the debugging information of another one
        offset = header[4]
        encodings, found, at, end = {}, [], offset, offset + section.size
        while at + 8 <= end:
            length, back = struct.unpack_from("<II", self.data, at)
            if length in (0, 0xFFFFFFFF):
                at += 4  # a terminator: the linker joined tables
                continue
            if back == 0:
                encodings[at] = self._augmentation(at + 8)
            else:
                encoding, signal = encodings[at + 4 - back]
                found.append(self._fde(at + 8, encoding, section.address - offset))
                if signal:
                    self.signal_frames.add(found[-1][0])
            at += 4 + length
        return [f for f in found if f[0] < f[1] and f[0]]

    def _fde(self, at, encoding, base):
        form = POINTER_FORMATS[encoding & 15]
        start, = struct.unpack_from(form, self.data, at)
        size, = struct.unpack_from(form.upper() if form != "<Q" else form, self.data,
                                   at + struct.calcsize(form))
        if encoding & 0x70 == PC_RELATIVE:
            start += at + base
        return start & (1 << 64) - 1, (start + size) & (1 << 64) - 1

    def _augmentation(self, at):
        """(how an FDE's pointers are encoded, whether it is a signal's frame)"""
        letters_end = self.data.index(b"\0", at + 1)
        letters = self.data[at + 1:letters_end].decode()
        at = self._skip_number(self._skip_number(letters_end + 1)) + 1  # factors, return register
        encoding = ABSOLUTE
        if letters.startswith("z"):
            at = self._skip_number(at)
            for letter in letters[1:]:
                if letter == "R":
                    encoding = self.data[at]
                if letter in "RL":
                    at += 1
                elif letter == "P":
                    at += 1 + struct.calcsize(POINTER_FORMATS[self.data[at] & 15])
        return encoding, "S" in letters

    def _skip_number(self, at):
        while self.data[at] & 0x80:
            at += 1
        return at + 1

    def behind_tables(self, start, address):
        """Where the code around an address begins: at the function's start, or behind the last table in
        front, since GHC's functions hold the tables of their return points: 8 bytes that lay out the
        stack, the type, and the distance of references. Nothing if the address lies in a table."""
        if not self.haskell:
            return start
        for at in range(address + 8 & -8, start, -8):
            if self.bytes(at, at + 4) in RETURN_POINTS:
                self.return_points.add(at + 8)
                return at + 8 if at + 8 <= address else None
        return start

    def pairs(self):
        """The addresses of all `0f 05` in executable segments."""
        found = set()
        for segment in self.segments:
            end = min(segment.offset + segment.size, len(self.data))
            at = self.data.find(PAIR, segment.offset, end)
            while at >= 0:
                found.add(segment.address + at - segment.offset)
                at = self.data.find(PAIR, at + 1, end)
        return sorted(found)

    def bytes(self, begin, end):
        """What the kernel maps there; shorter at a segment's end, empty in front of it."""
        for segment in self.segments:
            if segment.address <= begin < segment.address + segment.size:
                at = segment.offset + begin - segment.address
                return self.data[at:min(at + end - begin, segment.offset + segment.size)]
        return b""

    def segment_of(self, address):
        return next((s for s in self.segments if s.address <= address < s.address + s.size), None)

    def section_of(self, address):
        return next((s for s in self.sections if s.address <= address < s.address + s.size), None)
