package alluvium.flink;

import java.util.HashMap;
import java.util.Map;

/** Keys and values in the order in which cases use them: benches/src/cases/inputs.rs in Java. */
final class Inputs {
    static final int MAP_ENTRIES = 10;
    static final int LIST_ELEMENTS = 100;

    private static final long SETUP_SEED = 1;
    private static final long NEW_SEED = 2;
    private static final long MAP_KEYS_SEED = 3;
    private static final long MAP_VALUES_SEED = 4;
    private static final long VALUES_SEED = 5;
    static final long CONTENT_SEED = 6;
    private static final long VALUES = 1_000_000;

    final long keys;
    final long[] mapKeys = shuffled(0, MAP_ENTRIES, MAP_KEYS_SEED);
    private final double[] mapValues = new double[MAP_ENTRIES];
    private final long[] setupKeys;
    private final long[] newKeys;
    private final long[] values = shuffled(0, VALUES, VALUES_SEED);

    Inputs(long keys) {
        this.keys = keys;
        setupKeys = shuffled(0, keys, SETUP_SEED);
        newKeys = shuffled(keys, keys, NEW_SEED);
        SplitMix random = new SplitMix(MAP_VALUES_SEED);
        for (int i = 0; i < MAP_ENTRIES; i++) {
            mapValues[i] = random.nextDouble();
        }
    }

    /** What some runs of an operation are given, one after the other. */
    static final class Accesses {
        final int count;
        final long[] keys;
        final long[] newKeys;
        final long[] mapKeys;
        final double[] mapValues;
        final long[] values;

        private Accesses(int count) {
            this.count = count;
            keys = new long[count];
            newKeys = new long[count];
            mapKeys = new long[count];
            mapValues = new double[count];
            values = new long[count];
        }
    }

    Accesses accesses(long from, int count) {
        Accesses accesses = new Accesses(count);
        for (int i = 0; i < count; i++) {
            long number = from + i;
            accesses.keys[i] = setupKeys[(int) (number % setupKeys.length)];
            accesses.newKeys[i] = newKeys[(int) (number % newKeys.length)];
            accesses.mapKeys[i] = mapKeys[(int) (number % MAP_ENTRIES)];
            accesses.mapValues[i] = mapValues[(int) (number % MAP_ENTRIES)];
            accesses.values[i] = values[(int) (number % VALUES)];
        }
        return accesses;
    }

    /** The entries that map_put_all puts. */
    Map<Long, Double> entries() {
        Map<Long, Double> entries = new HashMap<>(MAP_ENTRIES);
        for (int i = 0; i < MAP_ENTRIES; i++) {
            entries.put(mapKeys[i], mapValues[i]);
        }
        return entries;
    }

    /** Fisher and Yates. */
    private static long[] shuffled(long first, long count, long seed) {
        long[] numbers = new long[(int) count];
        for (int i = 0; i < numbers.length; i++) {
            numbers[i] = first + i;
        }
        SplitMix random = new SplitMix(seed);
        for (int last = numbers.length - 1; last >= 1; last--) {
            int other = (int) random.below(last + 1L);
            long moved = numbers[last];
            numbers[last] = numbers[other];
            numbers[other] = moved;
        }
        return numbers;
    }
}
