//! The items of one state, typed inside and untyped outside.

use std::any::Any;
use std::fmt;

use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, Compatibility, Input};
use alluvium_format::operator::{DistributionMode, OperatorStateItems};
use bytes::Bytes;

use crate::{StateError, StateValue};

/// One state of any item type.
pub(super) trait AnyItems: Send + fmt::Debug {
    fn name(&self) -> &str;
    fn mode(&self) -> DistributionMode;
    fn describe(&self) -> String;
    fn as_any(&self) -> &dyn Any;
    /// The `Vec` of items.
    fn items(&self) -> &dyn Any;
    /// The `Vec` of items.
    fn items_mut(&mut self) -> &mut dyn Any;
    fn encode(&self) -> Result<OperatorStateItems, CodecError>;
}

/// One state of one item type.
pub(super) struct Items<T, C> {
    name: String,
    mode: DistributionMode,
    codec: C,
    list: Vec<T>,
}

impl<T: StateValue, C: Codec<T>> Items<T, C> {
    /// Begins with restored items, or with none.
    pub(super) fn open(
        name: String,
        mode: DistributionMode,
        codec: C,
        restored: Option<&OperatorStateItems>,
    ) -> Result<Self, StateError> {
        let items = match restored {
            Some(restored) => decode_items(mode, &codec, restored)?,
            None => Vec::new(),
        };
        Ok(Self { name, mode, codec, list: items })
    }
}

fn decode_items<T: StateValue, C: Codec<T>>(
    mode: DistributionMode,
    codec: &C,
    restored: &OperatorStateItems,
) -> Result<Vec<T>, StateError> {
    let state = restored.name.clone();
    if restored.mode != mode {
        let (stored, requested) = (restored.mode.to_string(), mode.to_string());
        return Err(StateError::KindChanged { state, stored, requested });
    }
    let migrating = match codec.resolve(&restored.item) {
        Compatibility::AsIs => None,
        Compatibility::AfterMigration(decoder) => Some(decoder),
        Compatibility::Incompatible { stored, current } => {
            return Err(StateError::IncompatibleSchema { state, part: "item", stored, current });
        }
        _ => {
            let (stored, current) = (Box::new(restored.item.clone()), Box::new(codec.snapshot()));
            return Err(StateError::IncompatibleSchema { state, part: "item", stored, current });
        }
    };
    let decode = |item: &Bytes| {
        let mut input = Input::new(item);
        let value = match &migrating {
            None => codec.decode(&mut input)?,
            Some(decoder) => decoder.decode_value(&mut input)?,
        };
        input.finish().map(|()| value)
    };
    let items: Result<Vec<T>, CodecError> = restored.items.iter().map(decode).collect();
    items.map_err(|source| StateError::Decode { state, source })
}

impl<T: StateValue, C: Codec<T>> AnyItems for Items<T, C> {
    fn name(&self) -> &str {
        &self.name
    }

    fn mode(&self) -> DistributionMode {
        self.mode
    }

    fn describe(&self) -> String {
        format!("{} of {}", self.mode, self.codec.snapshot())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn items(&self) -> &dyn Any {
        &self.list
    }

    fn items_mut(&mut self) -> &mut dyn Any {
        &mut self.list
    }

    fn encode(&self) -> Result<OperatorStateItems, CodecError> {
        let encode = |item: &T| {
            let mut bytes = Vec::new();
            self.codec.encode(item, &mut bytes).map(|()| Bytes::from(bytes))
        };
        let items = self.list.iter().map(encode).collect::<Result<_, _>>()?;
        let (name, mode, item) = (self.name.clone(), self.mode, self.codec.snapshot());
        Ok(OperatorStateItems { name, mode, item, items })
    }
}

impl<T, C: fmt::Debug> fmt::Debug for Items<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Items({:?}, {}, {} items)", self.name, self.mode, self.list.len())
    }
}

/// The items of a state, when they have that type.
pub(super) fn items_of<T: 'static>(state: &dyn AnyItems) -> Option<&[T]> {
    state.items().downcast_ref::<Vec<T>>().map(Vec::as_slice)
}

/// The items of a state, when they have that type.
pub(super) fn items_of_mut<T: 'static>(state: &mut dyn AnyItems) -> Option<&mut Vec<T>> {
    state.items_mut().downcast_mut::<Vec<T>>()
}
