//! A parser for as much of Rust as the names in a file need: modules, imports, items and paths.

use std::collections::BTreeSet;
use std::str::Chars;

mod types;

pub(crate) use types::Type;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Mark(char),
    Text(String),
    Word(String),
}

/// How far an item can be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Visibility {
    Private,
    /// `pub(crate)`, `pub(super)` and the like.
    Crate,
    Public,
}

/// The names of one module, without items for tests only.
#[derive(Debug, Default)]
pub(crate) struct Source {
    pub(crate) modules: Vec<Declaration>,
    pub(crate) imports: Vec<Import>,
    /// Names of the items that the module defines itself.
    pub(crate) items: BTreeSet<String>,
    /// Paths with at least two segments, outside of imports.
    pub(crate) paths: BTreeSet<Vec<String>>,
    /// All words outside of imports and module declarations.
    pub(crate) words: BTreeSet<String>,
    /// Structs, enums, unions and traits.
    pub(crate) types: Vec<Type>,
    /// Names of all types, of those in functions too.
    type_names: Vec<String>,
    /// Types with inherent methods, and the names of the methods that are public.
    pub(crate) methods: Vec<(String, String)>,
}

#[derive(Debug)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// `mod name;`, with the path of a `#[path]` attribute.
    File(Option<String>),
    /// `mod name { .. }`
    Inline(Source),
}

#[derive(Clone, Debug)]
pub(crate) struct Import {
    pub(crate) path: Vec<String>,
    /// The name that the import adds to the module: `*` for all names.
    pub(crate) name: String,
    pub(crate) is_public: bool,
}

impl Source {
    pub(crate) fn parse(text: &str) -> Self {
        Self::of(&tokens(text))
    }

    /// Names of all types, of those in functions and in modules of the same file too.
    pub(crate) fn all_type_names(self) -> Vec<String> {
        let mut names = self.type_names;
        for declaration in self.modules {
            if let Content::Inline(source) = declaration.content {
                names.extend(source.all_type_names());
            }
        }
        names
    }

    fn of(tokens: &[Token]) -> Self {
        let mut source = Self::default();
        let mut rest = tokens;
        while !rest.is_empty() {
            let (item, after) = rest.split_at(item_size(rest));
            source.add(item);
            rest = after;
        }
        source
    }

    fn add(&mut self, item: &[Token]) {
        let (attributes, item) = attributes(item);
        if attributes.iter().any(|attribute| is_test(attribute)) {
            return;
        }
        let (visibility, item) = visibility(item);
        let is_public = visibility != Visibility::Private;
        match item {
            [Token::Word(keyword), tree @ .., Token::Mark(';')] if keyword == "use" => {
                add_imports(&mut self.imports, &mut Vec::new(), tree, is_public);
            }
            [Token::Word(keyword), Token::Word(name), content @ ..] if keyword == "mod" => {
                let content = match content {
                    [Token::Mark('{'), body @ .., Token::Mark('}')] => {
                        Content::Inline(Self::of(body))
                    }
                    _ => Content::File(attributes.iter().find_map(|attribute| path_of(attribute))),
                };
                self.modules.push(Declaration { name: name.clone(), content });
            }
            _ => {
                self.types.extend(Type::parse(&attributes, visibility, item));
                self.methods.extend(types::methods(item));
                self.items.extend(item_name(item));
                self.add_code(item);
            }
        }
    }

    fn add_code(&mut self, mut code: &[Token]) {
        while let [token, after @ ..] = code {
            code = after;
            let Token::Word(word) = token else { continue };
            if let ("struct" | "enum" | "trait", Some(name)) =
                (&**word, code.first().and_then(self::word))
            {
                self.type_names.push(name.to_owned());
            }
            if word == "use" {
                let end = code.iter().position(|token| *token == Token::Mark(';'));
                let (tree, after) = code.split_at(end.unwrap_or(code.len()));
                add_imports(&mut self.imports, &mut Vec::new(), tree, false);
                code = after;
                continue;
            }
            let mut path = vec![word.clone()];
            while let [Token::Mark(':'), Token::Mark(':'), Token::Word(next), after @ ..] = code {
                path.push(next.clone());
                code = after;
            }
            self.words.extend(path.iter().cloned());
            if path.len() > 1 {
                self.paths.insert(path);
            }
        }
    }
}

