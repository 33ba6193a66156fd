//! Numbers that are looked at with the rules that have come so far.

use alluvium_core::KeyGroup;
use alluvium_format::codec::DefaultCodec;
use alluvium_runtime::{BroadcastOperator, InFlightCodec, TaskError};
use alluvium_state::{
    BroadcastState, BroadcastStateDescriptor, KeyedStateBackend, OperatorStateBackend, TimeDomain,
    Timer, TimerDescriptor, Timers, ValueState, ValueStateDescriptor,
};

use crate::world::{
    Graph, Knobs, NEVER, Number, World, all_ways, job_config, persisted, stage, unaligned,
};

const KEYS: u64 = 40;

/// Number `n` of a stream in which each key comes again and again.
#[derive(Debug, Clone)]
struct Reading {
    n: u64,
    key: u64,
}

impl alluvium_runtime::KeyedRecord for Reading {
    type Key = u64;

    fn key(&self) -> &u64 {
        &self.key
    }
}

type Rule = Number<1>;

/// Sends each number on, and tells of keys that have met fewer rules than before. At the end of time it
/// tells how many rules there are for each key.
#[derive(Default)]
struct Judge {
    knobs: Knobs,
    rules: Option<BroadcastState<u64, u64>>,
    /// How many rules a key has met.
    met: Option<ValueState<u64>>,
    timers: Option<Timers>,
}

impl Judge {
    fn count(&self, broadcast: &OperatorStateBackend) -> Result<u64, TaskError> {
        let rules = broadcast.broadcast_entries(self.rules.ok_or("not open")?)?;
        Ok(rules.iter().map(|(_, times)| times).sum())
    }
}

impl<B: KeyedStateBackend<Key = u64>> BroadcastOperator<B> for Judge {
    type Input = Reading;
    type Broadcast = Rule;
    type Output = String;
    type Result = ();
    type TimerNamespace = ();

    fn open(&mut self, keyed: &mut B, state: &mut OperatorStateBackend) -> Result<(), TaskError> {
        let rules = BroadcastStateDescriptor::<u64, u64>::new("rules");
        self.rules = Some(state.broadcast_state(rules)?);
        self.met = Some(keyed.value_state(ValueStateDescriptor::<u64>::new("met"))?);
        self.timers = Some(keyed.timers(TimerDescriptor::new("timers"))?);
        Ok(())
    }

    fn process(
        &mut self,
        group: KeyGroup,
        Reading { n, key }: Reading,
        keyed: &mut B,
        broadcast: &OperatorStateBackend,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.knobs.meet(0)?;
        let rules = self.count(broadcast)?;
        let (met, timers) = (self.met.ok_or("not open")?, self.timers.ok_or("not open")?);
        let mut at = keyed.at_key_group(group, &key, &())?;
        let before = met.update(&mut at, |met| std::mem::replace(met, rules))?;
        if before > rules {
            output.push(format!("key {key} had met {before} rules, and there are {rules}"));
        }
        timers.register(&mut at, TimeDomain::EventTime, i64::MAX - 1)?;
        output.push(n.to_string());
        Ok(())
    }

    fn process_broadcast(
        &mut self,
        Number(rule): Rule,
        broadcast: &mut OperatorStateBackend,
        _: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        self.knobs.meet(1)?;
        let rules = self.rules.ok_or("not open")?;
        // How often it has come; a map of few keys, so that it stays small.
        let rule = rule % 7;
        let times = broadcast.broadcast_get(rules, &rule)?.copied().unwrap_or(0);
        Ok(broadcast.broadcast_put(rules, rule, times + 1)?)
    }

    fn timers(&self) -> Option<Timers> {
        self.timers
    }

    fn on_timer(
        &mut self,
        _: TimeDomain,
        timer: Timer<u64, ()>,
        _: &mut B,
        broadcast: &OperatorStateBackend,
        output: &mut Vec<String>,
    ) -> Result<(), TaskError> {
        output.push(format!("{:02} {}", timer.key, self.count(broadcast)?));
        Ok(())
    }

    fn result(&mut self, _: &mut B) -> Result<(), TaskError> {
        Ok(())
    }
}

fn judged(world: &World, readings: u64, rules: u64) -> Graph {
    let mut graph = Graph::new();
    let numbers = world.numbers::<0>(&mut graph, stage("numbers"), readings);
    let rules = world.numbers::<1>(&mut graph, stage("rules").parallelism(1), rules);
    let readings = graph.flat_map(stage("readings"), numbers.rebalance(), |_| {
        Ok(|Number(n): Number<0>, output: &mut Vec<Reading>| {
            output.push(Reading { n, key: n % KEYS });
            Ok(())
        })
    });
    let readings = readings.in_flight(InFlightCodec::through(
        DefaultCodec,
        |reading: &Reading| (reading.n, reading.key),
        |(n, key)| Reading { n, key },
    ));
    let knobs = world.knobs.clone();
    let judged =
        graph.with_broadcast(stage("judge"), readings.keyed(), rules.broadcast(), move |_| {
            Ok(Judge { knobs: knobs.clone(), ..Judge::default() })
        });
    let judged = judged.in_flight(InFlightCodec::new(DefaultCodec));
    graph.sink(stage("lines"), judged.forward(), world.lines());
    graph
}

/// Each number came once, no key ever lost a rule that it had met, and in the end all keys have all.
fn assert_judged(world: &World, readings: u64, rules: u64) {
    let (numbers, words) = world.committed();
    assert_eq!(words, (0..KEYS).map(|key| format!("{key:02} {rules}")).collect::<Vec<_>>());
    assert!(numbers == (0..readings).collect::<Vec<_>>(), "{} of {readings}", numbers.len());
}

#[test]
fn rules_that_come_between_records_count_once_on_every_subtask_over_failures() {
    for way in 0..3 {
        let world = World::new(&format!("rules-{way}"));
        let (name, config) = all_ways().into_iter().nth(way).unwrap();
        world.knobs.slow_down([20, 40]);
        world.run_failing(judged(&world, 5_000, 900), config);
        eprintln!("{name}");
        assert_judged(&world, 5_000, 900);
    }
}

/// Each subtask has taken another part of the rules, and the others are in flight to it: a new subtask
/// takes both over from one of the old ones.
#[test]
fn rules_in_flight_go_with_the_broadcast_state_to_any_parallelism() {
    let world = World::new("rules-in-flight");
    for (parallelism, us) in [(2, [100, 300]), (3, [300, 100]), (1, [50, 300]), (4, [200, 200])] {
        let config = job_config(parallelism, unaligned());
        let record = world.overtake(judged(&world, NEVER, NEVER), config, us);
        assert!(persisted(&record) > 0, "records were in flight");
    }
    let (numbers, words) = world.committed();
    assert_eq!(words, [""; 0]);
    let end = 60_000;
    assert!((numbers.len() as u64) < end, "the last one must find something to do");
    let (outcome, ()) =
        world.run(judged(&world, end, end), job_config(2, unaligned()), async |_| {});
    outcome.unwrap();
    assert_judged(&world, end, end);
}
