//! What a case holds, in lines of text: read by a backend, and from what the reader in Python prints.
//!
//! A line of keyed state is `keyed`, state, key, namespace, value; one of operator state is `operator`,
//! subtask, state, item: tabs between them, and JSON for what has a codec. The lines are sorted.

use std::fmt::{Debug, Display};
use std::path::Path;
use std::process::Command;

use alluvium::core::{KeyGroupRange, SubtaskIndex};
use alluvium::format::codec::{DefaultCodec, Stamped, TtlCodec};
use alluvium::format::operator::read_operator_state;
use alluvium::state::{
    AggregatingStateDescriptor, KeyedStateBackend, ListStateDescriptor, MapStateDescriptor,
    OperatorStateBackend, ReducingStateDescriptor, SortedMapStateDescriptor, StateBackend,
    StateRef, TimeDomain, TimerDescriptor, ValueStateDescriptor,
};

use super::states::{CountAndSum, add};
use super::{Found, operator, parallelism, spec, types};

/// What a backend reads.
///
/// Panics: where it refuses anything.
pub fn keyed<B: StateBackend>(backend: &B, found: &Found) -> Vec<String> {
    if types::is_of_types(found) {
        return types::keyed(backend, found);
    }
    let mut lines = Lines(Vec::new());
    let operator = found.metadata.operators.first().unwrap();
    for subtask in &operator.subtasks {
        let handle = subtask.keyed.clone().unwrap();
        let spec = spec(subtask.index, found.metadata.properties.assigner);
        lines.of(&mut backend.open(spec, &[handle], &found.reader).unwrap());
    }
    lines.0.sort();
    lines.0
}

/// The operator state of a case.
///
/// Panics: where anything is refused.
pub fn operator(found: &Found) -> Vec<String> {
    let mut lines = Vec::new();
    for subtask in &found.metadata.operators.first().unwrap().subtasks {
        let stream = &subtask.operator.as_ref().unwrap().stream;
        let (_, _, items) = read_operator_state(found.reader.open(stream).unwrap()).unwrap();
        lines.extend(operator_of(subtask.index, OperatorStateBackend::new(items)));
    }
    lines.sort();
    lines
}

fn operator_of(subtask: SubtaskIndex, mut backend: OperatorStateBackend) -> Vec<String> {
    let key_groups = KeyGroupRange::of_subtask(subtask, parallelism()).unwrap();
    let states = operator::register(&mut backend, key_groups);
    let mut lines = Vec::new();
    let mut put = |state: &str, item: String| {
        lines.push(format!("operator\t{subtask}\t{state}\t{item}"));
    };
    for item in backend.items(states.split).unwrap() {
        put("split", item.to_string());
    }
    for (pending, committed, checkpoint) in backend.items(states.union).unwrap() {
        put("pending-files", format!("[{pending:?}, {committed:?}, {checkpoint}]"));
    }
    for (key, value) in backend.broadcast_entries(states.broadcast).unwrap() {
        put("broadcast", format!("[{key:?}, {value}]"));
    }
    for item in backend.items(states.raw).unwrap() {
        put("raw", hex(item));
    }
    for (name, state) in states.keyed {
        for (key_group, section) in backend.raw_keyed_sections(state).unwrap() {
            put(name, format!("[{key_group}, {}]", hex(section)));
        }
    }
    lines
}

pub(super) fn hex(bytes: &[u8]) -> String {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digits:?}")
}

fn stamped() -> TtlCodec<DefaultCodec> {
    TtlCodec { value: DefaultCodec, first_stamp_ms: 0 }
}

fn json_of_stamped(stamped: &Stamped<u64>) -> String {
    format!("{{\"stamp_ms\": {}, \"value\": {}}}", stamped.stamp_ms, stamped.value)
}

pub(super) fn json_list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}

/// A map, whose entries come in no order.
pub(super) fn json_map(entries: impl Iterator<Item = String>) -> String {
    let mut entries: Vec<_> = entries.collect();
    entries.sort();
    json_list(entries.into_iter())
}

struct Lines(Vec<String>);

impl Lines {
    fn put(&mut self, state: &str, key: &String, namespace: impl Display, value: impl Display) {
        self.0.push(format!("keyed\t{state}\t{key:?}\t{namespace}\t{value}"));
    }

