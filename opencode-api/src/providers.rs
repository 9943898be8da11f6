//! Look-ups in lists of providers: models, their limits, logins.

use opencode_config::ModelRef;
use opencode_proto::{ContextUse, Tokens};

use crate::config::ConfigProviders;
use crate::provider::{Model, Provider, ProviderList};

/// The provider that OpenCode offers without a login, with models that cost nothing.
const WITHOUT_LOGIN: &str = "opencode";

impl ConfigProviders {
    /// Returns the model of this name, such as `anthropic/claude-haiku-4-5`. A name without a
    /// provider finds the model of the first provider that has one of the name.
    pub fn model(&self, model: &ModelRef) -> Option<&Model> {
        find(&self.providers, model)
    }

    /// Returns whether OpenCode can use a model that needs a login or a key. Without one, OpenCode
    /// has the free models of its own provider.
    pub fn is_logged_in(&self) -> bool {
        self.providers.iter().any(is_login)
    }
}

impl ProviderList {
    /// Returns the providers that OpenCode can use: those with a login, with a key, or without the
    /// need of one. [`all`](Self::all) has every known provider.
    pub fn connected_providers(&self) -> impl Iterator<Item = &Provider> {
        self.all.iter().filter(|provider| self.connected.contains(&provider.id))
    }

    /// Returns the model of this name, such as `anthropic/claude-haiku-4-5`. A name without a
    /// provider finds the model of the first provider that has one of the name.
    pub fn model(&self, model: &ModelRef) -> Option<&Model> {
        find(&self.all, model)
    }

    /// Returns whether OpenCode can use a model that needs a login or a key. Without one, OpenCode
    /// has the free models of its own provider.
    pub fn is_logged_in(&self) -> bool {
        self.connected_providers().any(is_login)
    }
}

impl Model {
    /// Compares the tokens of the last model call of a session with the context window of the
    /// model.
    ///
    /// ```no_run
    /// # fn example(model: opencode_api::provider::Model, tokens: opencode_proto::Tokens) {
    /// println!("{}", model.context_use(&tokens)); // 12,395 of 200,000 tokens
    /// # }
    /// ```
    pub fn context_use(&self, tokens: &Tokens) -> ContextUse {
        // A cast of a float saturates.
        tokens.in_context(self.limit.context as u64)
    }
}

fn find<'a>(providers: &'a [Provider], model: &ModelRef) -> Option<&'a Model> {
    let fits = |provider: &&Provider| model.provider().is_none_or(|name| provider.id == name);
    providers.iter().filter(fits).find_map(|provider| provider.models.get(model.model()))
}

/// As OpenCode's own interface decides.
fn is_login(provider: &Provider) -> bool {
    provider.id != WITHOUT_LOGIN || provider.models.iter().any(|(_, model)| model.cost.input != 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn providers(free: &str, other: &str) -> ProviderList {
        let model = |cost: u32| {
            format!(
                r#"{{"id":"m","providerID":"p","api":{{"id":"m","url":"","npm":""}},"name":"M",
                "capabilities":{{"temperature":false,"reasoning":false,"attachment":false,
                "toolcall":true,"input":{{"text":true,"audio":false,"image":false,"video":false,
                "pdf":false}},"output":{{"text":true,"audio":false,"image":false,"video":false,
                "pdf":false}},"interleaved":false}},"cost":{{"input":{cost},"output":0,
                "cache":{{"read":0,"write":0}}}},"limit":{{"context":1000,"output":100}},
                "status":"active","options":{{}},"headers":{{}},"release_date":""}}"#
            )
        };
        let provider = |id: &str, cost: u32| {
            format!(
                r#"{{"id":"{id}","name":"P","source":"custom","env":[],"options":{{}},
                "models":{{"m":{}}}}}"#,
                model(cost)
            )
        };
        let all = [provider("opencode", 0), provider("paid", 3)].join(",");
        let json = format!(
            r#"{{"all":[{all}],"default":{{}},"connected":[{}]}}"#,
            [free, other]
                .iter()
                .filter(|id| !id.is_empty())
                .map(|id| format!("{id:?}"))
                .collect::<Vec<_>>()
                .join(",")
        );
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn free_models_are_no_login() {
        assert!(!providers("opencode", "").is_logged_in());
        assert!(providers("opencode", "paid").is_logged_in());
        assert_eq!(providers("", "paid").connected_providers().count(), 1);
    }

    #[test]
    fn a_model_is_found_by_its_name() {
        let list = providers("opencode", "");
        let name = |text: &str| ModelRef::new(text).unwrap();
        assert!(list.model(&name("paid/m")).is_some_and(|model| model.cost.input == 3.0));
        assert!(list.model(&name("m")).is_some_and(|model| model.cost.input == 0.0));
        assert!(list.model(&name("paid/other")).is_none());
        let tokens: Tokens = serde_json::from_str(r#"{"input":500}"#).unwrap();
        let context = list.model(&name("paid/m")).unwrap().context_use(&tokens);
        assert_eq!(context.to_string(), "500 of 1,000 tokens");
    }
}