/// How many tokens the first item has.
fn item_size(tokens: &[Token]) -> usize {
    let mut ends_with_semicolon = false;
    let (mut depth, mut is_attribute) = (0, false);
    for (no, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark('#') if depth == 0 => is_attribute = true,
            Token::Mark('(' | '[' | '{') => depth += 1,
            Token::Mark(')' | ']') => depth -= 1,
            Token::Mark('}') => {
                depth -= 1;
                if depth == 0 && !is_attribute && !ends_with_semicolon {
                    return no + 1;
                }
            }
            Token::Mark(';') if depth == 0 => return no + 1,
            Token::Word(word) if depth == 0 => {
                // `const fn` has a body, a constant ends with a semicolon.
                let is_value = matches!(&**word, "const" | "static" | "type" | "use");
                ends_with_semicolon |= is_value;
                ends_with_semicolon &= !matches!(&**word, "fn" | "impl" | "trait");
            }
            Token::Mark(_) | Token::Text(_) | Token::Word(_) => {}
        }
        if depth == 0 && *token == Token::Mark(']') {
            is_attribute = false;
        }
    }
    tokens.len()
}

/// The attributes of an item, and the rest of the item.
fn attributes(mut item: &[Token]) -> (Vec<&[Token]>, &[Token]) {
    let mut attributes = Vec::new();
    loop {
        let ([Token::Mark('#'), Token::Mark('!'), Token::Mark('['), body @ ..]
        | [Token::Mark('#'), Token::Mark('['), body @ ..]) = item
        else {
            return (attributes, item);
        };
        let mut depth = 1;
        let end = body.iter().position(|token| {
            match token {
                Token::Mark('[') => depth += 1,
                Token::Mark(']') => depth -= 1,
                Token::Mark(_) | Token::Text(_) | Token::Word(_) => {}
            }
            depth == 0
        });
        let end = end.expect("an attribute has an end");
        attributes.push(&body[..end]);
        item = &body[end + 1..];
    }
}

/// `test`, `cfg(test)` and `cfg(all(test, ..))`.
fn is_test(attribute: &[Token]) -> bool {
    let words: Vec<&str> = attribute.iter().filter_map(word).collect();
    match &words[..] {
        ["test"] | ["cfg", "test", ..] => true,
        ["cfg", "all", rest @ ..] => rest.first() == Some(&"test"),
        _ => false,
    }
}

fn path_of(attribute: &[Token]) -> Option<String> {
    match attribute {
        [Token::Word(name), Token::Mark('='), Token::Text(path)] if name == "path" => {
            Some(path.clone())
        }
        _ => None,
    }
}

fn visibility(item: &[Token]) -> (Visibility, &[Token]) {
    match item {
        [Token::Word(public), Token::Mark('('), after @ ..] if public == "pub" => {
            let end = after.iter().position(|token| *token == Token::Mark(')'));
            (Visibility::Crate, &after[end.expect("a visibility has an end") + 1..])
        }
        [Token::Word(public), after @ ..] if public == "pub" => (Visibility::Public, after),
        _ => (Visibility::Private, item),
    }
}

/// The name that an item adds to the module.
fn item_name(item: &[Token]) -> Option<String> {
    const KEYWORDS: [&str; 9] =
        ["const", "enum", "fn", "macro_rules", "static", "struct", "trait", "type", "union"];
    let words: Vec<&str> = item
        .iter()
        .map_while(|token| match token {
            Token::Word(word) => Some(&**word),
            Token::Mark('!') => Some("!"),
            // The ABI of an `extern "C" fn`.
            Token::Text(_) => Some("\""),
            Token::Mark(_) => None,
        })
        .collect();
    if words.first() == Some(&"impl") {
        return None;
    }
    let last = words.iter().rposition(|word| KEYWORDS.contains(word))?;
    words[last + 1..].iter().find(|word| **word != "!").map(|word| (*word).to_owned())
}

