//! A case of value types, with keys that are numbers: floats with the odd ones among them, numbers of 128 bits,
//! `bool`, `option`, `fixed_bytes`, ordered texts and floats as user keys, and values of `postcard` and of a
//! codec of the job's own. Beside its checkpoint lie the files of SPEC 2 that no metadata refers to: claims of
//! attempts, a file that an operator owns, and local copies with their checksums.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use alluvium::core::{
    AssignerName, AttemptId, CheckpointId, JobId, KeyGroupAssigner, SubtaskIndex,
};
use alluvium::format::codec::{
    Codec, DefaultCodec, Framed, Input, PostcardCodec, TotalF64, UserCodec,
};
use alluvium::heap::HeapStateBackend;
use alluvium::state::{
    KeyedBackendSpec, KeyedStateBackend, MapState, MapStateDescriptor, SnapshotMode,
    SnapshotTarget, SortedMapState, SortedMapStateDescriptor, StateBackend, StateValue, TimeDomain,
    TimerDescriptor, Timers, ValueState, ValueStateDescriptor,
};
use alluvium::storage::{
    CheckpointStreams, HandleReader, JobLayout, LocalCopies, ReadAccess, Storage, StreamPolicy,
    TaskOwnedFiles, claim_attempt,
};

use super::content::{hex, json_list, json_map};
use super::{Case, Found, Writer, parallelism, remove_others, uid};

/// The name of the case.
pub const NAME: &str = "heap-types";
/// What an operator has written into a file of its own.
pub const TASK_OWNED: &[u8] = b"what a sink writes ahead";
/// The name that the copies have for the folder of the job.
const COPIES_OF: &str = "golden";
const ATTEMPT: AttemptId = AttemptId::new(3);

const KEYS: [i64; 12] = [0, 1, -1, 7, 42, -42, 1_000, i64::MIN, i64::MAX, 1 << 32, -(1 << 32), 99];
/// NaN with other bits than the one of this machine: with a payload, and with the sign.
pub const NAN_BITS: [u64; 2] = [0x7ff8_0000_0000_0001, 0xfff8_0000_0000_beef];

/// A codec of the job's own: a number, high byte first, and a flag.
#[derive(Debug, Clone, Copy)]
struct Visits;

impl UserCodec<(u16, bool)> for Visits {
    fn name(&self) -> &'static str {
        "visits"
    }

    fn version(&self) -> u32 {
        3
    }

    fn encode(
        &self,
        (count, is_last): &(u16, bool),
        out: &mut Vec<u8>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        out.extend(count.to_be_bytes());
        out.push(u8::from(*is_last));
        Ok(())
    }

    fn decode(
        &self,
        _: u32,
        bytes: &[u8],
    ) -> Result<(u16, bool), Box<dyn std::error::Error + Send + Sync>> {
        match bytes {
            [high, low, flag @ (0 | 1)] => Ok((u16::from_be_bytes([*high, *low]), *flag == 1)),
            _ => Err("not three bytes".into()),
        }
    }
}

fn visits() -> Framed<(u16, bool), Visits> {
    Framed::new(Visits)
}

fn postcard() -> PostcardCodec<(u32, String)> {
    PostcardCodec::new("visit", 1)
}

struct States {
    f64: ValueState<f64>,
    f32: ValueState<f32>,
    bool: ValueState<bool>,
    option: ValueState<Option<i16>>,
    fixed: ValueState<[u8; 4]>,
    u128: ValueState<u128>,
    i128: ValueState<i128>,
    tuple: ValueState<(bool, Option<String>, Vec<i8>)>,
    texts: SortedMapState<String, i8>,
    floats: SortedMapState<TotalF64, u8>,
    map: MapState<u128, Option<f32>>,
    postcard: ValueState<(u32, String)>,
    user: ValueState<(u16, bool)>,
    timers: Timers<()>,
}

