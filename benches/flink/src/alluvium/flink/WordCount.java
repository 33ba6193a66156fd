package alluvium.flink;

import java.io.File;
import java.util.Map;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicLongArray;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.functions.RichMapFunction;
import org.apache.flink.api.common.state.CheckpointListener;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.api.connector.source.lib.NumberSequenceSource;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.execution.JobClient;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.streaming.api.functions.sink.v2.DiscardingSink;
import org.apache.flink.util.Collector;
import org.apache.flink.util.FileUtils;

/**
 * Counting words in a MiniCluster: benches/src/flink/ours/word_count.rs in Java.
 *
 * <p>The job runs in this process, so its tasks count into fields of this class.
 */
final class WordCount implements Harness.Service {
    private static final int PARALLELISM = 2;
    /** Longs between the counters of two subtasks, so that they share no line of the cache. */
    private static final int APART = 16;
    /** Records after which a subtask tells how many it has counted. */
    private static final long TOLD = 256;

    /** Longest time until a job counts. */
    private static final long START_LIMIT_NS = 120_000_000_000L;

    private static final AtomicLongArray COUNTED = new AtomicLongArray(PARALLELISM * APART);
    private static final AtomicLong CHECKPOINTS = new AtomicLong();

    private final int words;

    WordCount(int words) {
        this.words = words;
    }

    @Override
    public long[] answer(String[] request) throws Exception {
        if (!request[0].equals("run")) {
            throw Harness.unknown(request);
        }
        return count(Long.parseLong(request[1]), Long.parseLong(request[2]));
    }

    /** Records counted in a window, the nanoseconds of that, and checkpoints completed in it. */
    private long[] count(long warmUpMs, long windowMs) throws Exception {
        File folder = Backends.folder();
        StreamExecutionEnvironment environment =
                StreamExecutionEnvironment.createLocalEnvironment(PARALLELISM, options(folder));
        environment
                .fromSource(
                        new NumberSequenceSource(0, Long.MAX_VALUE / 2),
                        WatermarkStrategy.noWatermarks(),
                        "numbers")
                .map(new Words(words))
                .returns(Types.STRING)
                .keyBy(word -> word, Types.STRING)
                .process(new Count())
                .returns(Types.LONG)
                .sinkTo(new DiscardingSink<>());
        long idle = counted();
        JobClient job = environment.executeAsync("words");
        // The warm-up begins when the cluster is there and the job counts.
        long limit = System.nanoTime() + START_LIMIT_NS;
        while (counted() == idle && System.nanoTime() < limit) {
            Thread.sleep(1);
        }
        Thread.sleep(warmUpMs);
        long checkpoints = CHECKPOINTS.get();
        long before = counted();
        long start = System.nanoTime();
        Thread.sleep(windowMs);
        long took = System.nanoTime() - start;
        long records = counted() - before;
        checkpoints = CHECKPOINTS.get() - checkpoints;
        job.cancel().get();
        try {
            job.getJobExecutionResult().get();
            throw new IllegalStateException("the job ended by itself");
        } catch (java.util.concurrent.ExecutionException e) {
            // It was cancelled. A job that failed would have counted too little to be believed.
            if (records == 0) {
                throw e;
            }
        }
        FileUtils.deleteDirectoryQuietly(folder);
        return new long[] {records, took, checkpoints};
    }

    private static Configuration options(File folder) {
        return Configuration.fromMap(
                Map.of(
                        "state.backend.type",
                        "hashmap",
                        "execution.checkpointing.dir",
                        folder.toURI().toString(),
                        "execution.checkpointing.interval",
                        "1s",
                        "execution.checkpointing.mode",
                        "EXACTLY_ONCE",
                        "pipeline.object-reuse",
                        "true",
                        "pipeline.max-parallelism",
                        Integer.toString(Backends.KEY_GROUPS),
                        "restart-strategy.type",
                        "none",
                        "taskmanager.numberOfTaskSlots",
                        Integer.toString(PARALLELISM)));
    }

    private static long counted() {
        long sum = 0;
        for (int subtask = 0; subtask < PARALLELISM; subtask++) {
            sum += COUNTED.get(subtask * APART);
        }
        return sum;
    }

    /** From numbers to words, which are made once. */
    private static final class Words extends RichMapFunction<Long, String> {
        private static final long serialVersionUID = 1;

        private final int count;
        private transient String[] words;

        Words(int count) {
            this.count = count;
        }

        @Override
        public void open(OpenContext context) {
            words = new String[count];
            for (int i = 0; i < count; i++) {
                words[i] = Long.toHexString(SplitMix.mixed(i) & 0xffff_ffffL);
            }
        }

        @Override
        public String map(Long number) {
            return words[(int) Long.remainderUnsigned(SplitMix.mixed(number), count)];
        }
    }

    /** The count of each word. */
    private static final class Count extends KeyedProcessFunction<String, String, Long>
            implements CheckpointListener {
        private static final long serialVersionUID = 1;

        private transient ValueState<Long> counts;
        private transient int subtask;
        private transient long counted;

        @Override
        public void open(OpenContext context) {
            counts = getRuntimeContext().getState(new ValueStateDescriptor<>("count", Types.LONG));
            subtask = getRuntimeContext().getTaskInfo().getIndexOfThisSubtask();
            counted = COUNTED.get(subtask * APART);
        }

        @Override
        public void processElement(String word, Context context, Collector<Long> out)
                throws Exception {
            Long before = counts.value();
            long count = before == null ? 1 : before + 1;
            counts.update(count);
            out.collect(count);
            if (++counted % TOLD == 0) {
                COUNTED.lazySet(subtask * APART, counted);
            }
        }

        @Override
        public void notifyCheckpointComplete(long checkpoint) {
            if (subtask == 0) {
                CHECKPOINTS.incrementAndGet();
            }
        }
    }
}
