package alluvium.flink;

import java.io.IOException;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.RunnableFuture;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.runtime.checkpoint.CheckpointOptions;
import org.apache.flink.runtime.state.AbstractKeyedStateBackend;
import org.apache.flink.runtime.state.CheckpointStateOutputStream;
import org.apache.flink.runtime.state.CheckpointStreamFactory;
import org.apache.flink.runtime.state.CheckpointedStateScope;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.SnapshotResult;
import org.apache.flink.runtime.state.StreamStateHandle;
import org.apache.flink.runtime.state.memory.ByteStreamStateHandle;

/** Full snapshots of the heap backend: benches/src/flink/ours/snapshots.rs in Java. */
final class Snapshots implements Harness.Service {
    private static final long ACCESS_SEED = 0x5eed_0002L;
    /** Random updates before each snapshot. */
    private static final int UPDATES = 2_000;

    private final AbstractKeyedStateBackend<Long> backend;
    private final ValueState<Long> state;
    private final long keys;
    private final SplitMix random = new SplitMix(ACCESS_SEED);
    private long checkpoint;

    Snapshots(long keys) throws Exception {
        this.keys = keys;
        backend = Backends.open("heap", Backends.ALL, Backends.NOTHING);
        state =
                Backends.state(
                        backend, new ValueStateDescriptor<>("value", LongSerializer.INSTANCE));
        for (long number = 0; number < keys; number++) {
            backend.setCurrentKey(SplitMix.mixed(number));
            state.update(number);
        }
        System.gc();
        Thread.sleep(2_000);
    }

    /** Nanoseconds of the synchronous part, of the asynchronous one, and the bytes. */
    @Override
    public long[] answer(String[] request) throws Exception {
        if (!request[0].equals("snapshot")) {
            throw Harness.unknown(request);
        }
        for (int i = 0; i < UPDATES; i++) {
            backend.setCurrentKey(SplitMix.mixed(random.below(keys)));
            state.update(state.value() + 1);
        }
        checkpoint++;
        Nowhere nowhere = new Nowhere();
        CheckpointOptions options = CheckpointOptions.forCheckpointWithDefaultLocation();
        long start = System.nanoTime();
        RunnableFuture<SnapshotResult<KeyedStateHandle>> rest =
                backend.snapshot(checkpoint, checkpoint, nowhere, options);
        long froze = System.nanoTime() - start;
        start = System.nanoTime();
        rest.run();
        rest.get();
        long wrote = System.nanoTime() - start;
        backend.notifyCheckpointComplete(checkpoint);
        return new long[] {froze, wrote, nowhere.length};
    }

    /** Counts bytes and forgets them. */
    private static final class Nowhere implements CheckpointStreamFactory {
        private long length;

        @Override
        public CheckpointStateOutputStream createCheckpointStateOutputStream(
                CheckpointedStateScope scope) {
            return new CheckpointStateOutputStream() {
                @Override
                public void write(int b) {
                    length++;
                }

                @Override
                public void write(byte[] bytes, int offset, int count) {
                    length += count;
                }

                @Override
                public long getPos() {
                    return length;
                }

                @Override
                public void flush() {}

                @Override
                public void sync() {}

                @Override
                public StreamStateHandle closeAndGetHandle() {
                    return new ByteStreamStateHandle("nowhere", new byte[0]);
                }

                @Override
                public void close() throws IOException {}
            };
        }

        @Override
        public boolean canFastDuplicate(StreamStateHandle handle, CheckpointedStateScope scope) {
            return false;
        }

        @Override
        public List<StreamStateHandle> duplicate(
                List<StreamStateHandle> handles, CheckpointedStateScope scope) {
            return Collections.emptyList();
        }
    }
}
