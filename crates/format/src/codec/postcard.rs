//! Any `serde` type, through `postcard`, framed with its length.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use super::{Codec, CodecSnapshot, Compatibility, Input, sealed::Sealed};
use crate::CodecError;
use crate::wire::{put_framed, put_text};

type Migration<T> = Arc<dyn Fn(&[u8]) -> Result<T, postcard::Error> + Send + Sync>;

/// Codec of a `serde` type: varint length, then the bytes of `postcard`.
///
/// The type goes by a name and a schema version of the user's choice. A changed type gets the next
/// version and one migration from each older version that may still be stored.
///
/// ```
/// use alluvium_format::codec::{Codec, Compatibility, PostcardCodec};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Visit { page: String }
/// #[derive(Serialize, Deserialize)]
/// struct VisitV2 { page: String, seconds: u32 }
///
/// let old = PostcardCodec::<Visit>::new("visit", 1);
/// let new = PostcardCodec::<VisitV2>::new("visit", 2)
///     .migrate_from(1, |old: Visit| VisitV2 { page: old.page, seconds: 0 });
/// assert!(matches!(new.resolve(&old.snapshot()), Compatibility::AfterMigration(_)));
/// ```
pub struct PostcardCodec<T> {
    type_name: Arc<str>,
    schema_version: u32,
    migrations: BTreeMap<u32, Migration<T>>,
}

impl<T: Serialize + DeserializeOwned + 'static> PostcardCodec<T> {
    /// A codec for a type under a name (stored, at most 65,535 bytes) and a schema version.
    pub fn new(type_name: &str, schema_version: u32) -> Self {
        let type_name = Arc::from(type_name);
        Self { type_name, schema_version, migrations: BTreeMap::new() }
    }

    /// Adds a step from an older schema version.
    #[must_use]
    pub fn migrate_from<Old: DeserializeOwned>(
        mut self,
        schema_version: u32,
        migrate: impl Fn(Old) -> T + Send + Sync + 'static,
    ) -> Self {
        let step = move |bytes: &[u8]| postcard::from_bytes::<Old>(bytes).map(&migrate);
        self.migrations.insert(schema_version, Arc::new(step));
        self
    }

    fn snapshot_of(&self, schema_version: u32) -> CodecSnapshot {
        snapshot_of(&self.type_name, schema_version)
    }
}

pub(super) fn snapshot_of(type_name: &str, schema_version: u32) -> CodecSnapshot {
    let mut parameters = Vec::new();
    // A name above 65,535 bytes is left out: such types are not told apart.
    let _ = put_text(type_name, &mut parameters);
    parameters.extend_from_slice(&schema_version.to_le_bytes());
    CodecSnapshot { parameters, ..CodecSnapshot::plain("postcard") }
}

pub(super) fn encode_framed<T: Serialize>(
    type_name: &str,
    value: &T,
    out: &mut Vec<u8>,
) -> Result<(), CodecError> {
    put_framed(out, |out| {
        let encoded = postcard::to_extend(value, std::mem::take(out));
        *out = encoded.map_err(|source| error_of(type_name, source))?;
        Ok(())
    })
}

pub(super) fn decode_framed<T>(
    type_name: &str,
    input: &mut Input<'_>,
    read: impl FnOnce(&[u8]) -> Result<T, postcard::Error>,
) -> Result<T, CodecError> {
    let bytes = input.framed("serde value")?;
    read(bytes).map_err(|source| error_of(type_name, source))
}

fn error_of(type_name: &str, source: postcard::Error) -> CodecError {
    CodecError::Serde { type_name: type_name.to_owned(), source }
}

impl<T> Clone for PostcardCodec<T> {
    fn clone(&self) -> Self {
        Self {
            type_name: Arc::clone(&self.type_name),
            schema_version: self.schema_version,
            migrations: self.migrations.clone(),
        }
    }
}

impl<T> fmt::Debug for PostcardCodec<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostcardCodec({} v{})", self.type_name, self.schema_version)
    }
}

impl<T> Sealed for PostcardCodec<T> {}

impl<T: Serialize + DeserializeOwned + 'static> Codec<T> for PostcardCodec<T> {
    fn snapshot(&self) -> CodecSnapshot {
        self.snapshot_of(self.schema_version)
    }

    fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<(), CodecError> {
        encode_framed(&self.type_name, value, out)
    }

    fn decode(&self, input: &mut Input<'_>) -> Result<T, CodecError> {
        decode_framed(&self.type_name, input, |bytes| postcard::from_bytes(bytes))
    }

    fn resolve_same(&self, stored: &CodecSnapshot) -> Compatibility<T> {
        if self.snapshot() == *stored {
            return Compatibility::AsIs;
        }
        let step = self.migrations.iter().find(|(old, _)| self.snapshot_of(**old) == *stored);
        let Some((_, migrate)) = step else {
            return Compatibility::incompatible(self.snapshot(), stored);
        };
        let (migrate, type_name) = (Arc::clone(migrate), Arc::clone(&self.type_name));
        Compatibility::AfterMigration(Box::new(move |input: &mut Input<'_>| {
            decode_framed(&type_name, input, |bytes| migrate(bytes))
        }))
    }
}
