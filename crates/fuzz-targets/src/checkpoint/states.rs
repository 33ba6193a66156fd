//! A state of each sort, what is written to it, and what is read of it.

use alluvium_state::{
    Elements, KeyedStateBackend, ListStateDescriptor, MapStateDescriptor, StateError, TimeDomain,
    TimerDescriptor, ValueStateDescriptor,
};

use super::Keyed;

/// Writes to some keys of every state: of those that are of the subtask.
pub(super) fn fill(
    keyed: &mut Keyed,
    round: u8,
    is_own: impl Fn(&String) -> bool,
) -> Result<(), StateError> {
    let value = keyed.value_state(ValueStateDescriptor::<u64>::new("value"))?;
    let list = keyed.list_state(ListStateDescriptor::<String>::new("list"))?;
    let map = keyed.map_state(MapStateDescriptor::<u8, String>::new("map"))?;
    let timers = keyed.timers(TimerDescriptor::<()>::new("timers"))?;
    for number in (0..24_u8).filter(|number| round == 0 || number % 4 == round) {
        let key = format!("key {number}");
        if !is_own(&key) {
            continue;
        }
        let mut at = keyed.at(&key)?;
        value.set(&mut at, u64::from(number + round))?;
        list.add(&mut at, format!("element {round}"))?;
        map.put(&mut at, round, "entry".to_owned())?;
        timers.register(&mut at, TimeDomain::EventTime, i64::from(number + round))?;
    }
    Ok(())
}

/// Everything that a backend holds.
pub(super) fn lines(keyed: &mut Keyed) -> Result<Vec<String>, StateError> {
    let value = keyed.value_state(ValueStateDescriptor::<u64>::new("value"))?;
    let list = keyed.list_state(ListStateDescriptor::<String>::new("list"))?;
    let map = keyed.map_state(MapStateDescriptor::<u8, String>::new("map"))?;
    let timers = keyed.timers(TimerDescriptor::<()>::new("timers"))?;
    let mut lines = Vec::new();
    for key in keyed.keys(value, &())? {
        let at = keyed.at(&key)?;
        lines.push(format!("value {key} {:?}", value.get(&at)?.map(|value| *value)));
    }
    for key in keyed.keys(list, &())? {
        let at = keyed.at(&key)?;
        lines.push(format!("list {key} {:?}", owned(list.elements(&at)?)?));
    }
    for key in keyed.keys(map, &())? {
        let at = keyed.at(&key)?;
        let mut entries = Vec::new();
        for entry in map.entries(&at)? {
            let (user_key, text) = entry?;
            entries.push((*user_key, (*text).clone()));
        }
        entries.sort();
        lines.push(format!("map {key} {entries:?}"));
    }
    while let Some(timer) = keyed.pop_timer(timers, TimeDomain::EventTime, i64::MAX)? {
        lines.push(format!("timer {} {}", timer.key, timer.time_ms));
    }
    lines.sort();
    Ok(lines)
}

fn owned(elements: Elements<'_, String>) -> Result<Vec<String>, StateError> {
    elements.map(|element| element.map(|element| (*element).clone())).collect()
}
