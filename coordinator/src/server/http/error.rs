//! Answers that say what went wrong: `{"error": {"class", "message", "remedy"}}`.

use std::io;

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection, QueryRejection};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use crate::api::{ErrorBody, ErrorText};

#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    text: ErrorText,
}

impl ApiError {
    pub fn new(
        status: StatusCode,
        class: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> ApiError {
        let text = ErrorText { class: class.to_owned(), message: message.into(), remedy: remedy.into() };
        ApiError { status, text }
    }

    pub fn usage(message: impl Into<String>, remedy: impl Into<String>) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, "usage", message, remedy)
    }

    pub fn no_such(what: &str, remedy: &str) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, "usage", format!("there is no such {what}"), remedy)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.status, Json(ErrorBody { error: self.text })).into_response()
    }
}

impl From<JsonRejection> for ApiError {
    fn from(rejection: JsonRejection) -> ApiError {
        let remedy = "send JSON of the shape that the API describes";
        ApiError::new(rejection.status(), "usage", rejection.body_text(), remedy)
    }
}

impl From<PathRejection> for ApiError {
    fn from(rejection: PathRejection) -> ApiError {
        ApiError::new(
            rejection.status(),
            "usage",
            rejection.body_text(),
            "give the id of an order or of a snapshot",
        )
    }
}

impl From<QueryRejection> for ApiError {
    fn from(rejection: QueryRejection) -> ApiError {
        ApiError::new(rejection.status(), "usage", rejection.body_text(), "see the API's description")
    }
}

/// Of the coordinator's own disk.
impl From<io::Error> for ApiError {
    fn from(error: io::Error) -> ApiError {
        tracing::error!(%error, "the folder of snapshots cannot be used");
        let message = format!("the coordinator's folder of snapshots cannot be used: {error}");
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "unexpected",
            message,
            "see to the disk of the coordinator's host",
        )
    }
}

/// Runs what blocks on a thread of its own.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(io::Error::other)??)
}
