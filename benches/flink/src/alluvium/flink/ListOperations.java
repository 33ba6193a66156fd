package alluvium.flink;

import alluvium.flink.Inputs.Accesses;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;

/** Operations on list state; each case is a loop of its own. */
final class ListOperations extends Operations {
    private final ListState<Long> state;
    /** What was read last, so that reading cannot be left out. */
    private volatile Object read;

    ListOperations(String name, long keys) throws Exception {
        super(name, keys);
        state =
                Backends.state(
                        backend, new ListStateDescriptor<>("list", LongSerializer.INSTANCE));
        SplitMix content = new SplitMix(Inputs.CONTENT_SEED);
        for (long key = 0; key < keys; key++) {
            List<Long> list = new ArrayList<>(Inputs.LIST_ELEMENTS);
            for (int i = 0; i < Inputs.LIST_ELEMENTS; i++) {
                list.add(content.next());
            }
            backend.setCurrentKey(key);
            state.update(list);
        }
    }

    @Override
    long run(String name, Accesses accesses) throws Exception {
        switch (name) {
            case "list_get":
                return get(accesses);
            case "list_get_and_iterate":
                return getAndIterate(accesses);
            case "list_append":
                return append(accesses);
            case "list_add":
                return add(accesses);
            case "list_update":
                return update(accesses);
            default:
                throw unknown(name);
        }
    }

    private long get(Accesses accesses) throws Exception {
        Object last = null;
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            Object list = state.get();
            if (list == last) {
                throw new IllegalStateException("two keys have one list");
            }
            last = list;
        }
        read = last;
        return 0;
    }

    private long getAndIterate(Accesses accesses) throws Exception {
        long sum = 0;
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            for (Long element : state.get()) {
                sum += element;
            }
        }
        return sum;
    }

    private long append(Accesses accesses) throws Exception {
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            state.add(accesses.values[i]);
        }
        return 0;
    }

    private long add(Accesses accesses) throws Exception {
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.newKeys[i]);
            state.update(Collections.singletonList(accesses.values[i]));
        }
        return 0;
    }

    private long update(Accesses accesses) throws Exception {
        for (int i = 0; i < accesses.count; i++) {
            backend.setCurrentKey(accesses.keys[i]);
            state.update(Collections.singletonList(accesses.values[i]));
        }
        return 0;
    }

    @Override
    void putBack(String name, Accesses accesses) throws Exception {
        if (name.equals("list_add")) {
            for (int i = 0; i < accesses.count; i++) {
                backend.setCurrentKey(accesses.newKeys[i]);
                state.clear();
            }
        }
    }

    @Override
    long digest() throws Exception {
        long sum = 0;
        Iterable<Long> elements = state.get();
        if (elements != null) {
            for (Long element : elements) {
                sum += element;
            }
        }
        return sum;
    }
}
