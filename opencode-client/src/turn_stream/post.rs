//! Posting a prompt, once.

use opencode_proto::api::{Command, Init, Operation, PromptAsync, Shell};
use opencode_proto::{MessageId, Posted, SessionId};

use super::request::Work;
use crate::http::{CallError, Http, Reached};
use crate::hub::describe;

/// Posts what the turn begins with.
pub(super) async fn post(http: Http, session: SessionId, message: MessageId, work: Work) -> Posted {
    let posted = match work {
        Work::Prompt(prompt) => send(&http, &PromptAsync { session, message, prompt }).await,
        Work::Command { command, arguments, agent, model, files } => {
            let mut operation = Command::new(session, message, command).with_arguments(arguments);
            (operation.agent, operation.model, operation.files) = (agent, model, files);
            send(&http, &operation).await
        }
        Work::Shell { agent, command } => {
            send(&http, &Shell::new(session, message, agent, command)).await
        }
        Work::Init { model } => send(&http, &Init { session, message, model }).await,
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

async fn send<O: Operation>(http: &Http, operation: &O) -> Result<(), CallError> {
    // A path that names a session needs no directory.
    http.call(operation, None).await.map(drop)
}
