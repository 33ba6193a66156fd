package alluvium.flink;

import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.util.Collection;
import java.util.Collections;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.apache.flink.api.common.ExecutionConfig;
import org.apache.flink.api.common.JobID;
import org.apache.flink.api.common.state.State;
import org.apache.flink.api.common.state.StateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.core.fs.CloseableRegistry;
import org.apache.flink.metrics.groups.UnregisteredMetricsGroup;
import org.apache.flink.runtime.execution.Environment;
import org.apache.flink.runtime.io.disk.iomanager.IOManagerAsync;
import org.apache.flink.runtime.memory.MemoryManager;
import org.apache.flink.runtime.state.AbstractKeyedStateBackend;
import org.apache.flink.runtime.state.KeyGroupRange;
import org.apache.flink.runtime.state.KeyGroupRangeAssignment;
import org.apache.flink.runtime.state.KeyedStateBackendParametersImpl;
import org.apache.flink.runtime.state.KeyedStateHandle;
import org.apache.flink.runtime.state.LocalRecoveryConfig;
import org.apache.flink.runtime.state.TaskStateManager;
import org.apache.flink.runtime.state.VoidNamespace;
import org.apache.flink.runtime.state.VoidNamespaceSerializer;
import org.apache.flink.runtime.state.hashmap.HashMapStateBackend;
import org.apache.flink.runtime.state.ttl.TtlTimeProvider;
import org.apache.flink.runtime.taskmanager.TaskManagerRuntimeInfo;
import org.apache.flink.state.rocksdb.EmbeddedRocksDBStateBackend;
import org.apache.flink.util.FileUtils;
import org.apache.flink.util.UserCodeClassLoader;

/**
 * Keyed state backends, made by the factories that jobs use, in an environment that knows no more
 * than they ask for.
 */
final class Backends {
    static final int KEY_GROUPS = 128;
    /** All key groups, those of the only subtask. */
    static final KeyGroupRange ALL = KeyGroupRange.of(0, KEY_GROUPS - 1);
    /** What a backend without state is opened from. */
    static final Collection<KeyedStateHandle> NOTHING = Collections.emptyList();
    /** Memory of RocksDB, here and in Alluvium. */
    private static final String ROCKSDB_MEMORY = "256mb";

    private static final ClassLoader LOADER = Backends.class.getClassLoader();
    private static final JobID JOB = new JobID();
    private static final Queue<File> FOLDERS = new ConcurrentLinkedQueue<>();
    private static final File FOLDER = folder();
    private static final Environment ENVIRONMENT = environment();

    private Backends() {}

    /** The key groups of a subtask. */
    static KeyGroupRange rangeOf(int subtask, int parallelism) {
        return KeyGroupRangeAssignment.computeKeyGroupRangeForOperatorIndex(
                KEY_GROUPS, parallelism, subtask);
    }

    /** Opens the backend of a subtask. */
    static AbstractKeyedStateBackend<Long> open(
            String name, KeyGroupRange range, Collection<KeyedStateHandle> from) throws Exception {
        KeyedStateBackendParametersImpl<Long> parameters =
                new KeyedStateBackendParametersImpl<>(
                        ENVIRONMENT,
                        JOB,
                        "measured",
                        LongSerializer.INSTANCE,
                        KEY_GROUPS,
                        range,
                        null,
                        TtlTimeProvider.DEFAULT,
                        new UnregisteredMetricsGroup(),
                        from,
                        new CloseableRegistry());
        if (!name.equals("rocksdb")) {
            // Names of several backends in memory of the other side.
            return new HashMapStateBackend().createKeyedStateBackend(parameters);
        }
        Configuration options =
                Configuration.fromMap(
                        Map.of(
                                "state.backend.rocksdb.memory.fixed-per-slot",
                                ROCKSDB_MEMORY,
                                "execution.checkpointing.incremental",
                                "true",
                                "state.backend.rocksdb.localdir",
                                FOLDER.getAbsolutePath()));
        return new EmbeddedRocksDBStateBackend()
                .configure(options, LOADER)
                .createKeyedStateBackend(parameters);
    }

    /** Registers a state without namespaces. */
    static <S extends State> S state(
            AbstractKeyedStateBackend<Long> backend, StateDescriptor<S, ?> descriptor)
            throws Exception {
        return backend.getPartitionedState(
                VoidNamespace.INSTANCE, VoidNamespaceSerializer.INSTANCE, descriptor);
    }

    /** A folder for temporary files that goes with the process. */
    static File folder() {
        try {
            File folder = Files.createTempDirectory("alluvium-flink-").toFile();
            FOLDERS.add(folder);
            return folder;
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    /** Removes what this process has written. */
    static void deleteFolders() {
        FOLDERS.forEach(FileUtils::deleteDirectoryQuietly);
    }

    private static Environment environment() {
        TaskManagerRuntimeInfo machine =
                answering(
                        TaskManagerRuntimeInfo.class,
                        Map.of(
                                "getConfiguration",
                                new Configuration(),
                                "getTmpDirectories",
                                new String[] {FOLDER.getAbsolutePath()},
                                "getTmpWorkingDirectory",
                                FOLDER));
        TaskStateManager states =
                answering(
                        TaskStateManager.class,
                        Map.of(
                                "createLocalRecoveryConfig",
                                LocalRecoveryConfig.BACKUP_AND_RECOVERY_DISABLED));
        UserCodeClassLoader loader =
                answering(UserCodeClassLoader.class, Map.of("asClassLoader", LOADER));
        return answering(
                Environment.class,
                Map.of(
                        "getJobID",
                        JOB,
                        "getTaskManagerInfo",
                        machine,
                        "getTaskStateManager",
                        states,
                        "getUserCodeClassLoader",
                        loader,
                        "getExecutionConfig",
                        new ExecutionConfig(),
                        "getIOManager",
                        new IOManagerAsync(FOLDER.getAbsolutePath()),
                        "getMemoryManager",
                        MemoryManager.create(1 << 20, 32 * 1024)));
    }

    /** Something that gives a fixed answer for each of some methods, and refuses all others. */
    private static <T> T answering(Class<T> type, Map<String, Object> answers) {
        Object made =
                Proxy.newProxyInstance(
                        LOADER,
                        new Class<?>[] {type},
                        (self, method, arguments) -> {
                            Object answer = answers.get(method.getName());
                            if (answer == null) {
                                throw new UnsupportedOperationException(method.toString());
                            }
                            return answer;
                        });
        return type.cast(made);
    }
}
