use opencode_config::ToolSwitch;
use serde::Deserialize;

use crate::api::Prompt;
use crate::server_event::SessionInfo;

/// Name of a tool that does not exist. Every prompt with switches names the tool, so that rules of
/// a session that are only switches can be recognized.
const MARK: &str = "opencode-rs-switches";

/// Origin of the permission rules that a session has besides those of agents and configuration.
///
/// OpenCode 1.18.33 replaces all rules of the session by the tool switches of a prompt
/// (`Prompt::tools`), for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SessionRules {
    /// The session has no rules, or a switch of a tool that does not exist.
    #[default]
    None,
    /// Rules that the session was created with, or that were added.
    Own,
    /// Switches of an earlier prompt.
    Switches,
}

/// Tools that a model may call in a turn.
#[derive(Debug)]
pub(crate) enum ToolUse<'a> {
    /// The tools of the session: a command has no switches.
    Fixed,
    /// No model takes part.
    Nothing,
    /// The tools of the session, with the switches of the prompt.
    Prompt(&'a mut Prompt),
}

/// Reason why the tool switches of a prompt cannot hold for one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ToolSwitchError {
    /// An earlier prompt switched tools, and only a prompt switches them back.
    #[error(
        "an earlier prompt of the session switched tools, which only a prompt takes back: send a \
         prompt first, or use another session"
    )]
    EarlierSwitches,
    /// The session has permission rules of its own, which the switches would replace for good.
    #[error(
        "tool switches would replace the permission rules of the session for good: add rules with \
         `Session::update`, or use another session"
    )]
    OwnRules,
}

impl SessionRules {
    pub(super) fn of(info: &SessionInfo) -> Self {
        #[derive(Deserialize)]
        struct RuledSession {
            #[serde(default)]
            permission: Vec<RuleOfSession>,
        }
        #[derive(Deserialize)]
        struct RuleOfSession {
            permission: String,
            pattern: String,
        }
        // Rules of an unknown form are rules.
        let Ok(session) = info.raw.decode::<RuledSession>() else { return Self::Own };
        let rules = session.permission;
        let is_mark = |rule: &RuleOfSession| rule.permission == MARK;
        if rules.iter().all(is_mark) {
            Self::None
        } else if rules.iter().any(is_mark) && rules.iter().all(|rule| rule.pattern == "*") {
            Self::Switches
        } else {
            Self::Own
        }
    }

    /// Makes the switches of a turn hold for that turn alone, and those of earlier turns for no
    /// later one.
    pub(super) fn apply(&mut self, tools: ToolUse<'_>) -> Result<(), ToolSwitchError> {
        match (tools, *self) {
            (ToolUse::Prompt(prompt), Self::None | Self::Switches) => {
                let has_switches = !prompt.tools().is_empty();
                if has_switches || *self == Self::Switches {
                    let marked = std::mem::take::<Prompt>(prompt);
                    *prompt = marked.with_tool(MARK, ToolSwitch::Disabled);
                }
                *self = if has_switches { Self::Switches } else { Self::None };
                Ok(())
            }
            (ToolUse::Prompt(prompt), Self::Own) if !prompt.tools().is_empty() => {
                Err(ToolSwitchError::OwnRules)
            }
            (ToolUse::Fixed, Self::Switches) => Err(ToolSwitchError::EarlierSwitches),
            (ToolUse::Prompt(_), Self::Own)
            | (ToolUse::Fixed, Self::None | Self::Own)
            | (ToolUse::Nothing, _) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;
    use crate::api::{Operation, ReadSession};

    fn rules(permission: &str) -> SessionRules {
        let json = format!(r#"{{"id":"ses_1","permission":{permission}}}"#);
        let info = ReadSession::new("ses_1").decode(Response::new(json.into()));
        SessionRules::of(&info.unwrap())
    }

    fn switched(prompt: &Prompt) -> Vec<&str> {
        prompt.tools().keys().map(String::as_str).collect()
    }

    fn off() -> Prompt {
        Prompt::from("Hi!").with_tool("bash", ToolSwitch::Disabled)
    }

    #[test]
    fn switches_hold_for_one_turn() {
        let mut rules = SessionRules::None;
        let mut posts = [off(), Prompt::from("Hi!"), Prompt::from("Hi!")];
        for post in &mut posts {
            rules.apply(ToolUse::Prompt(post)).unwrap();
        }
        assert_eq!(switched(&posts[0]), ["bash", MARK]);
        assert_eq!(switched(&posts[1]), [MARK], "the switches of the first were not taken back");
        assert_eq!(switched(&posts[2]), [""; 0]);
    }

    #[test]
    fn switches_never_replace_other_rules() {
        let mut rules = SessionRules::Own;
        assert_eq!(rules.apply(ToolUse::Prompt(&mut off())), Err(ToolSwitchError::OwnRules));
        let mut plain = Prompt::from("Hi!");
        rules.apply(ToolUse::Prompt(&mut plain)).unwrap();
        assert_eq!((switched(&plain), rules), (vec![], SessionRules::Own));
    }

    #[test]
    fn a_command_does_not_run_with_the_switches_of_a_prompt() {
        let mut rules = SessionRules::None;
        rules.apply(ToolUse::Fixed).unwrap();
        rules.apply(ToolUse::Prompt(&mut off())).unwrap();
        assert_eq!(rules.apply(ToolUse::Fixed), Err(ToolSwitchError::EarlierSwitches));
        rules.apply(ToolUse::Nothing).unwrap();
        rules.apply(ToolUse::Prompt(&mut Prompt::from("Hi!"))).unwrap();
        rules.apply(ToolUse::Fixed).unwrap();
    }

    #[test]
    fn rules_of_a_session_are_told_by_the_mark() {
        let mark = format!(r#"{{"permission":"{MARK}","pattern":"*","action":"deny"}}"#);
        let bash = r#"{"permission":"bash","pattern":"*","action":"deny"}"#;
        let git = r#"{"permission":"bash","pattern":"git *","action":"allow"}"#;
        assert_eq!(rules("[]"), SessionRules::None);
        assert_eq!(rules(&format!("[{mark}]")), SessionRules::None);
        assert_eq!(rules(&format!("[{bash},{mark}]")), SessionRules::Switches);
        assert_eq!(rules(&format!("[{bash},{mark},{git}]")), SessionRules::Own);
        assert_eq!(rules(&format!("[{bash}]")), SessionRules::Own);
        assert_eq!(rules(r#""odd""#), SessionRules::Own);
    }
}