fn register(keyed: &mut impl KeyedStateBackend) -> States {
    let texts = SortedMapStateDescriptor::<String, i8>::new("ordered texts");
    let floats = SortedMapStateDescriptor::<TotalF64, u8>::new("ordered floats");
    let postcard = ValueStateDescriptor::<_, _>::with_codec("postcard", postcard());
    let user = ValueStateDescriptor::<_, _>::with_codec("user", visits());
    States {
        f64: keyed.value_state(ValueStateDescriptor::<f64>::new("f64")).unwrap(),
        f32: keyed.value_state(ValueStateDescriptor::<f32>::new("f32")).unwrap(),
        bool: keyed.value_state(ValueStateDescriptor::<bool>::new("bool")).unwrap(),
        option: keyed.value_state(ValueStateDescriptor::<Option<i16>>::new("option")).unwrap(),
        fixed: keyed.value_state(ValueStateDescriptor::<[u8; 4]>::new("fixed bytes")).unwrap(),
        u128: keyed.value_state(ValueStateDescriptor::<u128>::new("u128")).unwrap(),
        i128: keyed.value_state(ValueStateDescriptor::<i128>::new("i128")).unwrap(),
        tuple: keyed.value_state(ValueStateDescriptor::<_>::new("tuple")).unwrap(),
        texts: keyed.sorted_map_state(texts).unwrap(),
        floats: keyed.sorted_map_state(floats).unwrap(),
        map: keyed.map_state(MapStateDescriptor::<u128, Option<f32>>::new("map")).unwrap(),
        postcard: keyed.value_state(postcard).unwrap(),
        user: keyed.value_state(user).unwrap(),
        timers: keyed.timers(TimerDescriptor::new("timers")).unwrap(),
    }
}

fn pick<T: Clone>(items: &[T], place: usize) -> T {
    items[place % items.len()].clone()
}

/// Writes to every state of a key; what, depends on the place alone.
fn write_all(keyed: &mut impl KeyedStateBackend<Key = i64>, key: i64, place: usize) {
    let states = register(keyed);
    let nan = NAN_BITS.map(f64::from_bits);
    let doubles =
        [0.0, -0.0, 1.5, nan[0], nan[1], f64::INFINITY, -f64::INFINITY, 0.1, 123_456_789_012_345.6];
    let floats = [0.1, -0.0, f32::NAN, f32::from_bits(0xffc0_0001), 16_777_216.0, -1.25];
    let texts = ["", "a", "a\0", "a\u{1}b", "b", "~"].map(str::to_owned);
    let number = u16::try_from(place).unwrap();
    let mut at = keyed.at(&key).unwrap();
    states.f64.set(&mut at, pick(&doubles, place)).unwrap();
    states.f32.set(&mut at, pick(&floats, place)).unwrap();
    states.bool.set(&mut at, place.is_multiple_of(2)).unwrap();
    states.option.set(&mut at, pick(&[None, Some(-5), Some(i16::MAX)], place)).unwrap();
    states.fixed.set(&mut at, pick(&[[0; 4], [1, 0, 255, 7]], place)).unwrap();
    states.u128.set(&mut at, pick(&[0, u128::MAX, 1 << 64, 1 << 127], place)).unwrap();
    states.i128.set(&mut at, pick(&[i128::MIN, -1, 0, i128::MAX], place)).unwrap();
    let option = pick(&[None, Some(pick(&texts, place))], place / 2);
    states.tuple.set(&mut at, (place.is_multiple_of(3), option, vec![-128, 0, 127])).unwrap();
    let count = pick(&[1, 3, 6], place);
    for (text, value) in texts.iter().zip([i8::MIN, -1, 0, 1, 2, i8::MAX]).take(count) {
        states.texts.put(&mut at, text.clone(), value).unwrap();
    }
    for (value, double) in (0..).zip(doubles).skip(place % 3) {
        states.floats.put(&mut at, TotalF64(double), value).unwrap();
    }
    states.map.put(&mut at, 1 << 100, None).unwrap();
    states.map.put(&mut at, u128::from(number % 3), Some(pick(&floats, place))).unwrap();
    states.postcard.set(&mut at, (300 * u32::from(number), pick(&texts, place))).unwrap();
    states.user.set(&mut at, (257 * number, place.is_multiple_of(5))).unwrap();
    states.timers.register(&mut at, TimeDomain::EventTime, i64::from(number) - 3).unwrap();
}

fn spec(subtask: SubtaskIndex) -> KeyedBackendSpec<i64, DefaultCodec> {
    KeyedBackendSpec {
        uid: uid(),
        subtask,
        parallelism: parallelism(),
        key: DefaultCodec,
        assigner: KeyGroupAssigner::Stable,
        hash_seed: 7 + u64::from(subtask.get()),
    }
}

/// The copies of a case.
pub fn copies(dir: &Path) -> LocalCopies {
    LocalCopies::new(&dir.join("copies"), &JobId::new("job").unwrap(), COPIES_OF)
}

/// The files of the operator.
pub fn task_owned(storage: &Arc<dyn Storage>) -> TaskOwnedFiles {
    TaskOwnedFiles::new(Arc::clone(storage), uid(), SubtaskIndex::new(0), ATTEMPT)
}

