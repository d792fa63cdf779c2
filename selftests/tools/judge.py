# SPDX-License-Identifier: GPL-2.0-only
"""What two runs of a tool printed, with what varies taken out, and whether it is the same.

A row of a *.list file names one of these comparisons, perhaps with arguments:
  lines N REGEX    the first N lines, and how often each line that REGEX finds was printed; numbers below 100 that stand alone count
  events N REGEX   the same, and any number is as good as another
  set [REGEX]      which lines were printed (that REGEX finds), in whatever order, how often and with whatever numbers
  shape N REGEX    the first N lines, and that some line was printed which REGEX finds: for tools that sample or report all of the machine
A bar of a histogram is "BAR", wherever it stands, and stands for all that follow.
"""
import re

ESCAPES = re.compile(r'\x1b(\[[0-9;?]*[A-Za-z]|\([A-Z]|[=>])')
BAR = re.compile(r'^\s*(\d+ -> \d+|\d+ +: \d+|[\[(]\d*[KMG]?,? ?\.*\d*[KMG]?[)\]]).*\|[@* ]*\+?\|\s*$')
ADDRESS = re.compile(r'\b0x[0-9a-fA-F]+\b|\b(?=[0-9a-f]*[a-f])(?=[0-9a-f]*\d)[0-9a-f]{8,16}\b')
TIME = re.compile(r'\b\d\d:\d\d:\d\d(\.\d+)?\b')
NUMBER = re.compile(r'(?<![A-Za-z_\d.])-?\d+(\.\d+)?(?![A-Za-z_\d])')


def clean(raw):
    """The lines of a terminal's text."""
    text = ESCAPES.sub('', raw.replace('\r\n', '\n').replace('\r', '\n'))
    return [line.rstrip() for line in text.split('\n') if line.strip() and line.strip() != '^C']


def masked(line, small):
    """A line without what differs between two runs of the same thing; numbers below 100 stay where `small`."""
    if BAR.match(line):
        return 'BAR'
    line = ADDRESS.sub('ADDRESS', TIME.sub('TIME', line))

    def number(m):
        value = m.group(0)
        return value if small and m.group(1) is None and abs(int(value)) < 100 else 'N'

    return ' '.join(NUMBER.sub(number, line).split())


def summary(raw, how):
    """What is compared of a run, as lines; None when nothing of the workload was seen."""
    mode, _, rest = how.partition(' ')
    head = 0
    if mode != 'set':
        count, _, rest = rest.partition(' ')
        head = int(count)
    lines = clean(raw)
    found = [line for line in lines[head:] if re.search(rest, line)]
    if not found:
        return None
    top = [masked(line, False) for line in lines[:head]]
    if mode == 'shape':
        return top + ['found']
    kept = [masked(line, mode == 'lines') for line in found]
    if mode == 'set':
        return sorted(set(kept))
    bars = ['BAR'] if 'BAR' in kept else []
    return top + sorted(line for line in kept if line != 'BAR') + bars


def difference(stock, ours):
    """The lines of one summary that the other has not."""
    rest = list(ours)
    lost = [line for line in stock if line not in rest or rest.remove(line)]
    rest = list(stock)
    more = [line for line in ours if line not in rest or rest.remove(line)]
    return ['- ' + line for line in lost] + ['+ ' + line for line in more]


def judge(stock, ours, row):
    """(verdict, reason lines) of two runs of a row's tool: {'output': text, 'status': how it ended}."""
    how, ended = row['compare'], ('0', 'SIGINT', row['status'])
    of_stock = summary(stock['output'], how)
    if stock['status'] not in ended or of_stock is None:
        return 'stock', [f"it ended with {stock['status']}"] + clean(stock['output'])[-8:]
    of_ours = summary(ours['output'], how)
    if of_ours is None or ours['status'] not in ended:
        return 'fails', [f"it ended with {ours['status']}"] + clean(ours['output'])[-12:]
    differs = difference(of_stock, of_ours)
    if ours['status'] != stock['status']:
        differs.append(f"it ended with {ours['status']}, and with {stock['status']} on the stock kernel")
    return ('differs', differs) if differs else ('same', [])
