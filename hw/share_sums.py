"""Sums of two terms that rows of a matrix have in common, found greedily: each is built once.

A row is a sum of terms: a node (an input or an earlier sum), shifted, added or subtracted. The pair of terms that saves
most one-bit adders becomes a sum, and takes their place wherever they stand together; then the next one. What is left
of a row is summed by itself, where a sum costs least first. No sum has more than so many others before it: a row whose
terms are sums of depth d_i can be summed within depth D if the sum of 2**d_i is at most 2**D (Kraft), and every step
keeps to that.
"""

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .compiled import compiled

Numbers = NDArray[np.int64]

# Bits of a shift in the number of a pair, and of a node.
SHIFT_BITS, NODE_BITS = 7, 24


class Rows(NamedTuple):
    """Terms, (rows, most): node, shift, sign (1 or -1); length: terms of each row; weight: the sum of 2**depth."""

    node: Numbers
    shift: Numbers
    sign: Numbers
    length: Numbers
    weight: Numbers


class Sums(NamedTuple):
    """Nodes, inputs first: node = first + sign * (second << shift).

    depth: sums on the longest way to an input; reach: its highest value less its lowest; count: (1,), nodes so far.
    """

    first: Numbers
    second: Numbers
    shift: Numbers
    sign: Numbers
    depth: Numbers
    reach: Numbers
    count: Numbers


@compiled
def bits_of(number):
    bits = 0
    while number > 0:
        number >>= 1
        bits += 1
    return bits


@compiled
def cells_of(low_reach, high_reach, shift):
    """One-bit adders of a sum whose second operand stands ``shift`` bits above the first."""
    if shift >= bits_of(low_reach):
        return 0
    return bits_of(low_reach + (high_reach << shift)) - shift


@compiled
def _pair(rows, row, one, other):
    """The number of the pair of terms in two places of a row: both nodes, how far apart, whether signs differ."""
    a, b = rows.node[row, one], rows.node[row, other]
    apart = rows.shift[row, other] - rows.shift[row, one]
    if apart < 0 or (apart == 0 and a > b):
        a, b, apart = b, a, -apart
    differ = 1 if rows.sign[row, one] != rows.sign[row, other] else 0
    return ((((a << NODE_BITS) | b) << SHIFT_BITS) | apart) << 1 | differ


@compiled
def _unpair(pair):
    """Both nodes, the shift of the second, and the sign of it."""
    apart = (pair >> 1) & ((1 << SHIFT_BITS) - 1)
    second = (pair >> (SHIFT_BITS + 1)) & ((1 << NODE_BITS) - 1)
    return pair >> (SHIFT_BITS + 1 + NODE_BITS), second, apart, 1 - 2 * (pair & 1)


@compiled
def _find(keys, pair):
    """The place of ``pair`` in a table of a power of two places, or the free one where it belongs (0: free)."""
    mask = keys.size - 1
    place = pair * 7046029254386353131
    place = (place ^ (place >> 29)) & mask
    while keys[place] != 0 and keys[place] != pair + 1:
        place = (place + 1) & mask
    return place


@compiled
def _grow(keys, counts):
    """The table with twice the places, without the pairs that are no more."""
    new_keys, new_counts = np.zeros(keys.size * 2, np.int64), np.zeros(keys.size * 2, np.int32)
    used = 0
    for old in range(keys.size):
        if keys[old] != 0 and counts[old] != 0:
            place = _find(new_keys, keys[old] - 1)
            new_keys[place], new_counts[place] = keys[old], counts[old]
            used += 1
    return new_keys, new_counts, used


@compiled
def idle_cells_of(low_reach, high_reach, shift):
    """How many of these leave no bit less to be summed."""
    bits = bits_of(low_reach + (high_reach << shift))
    return cells_of(low_reach, high_reach, shift) - (bits_of(low_reach) + bits_of(high_reach) - bits)