/// Writes the case into an empty folder, all but its content.
///
/// Panics: where anything fails.
pub fn write(dir: &Path) {
    let folder = dir.join("job");
    let storage = alluvium::storage::open(folder.to_str().unwrap()).unwrap();
    let reader = HandleReader::new(Arc::clone(&storage), ReadAccess::Copy);
    let (backend, copies) = (HeapStateBackend::default().max_segment_entries(8), copies(dir));
    let mut subtasks: Vec<_> = (parallelism().subtasks())
        .map(|index| backend.open(spec(index), &[], &reader).unwrap())
        .collect();
    let policy = StreamPolicy { inline_below_bytes: 0, max_inline_bytes: None };
    let target = |checkpoint| SnapshotTarget {
        streams: CheckpointStreams::new(Arc::clone(&storage), policy)
            .with_copies(Some(copies.clone())),
        checkpoint,
        attempt: ATTEMPT,
        mode: SnapshotMode::Incremental,
    };
    let (mut checkpoint, mut keyed) = (CheckpointId::FIRST, Vec::new());
    for round in 0..2 {
        checkpoint = if round == 0 { checkpoint } else { checkpoint.next() };
        for (place, key) in KEYS.into_iter().enumerate() {
            // Some keys once more, for delta blocks.
            if round == 1 && place % 3 > 0 {
                continue;
            }
            let group =
                KeyGroupAssigner::Stable.assign(&key, &key.to_le_bytes(), parallelism().max());
            let owner = usize::from(parallelism().owner_of(group).get());
            write_all(&mut subtasks[owner], key, place + 5 * round);
        }
        let frozen: Vec<_> =
            subtasks.iter_mut().map(|state| state.freeze(checkpoint).unwrap()).collect();
        let target = target(checkpoint);
        keyed = frozen.into_iter().map(|frozen| frozen.write(&target).unwrap().unwrap()).collect();
        subtasks.iter_mut().for_each(|state| state.complete(checkpoint));
    }
    let operator = super::operator::write(&target(checkpoint), &uid(), parallelism());
    let case = Case {
        name: NAME,
        writer: Writer::CopyOnWrite,
        assigner: AssignerName::Stable,
        mode: SnapshotMode::Incremental,
        is_inlined: false,
        is_savepoint: false,
    };
    let metadata = super::metadata(&case, checkpoint, keyed, operator);
    let path = JobLayout::metadata(checkpoint);
    let bytes = alluvium::format::metadata::write_metadata(&metadata).unwrap();
    storage.create(&path, &bytes).unwrap();
    remove_others(&folder, &metadata, &path);
    copies.keep_only(Some(checkpoint), metadata.files());
    for _ in 0..ATTEMPT.get() {
        claim_attempt(&*storage).unwrap();
    }
    let mut file = task_owned(&storage).create();
    file.write_all(TASK_OWNED).unwrap();
    file.finish().unwrap();
}

/// Whether a checkpoint is the one of this case.
pub(super) fn is_of_types(found: &Found) -> bool {
    let states = found.metadata.operators.first().unwrap().subtasks.first().unwrap();
    let handle = states.keyed.as_ref().unwrap();
    let keyed = alluvium::format::keyed::KeyedReader::open_bytes(
        found.reader.open(&handle.stream).unwrap(),
    );
    keyed.is_ok_and(|keyed| keyed.header().key.name == "i64")
}

fn json_of_float(value: f64) -> String {
    match value {
        nan if nan.is_nan() => "\"NaN\"".to_owned(),
        f64::INFINITY => "\"Infinity\"".to_owned(),
        f64::NEG_INFINITY => "\"-Infinity\"".to_owned(),
        number => format!("{number:?}"),
    }
}

fn json_of_text(text: &str) -> String {
    let mut json = String::new();
    alluvium::inspect::quote(text, &mut json);
    json
}

fn json_of_option<T>(value: Option<&T>, json: impl Fn(&T) -> String) -> String {
    value.map_or_else(|| "null".to_owned(), json)
}

/// The bytes of a value without their frame, as hexadecimal digits.
fn json_of_framed<T>(codec: &impl Codec<T>, value: &T) -> String {
    let mut bytes = Vec::new();
    codec.encode(value, &mut bytes).unwrap();
    hex(Input::new(&bytes).framed("value").unwrap())
}

struct Lines<'k, K> {
    keyed: &'k mut K,
    lines: Vec<String>,
}

