//! `serde` types in versions, each of which knows how it came from the one before.
//!
//! Ladder of names: [`VersionedCodec`] (the codec) > [`Versioned`] (a version of the type) >
//! [`NoVersion`] (what comes before the first).
//!
//! The bytes and the stored codec are those of [`PostcardCodec`](super::PostcardCodec) with the same
//! name and version, so a type may go from one to the other.
//!
//! Invariants: a value goes through every version between that of its bytes and the current one, in
//! order; versions fall along the chain, which is checked when the codec is compiled.

use std::fmt;
use std::marker::PhantomData;

use serde::{Serialize, de::DeserializeOwned};

use super::postcard::{decode_framed, encode_framed, snapshot_of};
use super::{Codec, CodecSnapshot, Compatibility, Input, sealed::Sealed};
use crate::CodecError;

/// One version of a `serde` type.
///
/// ```
/// use alluvium_format::codec::{Codec, Compatibility, NoVersion, Versioned, VersionedCodec};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Visit { page: String }
/// impl Versioned for Visit {
///     const NAME: &str = "visit";
///     const VERSION: u32 = 1;
///     type Previous = NoVersion;
///     fn migrate(previous: NoVersion) -> Self { match previous {} }
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct VisitV2 { page: String, seconds: u32 }
/// impl Versioned for VisitV2 {
///     const NAME: &str = "visit";
///     const VERSION: u32 = 2;
///     type Previous = Visit;
///     fn migrate(previous: Visit) -> Self { Self { page: previous.page, seconds: 0 } }
/// }
///
/// let stored = VersionedCodec::<Visit>::default().snapshot();
/// let current = VersionedCodec::<VisitV2>::default();
/// assert!(matches!(current.resolve(&stored), Compatibility::AfterMigration(_)));
/// ```
pub trait Versioned: Serialize + DeserializeOwned + 'static {
    /// Name that is stored (at most 65,535 bytes); keep it for the life of the state.
    const NAME: &'static str;
    /// Version that is stored; the next one gets a higher number.
    const VERSION: u32;
    /// The version before this one; [`NoVersion`] for the first.
    type Previous: PreviousVersion;

    /// Makes a value of this version from one of the version before.
    fn migrate(previous: Self::Previous) -> Self;
}

/// Comes before the first version of a type. There is no value of it.
#[derive(Debug, Clone, Copy)]
pub enum NoVersion {}

/// What can come before a version: another one, or [`NoVersion`].
pub trait PreviousVersion: Sized + chain::Chain {}

impl<P: Sized + chain::Chain> PreviousVersion for P {}

mod chain {
    use super::{NoVersion, Versioned};

    /// The versions from one on downwards.
    pub trait Chain: Sized {
        /// The highest version, which is this one; `None` when there is none.
        const HIGHEST: Option<u32>;

        /// Whether bytes of a version can be read.
        fn knows(version: u32) -> bool;

        /// Reads bytes of a version and brings them up to this one; `None` when it is not known.
        fn read(version: u32, bytes: &[u8]) -> Result<Option<Self>, postcard::Error>;
    }

    impl Chain for NoVersion {
        const HIGHEST: Option<u32> = None;

        fn knows(_: u32) -> bool {
            false
        }

        fn read(_: u32, _: &[u8]) -> Result<Option<Self>, postcard::Error> {
            Ok(None)
        }
    }

    impl<T: Versioned> Chain for T {
        const HIGHEST: Option<u32> = {
            if let Some(before) = <T::Previous as Chain>::HIGHEST {
                assert!(before < T::VERSION, "a version is higher than the one before");
            }
            Some(T::VERSION)
        };

        fn knows(version: u32) -> bool {
            Self::HIGHEST == Some(version) || T::Previous::knows(version)
        }

        fn read(version: u32, bytes: &[u8]) -> Result<Option<Self>, postcard::Error> {
            if version == T::VERSION {
                return postcard::from_bytes(bytes).map(Some);
            }
            Ok(T::Previous::read(version, bytes)?.map(T::migrate))
        }
    }
}

use chain::Chain;

/// Codec of a [`Versioned`] type: varint length, then the bytes of `postcard`. It reads every older
/// version, and none that is newer.
///
/// A type may name it as its own: `impl HasCodec for Visit { type Codec = VersionedCodec<Self>; }`.
///
/// Source: SPEC 5.2, `postcard`.
pub struct VersionedCodec<T>(PhantomData<fn() -> T>);

impl<T> Default for VersionedCodec<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T> Clone for VersionedCodec<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T: Versioned> fmt::Debug for VersionedCodec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VersionedCodec({} v{})", T::NAME, T::VERSION)
    }
}

impl<T> Sealed for VersionedCodec<T> {}

impl<T: Versioned> Codec<T> for VersionedCodec<T> {
    fn snapshot(&self) -> CodecSnapshot {
        snapshot_of(T::NAME, T::VERSION)
    }

    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        encode_framed(T::NAME, value, out)
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<T, CodecError> {
        decode_framed(T::NAME, input, |bytes| postcard::from_bytes(bytes))
    }

    fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<T> {
        if self.snapshot() == *stored {
            return Compatibility::AsIs;
        }
        let mut parameters = Input::new(&stored.parameters);
        let version = parameters.text("type name").and_then(|_| parameters.u32("type version"));
        let is_known =
            |version: &u32| snapshot_of(T::NAME, *version) == *stored && T::knows(*version);
        let Some(version) = version.ok().filter(is_known) else {
            return Compatibility::incompatible(self.snapshot(), stored);
        };
        Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
            let found = decode_framed(T::NAME, input, |bytes| T::read(version, bytes))?;
            let (what, reason) = ("serde value", "of no version that is known");
            found.ok_or(CodecError::Invalid { what, offset: 0, reason })
        }))
    }
}

#[cfg(test)]
mod tests;