fn add_imports(
    imports: &mut Vec<Import>,
    prefix: &mut Vec<String>,
    tree: &[Token],
    is_public: bool,
) {
    let size = prefix.len();
    let mut rest = tree;
    let mut alias = None;
    loop {
        rest = match rest {
            [Token::Mark(':'), after @ ..] => after,
            [Token::Mark('*'), after @ ..] => {
                alias = Some("*".to_owned());
                after
            }
            [Token::Word(keyword), Token::Word(name), after @ ..] if keyword == "as" => {
                alias = Some(name.clone());
                after
            }
            [Token::Word(name), after @ ..] => {
                if name != "self" || prefix.is_empty() {
                    prefix.push(name.clone());
                }
                after
            }
            [Token::Mark('{'), branches @ .., Token::Mark('}')] => {
                for branch in split(branches) {
                    add_imports(imports, prefix, branch, is_public);
                }
                break;
            }
            _ => {
                if let Some(name) = alias.or_else(|| prefix.last().cloned()) {
                    imports.push(Import { path: prefix.clone(), name, is_public });
                }
                break;
            }
        };
    }
    prefix.truncate(size);
}

/// The parts between commas outside of braces, brackets and parentheses.
fn split(branches: &[Token]) -> impl Iterator<Item = &[Token]> {
    let mut depth = 0;
    let parts = branches.split(move |token| {
        match token {
            Token::Mark('{' | '(' | '[') => depth += 1,
            Token::Mark('}' | ')' | ']') => depth -= 1,
            Token::Mark(_) | Token::Text(_) | Token::Word(_) => {}
        }
        depth == 0 && *token == Token::Mark(',')
    });
    parts.filter(|part| !part.is_empty())
}

fn word(token: &Token) -> Option<&str> {
    match token {
        Token::Word(word) => Some(word),
        Token::Mark(_) | Token::Text(_) => None,
    }
}

fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text.chars();
    while let Some(first) = rest.next() {
        match first {
            '/' if rest.as_str().starts_with('/') => {
                rest.by_ref().find(|next| *next == '\n');
            }
            '/' if rest.as_str().starts_with('*') => skip_comment(&mut rest),
            '"' => tokens.push(Token::Text(string(&mut rest))),
            '\'' => skip_char_or_lifetime(&mut rest),
            first if first.is_alphanumeric() || first == '_' => {
                let mut word = String::from(first);
                while let Some(next) =
                    rest.clone().next().filter(|next| next.is_alphanumeric() || *next == '_')
                {
                    word.push(next);
                    rest.next();
                }
                let hashes = rest.as_str().chars().take_while(|next| *next == '#').count();
                if word.ends_with('r') && word.len() < 3 && rest.as_str()[hashes..].starts_with('"')
                {
                    tokens.push(Token::Text(raw_string(&mut rest, hashes)));
                } else {
                    tokens.push(Token::Word(word));
                }
            }
            first if first.is_whitespace() => {}
            first => tokens.push(Token::Mark(first)),
        }
    }
    tokens
}

fn skip_comment(rest: &mut Chars<'_>) {
    let mut depth = 0;
    let mut before = '/';
    for next in rest.by_ref() {
        match (before, next) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                before = next;
                continue;
            }
        }
        if depth == 0 {
            return;
        }
        before = ' ';
    }
}

fn string(rest: &mut Chars<'_>) -> String {
    let mut text = String::new();
    while let Some(next) = rest.next() {
        match next {
            '"' => break,
            '\\' => text.extend(rest.next()),
            next => text.push(next),
        }
    }
    text
}

fn raw_string(rest: &mut Chars<'_>, hashes: usize) -> String {
    let end = format!("\"{}", "#".repeat(hashes));
    let text = &rest.as_str()[hashes + 1..];
    let size = text.find(&end).expect("a raw string has an end");
    let found = text[..size].to_owned();
    *rest = text[size + end.len()..].chars();
    found
}

fn skip_char_or_lifetime(rest: &mut Chars<'_>) {
    let mut ahead = rest.clone();
    match ahead.next() {
        Some('\\') => {
            ahead.next();
            ahead.by_ref().find(|next| *next == '\'');
            *rest = ahead;
        }
        Some(_) if ahead.next() == Some('\'') => *rest = ahead,
        // The name of a lifetime is no path.
        Some(_) | None => {
            let text = rest.as_str();
            *rest =
                text.trim_start_matches(|next: char| next.is_alphanumeric() || next == '_').chars();
        }
    }
}