@compiled
def _saving(sums, pair, count, idleness):
    """What it saves to build a pair once instead of ``count`` times, where idle cells count less by ``idleness``
    quarters: sums that have many of them are in the way of better ones."""
    first, second, shift, _ = _unpair(pair)
    low, high = sums.reach[first], sums.reach[second]
    cells = cells_of(low, high, shift)
    return (count - 1) * max(0, 4 * cells - idleness * idle_cells_of(low, high, shift)) if cells > 0 else 0


@compiled
def _count_row(rows, row, place, change, keys, counts, used, heap, sums, idleness, is_pushed):
    """Count the pairs of the term at ``place`` with all before it in the row, and offer those that save something."""
    for other in range(place):
        pair = _pair(rows, row, other, place)
        slot = _find(keys, pair)
        if keys[slot] == 0:
            keys[slot] = pair + 1
            used += 1
        counts[slot] += change
        if is_pushed and counts[slot] > 1:
            saving = _saving(sums, pair, counts[slot], idleness)
            if saving > 0:
                heapq.heappush(heap, (-saving, pair))
    return used


@compiled
def _drop(rows, row, place, keys, counts):
    """Take a term out of a row, and its pairs out of the count."""
    last = rows.length[row] - 1
    for array in (rows.node, rows.shift, rows.sign):
        array[row, place], array[row, last] = array[row, last], array[row, place]
    for other in range(last):
        counts[_find(keys, _pair(rows, row, other, last))] -= 1
    rows.length[row] = last


@compiled
def _put(rows, row, node, shift, sign):
    place = rows.length[row]
    rows.node[row, place], rows.shift[row, place], rows.sign[row, place] = node, shift, sign
    rows.length[row] = place + 1


@compiled
def add_sum(sums, coefficients, input_reach, first, second, shift, sign):
    """A new node; its reach follows from what it makes of each input."""
    node = sums.count[0]
    sums.count[0] = node + 1
    sums.first[node], sums.second[node], sums.shift[node], sums.sign[node] = first, second, shift, sign
    sums.depth[node] = max(sums.depth[first], sums.depth[second]) + 1
    reach = 0
    for i in range(input_reach.size):
        factor = coefficients[first, i] + sign * (coefficients[second, i] << shift)
        coefficients[node, i] = factor
        reach += abs(factor) * input_reach[i]
    sums.reach[node] = reach
    return node


@compiled
def _weight_after(rows, sums, row, first, second):
    """Of a row in which the sum of two nodes takes their place."""
    depths = sums.depth[first], sums.depth[second]
    return rows.weight[row] - (1 << depths[0]) - (1 << depths[1]) + (2 << max(depths))


@compiled
def _find_in_row(rows, sums, row, pair, most):
    """The places of the terms of a pair in a row, the one of the lower shift first; -1 if there are none."""
    first, second, _, _ = _unpair(pair)
    if _weight_after(rows, sums, row, first, second) > most:
        return -1, -1
    for one in range(rows.length[row]):
        if rows.node[row, one] == first:
            for other in range(rows.length[row]):
                is_above = other != one and rows.shift[row, one] <= rows.shift[row, other]
                if is_above and rows.node[row, other] == second and _pair(rows, row, one, other) == pair:
                    return one, other
    return -1, -1


@compiled
def _substitute(rows, sums, pair, node, most, keys, counts, used, heap, idleness):
    """Put ``node`` in the place of the pair in all rows."""
    first, second, _, _ = _unpair(pair)
    for row in range(rows.length.size):
        one, other = _find_in_row(rows, sums, row, pair, most)
        while one >= 0:
            shift, sign = rows.shift[row, one], rows.sign[row, one]
            rows.weight[row] = _weight_after(rows, sums, row, first, second)
            _drop(rows, row, max(one, other), keys, counts)
            _drop(rows, row, min(one, other), keys, counts)
            _put(rows, row, node, shift, sign)
            used = _count_row(rows, row, rows.length[row] - 1, 1, keys, counts, used, heap, sums, idleness, True)
            one, other = _find_in_row(rows, sums, row, pair, most)
    return used


