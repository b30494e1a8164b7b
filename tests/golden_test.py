#!/usr/bin/python3
"""One golden pair: assembles RULE.in.S, rewrites it, and compares with what RULE.out.S assembles to.

RULE.in.S is linked by gcc -nostdlib. Lines of its head that begin like these say more:

    # link: -shared -Wl,-z,notext     linker options instead of -static
    # options: --stub=plain           options of sysrewrite
    # append: PK                      text behind the end of the file

RULE.out.S is assembled too, and each of its sections put where the section of that name lies in the
input; its .trampoline where the output's trailer says. Symbols that it does not define are the
input's. All of its bytes must then be those of the output. Its head says what the report must say:

    # site: A: the instruction before ...      each site, ascending: tier and reason
    # uncertain: 1                             candidates left alone; default 0
    # exit: 3                                  default 0
    # error: a 32-bit ELF file; ...            the message, ... for anything; nothing else is compared

On a difference both sides are shown as objdump reads them, so a stranger to all of this code says
what the bytes mean.
"""

import difflib
import json
import pathlib
import re
import struct
import subprocess
import sys

GCC, LD, NM, OBJDUMP = "/usr/bin/gcc", "/usr/bin/ld", "/usr/bin/nm", "/usr/bin/objdump"


class Failure(Exception):
    pass


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise Failure(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def directives(source, name):
    """The values of `# name: value` lines, in order."""
    return re.findall(rf"^# {name}: *(.*?) *$", source.read_text(), re.MULTILINE)


def directive(source, name, default):
    values = directives(source, name)
    if len(values) > 1:
        raise Failure(f"{source}: '# {name}:' stands there more than once")
    return values[0] if values else default


class Elf:
    """Sections and file bytes by address, read with nothing but struct."""

    def __init__(self, path):
        self.bytes = path.read_bytes()
        phoff, shoff = struct.unpack_from("<QQ", self.bytes, 32)
        phnum, _, shnum, strings = struct.unpack_from("<HHHH", self.bytes, 56)
        self.loads = []
        for i in range(phnum):
            kind, _, offset, vaddr, _, filesz = struct.unpack_from("<IIQQQQ", self.bytes,
                                                                   phoff + 56 * i)
            if kind == 1:
                self.loads.append((vaddr, offset, filesz))
        headers = [struct.unpack_from("<IIQQQQ", self.bytes, shoff + 64 * i) for i in range(shnum)]
        names = headers[strings][4] if headers else 0
        self.sections = {}
        for name, kind, flags, address, offset, size in headers:
            end = self.bytes.index(b"\0", names + name)
            text = self.bytes[names + name:end].decode()
            if flags & 2 and size:
                self.sections[text] = (address, self.bytes[offset:offset + size])

    def at(self, address, size):
        for vaddr, offset, filesz in self.loads:
            if vaddr <= address and address + size <= vaddr + filesz:
                return self.bytes[offset + address - vaddr:][:size]
        raise Failure(f"the output holds no {size} bytes at {address:#x}")


def trampoline_of(output):
    magic, offset, vaddr, size = struct.unpack("<8sQQQ", output[-32:])
    if magic not in (b"SYSRWT01", b"LITEBOX0"):
        raise Failure(f"the output ends in {magic}, which is no trailer")
    return vaddr, output[offset:offset + size]


def symbols_of(path):
    """name -> address, of the defined ones; None of the undefined."""
    found = {}
    for line in run(NM, path).splitlines():
        fields = line.split()
        found[fields[-1]] = None if fields[-2] in "Uw" else int(fields[0], 16)
    return found


def expected_sections(source, folder, given, trampoline):
    """The sections of RULE.out.S, each at its place."""
    unit, linked = folder / "out.o", folder / "out.elf"
    run(GCC, "-c", "-I", source.parent, source, "-o", unit)
    places = {name: address for name, (address, _) in Elf(given).sections.items()}
    places[".trampoline"] = trampoline
    starts, wanted = [], []
    for line in run(OBJDUMP, "-h", unit).splitlines():
        fields = line.split()
        if len(fields) < 7 or not fields[0].isdigit() or int(fields[2], 16) == 0:
            continue
        if fields[1] not in places:
            raise Failure(f"{source}: the input has no section {fields[1]}")
        starts.append(f"--section-start={fields[1]}={places[fields[1]]:#x}")
        wanted.append(fields[1])
    known = symbols_of(given)
    for name, address in symbols_of(unit).items():
        if address is None and known.get(name) is not None:
            starts.append(f"--defsym={name}={known[name]:#x}")
    run(LD, "--build-id=none", "-z", "noseparate-code", "-e", "0", *starts, unit, "-o", linked)
    sections = Elf(linked).sections
    return {name: sections[name] for name in wanted}


def listing(code, address, folder):
    """What objdump makes of the bytes, addresses kept and raw bytes shown."""
    path = folder / "bytes.bin"
    path.write_bytes(code)
    text = run(OBJDUMP, "-D", "-b", "binary", "-m", "i386:x86-64",
               f"--adjust-vma={address:#x}", path)
    return [line.rstrip() for line in text.splitlines() if re.match(r"^ *[0-9a-f]+:", line)]


def compare(what, wanted, got, address, folder):
    if wanted == got:
        return
    lines = difflib.unified_diff(listing(wanted, address, folder), listing(got, address, folder),
                                 f"{what} as the rule says", f"{what} as rewritten", lineterm="",
                                 n=4)
    raise Failure("\n".join(lines))


def check_report(source, report, exit_status):
    wanted = directives(source, "site")
    got = [f"{site['tier']}: {site['reason']}" for site in report["sites"]]
    if wanted != got:
        raise Failure("\n".join(difflib.unified_diff(wanted, got, "sites as the rule says",
                                                     "sites as reported", lineterm="")))
    for name, got in (("uncertain", report["candidates"]["uncertain"]), ("exit", exit_status)):
        wanted = int(directive(source, name, "0"))
        if wanted != got:
            raise Failure(f"{name}: {got}, the rule says {wanted}")


def check_pair(sysrewrite, given_source, folder):
    wanted_source = given_source.with_name(given_source.name.replace(".in.S", ".out.S"))
    if not wanted_source.exists():
        raise Failure(f"{wanted_source} is missing")
    if not re.match(r"# .{25}", given_source.read_text()):
        raise Failure(f"{given_source}: the rule in English must stand on top")
    folder.mkdir(parents=True, exist_ok=True)
    given, output = folder / "in.elf", folder / "out"
    output.unlink(missing_ok=True)
    link = directive(given_source, "link", "-static").split()
    run(GCC, "-nostdlib", "-Wl,--build-id=none", *link, "-I", given_source.parent, given_source,
        "-o", given)
    appended = directive(given_source, "append", "").encode()
    given.write_bytes(given.read_bytes() + appended)

    options = directive(given_source, "options", "").split()
    done = subprocess.run([sysrewrite, "--json", *options, given, output], capture_output=True,
                          text=True)
    error = directive(wanted_source, "error", None)
    if error is not None:
        message = f"sysrewrite: {given}: {error}\n"
        pattern = re.escape(message).replace(re.escape("..."), ".*")
        if done.returncode != 1 or output.exists() or not re.fullmatch(pattern, done.stderr):
            raise Failure(f"status {done.returncode}, {done.stderr!r}; the rule says {message!r}, "
                          "status 1 and no output")
        return
    if done.stderr or done.returncode not in (0, 3):
        raise Failure(f"status {done.returncode}: {done.stderr}")
    check_report(wanted_source, json.loads(done.stdout), done.returncode)
    trampoline, stubs = trampoline_of(output.read_bytes())
    rewritten = Elf(output)
    sections = expected_sections(wanted_source, folder, given, trampoline)
    if (".trampoline" in sections) != bool(stubs):
        raise Failure(f"{len(stubs)} bytes of trampoline, the rule says otherwise")
    for name, (address, code) in sections.items():
        if name == ".trampoline":
            compare("the trampoline", code, stubs, address, folder)
        else:
            compare(name, code, rewritten.at(address, len(code)), address, folder)
    missing = {name for name in Elf(given).sections if name.startswith(".text")} - set(sections)
    if missing:
        raise Failure(f"{wanted_source} says nothing of {missing}")
    if stubs:
        check_proofs(sysrewrite, given, options, folder)


def check_proofs(sysrewrite, given, options, folder):
    """Whatever is chosen of the tiers and of the output's form, verify proves it and restore undoes it."""
    output, back = folder / "other", folder / "back"
    options = [option for option in options if not option.startswith("--tiers")]
    choices = [f"--tiers={tiers}" for tiers in ("A", "B", "C", "D", "AB", "AC", "BC", "ABC", "BCD")]
    for choice in choices + ["--embed=segment", "--symbols", "--uncertain=patch", "--uncertain=trap"]:
        done = subprocess.run([sysrewrite, "-q", *options, choice, given, output], capture_output=True, text=True)
        if choice == "--embed=segment" and re.search("does not fit this file|LiteBox's loader", done.stderr):
            continue
        if done.returncode not in (0, 3):
            raise Failure(f"{choice}: status {done.returncode}: {done.stderr}")
        run(sysrewrite, "verify", "-q", output, "--against", given)
        run(sysrewrite, "restore", "-q", output, back)
        if back.read_bytes() != given.read_bytes():
            raise Failure(f"{choice}: restore gives other bytes than the input's")


def main():
    sysrewrite, source, folder = sys.argv[1:]
    try:
        check_pair(sysrewrite, pathlib.Path(source), pathlib.Path(folder))
    except Failure as failure:
        print(f"{source}:\n{failure}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
