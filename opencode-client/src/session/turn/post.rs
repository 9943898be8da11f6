//! Posting a prompt, once.

use opencode_proto::api::{
    ApiError, ApiErrorKind, Command, Init, Operation, Prompt, PromptAsync, SendMessage, Shell,
};
use opencode_proto::{MessageId, Posted, SessionId};

use super::request::Work;
use crate::http::{CallError, Http, Reached};
use crate::log::describe;

/// Posts what the turn begins with.
pub(super) async fn post(http: Http, session: SessionId, message: MessageId, work: Work) -> Posted {
    let posted = match work {
        Work::Prompt(prompt) => send_prompt(&http, session, message, prompt).await,
        Work::Command { command, arguments, agent, model, variant, files } => {
            let mut operation = Command::new(session, message, command).with_arguments(arguments);
            if let Some(agent) = agent {
                operation = operation.with_agent(agent);
            }
            if let Some(model) = model {
                operation = operation.with_model(model);
            }
            if let Some(variant) = variant {
                operation = operation.with_variant(variant);
            }
            let operation = files.into_iter().fold(operation, Command::with_file);
            send(&http, &operation).await
        }
        Work::Shell { agent, command } => {
            send(&http, &Shell::new(session, message, agent, command)).await
        }
        Work::Init { model } => send(&http, &Init::new(session, message, model)).await,
    };
    match posted {
        Ok(()) => Posted::Accepted,
        Err(CallError::Api(error)) => Posted::Refused(Box::new(error)),
        Err(error) => {
            let reason = describe(&error);
            match error.reached() {
                Reached::No => Posted::Failed { reason },
                Reached::Perhaps | Reached::Yes => Posted::Unknown { reason },
            }
        }
    }
}

async fn send_prompt(
    http: &Http,
    session: SessionId,
    message: MessageId,
    prompt: Prompt,
) -> Result<(), CallError> {
    let post = PromptAsync::new(&session, &message, prompt.clone());
    match send(http, &post).await {
        Err(CallError::Api(error)) if is_unknown_route(&error) => {
            send(http, &SendMessage::new(session, message, prompt)).await
        }
        sent => sent,
    }
}

/// Whether the server does not have the endpoint: then it has done nothing. (Old servers say 404 and no more.)
fn is_unknown_route(error: &ApiError) -> bool {
    let is_nameless = || error.name().is_none();
    error.kind == ApiErrorKind::UnknownRoute
        || matches!(error.kind, ApiErrorKind::NotFound { .. }) && is_nameless()
}

async fn send<O: Operation>(http: &Http, operation: &O) -> Result<(), CallError> {
    // A path that names a session needs no directory.
    http.call(operation, None).await.map(drop)
}
