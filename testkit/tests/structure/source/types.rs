//! The types of a module: visibility, openness to growth, and public fields.

use super::{Token, Visibility, attributes, item_size, split, visibility, word};

/// A struct, enum, union or trait.
#[derive(Debug)]
pub(crate) struct Type {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) visibility: Visibility,
    pub(crate) is_non_exhaustive: bool,
    pub(crate) public_fields: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Enum,
    Struct,
    Trait,
    Union,
}

impl Type {
    pub(super) fn parse(
        attributes: &[&[Token]],
        visibility: Visibility,
        item: &[Token],
    ) -> Option<Self> {
        let [Token::Word(keyword), Token::Word(name), body @ ..] = item else { return None };
        let kind = match &**keyword {
            "enum" => Kind::Enum,
            "struct" => Kind::Struct,
            "trait" => Kind::Trait,
            "union" => Kind::Union,
            _ => return None,
        };
        let is_non_exhaustive = attributes.iter().any(|attribute| {
            attribute.iter().filter_map(word).any(|word| word == "non_exhaustive")
        });
        let public_fields = if kind == Kind::Struct { public_fields(body) } else { Vec::new() };
        Some(Self { name: name.clone(), kind, visibility, is_non_exhaustive, public_fields })
    }

    /// Tells users of a crate all fields or variants, so that one more breaks their code.
    pub(crate) fn is_exhaustive(&self) -> bool {
        let is_shown = match self.kind {
            Kind::Enum => true,
            Kind::Struct => !self.public_fields.is_empty(),
            Kind::Trait | Kind::Union => false,
        };
        self.visibility == Visibility::Public && is_shown && !self.is_non_exhaustive
    }
}

fn public_fields(body: &[Token]) -> Vec<String> {
    let fields = match body {
        [.., Token::Mark('}')] => inside(body, '{'),
        [.., Token::Mark(')'), Token::Mark(';')] => inside(&body[..body.len() - 1], '('),
        _ => &[],
    };
    let mut names = Vec::new();
    for (no, field) in split(fields).enumerate() {
        let (_, field) = attributes(field);
        let (visibility, field) = visibility(field);
        if visibility == Visibility::Public {
            let name = match field {
                [Token::Word(name), Token::Mark(':'), Token::Mark(':'), ..] => {
                    panic!("a field without a name: {name}")
                }
                [Token::Word(name), Token::Mark(':'), ..] => name.clone(),
                _ => no.to_string(),
            };
            names.push(name);
        }
    }
    names
}

/// The tokens after the first opening mark, without the last token.
fn inside(body: &[Token], open: char) -> &[Token] {
    let start = body.iter().position(|token| *token == Token::Mark(open));
    start.map_or(&[], |start| &body[start + 1..body.len() - 1])
}

/// The public methods of an inherent `impl`, each with the type.
pub(super) fn methods(item: &[Token]) -> Vec<(String, String)> {
    let [Token::Word(keyword), head @ ..] = item else { return Vec::new() };
    let start = head.iter().position(|token| *token == Token::Mark('{'));
    let Some(start) = start.filter(|_| keyword == "impl") else { return Vec::new() };
    let is_of_a_trait = head[..start].iter().filter_map(word).any(|word| word == "for");
    let Some(name) = type_name(&head[..start]).filter(|_| !is_of_a_trait) else {
        return Vec::new();
    };
    let mut methods = Vec::new();
    let mut rest = inside(head, '{');
    while !rest.is_empty() {
        let (method, after) = rest.split_at(item_size(rest));
        rest = after;
        let (_, method) = attributes(method);
        let (Visibility::Public, method) = visibility(method) else { continue };
        let mut words = method.iter().map_while(word).skip_while(|word| *word != "fn");
        if let Some(method) = words.nth(1) {
            methods.push((name.to_owned(), method.to_owned()));
        }
    }
    methods
}

/// The name of the type in the head of an `impl`, after generic parameters.
fn type_name(head: &[Token]) -> Option<&str> {
    let mut depth = 0;
    head.iter().find_map(|token| {
        match token {
            Token::Mark('<') => depth += 1,
            Token::Mark('>') => depth -= 1,
            Token::Mark(_) | Token::Text(_) | Token::Word(_) => {}
        }
        word(token).filter(|_| depth == 0)
    })
}
