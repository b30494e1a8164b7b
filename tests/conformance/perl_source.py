"""The source package of the installed perl, which alone holds perl's core tests: Debian's binary packages leave them out.

apt fetches and authenticates it, from wherever this machine has its packages: the machine's own entries are turned into
ones of source packages, in a configuration of our own, and nothing of the machine's is changed.
"""

import glob
import os
import re
import shutil
import subprocess

TESTED = ("t", "lib", "TestInit.pm", "ext", "dist", "cpan")


def setting(name):
    words = subprocess.run(["apt-config", "shell", "value", name], check=True, capture_output=True, text=True).stdout
    return re.fullmatch(r"value='(.*)'\n", words).group(1)


def suite():
    with open("/etc/os-release", encoding="utf-8") as file:
        return re.search(r"^VERSION_CODENAME=(\w+)$", file.read(), re.MULTILINE).group(1)


def source_entries():
    """Debian's own entries, of both forms that apt reads, as entries of source packages."""
    name = suite()
    lists, parts = setting("Dir::Etc::sourcelist/f"), setting("Dir::Etc::sourceparts/d")
    stanzas, lines = [], []
    for path in [lists, *sorted(glob.glob(os.path.join(parts, "*")))]:
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as file:
            text = file.read()
        if path.endswith(".sources"):
            stanzas += [re.sub(r"(?m)^Types:.*$", "Types: deb-src", stanza) for stanza in re.split(r"\n\s*\n", text)
                        if re.search(rf"(?m)^Suites:.*\s{name}(-(security|updates))?(\s|$)", stanza)]
        elif path.endswith(".list"):
            lines += [re.sub(r"^deb\s", "deb-src ", line) for line in text.splitlines()
                      if re.match(rf"deb\s.*\s{name}(-security|-updates)?\s", line)]
    return "\n\n".join(stanzas) + "\n", "\n".join(lines) + "\n"


def configure(folder):
    """apt's configuration, and the environment that names it."""
    stanzas, lines = source_entries()
    os.makedirs(os.path.join(folder, "parts"))
    for name, text in (("parts/debian.sources", stanzas), ("parts/debian.list", lines), ("empty", ""), ("apt.conf", f"""
Dir::Etc::sourcelist "{folder}/empty";
Dir::Etc::sourceparts "{folder}/parts";
Dir::State::lists "{folder}/lists";
Dir::Cache "{folder}/cache";
APT::Sandbox::User "";
""")):
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    for name in ("lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, name))
    return {**os.environ, "APT_CONFIG": os.path.join(folder, "apt.conf"), "LC_ALL": "C.UTF-8"}


def fetch(folder):
    """The upstream tar file, of the first version that is there: what differs between them are a few patches."""
    apt = configure(folder)
    subprocess.run(["apt-get", "-q", "update"], check=False, env=apt)
    shown = subprocess.run(["apt-cache", "showsrc", "--only-source", "perl"], capture_output=True, text=True, check=True,
                           env=apt).stdout
    versions = re.findall(r"^Version: (\S+)$", shown, re.MULTILINE)
    installed = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "perl"], capture_output=True, text=True, check=True).stdout
    # The same upstream version as what is installed; and first of all the same version.
    same = [version for version in versions if version.split("-")[0] == installed.split("-")[0]]
    for version in sorted(same, key=lambda version: version != installed):
        subprocess.run(["apt-get", "-q", "source", "--download-only", f"perl={version}"], check=False, cwd=folder, env=apt)
        if found := glob.glob(os.path.join(folder, f"perl_{installed.split('-')[0]}.orig.tar.xz")):
            return found[0]
    raise SystemExit(f"FAILED: apt has no source package of perl {installed}, but {versions}")


def overlay(tree):
    """The installed modules, over those of the source, some of which are only made when perl is built."""
    # In this order, since what perl-base holds is what is used.
    show = "use Config; print join qq(\\n), @Config{qw(privlibexp archlibexp)}, grep m(/perl-base$), @INC"
    folders = subprocess.run(["/usr/bin/perl", "-e", show], check=True, capture_output=True, text=True).stdout.splitlines()
    for folder in folders:
        # The source's files are read-only.
        subprocess.run(["cp", "-a", "--no-preserve=ownership", "--remove-destination", folder + "/.",
                        os.path.join(tree, "lib")], check=True)
    for place in (tree, os.path.join(tree, "t")):
        os.symlink("/usr/bin/perl", os.path.join(place, "perl"))


def perl_tree(cache):
    """The tree that the tests run in; made by the first run, and kept."""
    tree = os.path.join(cache, "perl-tests")
    if os.path.exists(tree):
        return tree
    work = tree + ".new"
    shutil.rmtree(work, ignore_errors=True)
    apt = os.path.join(work, "apt")
    os.makedirs(apt)
    archive = fetch(apt)
    subprocess.run(["tar", "xf", archive, "-C", work, "--strip-components=1", "--no-same-owner", "--wildcards",
                    *(f"perl-*/{name}" for name in TESTED)], check=True)
    shutil.rmtree(apt)
    overlay(work)
    os.rename(work, tree)
    return tree
