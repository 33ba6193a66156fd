//! Why an index is refused, before its place in the stream is known.

use alluvium_core::{IdError, KeyGroupError, PathError};

use crate::codec::Input;
use crate::{CodecError, FormatError};

/// Bytes of an index that are no value, or values that break a rule.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The bytes are not what they should be.
    Codec(CodecError),
    /// The values break a rule.
    Rule(String),
}

impl Refusal {
    /// The error of an index that begins at `start` and was read up to where `input` stands.
    pub(crate) fn of_index(self, start: u64, input: &Input<'_>) -> FormatError {
        let what = "index";
        match self {
            Self::Codec(source) => FormatError::Codec { what, offset: start, source },
            Self::Rule(reason) => {
                FormatError::Malformed { what, offset: start + input.offset() as u64, reason }
            }
        }
    }
}

impl From<CodecError> for Refusal {
    fn from(error: CodecError) -> Self {
        Self::Codec(error)
    }
}

macro_rules! rule_from {
    ($($error:ty),*) => {$(
        impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::Rule(error.to_string())
            }
        }
    )*};
}

rule_from!(IdError, KeyGroupError, PathError);
