//! Restored values that were written by another codec are written anew when their state is
//! registered.
//!
//! User keys of a map may change their bytes, so that new rows could hit old ones. All rows
//! therefore go to a new column family, and the old one is dropped when that is complete; when
//! something fails, the state is as it was.

use std::collections::BTreeSet;

use alluvium_core::KeyGroupRange;
use alluvium_format::CodecError;
use alluvium_format::codec::{Decode, Input};
use alluvium_state::{StateError, StateKey, StateValue};

use super::kept::Kept;
use super::table::Coded;
use crate::engine::Column;
use crate::list_row::{join_groups, put_group};
use crate::long_list::{Refusal, take_list};
use crate::row_format::{Content, RowFormat};
use crate::store::{Batch, Store};

/// What becomes of the user key and the value of a row.
pub(super) type Migration =
    Box<dyn Fn(&[u8], &[u8], &mut Vec<u8>, &mut Vec<u8>) -> Result<(), CodecError>>;

/// Decodes all of some bytes.
fn decode<T>(decoder: &dyn Decode<T>, bytes: &[u8]) -> Result<T, CodecError> {
    let mut input = Input::new(bytes);
    let value = decoder.decode_value(&mut input)?;
    input.finish()?;
    Ok(value)
}

/// Of a state with one encoded value in a row.
pub(super) fn of_values<T: StateValue>(
    old: Box<dyn Decode<T>>,
    new: impl Coded<T> + 'static,
) -> Migration {
    Box::new(move |_, value, _, out| new.put(&decode(&*old, value)?, out))
}

/// What becomes of a whole list as it stands in a stream.
pub(super) type ListMigration = Box<dyn Fn(&[u8], &mut Vec<u8>) -> Result<(), CodecError>>;

/// Of a list state that gets another layout as well.
pub(super) fn of_whole_lists<T: StateValue>(
    old: Box<dyn Decode<Vec<T>>>,
    new: impl Coded<T> + 'static,
) -> ListMigration {
    Box::new(move |list, out| {
        let elements = decode(&*old, list)?;
        put_group(elements.iter(), out, |element, out| new.put(element, out))
    })
}

/// Of a list state, whose old decoder takes whole lists.
pub(super) fn of_lists<T: StateValue>(
    kept: &Kept,
    old: Box<dyn Decode<Vec<T>>>,
    new: impl Coded<T> + 'static,
) -> Option<Migration> {
    let element = match kept.format.content.clone() {
        Content::List(element) => element,
        Content::LongList(_) => return Some(of_long_lists(old, new)),
        _ => return None,
    };
    Some(Box::new(move |_, groups, _, out| {
        let mut joined = Vec::new();
        join_groups(&element, groups, &mut joined)?;
        let elements = decode(&*old, &joined)?;
        put_group(elements.iter(), out, |element, out| new.put(element, out))
    }))
}

/// Of a long list without stamps, row by row; the header stays.
fn of_long_lists<T: StateValue>(
    old: Box<dyn Decode<Vec<T>>>,
    new: impl Coded<T> + 'static,
) -> Migration {
    Box::new(move |position, value, out_position, out| {
        out_position.extend_from_slice(position);
        if position.is_empty() {
            out.extend_from_slice(value);
            return Ok(());
        }
        let list_of_one = [&[1], value].concat();
        decode(&*old, &list_of_one)?.iter().try_for_each(|element| new.put(element, out))
    })
}

/// Of a map state.
pub(super) fn of_maps<UK: StateKey, UV: StateValue>(
    (old_keys, old_values): (Box<dyn Decode<UK>>, Box<dyn Decode<UV>>),
    (new_keys, new_values): (impl Coded<UK> + 'static, impl Coded<UV> + 'static),
) -> Migration {
    Box::new(move |user_key, value, out_key, out_value| {
        new_keys.put(&decode(&*old_keys, user_key)?, out_key)?;
        new_values.put(&decode(&*old_values, value)?, out_value)
    })
}

/// Writes all rows of a kept state anew, into an empty column family.
pub(super) fn migrate(
    store: &Store,
    kept: &Kept,
    key_groups: KeyGroupRange,
    migration: &Migration,
    into: &Column,
) -> Result<(), StateError> {
    let refused = |source| StateError::Decode { state: kept.meta.name.clone(), source };
    let range = kept.format.keys.layout.rows_of(key_groups);
    let mut rows = store.rows(&kept.column, range)?;
    let mut batch = Batch::new(store, into);
    let (mut pair, mut seen) = (Vec::new(), BTreeSet::new());
    let (mut new_row, mut new_value) = (Vec::new(), Vec::new());
    while let Some((row, value)) = rows.row()? {
        if pair.is_empty() || !row.starts_with(&pair) {
            let parts = kept.format.keys.split(row).map_err(refused)?;
            pair.clear();
            pair.extend_from_slice(parts.prefix);
            seen.clear();
        }
        let user_key = row.get(pair.len()..).unwrap_or_default();
        new_row.clear();
        new_value.clear();
        migration(user_key, value, &mut new_row, &mut new_value).map_err(refused)?;
        if kept.format.is_map() && !seen.insert(new_row.clone()) {
            let reason = "two keys become equal by migration";
            return Err(refused(CodecError::Invalid { what: "map", offset: 0, reason }));
        }
        new_row.splice(0..0, pair.iter().copied());
        batch.put(&new_row, &new_value)?;
        rows.advance();
    }
    Ok(batch.finish()?)
}

/// Writes all lists of a kept state whole, in either layout, into an empty column family.
pub(super) fn lay_out(
    store: &Store,
    kept: &Kept,
    key_groups: KeyGroupRange,
    migration: Option<&ListMigration>,
    (format, into): (&RowFormat, &Column),
) -> Result<(), StateError> {
    let refused = |source| StateError::Decode { state: kept.meta.name.clone(), source };
    let mut rows = store.rows(&kept.column, kept.format.keys.layout.rows_of(key_groups))?;
    let mut batch = Batch::new(store, into);
    let (mut pair, mut list, mut migrated) = (Vec::new(), Vec::new(), Vec::new());
    while let Some((row, value)) = rows.row()? {
        let parts = kept.format.keys.split(row).map_err(refused)?;
        pair.clear();
        pair.extend_from_slice(parts.prefix);
        list.clear();
        if let Content::List(element) = &kept.format.content {
            join_groups(element, value, &mut list).map_err(refused)?;
            rows.advance();
        } else {
            let taken = take_list(&mut rows, (&pair, kept.format.gaps()), |_| Ok(true), &mut list);
            if taken.map_err(|refusal| refusal.into_error(refused))? == 0 {
                continue;
            }
        }
        if let Some(migration) = migration {
            migrated.clear();
            migration(&list, &mut migrated).map_err(refused)?;
            std::mem::swap(&mut list, &mut migrated);
        }
        let put = |row: &[u8], value: &[u8]| batch.put(row, value).map_err(Refusal::Engine);
        let written = format.put_rows(&mut pair, &list, put);
        written.map_err(|refusal| refusal.into_error(refused))?;
    }
    Ok(batch.finish()?)
}
