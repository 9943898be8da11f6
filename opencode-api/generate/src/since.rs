//! First versions of routes, from the documents of older versions.
//!
//! Some versions answer `GET /doc` with an error or with a part of the document. Their routes come
//! from `dist/v2/gen/sdk.gen.js` of the npm package `@opencode-ai/sdk`.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::path::Path;

use opencode_config::Json;

use crate::spec;

/// First versions, by method and path. Names of parameters in paths are left out, since they differ
/// from version to version.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Since(BTreeMap<String, String>);

impl Since {
    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        let json = spec::read_json(&spec::since_path())?;
        let text = |(route, version): (&str, &Json)| {
            Some((route.to_owned(), version.as_str()?.to_owned()))
        };
        Ok(Self(json.as_object().into_iter().flatten().filter_map(text).collect()))
    }

    /// Returns the first version that was looked at and has the route.
    pub(crate) fn of(&self, method: &str, path: &str) -> Option<&str> {
        self.0.get(&key(method, path)).map(String::as_str)
    }

    /// Adds the routes of a version.
    fn add(&mut self, version: &str, routes: Vec<(String, String)>) {
        for (method, path) in routes {
            let known = self.0.entry(key(&method, &path)).or_insert_with(|| version.to_owned());
            if numbers(version) < numbers(known) {
                version.clone_into(known);
            }
        }
    }

    /// Forgets routes that the pinned document does not have.
    fn retain(&mut self, routes: &[(String, String)]) {
        let kept: Vec<String> = routes.iter().map(|(method, path)| key(method, path)).collect();
        self.0.retain(|route, _| kept.contains(route));
    }
}

/// Adds the routes of files to the table: documents, or sources of the JS SDK.
pub(crate) fn add(version: &str, path: &Path) -> Result<String, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let routes = match text.parse::<Json>() {
        Ok(document) => routes_of_document(&document),
        Err(_) => routes_of_sdk(&text),
    };
    if routes.is_empty() {
        return Err(format!("{} has no routes", path.display()).into());
    }
    let count = routes.len();
    let mut since = if spec::since_path().exists() { Since::read()? } else { Since::default() };
    since.add(version, routes);
    write(since)?;
    Ok(format!("{count} routes of {version}"))
}

/// Adds the routes of the pinned document, which are new at the latest there.
pub(crate) fn add_pinned(version: &str, document: &Json) -> Result<(), Box<dyn Error>> {
    let mut since = Since::read()?;
    let routes = routes_of_document(document);
    since.add(version, routes.clone());
    since.retain(&routes);
    write(since)
}

fn write(since: Since) -> Result<(), Box<dyn Error>> {
    let entries = since.0.into_iter().map(|(route, version)| (route, Json::from(version)));
    let mut text = String::new();
    spec::write_lines(&mut text, &Json::Object(entries.collect()), 0, 1);
    text.push('\n');
    fs::write(spec::since_path(), text)?;
    Ok(())
}

fn routes_of_document(document: &Json) -> Vec<(String, String)> {
    let paths = document.get("paths").and_then(Json::as_object).into_iter().flatten();
    let routes = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, _)| (method.to_uppercase(), path.to_owned()))
    });
    routes.collect()
}

/// Finds `.get({` or `.sse.get({`, followed by a line with `url: "/path"`.
fn routes_of_sdk(source: &str) -> Vec<(String, String)> {
    let mut routes = Vec::new();
    let mut before = "";
    for line in source.lines() {
        let url = line.trim().strip_prefix("url: \"").and_then(|rest| rest.split('"').next());
        let method = before.trim_end().strip_suffix("({").and_then(|call| call.rsplit('.').next());
        if let (Some(url), Some(method)) = (url, method) {
            routes.push((method.to_uppercase(), url.to_owned()));
        }
        before = line;
    }
    routes
}

fn key(method: &str, path: &str) -> String {
    let segments = path.split('/').map(|segment| {
        if segment.starts_with('{') || segment.starts_with(':') { "{}" } else { segment }
    });
    format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
}

fn numbers(version: &str) -> Vec<u64> {
    version.split('.').map(|number| number.parse().unwrap_or(0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_version_with_a_route_counts() {
        let route = |path: &str| vec![("GET".to_owned(), path.to_owned())];
        let mut since = Since::default();
        since.add("1.3.0", route("/session/{sessionID}"));
        since.add("1.18.0", route("/session/{id}"));
        assert_eq!(since.of("GET", "/session/:x"), Some("1.3.0"));
        since.add("1.2.27", route("/session/{id}"));
        since.add("1.2.27", route("/old"));
        since.retain(&route("/session/{id}"));
        assert_eq!(since.of("GET", "/session/{sessionID}"), Some("1.2.27"));
        assert_eq!(since.of("GET", "/old"), None);
    }

    #[test]
    fn routes_are_found_in_the_sources_of_the_sdk() {
        let source = "event(options) {\n  return (options?.client ?? this.client).sse.get({\n    \
                      url: \"/global/event\",\n";
        assert_eq!(routes_of_sdk(source), [("GET".to_owned(), "/global/event".to_owned())]);
    }
}
