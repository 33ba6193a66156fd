package alluvium.flink;

import alluvium.flink.Inputs.Accesses;
import java.util.Iterator;
import java.util.Map;
import org.apache.flink.api.common.state.MapState;
import org.apache.flink.api.common.state.MapStateDescriptor;
import org.apache.flink.api.common.typeutils.base.DoubleSerializer;
import org.apache.flink.api.common.typeutils.base.LongSerializer;

/** Operations on map state; each case is a loop of its own. */
final class MapOperations extends Operations {
    private final MapState<Long, Double> state;
    private final Map<Long, Double> entries;

    MapOperations(String name, long keys) throws Exception {
        super(name, keys);
        state =
                Backends.state(
                        backend,
                        new MapStateDescriptor<>(
                                "map", LongSerializer.INSTANCE, DoubleSerializer.INSTANCE));
        entries = inputs.entries();
        SplitMix content = new SplitMix(Inputs.CONTENT_SEED);
        for (long key = 0; key < keys; key++) {
            backend.setCurrentKey(key);
            for (long userKey : inputs.mapKeys) {
                state.put(userKey, content.nextDouble());
            }
        }
    }

    @Override
    long run(String name, Accesses accesses) throws Exception {
        switch (name) {
            case "map_get":
                return get(accesses);
            case "map_contains":
                return contains(accesses);
            case "map_update":
                return update(accesses);
            case "map_iterate":
                return iterate(accesses);
            case "map_add":
                return add(accesses);
            case "map_put_all":
                return putAll(accesses);
            case "map_remove":
                return remove(accesses);
            default:
                throw unknown(name);
        }
    }

    private long get(Accesses accesses) throws Exception {
        long sum = 0;
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            sum += Double.doubleToRawLongBits(state.get(accesses.mapKeys[i]));
        }
        return sum;
    }

    private long contains(Accesses accesses) throws Exception {
        long sum = 0;
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            if (state.contains(accesses.mapKeys[i] << 1)) {
                sum++;
            }
        }
        return sum;
    }

    private long update(Accesses accesses) throws Exception {
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            state.put(accesses.mapKeys[i], accesses.mapValues[i]);
        }
        return 0;
    }

    private long iterate(Accesses accesses) throws Exception {
        long sum = 0;
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            sum += sumOfEntries();
        }
        return sum;
    }

    private long add(Accesses accesses) throws Exception {
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.newKeys[i]);
            state.put(accesses.mapKeys[i], accesses.mapValues[i]);
        }
        return 0;
    }

    private long putAll(Accesses accesses) throws Exception {
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            state.putAll(entries);
        }
        return 0;
    }

    private long remove(Accesses accesses) throws Exception {
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            state.remove(accesses.mapKeys[i]);
        }
        return 0;
    }

    @Override
    void putBack(String name, Accesses accesses) throws Exception {
        if (name.equals("map_add")) {
            for (int i = 0; i < accesses.count; i++) {
                backend.setCurrentKey(accesses.newKeys[i]);
                state.clear();
            }
        } else if (name.equals("map_remove")) {
            update(accesses);
        }
    }

    @Override
    long digest() throws Exception {
        return sumOfEntries();
    }

    private long sumOfEntries() throws Exception {
        long sum = 0;
        Iterator<Map.Entry<Long, Double>> iterator = state.iterator();
        while (iterator.hasNext()) {
            Map.Entry<Long, Double> entry = iterator.next();
            sum += entry.getKey();
            sum += Double.doubleToRawLongBits(entry.getValue());
        }
        return sum;
    }
}