@compiled
def _count_uses(rows, sums, pair, most):
    """In how many rows the pair could be replaced."""
    found = 0
    for row in range(rows.length.size):
        if _find_in_row(rows, sums, row, pair, most)[0] >= 0:
            found += 1
    return found


@compiled
def share(rows, sums, coefficients, input_reach, most, idleness):
    """Replace the pair that saves most, as long as one does; returns the coefficients of all nodes."""
    keys, counts = np.zeros(1 << 16, np.int64), np.zeros(1 << 16, np.int32)
    used, widest = 0, rows.node.shape[1]
    heap = [(0, 0)]
    for row in range(rows.length.size):
        for place in range(rows.length[row]):
            while used + widest > keys.size // 2:
                keys, counts, used = _grow(keys, counts)
            used = _count_row(rows, row, place, 1, keys, counts, used, heap, sums, idleness, False)
    for slot in range(keys.size):
        if counts[slot] > 1:
            heapq.heappush(heap, (-_saving(sums, keys[slot] - 1, counts[slot], idleness), keys[slot] - 1))
    while len(heap) > 0:
        offered, pair = heapq.heappop(heap)
        count = counts[_find(keys, pair)]
        saving = _saving(sums, pair, count, idleness) if count > 1 else 0
        if saving == 0 or -offered < saving:
            continue  # there is nothing to save, or another offer that says how much
        if -offered > saving:
            heapq.heappush(heap, (-saving, pair))
            continue
        if _count_uses(rows, sums, pair, most) == 0:
            counts[_find(keys, pair)] = -(1 << 30)
            continue
        if sums.count[0] == len(coefficients):
            grown = np.zeros((2 * len(coefficients), input_reach.size), np.int64)
            grown[: len(coefficients)] = coefficients
            coefficients = grown
        first, second, shift, sign = _unpair(pair)
        node = add_sum(sums, coefficients, input_reach, first, second, shift, sign)
        while used + 4 * widest * rows.length.size > keys.size // 2:
            keys, counts, used = _grow(keys, counts)
        used = _substitute(rows, sums, pair, node, most, keys, counts, used, heap, idleness)
        counts[_find(keys, pair)] = -(1 << 30)
    return coefficients


@compiled
def _cheapest(rows, sums, row, most):
    """The two terms of a row whose sum costs least: adders, and those of them that leave no bit less."""
    best, found = 1 << 60, (-1, -1)
    for one in range(rows.length[row]):
        for other in range(one):
            a, b = rows.node[row, one], rows.node[row, other]
            if _weight_after(rows, sums, row, a, b) > most:
                continue
            apart = rows.shift[row, other] - rows.shift[row, one]
            if apart < 0:
                a, b, apart = b, a, -apart
            cells = cells_of(sums.reach[a], sums.reach[b], apart)
            idle = idle_cells_of(sums.reach[a], sums.reach[b], apart)
            cost = ((cells + idle) << 8) + max(sums.depth[a], sums.depth[b])
            if cost < best:
                best, found = cost, (one, other)
    return found


@compiled
def sum_row(rows, sums, coefficients, input_reach, row, most):
    """Sum up what is left of a row, so that it has one term at most; ``coefficients`` has room for its nodes."""
    while rows.length[row] > 1:
        one, other = _cheapest(rows, sums, row, most)
        if rows.shift[row, one] > rows.shift[row, other]:
            one, other = other, one
        first, second = rows.node[row, one], rows.node[row, other]
        shift, sign = rows.shift[row, one], rows.sign[row, one]
        apart, sign_apart = rows.shift[row, other] - shift, sign * rows.sign[row, other]
        node = add_sum(sums, coefficients, input_reach, first, second, apart, sign_apart)
        rows.weight[row] = _weight_after(rows, sums, row, first, second)
        for place in (max(one, other), min(one, other)):
            last = rows.length[row] - 1
            for array in (rows.node, rows.shift, rows.sign):
                array[row, place] = array[row, last]
            rows.length[row] = last
        _put(rows, row, node, shift, sign)
