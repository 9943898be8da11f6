//! Features of OpenCode that a run or a server needs, which old versions lack.

use crate::{Approval, CommandGate, Feature, IsolationPlan, Plugins, RunConfig, ServeFlags};

#[cfg(test)]
mod tests;

const AUTH_CONTENT: &str = "OPENCODE_AUTH_CONTENT";
const CONFIG_CONTENT: &str = "OPENCODE_CONFIG_CONTENT";

/// Returns the features that a run needs.
pub(super) fn of_run(config: &RunConfig, plan: &IsolationPlan) -> impl Iterator<Item = Feature> {
    let flags = config.flags();
    let has_directory = flags.attach().is_some_and(|attach| attach.directory().is_some());
    let needs = [
        (Feature::AttachDirectory, has_directory),
        (Feature::AutoApproval, flags.approval() == Approval::Auto),
        (Feature::BuiltInPlugins, flags.plugins() == Plugins::BuiltIn),
    ];
    needs.into_iter().chain(of_config(config, plan)).filter_map(needed)
}

/// Returns the features that a server needs.
pub(super) fn of_server(
    config: &RunConfig,
    flags: &ServeFlags,
    plan: &IsolationPlan,
) -> impl Iterator<Item = Feature> {
    let plugins = (Feature::BuiltInPlugins, flags.plugins() == Plugins::BuiltIn);
    [plugins].into_iter().chain(of_config(config, plan)).filter_map(needed)
}

fn of_config(config: &RunConfig, plan: &IsolationPlan) -> [(Feature, bool); 3] {
    let content = plan.environment.var(CONFIG_CONTENT);
    let content = content.map(|content| content.to_string_lossy()).unwrap_or_default();
    [
        (Feature::CommandGate, config.command_gate() == CommandGate::Approved),
        (Feature::ConfigReferences, content.contains("{env:") || content.contains("{file:")),
        // The caller did not ask for credentials that are inherited.
        (Feature::EnvironmentCredentials, config.env().var(AUTH_CONTENT).is_some()),
    ]
}

fn needed((feature, is_needed): (Feature, bool)) -> Option<Feature> {
    is_needed.then_some(feature)
}
