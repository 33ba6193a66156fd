//! Bodies of requests, and what is refused of them.
//!
//! Source: Flink `SavepointTriggerRequestBody`, `StopWithSavepointRequestBody`,
//! `CheckpointTriggerRequestBody`; like there, unknown fields are refused, and no body is an empty one.

use alluvium_coordinator::SavepointFormat;
use alluvium_runtime::Stop;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Refusal;

/// Most bytes of a body.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// How long a trigger id is.
const TRIGGER_ID_LEN: usize = 32;

/// Which checkpoint is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[non_exhaustive]
pub enum CheckpointType {
    /// As the job is configured.
    #[default]
    Configured,
    /// One that builds on no earlier one.
    Full,
    /// One that builds on an earlier one.
    Incremental,
}

#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum FormatType {
    #[default]
    Canonical,
    Native,
}

impl From<FormatType> for SavepointFormat {
    fn from(format: FormatType) -> Self {
        match format {
            FormatType::Canonical => Self::Canonical,
            FormatType::Native => Self::Native,
        }
    }
}

impl From<SavepointFormat> for FormatType {
    fn from(format: SavepointFormat) -> Self {
        match format {
            SavepointFormat::Native => Self::Native,
            _ => Self::Canonical,
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct CheckpointBody {
    #[serde(default)]
    pub(crate) checkpoint_type: CheckpointType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trigger_id: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct SavepointBody {
    #[serde(default)]
    pub(crate) target_directory: Option<String>,
    #[serde(default)]
    pub(crate) cancel_job: bool,
    #[serde(default, rename = "formatType")]
    pub(crate) format_type: FormatType,
    #[serde(default, rename = "triggerId", skip_serializing_if = "Option::is_none")]
    pub(crate) trigger_id: Option<String>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct StopBody {
    #[serde(default)]
    pub(crate) target_directory: Option<String>,
    #[serde(default)]
    pub(crate) drain: bool,
    #[serde(default)]
    pub(crate) format_type: FormatType,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trigger_id: Option<String>,
}

impl StopBody {
    pub(crate) const fn stop(&self) -> Stop {
        if self.drain { Stop::Drain } else { Stop::Suspend }
    }
}

/// Reads a body.
///
/// Errors: 400, with what is wrong and where.
pub(crate) fn parse<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, Refusal> {
    if body.is_empty() {
        return Ok(T::default());
    }
    // A struct would be taken from a list of its fields as well.
    if body.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Refusal::bad("the body is not a JSON object"));
    }
    serde_json::from_slice(body).map_err(|error| {
        Refusal::bad(match wrong_field::<T>(body) {
            Some(field) => format!("the body, {field}: {error}"),
            None => format!("the body: {error}"),
        })
    })
}

/// The first field that is wrong by itself, which the error does not always name.
fn wrong_field<T: DeserializeOwned>(body: &[u8]) -> Option<String> {
    let fields: Map<String, Value> = serde_json::from_slice(body).ok()?;
    let is_wrong = |(name, value): &(String, Value)| {
        let alone = Map::from_iter([(name.clone(), value.clone())]);
        serde_json::from_value::<T>(Value::Object(alone)).is_err()
    };
    fields.into_iter().find(is_wrong).map(|(name, _)| name)
}

/// A trigger id that a client has chosen.
///
/// Errors: 400.
pub(crate) fn check_trigger_id(id: Option<String>) -> Result<Option<String>, Refusal> {
    match id {
        Some(id)
            if id.len() != TRIGGER_ID_LEN || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) =>
        {
            let wanted = format!("{TRIGGER_ID_LEN} hexadecimal digits are wanted");
            Err(Refusal::bad(format!("triggerId {id:?}: {wanted}")))
        }
        Some(id) => Ok(Some(id.to_ascii_lowercase())),
        None => Ok(None),
    }
}
