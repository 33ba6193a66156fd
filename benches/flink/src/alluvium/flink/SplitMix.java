package alluvium.flink;

/** Seeded random numbers, those of benches/src/random.rs (SplitMix64). */
final class SplitMix {
    private long state;

    SplitMix(long seed) {
        state = seed;
    }

    long next() {
        state += 0x9e3779b97f4a7c15L;
        long z = state;
        z = (z ^ (z >>> 30)) * 0xbf58476d1ce4e5b9L;
        z = (z ^ (z >>> 27)) * 0x94d049bb133111ebL;
        return z ^ (z >>> 31);
    }

    /** A number below a limit that is far below 2^64. */
    long below(long limit) {
        return Long.remainderUnsigned(next(), limit);
    }

    /** From 0 to below 1, in steps of 2^-53. */
    double nextDouble() {
        return (next() >>> 11) * 0x1.0p-53;
    }

    /** A number, mixed one to one, so that neighbours are far apart. */
    static long mixed(long number) {
        return new SplitMix(number).next();
    }
}