    fn of(&mut self, keyed: &mut impl KeyedStateBackend<Key = String>) {
        self.values(keyed);
        self.lists(keyed);
        self.maps(keyed);
        self.reduced(keyed);
        self.timers(keyed);
    }

    fn keys<S: StateRef<Namespace = ()>>(
        keyed: &mut impl KeyedStateBackend<Key = String>,
        state: S,
    ) -> Vec<String> {
        keyed.keys(state, &()).unwrap()
    }

    fn values(&mut self, keyed: &mut impl KeyedStateBackend<Key = String>) {
        let state = keyed.value_state(ValueStateDescriptor::<u64>::new("value")).unwrap();
        for key in Self::keys(keyed, state) {
            let value = *state.get(&keyed.at(&key).unwrap()).unwrap().unwrap();
            self.put("value", &key, "null", value);
        }
        let window = ValueStateDescriptor::<String>::new("window").namespaced::<u32>();
        let window = keyed.value_state(window).unwrap();
        for (key, namespace) in keyed.keys_and_namespaces(window).unwrap() {
            let at = keyed.at_namespace(&key, &namespace).unwrap();
            let value = format!("{:?}", *window.get(&at).unwrap().unwrap());
            self.put("window", &key, namespace, value);
        }
        let ttl = ValueStateDescriptor::<Stamped<u64>, _>::with_codec("value ttl", stamped());
        let ttl = keyed.value_state(ttl).unwrap();
        for key in Self::keys(keyed, ttl) {
            let value = json_of_stamped(&ttl.get(&keyed.at(&key).unwrap()).unwrap().unwrap());
            self.put("value ttl", &key, "null", value);
        }
    }

    fn lists(&mut self, keyed: &mut impl KeyedStateBackend<Key = String>) {
        let list = keyed.list_state(ListStateDescriptor::<String>::new("list")).unwrap();
        for key in Self::keys(keyed, list) {
            let at = keyed.at(&key).unwrap();
            let elements = list.elements(&at).unwrap().map(|it| format!("{:?}", *it.unwrap()));
            self.put("list", &key, "null", json_list(elements));
        }
        let long = keyed.list_state(ListStateDescriptor::<u64>::new("long list").long()).unwrap();
        for key in Self::keys(keyed, long) {
            let at = keyed.at(&key).unwrap();
            let elements = long.elements(&at).unwrap().map(|it| it.unwrap().to_string());
            self.put("long list", &key, "null", json_list(elements));
        }
        let of_stamped = ListStateDescriptor::<Stamped<u64>, _>::with_codec;
        let (list, long) =
            (of_stamped("list ttl", stamped()), of_stamped("long list ttl", stamped()));
        for (name, list) in [("list ttl", list), ("long list ttl", long.long())] {
            let list = keyed.list_state(list).unwrap();
            for key in Self::keys(keyed, list) {
                let at = keyed.at(&key).unwrap();
                let elements = list.elements(&at).unwrap().map(|it| json_of_stamped(&it.unwrap()));
                self.put(name, &key, "null", json_list(elements));
            }
        }
    }

    fn maps(&mut self, keyed: &mut impl KeyedStateBackend<Key = String>) {
        let entry = |key: &dyn Debug, value: &dyn Debug| format!("[{key:?}, {value:?}]");
        let map = keyed.map_state(MapStateDescriptor::<u32, String>::new("map")).unwrap();
        for key in Self::keys(keyed, map) {
            let at = keyed.at(&key).unwrap();
            let entries = map.entries(&at).unwrap().map(|it| {
                let (user_key, value) = it.unwrap();
                entry(&*user_key, &*value)
            });
            self.put("map", &key, "null", json_map(entries));
        }
        let sorted = SortedMapStateDescriptor::<i64, u64>::new("sorted map");
        let sorted = keyed.sorted_map_state(sorted).unwrap();
        for key in Self::keys(keyed, sorted) {
            let at = keyed.at(&key).unwrap();
            let entries = sorted.entries(&at).unwrap().map(|it| {
                let (user_key, value) = it.unwrap();
                entry(&*user_key, &*value)
            });
            self.put("sorted map", &key, "null", json_list(entries));
        }
        let ttl = MapStateDescriptor::<u32, Stamped<u64>, _, _>::with_codecs(
            "map ttl",
            DefaultCodec,
            stamped(),
        );
        let ttl = keyed.map_state(ttl).unwrap();
        for key in Self::keys(keyed, ttl) {
            let at = keyed.at(&key).unwrap();
            let entries = ttl.entries(&at).unwrap().map(|it| {
                let (user_key, value) = it.unwrap();
                format!("[{}, {}]", *user_key, json_of_stamped(&value))
            });
            self.put("map ttl", &key, "null", json_map(entries));
        }
    }

