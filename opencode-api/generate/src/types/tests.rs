use super::{RustType, Shape, Types};
use crate::document::Document;

const DOCUMENT: &str = r##"{
    "paths": {"/thing/{id}": {"post": {
        "operationId": "thing.rename",
        "parameters": [
            {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}},
            {"name": "place", "in": "query", "style": "deepObject", "schema": {
                "type": "object", "properties": {"directory": {"type": "string"}}}}
        ],
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/x/Shape"}}}},
        "responses": {
            "200": {"content": {"application/json": {"schema": {"$ref": "#/x/Holder"}}}},
            "404": {"content": {"application/json": {"schema": {"$ref": "#/x/Gone"}}}}
        }
    }}},
    "components": {"schemas": {
        "Event": {"anyOf": []},
        "V2Event": {"anyOf": []},
        "Session": {}, "Part": {}, "Message": {}, "TextPartInput": {}, "Model": {}, "Provider": {},
        "ProviderAuthMethod": {}, "ModelRef": {}, "SnapshotFileDiff": {}, "Pty": {},
        "Shape": {"anyOf": [
            {"type": "object", "required": ["type"], "properties": {
                "type": {"type": "string", "enum": ["round"]}, "radius": {"type": "integer"}}},
            {"type": "object", "required": ["type"], "properties": {
                "type": {"type": "string", "enum": ["square"]}}}
        ]},
        "Holder": {"type": "object", "required": ["sessionID"], "properties": {
            "sessionID": {"type": "string"},
            "limit": {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "boolean"}]},
            "parent": {"anyOf": [{"type": "string", "pattern": "^ses"}, {"type": "null"}]}
        }}
    }}
}"##;

#[test]
fn unions_are_told_apart_by_a_tag_or_by_the_form() {
    let document = Document::read(&DOCUMENT.parse().unwrap()).unwrap();
    let operation = &document.operations[0];
    assert_eq!(operation.query[0].name, "place[directory]");
    assert_eq!(operation.errors, [("404".to_owned(), vec!["Gone".to_owned()])]);
    let mut types = Types::new(&document);

    types.component("Shape");
    types.component("Holder");

    let Shape::Tagged { tag, variants } = &types.defs["Shape"].shape else { panic!("no tag") };
    assert_eq!((&**tag, &*variants[0].name, &*variants[1].rule), ("type", "Round", "square"));
    let Shape::Struct { tag, fields } = &types.defs["ShapeRound"].shape else { panic!() };
    assert_eq!(*tag, Some(("type".to_owned(), "round".to_owned())));
    assert_eq!((fields.len(), &fields[0].rust), (1, &RustType::Signed));
    let Shape::Struct { fields, .. } = &types.defs["Holder"].shape else { panic!() };
    assert_eq!(fields[0].rust, RustType::Id("SessionId"));
    assert_eq!(fields[2].rust, RustType::Nullable(Box::new(RustType::Id("SessionId"))));
    let Shape::Forms(variants) = &types.defs["HolderLimit"].shape else { panic!("a tag") };
    assert_eq!((&*variants[0].rule, &*variants[1].rule), ("number()", "boolean()"));
}
