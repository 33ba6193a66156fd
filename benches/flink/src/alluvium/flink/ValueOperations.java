package alluvium.flink;

import alluvium.flink.Inputs.Accesses;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;

/** Operations on value state; each case is a loop of its own, so that each is compiled by itself. */
final class ValueOperations extends Operations {
    private final ValueState<Long> state;

    ValueOperations(String name, long keys) throws Exception {
        super(name, keys);
        state =
                Backends.state(
                        backend, new ValueStateDescriptor<>("value", LongSerializer.INSTANCE));
        SplitMix content = new SplitMix(Inputs.CONTENT_SEED);
        for (long key = 0; key < keys; key++) {
            backend.setCurrentKey(key);
            state.update(content.next());
        }
    }

    @Override
    long run(String name, Accesses accesses) throws Exception {
        switch (name) {
            case "value_get":
                return get(accesses);
            case "value_update":
                return update(accesses);
            case "value_add":
                return add(accesses);
            default:
                throw unknown(name);
        }
    }

    private long get(Accesses accesses) throws Exception {
        long sum = 0;
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            sum += state.value();
        }
        return sum;
    }

    private long update(Accesses accesses) throws Exception {
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            state.update(accesses.values[i]);
        }
        return 0;
    }

    private long add(Accesses accesses) throws Exception {
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.newKeys[i]);
            state.update(accesses.values[i]);
        }
        return 0;
    }

    @Override
    void putBack(String name, Accesses accesses) throws Exception {
        if (name.equals("value_add")) {
            for (int i = 0; i < accesses.count; i++) {
                backend.setCurrentKey(accesses.newKeys[i]);
                state.clear();
            }
        }
    }

    @Override
    long digest() throws Exception {
        Long value = state.value();
        return value == null ? 0 : value;
    }
}