    fn reduced(&mut self, keyed: &mut impl KeyedStateBackend<Key = String>) {
        let reducing = ReducingStateDescriptor::<u64>::new("reducing", add);
        let reducing = keyed.reducing_state(reducing).unwrap();
        for key in Self::keys(keyed, reducing) {
            let value = *reducing.get(&keyed.at(&key).unwrap()).unwrap().unwrap();
            self.put("reducing", &key, "null", value);
        }
        let aggregating = AggregatingStateDescriptor::new("aggregating", CountAndSum);
        let aggregating = keyed.aggregating_state(aggregating).unwrap();
        for key in Self::keys(keyed, aggregating) {
            let (count, sum) = aggregating.get(&keyed.at(&key).unwrap()).unwrap().unwrap();
            self.put("aggregating", &key, "null", format!("[{count}, {sum}]"));
        }
    }

    /// Timers are taken until there is none.
    fn timers(&mut self, keyed: &mut impl KeyedStateBackend<Key = String>) {
        let timers = keyed.timers(TimerDescriptor::new("timers")).unwrap();
        for domain in [TimeDomain::EventTime, TimeDomain::ProcessingTime] {
            while let Some(timer) = keyed.pop_timer(timers, domain, i64::MAX).unwrap() {
                let namespace = format!("[{}, {}, null]", domain.code(), timer.time_ms);
                self.put("timers", &timer.key, namespace, "null");
            }
        }
    }
}

/// What the reader in Python prints of a checkpoint or savepoint; of SST files, nothing.
///
/// Panics: where it refuses anything.
pub fn by_python(checkpoint: &Path) -> Vec<String> {
    let script = crate::top().join("tests/spec_reader/read_checkpoint.py");
    let output = Command::new("python3").arg(script).arg(checkpoint).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    of_json(&String::from_utf8(output.stdout).unwrap())
}

/// What JSON lines say that are written as the reader in Python writes them.
///
/// Panics: for lines that are not.
pub fn of_json(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = text.lines().filter_map(line_of).collect();
    lines.sort();
    lines
}

fn line_of(json: &str) -> Option<String> {
    let between = |from: &str, to: &str| {
        let rest = json.split_once(from).unwrap_or_else(|| panic!("{from} in {json}")).1;
        rest.split_once(to).unwrap_or_else(|| panic!("{to} in {json}")).0
    };
    let state = || between("\"state\": \"", "\"");
    let without_end = |rest: &str| rest.strip_suffix('}').unwrap().to_owned();
    if json.contains("\"type\": \"keyed\"") {
        let key = between("\"key\": ", ", \"namespace\"");
        let namespace = between("\"namespace\": ", ", \"value\"");
        let (_, value) = json.split_once(", \"value\": ").unwrap();
        let value = without_end(value);
        let is_map = matches!(state(), "map" | "map ttl");
        let value = if is_map { sorted_entries(&value) } else { value };
        return Some(format!("keyed\t{}\t{key}\t{namespace}\t{value}", state()));
    }
    if json.contains("\"type\": \"operator_state\"") {
        let subtask = between("\"subtask\": ", ",");
        let (_, item) = json.split_once(", \"item\": ").unwrap();
        return Some(format!("operator\t{subtask}\t{}\t{}", state(), without_end(item)));
    }
    None
}

/// The entries of a map in one order.
fn sorted_entries(json: &str) -> String {
    let inner = json.strip_prefix("[[").and_then(|rest| rest.strip_suffix("]]")).unwrap();
    json_map(inner.split("], [").map(|entry| format!("[{entry}]")))
}
