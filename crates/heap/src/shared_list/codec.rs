//! The codec of a [`SharedList`]: the bytes of the format's `vec` codec.

use alluvium_format::CodecError;
use alluvium_format::codec::{Codec, CodecSnapshot, Compatibility, Input, VecCodec, encode_items};

use super::SharedList;
use crate::table::SlotCodec;

/// Writes a [`SharedList`] as the `vec` codec of the format does.
#[derive(Debug, Clone)]
pub(crate) struct SharedListCodec<C>(pub(crate) VecCodec<C>);

impl<T: 'static, C: Codec<T>> SlotCodec<SharedList<T>> for SharedListCodec<C> {
    fn snapshot(&self) -> CodecSnapshot {
        Codec::<Vec<T>>::snapshot(&self.0)
    }

    fn encode(&self, slot: &SharedList<T>, out: &mut Vec<u8>) -> Result<(), CodecError> {
        encode_items(&self.0, slot.len(), slot.iter(), out)
    }

    fn touch(&self, slot: &SharedList<T>) -> u8 {
        slot.iter().next().map_or(0, |item| self.0.0.touch(item))
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<SharedList<T>, CodecError> {
        self.0.decode(input).map(SharedList::from)
    }

    fn resolve(&self, stored: &CodecSnapshot) -> Compatibility<SharedList<T>> {
        match Codec::<Vec<T>>::resolve(&self.0, stored) {
            Compatibility::AsIs => Compatibility::AsIs,
            Compatibility::AfterMigration(elements) => {
                Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
                    elements.decode_value(input).map(SharedList::from)
                }))
            }
            _ => {
                let (stored, current) = (Box::new(stored.clone()), Box::new(self.snapshot()));
                Compatibility::Incompatible { stored, current }
            }
        }
    }
}
