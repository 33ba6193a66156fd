package alluvium.flink;

import java.io.File;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.RunnableFuture;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.base.array.BytePrimitiveArraySerializer;
import org.apache.flink.core.fs.Path;
import org.apache.flink.core.fs.local.LocalFileSystem;
import org.apache.flink.runtime.checkpoint.CheckpointOptions;
import org.apache.flink.runtime.state.AbstractKeyedStateBackend;
import org.apache.flink.runtime.state.CheckpointStreamFactory;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.SnapshotResult;
import org.apache.flink.runtime.state.filesystem.FsCheckpointStreamFactory;

/** Checkpoints of one subtask and of two, and opening them: benches/src/cases/rescaling.rs in Java. */
final class Rescaling implements Harness.Service {
    private static final int VALUE_LENGTH = 216;
    /** Numbers of the keys that are read from each opened state. */
    private static final long READ_KEYS = 128;
    /** As FsCheckpointStorageAccess has them by default. */
    private static final int INLINE_BELOW = 20 * 1024;
    private static final int BUFFER = 4 * 1024;

    private final String backend;
    private final List<KeyedStateHandle> ofOne;
    private final List<KeyedStateHandle> ofTwo;

    Rescaling(String backend, long keys) throws Exception {
        this.backend = backend;
        File folder = Backends.folder();
        ofOne = checkpoint(new File(folder, "one"), 1, keys);
        ofTwo = checkpoint(new File(folder, "two"), 2, keys);
        System.gc();
    }

    @Override
    public long[] answer(String[] request) throws Exception {
        switch (request[0]) {
            case "restore":
                return open(ofOne, 1);
            case "rescale_out":
                return open(ofOne, 2);
            case "rescale_in":
                return open(ofTwo, 1);
            default:
                throw Harness.unknown(request);
        }
    }

    /** Opens all subtasks one after the other; nanoseconds of the slowest, and what was read. */
    private long[] open(List<KeyedStateHandle> handles, int parallelism) throws Exception {
        long slowest = 0;
        long checksum = 0;
        for (int subtask = 0; subtask < parallelism; subtask++) {
            KeyGroupRange range = Backends.rangeOf(subtask, parallelism);
            long start = System.nanoTime();
            List<KeyedStateHandle> from = new ArrayList<>();
            for (KeyedStateHandle handle : handles) {
                KeyedStateHandle part = handle.getIntersection(range);
                if (part != null) {
                    from.add(part);
                }
            }
            AbstractKeyedStateBackend<Long> opened = Backends.open(backend, range, from);
            checksum += readFirst(opened, range);
            slowest = Math.max(slowest, System.nanoTime() - start);
            opened.close();
            opened.dispose();
        }
        return new long[] {slowest, checksum};
    }

    private long readFirst(AbstractKeyedStateBackend<Long> opened, KeyGroupRange range)
            throws Exception {
        ValueState<byte[]> state = register(opened);
        long sum = 0;
        for (long number = 0; number < READ_KEYS; number++) {
            long key = SplitMix.mixed(number);
            if (range.contains(groupOf(key))) {
                opened.setCurrentKey(key);
                sum += ByteBuffer.wrap(state.value()).order(ByteOrder.LITTLE_ENDIAN).getLong();
            }
        }
        return sum;
    }

    private List<KeyedStateHandle> checkpoint(File folder, int parallelism, long keys)
            throws Exception {
        List<KeyedStateHandle> handles = new ArrayList<>();
        for (int subtask = 0; subtask < parallelism; subtask++) {
            KeyGroupRange range = Backends.rangeOf(subtask, parallelism);
            AbstractKeyedStateBackend<Long> filled =
                    Backends.open(backend, range, Backends.NOTHING);
            ValueState<byte[]> state = register(filled);
            for (long number = 0; number < keys; number++) {
                long key = SplitMix.mixed(number);
                if (range.contains(groupOf(key))) {
                    filled.setCurrentKey(key);
                    state.update(valueOf(number));
                }
            }
            RunnableFuture<SnapshotResult<KeyedStateHandle>> snapshot =
                    filled.snapshot(
                            1,
                            1,
                            streams(folder),
                            CheckpointOptions.forCheckpointWithDefaultLocation());
            snapshot.run();
            handles.add(snapshot.get().getJobManagerOwnedSnapshot());
            filled.close();
            filled.dispose();
        }
        return handles;
    }

    private static CheckpointStreamFactory streams(File folder) throws Exception {
        Path own = new Path(new File(folder, "chk-1").toURI());
        Path shared = new Path(new File(folder, "shared").toURI());
        LocalFileSystem files = LocalFileSystem.getSharedInstance();
        files.mkdirs(own);
        files.mkdirs(shared);
        return new FsCheckpointStreamFactory(files, own, shared, INLINE_BELOW, BUFFER);
    }

    private static ValueState<byte[]> register(AbstractKeyedStateBackend<Long> backend)
            throws Exception {
        return Backends.state(
                backend,
                new ValueStateDescriptor<>("value", BytePrimitiveArraySerializer.INSTANCE));
    }

    private static int groupOf(long key) {
        return KeyGroupRangeAssignment.assignToKeyGroup(key, Backends.KEY_GROUPS);
    }

    /** Bytes that do not compress, with the number's own first. */
    private static byte[] valueOf(long number) {
        SplitMix random = new SplitMix(number);
        ByteBuffer value = ByteBuffer.allocate(VALUE_LENGTH).order(ByteOrder.LITTLE_ENDIAN);
        while (value.hasRemaining()) {
            value.putLong(random.next());
        }
        return value.array();
    }
}
