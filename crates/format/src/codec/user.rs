//! Bytes of the user's own making, framed with their length.

use std::error::Error;
use std::fmt;
use std::marker::PhantomData;

use super::{Codec, CodecSnapshot, Compatibility, Input, sealed::Sealed};
use crate::CodecError;
use crate::wire::{put_text, put_varint};

/// Error of a user's codec: whatever it has to say.
type UserError = Box<dyn Error + Send + Sync>;

/// A codec of the user's own; wrap it in [`Framed`] to use it for state.
pub trait UserCodec<T>: Clone + fmt::Debug + Send + Sync + 'static {
    /// Name that is stored; keep it for the life of the state.
    fn name(&self) -> &str;

    /// Version that is stored; raise it when the bytes change.
    fn version(&self) -> u32;

    /// Appends a value.
    ///
    /// Errors: anything; the snapshot fails with it.
    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), UserError>;

    /// Reads a value that was written with a version, from exactly its bytes.
    ///
    /// Errors: anything; the restore fails with it.
    fn decode(&self, version: u32, bytes: &[u8]) -> Result<T, UserError>;

    /// Whether values of an older version can be read; by default only the current one.
    fn can_read(&self, version: u32) -> bool {
        version == self.version()
    }
}

/// A [`UserCodec`] with a varint length in front of each value.
pub struct Framed<T, C> {
    codec: C,
    value: PhantomData<fn() -> T>,
}

impl<T, C: UserCodec<T>> Framed<T, C> {
    /// Wraps a codec.
    pub const fn new(codec: C) -> Self {
        Self { codec, value: PhantomData }
    }

    fn snapshot_of(&self, version: u32) -> CodecSnapshot {
        let mut parameters = Vec::new();
        // A name above 65,535 bytes is left out: such types are not told apart.
        let _ = put_text(self.codec.name(), &mut parameters);
        parameters.extend_from_slice(&version.to_le_bytes());
        CodecSnapshot { parameters, ..CodecSnapshot::plain("user") }
    }

    fn read(codec: &C, version: u32, input: &mut Input<'_>) -> Result<T, CodecError> {
        let bytes = input.framed("user value")?;
        let error = |source| CodecError::User { name: codec.name().to_owned(), source };
        codec.decode(version, bytes).map_err(error)
    }
}

impl<T, C: Clone> Clone for Framed<T, C> {
    fn clone(&self) -> Self {
        Self { codec: self.codec.clone(), value: PhantomData }
    }
}

impl<T, C: fmt::Debug> fmt::Debug for Framed<T, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Framed({:?})", self.codec)
    }
}

impl<T, C> Sealed for Framed<T, C> {}

impl<T: 'static, C: UserCodec<T>> Codec<T> for Framed<T, C> {
    fn snapshot(&self) -> CodecSnapshot {
        self.snapshot_of(self.codec.version())
    }

    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        let error = |source| CodecError::User { name: self.codec.name().to_owned(), source };
        // A buffer of its own: foreign code must not reach the entries before this one.
        let mut bytes = Vec::new();
        self.codec.encode(value, &mut bytes).map_err(error)?;
        put_varint(bytes.len() as u64, out);
        out.extend_from_slice(&bytes);
        Ok(())
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<T, CodecError> {
        Self::read(&self.codec, self.codec.version(), input)
    }

    fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<T> {
        if self.snapshot() == *stored {
            return Compatibility::AsIs;
        }
        let mut parameters = Input::new(&stored.parameters);
        let version = parameters.text("name").and_then(|_| parameters.u32("version"));
        match version {
            Ok(version) if self.snapshot_of(version) == *stored && self.codec.can_read(version) => {
                let codec = self.codec.clone();
                Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
                    Self::read(&codec, version, input)
                }))
            }
            _ => Compatibility::incompatible(self.snapshot(), stored),
        }
    }
}
