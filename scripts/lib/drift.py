# SPDX-License-Identifier: GPL-2.0-or-later
"""What another QEMU tree makes of the queue: drift.py TREE PATCHES <list of patch files

Each hunk is looked for by its lines, without fuzz, next to where it should be; what applies is
there for the patches that follow. Nothing is written to TREE. For a hunk that fails it is said
which place of the file is most like it, and how many of its lines stand there.
"""

import difflib
import os
import re
import sys

HUNK = re.compile(r'@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@')


class Hunk:
    def __init__(self, line):
        self.line = line
        self.old = []
        self.new = []


class Tree:
    """The files of a tree, with the changes of the patches before."""

    def __init__(self, top):
        self.top = top
        self.files = {}

    def lines(self, path):
        if path not in self.files:
            try:
                with open(os.path.join(self.top, path), encoding='utf-8', errors='surrogateescape', newline='') as f:
                    self.files[path] = f.read().split('\n')
            except OSError:
                self.files[path] = None
        return self.files[path]

    def namesakes(self, path):
        """Where a file that is gone may be now."""
        name = os.path.basename(path)
        for folder, folders, files in os.walk(self.top):
            folders[:] = [d for d in folders if d not in ('.git', 'build', 'roms')]
            if name in files:
                yield os.path.relpath(os.path.join(folder, name), self.top)


def parse(text):
    """The hunks per file, of a patch file of the queue."""
    files = {}
    hunks = hunk = None
    for line in text.split('\n'):
        if line.startswith('diff --git '):
            hunks, hunk = files.setdefault(line.split(' b/', 1)[1], []), None
        elif hunks is None:
            continue
        elif match := HUNK.match(line):
            hunk = Hunk(int(match[1]))
            hunks.append(hunk)
        elif hunk and line[:1] in (' ', '-', '+'):
            if line[0] != '+':
                hunk.old.append(line[1:])
            if line[0] != '-':
                hunk.new.append(line[1:])
    return files


def find(lines, old, near):
    """The index where OLD stands, of several the one next to NEAR; None if nowhere."""
    last = len(lines) - len(old)
    places = [at for at in range(last + 1) if lines[at] == old[0] and lines[at:at + len(old)] == old]
    return min(places, key=lambda at: abs(at - near), default=None)


def most_like(lines, old):
    """The window that has most of OLD's lines: its index, and how many."""
    rare = {line: n for n, line in enumerate(old) if line.strip()}
    starts = {at - rare[line] for at, line in enumerate(lines) if line in rare}
    best, common = 0, 0
    for start in sorted(s for s in starts if s > -len(old)):
        window = lines[max(start, 0):start + len(old) + 5]
        blocks = difflib.SequenceMatcher(None, window, old, autojunk=False).get_matching_blocks()
        size = sum(block.size for block in blocks)
        if size > common:
            best, common = max(start, 0) + blocks[0].a, size
    return best, common


def apply_file(tree, path, hunks):
    """What is to be said: of moves, and of failures."""
    lines = tree.lines(path)
    if lines is None:
        others = sorted(tree.namesakes(path), key=lambda other: -len(os.path.commonprefix([other, path])))
        others = ', '.join(others[:5]) or 'no file has its name'
        return [], [f'{path}: is not there ({others})']
    moves, failures, shift = [], [], 0
    for number, hunk in enumerate(hunks, 1):
        near = hunk.line - 1 + shift
        at = find(lines, hunk.old, near)
        if at is None:
            place, common = most_like(lines, hunk.old)
            where = f'{common} of its {len(hunk.old)} lines stand at line {place + 1}' if common else 'nothing like it'
            failures.append(f'{path}:{hunk.line} (hunk {number} of {len(hunks)}): {where}')
            continue
        if at != near:
            moves.append(f'{path}:{hunk.line} -> {hunk.line + at - near}')
        lines[at:at + len(hunk.old)] = hunk.new
        shift += len(hunk.new) - len(hunk.old)
    return moves, failures


def main():
    tree, patches = Tree(sys.argv[1]), sys.argv[2]
    counts = {'applies': 0, 'moved': 0, 'FAILS': 0}
    for name in sys.stdin.read().splitlines():
        with open(name, encoding='utf-8') as f:
            files = parse(f.read().split('\n---\n', 1)[1])
        moves, failures = [], []
        for path, hunks in files.items():
            moved, failed = apply_file(tree, path, hunks)
            moves += moved
            failures += failed
        verdict = 'FAILS' if failures else 'moved' if moves else 'applies'
        counts[verdict] += 1
        print(f'{verdict:8}{os.path.relpath(name, patches)}')
        for line in failures + moves:
            print(f'            {line}')
    print(f"{counts['applies']} apply, {counts['moved']} apply elsewhere in the file, {counts['FAILS']} fail")


if __name__ == '__main__':
    main()