impl<K: KeyedStateBackend<Key = i64>> Lines<'_, K> {
    fn put(&mut self, state: &str, key: i64, value: impl std::fmt::Display) {
        self.lines.push(format!("keyed\t{state}\t{key}\tnull\t{value}"));
    }

    fn values<T: StateValue>(
        &mut self,
        name: &str,
        state: ValueState<T>,
        json: impl Fn(&T) -> String,
    ) {
        for key in self.keyed.keys(state, &()).unwrap() {
            let value = json(&*state.get(&self.keyed.at(&key).unwrap()).unwrap().unwrap());
            self.put(name, key, value);
        }
    }

    fn all(&mut self, states: &States) {
        self.values("f64", states.f64, |value| json_of_float(*value));
        self.values("f32", states.f32, |value| json_of_float(f64::from(*value)));
        self.values("bool", states.bool, ToString::to_string);
        self.values("option", states.option, |it| json_of_option(it.as_ref(), i16::to_string));
        self.values("fixed bytes", states.fixed, |bytes| hex(bytes));
        self.values("u128", states.u128, ToString::to_string);
        self.values("i128", states.i128, ToString::to_string);
        self.values("tuple", states.tuple, |(flag, text, numbers)| {
            let text = json_of_option(text.as_ref(), |text| json_of_text(text));
            let numbers = json_list(numbers.iter().map(ToString::to_string));
            format!("[{flag}, {text}, {numbers}]")
        });
        self.values("postcard", states.postcard, |value| json_of_framed(&postcard(), value));
        self.values("user", states.user, |value| json_of_framed(&visits(), value));
        for key in self.keyed.keys(states.texts, &()).unwrap() {
            let at = self.keyed.at(&key).unwrap();
            let entries = states.texts.entries(&at).unwrap().map(|it| {
                let (text, value) = it.unwrap();
                format!("[{}, {}]", json_of_text(&text), *value)
            });
            let value = json_list(entries);
            drop(at);
            self.put("ordered texts", key, value);
        }
        for key in self.keyed.keys(states.floats, &()).unwrap() {
            let at = self.keyed.at(&key).unwrap();
            let entries = states.floats.entries(&at).unwrap().map(|it| {
                let (float, value) = it.unwrap();
                format!("[{}, {}]", json_of_float(float.0), *value)
            });
            let value = json_list(entries);
            drop(at);
            self.put("ordered floats", key, value);
        }
        for key in self.keyed.keys(states.map, &()).unwrap() {
            let at = self.keyed.at(&key).unwrap();
            let entries = states.map.entries(&at).unwrap().map(|it| {
                let (user_key, value) = it.unwrap();
                let value = json_of_option(value.as_ref(), |it| json_of_float(f64::from(*it)));
                format!("[{}, {value}]", *user_key)
            });
            let value = json_map(entries);
            drop(at);
            self.put("map", key, value);
        }
        while let Some(timer) =
            self.keyed.pop_timer(states.timers, TimeDomain::EventTime, i64::MAX).unwrap()
        {
            let namespace = format!("[{}, {}, null]", TimeDomain::EventTime.code(), timer.time_ms);
            self.lines.push(format!("keyed\ttimers\t{}\t{namespace}\tnull", timer.key));
        }
    }
}

/// What a backend reads.
pub(super) fn keyed<B: StateBackend>(backend: &B, found: &Found) -> Vec<String> {
    let mut lines = Vec::new();
    for subtask in &found.metadata.operators.first().unwrap().subtasks {
        let handle = subtask.keyed.clone().unwrap();
        let mut keyed = backend.open(spec(subtask.index), &[handle], &found.reader).unwrap();
        let states = register(&mut keyed);
        let mut of_subtask = Lines { keyed: &mut keyed, lines: Vec::new() };
        of_subtask.all(&states);
        lines.extend(of_subtask.lines);
    }
    lines.sort();
    lines
}

/// The bits of all NaN in values and in user keys, in order: JSON has one NaN only.
///
/// Panics: where a backend refuses anything.
pub fn nan_bits<B: StateBackend>(backend: &B, found: &Found) -> BTreeSet<u64> {
    let mut floats = Vec::new();
    for subtask in &found.metadata.operators.first().unwrap().subtasks {
        let handle = subtask.keyed.clone().unwrap();
        let mut keyed = backend.open(spec(subtask.index), &[handle], &found.reader).unwrap();
        let states = register(&mut keyed);
        for key in keyed.keys(states.f64, &()).unwrap() {
            floats.push(*states.f64.get(&keyed.at(&key).unwrap()).unwrap().unwrap());
        }
        for key in keyed.keys(states.floats, &()).unwrap() {
            let at = keyed.at(&key).unwrap();
            floats.extend(states.floats.entries(&at).unwrap().map(|it| it.unwrap().0.0));
        }
    }
    floats.into_iter().filter(|float| float.is_nan()).map(f64::to_bits).collect()
}
