"""What a stage of the popcount engine is made of."""

from functools import lru_cache

from ..ir.graph import IntType
from .count_functions import Finishing, finishing
from .count_mac import Sums, count_buffer
from .count_parts import NOTHING, Features, bits_of, choice_tables, features, many, queue, registers, rom, walk
from .finish import begin
from .memory import choose_style, read_cycles
from .packed import LONGEST_CHAIN
from .plan import LayerPlan
from .plane_pairs import pair_planes
from .popcount_planes import StoredPlanes, find_offsets, find_planes


def count_popcount(sums: Sums, fold: LayerPlan, depth: int | None) -> Features:
    """The stage with a queue of ``depth``; None: as deep as its own pace needs."""
    product, x_bits = sums.product, sums.product.x_type.bits
    planes = _planes(sums)
    tiles, own = sums.positions * -(-sums.channels // fold.simd), sums.outputs // sums.blocks
    groups, pairs = sums.blocks * -(-own // fold.pe), planes * x_bits
    width, words = fold.pe * fold.simd, groups * tiles * planes
    style = choose_style(words, width) if fold.memory == "auto" else fold.memory
    lanes = fold.pe * fold.simd if product.is_lanewise else fold.simd
    is_kept = groups > 1 and not product.is_repeated and not product.is_lanewise
    read, (buffer, buffered) = read_cycles(words, style), count_buffer(tiles, lanes * x_bits, is_kept, is_late=True)
    ending, start_bits = find_ending(sums, tiles)
    finish, bits = ending.count(fold.pe), ending.x_type.bits
    tree, inputs, cycles, counted = _tree(fold.simd)
    fetched = max(read, buffered + (x_bits > 1))
    latency = max(fetched + cycles + 2, finish.lead) + finish.cycles + 1

    found = walk(tiles, groups) + walk(pairs) + rom(words, width, style) + buffer + finish.features
    if planes > 1:
        found = found + walk(groups * tiles * planes)
    if x_bits > 1:
        found = found + _choose(lanes, x_bits)
    gates = "inverted_bits" if sums.are_signs else "gates"
    found = found + many(tree, fold.pe) + many(inputs, lanes / fold.simd) + features(**{gates: width})
    # The address waits for the input, or the input for the word.
    found = found + registers(bits_of(words), fetched - read) + registers(lanes, fetched - buffered - (x_bits > 1))
    found = found + _packed([bits] * fold.pe)
    shifts = (planes + x_bits) // 2  # of a count before the accumulator
    if shifts > 1:
        found = found + _choose(fold.pe * (counted + shifts - 1), shifts)
    found = found + features(register=2 * fold.pe * bits, far=fold.pe * bits * (pairs > 1 < groups), popcounts=1)
    found = found + rom(groups, max(1, start_bits) * fold.pe, "lut") + walk(1, groups)
    found = found + registers(latency - 1)
    return found + queue(depth or -(-(latency + 1) // (tiles * pairs)), fold.pe * sums.finish.y_type.bits)


def _choose(bits: int, values: int) -> Features:
    """Registers of ``bits`` bits, each of which takes one of so many values."""
    four, six = (bits * choice_tables(inputs, values) for inputs in (4, 6))
    return features(register=bits, chosen4=four, chosen6=six)


@lru_cache(maxsize=20_000)
def find_ending(sums: Sums, tiles: int) -> tuple[Finishing, int]:
    """What follows the sums of so many tiles, which lack a constant for each plane that is subtracted; and bits of what
    they start from."""
    product = sums.product
    shifts, is_negative = find_planes(product.weights)
    offsets = find_offsets(product.weights, product.x_type)
    stored = StoredPlanes([], shifts, is_negative or (False,) * len(shifts), is_negative is None, offsets)
    lacking = tiles * pair_planes(stored, product.x_type).lacking
    start, function, reach = begin(product.function, offsets + lacking, product.sums)
    limits = int(reach.low.min()), int(reach.high.max())
    found = finishing(function, *limits, product.result, sums.outputs // sums.blocks, sums.blocks)
    return found, IntType.of_range(int(start.min()), int(start.max())).bits if start.any() else 0


@lru_cache(maxsize=1000)
def _planes(sums: Sums) -> int:
    return len(find_planes(sums.product.weights)[0])


@lru_cache(maxsize=20_000)
def _tree(size: int) -> tuple[Features, Features, int, int]:
    """Of one output, of the inputs of all, the cycles, and the bits of the count; as `count_tree.CountTree` joins
    counts of three products, two and another product at a time, whose factors have waited so long."""
    if size == 1:
        return NOTHING, NOTHING, 0, 1
    parts = -(-(size + 2) // 4) if size > 3 else 1
    highs = [min(3, size - 3 * part) for part in range(parts)]
    spare = size - sum(highs)
    found, inputs = _packed([2] * sum(high == 3 for high in highs)) + features(register=2 * parts), NOTHING
    cycles = 1
    while len(highs) > 1:
        pairs = len(highs) // 2
        taken = min(pairs, spare)
        sums = [highs[2 * pair] + highs[2 * pair + 1] + (pair < taken) for pair in range(pairs)]
        spare -= taken
        waiting = registers(taken, cycles)
        highs = [*sums, *highs[2 * pairs :]]
        found = found + waiting + _packed([high.bit_length() for high in sums])
        found = found + features(register=sum(high.bit_length() for high in highs))
        inputs = inputs + waiting
        cycles += 1
    return found, inputs, cycles, size.bit_length()


def _packed(sizes: list[int]) -> Features:
    """Additions of so many bits in chains together, a bit between them."""
    bits = sum(size + 1 for size in sizes)
    chains = -(-bits // LONGEST_CHAIN)
    pairs, fours = -(-bits // 2) + chains / 2, -(-bits // 4) + chains / 2
    return features(packed=bits, packed_pairs=pairs, packed_fours=fours, chains=chains)
