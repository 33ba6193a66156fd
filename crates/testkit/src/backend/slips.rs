//! What the deliberate mistakes of this backend need to remember.
//!
//! A backend of your own has nothing of this: without a mistake, every function here gives what it
//! was given.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use alluvium_core::CheckpointId;
use alluvium_format::codec::Input;
use alluvium_format::codec::{Extent, read_count};
use alluvium_format::keyed::{MapEntry, StateKind, StateMeta};
use alluvium_state::RestoredStream;

use super::ModelKeyedStateBackend;
use super::row::{Row, Rows};
use super::table::Stored;
use crate::mistake::Mistake;

/// How many keys are opened before [`Mistake::FrozenTooLate`] freezes.
const OPENED_LATE: u32 = 3;

/// States that a freeze shares with whoever writes them.
type Frozen = Arc<Mutex<Vec<Stored>>>;

/// What was cleared: name of the state, row and value.
pub(super) type Grave = (String, Row, Vec<u8>);

/// A mistake and its memory.
#[derive(Default)]
pub(super) struct Slips {
    mistake: Option<Mistake>,
    frozen: BTreeMap<CheckpointId, Vec<Stored>>,
    /// A freeze that is taken when so many more keys are opened.
    late: Option<(u32, Frozen)>,
    graves: Vec<Grave>,
    last_fired: Option<Row>,
}

impl Slips {
    pub(super) fn new(mistake: Option<Mistake>) -> Self {
        Self { mistake, ..Self::default() }
    }

    pub(super) const fn mistake(&self) -> Option<Mistake> {
        self.mistake
    }

    pub(super) const fn makes(&self, mistake: Mistake) -> bool {
        match self.mistake {
            Some(made) => made as u16 == mistake as u16,
            None => false,
        }
    }

    /// What a freeze fixes.
    pub(super) fn frozen(&mut self, checkpoint: CheckpointId, mut states: Vec<Stored>) -> Frozen {
        for (name, row, value) in &self.graves {
            let state = states.iter_mut().find(|state| state.meta.name == *name);
            if let Some(state) = state {
                Arc::make_mut(&mut state.rows).entry(row.clone()).or_insert_with(|| value.clone());
            }
        }
        if self.makes(Mistake::StaleSnapshot) {
            let before = self.frozen.last_key_value();
            states = before.map_or(states, |(_, before)| before.clone());
        }
        if self.mistake.is_some() {
            self.frozen.insert(checkpoint, states.clone());
        }
        let frozen = Arc::new(Mutex::new(states));
        if self.makes(Mistake::FrozenTooLate) {
            self.late = Some((OPENED_LATE, Arc::clone(&frozen)));
        }
        frozen
    }

    /// What a backend goes back to when a checkpoint has come to its end.
    pub(super) fn forgets(
        &self,
        checkpoint: CheckpointId,
        mistake: Mistake,
    ) -> Option<Vec<Stored>> {
        self.frozen.get(&checkpoint).filter(|_| self.makes(mistake)).cloned()
    }

    /// What is about to be cleared, if it will come back.
    pub(super) fn grave_of(&self, state: &Stored, row: &Row) -> Option<Grave> {
        let value = state.rows.get(row).filter(|_| self.makes(Mistake::DeletedComesBack))?;
        Some((state.meta.name.clone(), row.clone(), value.clone()))
    }

    pub(super) fn bury(&mut self, grave: Option<Grave>) {
        self.graves.extend(grave);
    }

    /// Whether a timer that fires is gone.
    pub(super) fn takes_out(&mut self, row: &Row) -> bool {
        let again = self.last_fired.replace(row.clone()).as_ref() == Some(row);
        again || !self.makes(Mistake::TimerFiresTwice)
    }

    /// Whether a timer lies before the last one of its domain that fired.
    pub(super) fn has_passed(&self, row: &Row) -> bool {
        let last = self.last_fired.as_ref().and_then(|last| last.timer);
        last.zip(row.timer).is_some_and(|(last, new)| last.0 == new.0 && new.1 < last.1)
    }

    /// The maps that are taken from a stream.
    pub(super) fn maps<'s>(
        &self,
        stream: &'s RestoredStream<'_>,
        mut maps: Vec<(&'s StateMeta, &'s MapEntry)>,
    ) -> Vec<(&'s StateMeta, &'s MapEntry)> {
        if self.makes(Mistake::LastKeyGroupLost) && stream.wanted != stream.handle.key_groups {
            maps.retain(|(_, map)| map.key_group != stream.wanted.last());
        }
        if let (true, Ok(keyed)) = (self.makes(Mistake::ForeignKeyGroupsTaken), stream.blocks()) {
            let meta = |map: &MapEntry| keyed.header().states.get(usize::from(map.state));
            return keyed.maps().iter().filter_map(|map| Some((meta(map)?, map))).collect();
        }
        maps
    }
}

impl<K, C> ModelKeyedStateBackend<K, C> {
    /// Takes a freeze that is late.
    pub(super) fn freeze_late(&mut self) {
        if let Some((left, frozen)) = &mut self.slips.late {
            *left -= 1;
            if *left == 0 {
                let frozen = Arc::clone(frozen);
                self.slips.late = None;
                *frozen.lock().unwrap_or_else(PoisonError::into_inner) =
                    self.stored().unwrap_or_default();
            }
        }
    }

    /// Makes the registered states what they were.
    pub(super) fn go_back_to(&mut self, states: &[Stored]) {
        for table in &mut self.tables {
            let before = states.iter().find(|state| state.meta.name == table.stored.meta.name);
            if let Some(before) = before {
                table.stored.rows = Arc::clone(&before.rows);
            }
        }
    }
}

/// The rows that are written of a state.
pub(super) fn written_rows(state: &Stored, mistake: Option<Mistake>) -> Cow<'_, Rows> {
    let rows = Cow::Borrowed(&*state.rows);
    match (mistake, state.meta.kind) {
        (Some(Mistake::TimersNotWritten), StateKind::Timers)
        | (Some(Mistake::AccumulatorsNotWritten), StateKind::Aggregating) => Cow::default(),
        (Some(Mistake::ListWrittenBackwards), StateKind::List) => {
            with_elements(&state.meta, rows, |elements| elements.reverse())
        }
        (Some(Mistake::LastElementNotWritten), StateKind::List) => {
            with_elements(&state.meta, rows, |elements| {
                elements.truncate(elements.len().saturating_sub(1));
            })
        }
        _ => rows,
    }
}

/// Rows of lists whose encoded elements were changed.
fn with_elements<'r>(
    meta: &StateMeta,
    mut rows: Cow<'r, Rows>,
    change: impl Fn(&mut Vec<&[u8]>),
) -> Cow<'r, Rows> {
    let Ok(Extent::Vec(element)) = Extent::of(&meta.value) else { return rows };
    for value in rows.to_mut().values_mut() {
        let mut input = Input::new(value);
        let count = read_count(&mut input).unwrap_or(0);
        let mut elements: Vec<&[u8]> =
            (0..count).map_while(|_| element.take(&mut input).ok()).collect();
        change(&mut elements);
        // Lists of tests are short: their count has one byte.
        let mut changed = vec![u8::try_from(elements.len()).unwrap_or(u8::MAX)];
        for element in elements {
            changed.extend_from_slice(element);
        }
        *value = changed;
    }
    rows
}
