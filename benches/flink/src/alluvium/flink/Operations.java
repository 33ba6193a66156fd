package alluvium.flink;

import alluvium.flink.Inputs.Accesses;
import org.apache.flink.runtime.state.AbstractKeyedStateBackend;

/** Operations on state of one kind, on one backend: benches/src/cases/subject.rs in Java. */
abstract class Operations implements Harness.Service {
    final AbstractKeyedStateBackend<Long> backend;
    final Inputs inputs;
    /** Number of the next access. */
    private long next;

    Operations(String backend, long keys) throws Exception {
        this.backend = Backends.open(backend, Backends.ALL, Backends.NOTHING);
        this.inputs = new Inputs(keys);
    }

    static Operations of(String backend, String kind, long keys) throws Exception {
        Operations operations;
        switch (kind) {
            case "value":
                operations = new ValueOperations(backend, keys);
                break;
            case "list":
                operations = new ListOperations(backend, keys);
                break;
            case "map":
                operations = new MapOperations(backend, keys);
                break;
            default:
                throw new IllegalArgumentException("no kind of state: " + kind);
        }
        // What the fill has left to collect, to flush and to compact.
        System.gc();
        Thread.sleep(2_000);
        return operations;
    }

    @Override
    public long[] answer(String[] request) throws Exception {
        switch (request[0]) {
            case "run":
                Accesses accesses = inputs.accesses(next, Integer.parseInt(request[2]));
                next += accesses.count;
                long start = System.nanoTime();
                long checksum = run(request[1], accesses);
                long took = System.nanoTime() - start;
                putBack(request[1], accesses);
                return new long[] {took, checksum};
            case "digest":
                long sum = 0;
                for (long key = 0; key < 2 * inputs.keys; key++) {
                    backend.setCurrentKey(key);
                    sum += digest() * (key | 1);
                }
                return new long[] {sum};
            default:
                throw Harness.unknown(request);
        }
    }

    /** The measured part: a number that depends on all that was read. */
    abstract long run(String name, Accesses accesses) throws Exception;

    /** Removes what a case has added, and puts back what it has removed. */
    abstract void putBack(String name, Accesses accesses) throws Exception;

    /** A number that depends on the state of the current key. */
    abstract long digest() throws Exception;

    static IllegalArgumentException unknown(String name) {
        return new IllegalArgumentException("no case: " + name);
    }
}
