//! Probe sets under a name: pushed, listed, read.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use stillframe_wire::limits::{PROBES_BYTES_MAX, TEXT_BYTES_MAX};

use super::Shared;
use super::error::{ApiError, blocking};
use crate::api::probe_sets::{ProbeSetEntry, ProbeSetList, ProbeSetPush, ProbeSetText};
use crate::probe_sets::{self, StoredName};

const LISTED: &str = "`stillframe probe sets` lists them";

pub async fn list(State(shared): State<Shared>) -> Result<Json<ProbeSetList>, ApiError> {
    Ok(Json(ProbeSetList { sets: blocking(move || shared.probe_sets.list()).await? }))
}

pub async fn history(
    State(shared): State<Shared>,
    name: Result<Path<String>, PathRejection>,
) -> Result<Json<ProbeSetList>, ApiError> {
    let name = checked(name?.0)?;
    let sets = blocking(move || shared.probe_sets.history(&name)).await?;
    if sets.is_empty() {
        Err(ApiError::no_such("probe set", LISTED))
    } else {
        Ok(Json(ProbeSetList { sets }))
    }
}

pub async fn text(
    State(shared): State<Shared>,
    path: Result<Path<(String, u32)>, PathRejection>,
) -> Result<Json<ProbeSetText>, ApiError> {
    let Path((name, version)) = path?;
    let name = checked(name)?;
    let found = blocking(move || shared.probe_sets.get(&name, version)).await?;
    found.map(Json).ok_or_else(|| ApiError::no_such("version of a probe set", LISTED))
}

pub async fn push(
    State(shared): State<Shared>,
    name: Result<Path<String>, PathRejection>,
    request: Result<Json<ProbeSetPush>, JsonRejection>,
) -> Result<(StatusCode, Json<ProbeSetEntry>), ApiError> {
    let name = checked(name?.0)?;
    let Json(ProbeSetPush { text, pushed_by, note, is_default }) = request?;
    for (what, text, limit) in [
        ("the set", Some(&text), PROBES_BYTES_MAX),
        ("the note", note.as_ref(), TEXT_BYTES_MAX),
        ("the name of who pushes", pushed_by.as_ref(), TEXT_BYTES_MAX),
    ] {
        if text.is_some_and(|text| text.len() > limit) {
            return Err(ApiError::usage(format!("{what} is too long"), format!("it may have {limit} bytes")));
        }
    }
    let outline = probe_sets::outline(&text).map_err(|errors| {
        ApiError::usage(format!("the probe set is wrong: {errors}"), "correct it; nothing was kept")
    })?;
    let names = outline.programs.iter().flat_map(|rule| &rule.sets);
    if let Some((file, place)) = names.into_iter().find(|(name, _)| StoredName::parse(name).is_none()) {
        let message = format!("line {}: {file} is a file, which nobody else has", place.line);
        let remedy = "push it as a set of its own, and name that";
        return Err(ApiError::usage(message, remedy));
    }
    if let Some(probe) = outline.for_any_program.first().filter(|_| is_default) {
        let message = format!("the probe {probe} is for any program");
        let remedy = "give each probe of a set that is captured by default a program = \"...\"";
        return Err(ApiError::usage(message, remedy));
    }
    let entry = ProbeSetEntry {
        name,
        version: 0,
        pushed_unix_ns: shared.clock.now().unix_ns,
        pushed_by,
        note,
        is_default,
    };
    let store = shared.probe_sets.clone();
    let pushed = blocking(move || store.push(ProbeSetText { entry, text })).await?;
    let entry = pushed.ok_or_else(|| {
        let remedy = "push it under another name, or clear the folder probe_sets of the coordinator's data";
        ApiError::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "limit",
            "there are too many probe sets, or versions of it",
            remedy,
        )
    })?;
    tracing::info!(name = entry.name, version = entry.version, "a probe set was pushed");
    Ok((StatusCode::CREATED, Json(entry)))
}

/// It becomes the name of a folder.
fn checked(name: String) -> Result<String, ApiError> {
    if probe_sets::is_name(&name) {
        return Ok(name);
    }
    let message = format!("{:?} is no name of a probe set", name.chars().take(64).collect::<String>());
    Err(ApiError::usage(message, "a name has small letters, digits and _, and begins with a letter"))
}
