use super::*;

#[test]
fn only_the_first_slash_separates() {
    let model = ModelRef::new("openrouter/meta-llama/llama-4").unwrap();
    assert_eq!(model.provider(), Some("openrouter"));
    assert_eq!(model.model(), "meta-llama/llama-4");
    assert_eq!(model.to_string(), "openrouter/meta-llama/llama-4");
}

#[test]
fn a_bare_model_has_no_provider() {
    let model: ModelRef = "claude".parse().unwrap();
    assert_eq!(model.provider(), None);
    assert_eq!(model.model(), "claude");
}

#[test]
fn empty_names_and_parts_are_refused() {
    for text in ["", "/", "/model", "provider/"] {
        let error = ModelRef::new(text).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("cannot read `{text}` as the name of a model: use `provider/model`")
        );
    }
    assert!(ModelRef::new("provider//model").is_ok());
}

#[test]
fn a_model_is_a_string_in_json() {
    let model: ModelRef = serde_json::from_str(r#""a/b""#).unwrap();
    assert_eq!(serde_json::to_string(&model).unwrap(), r#""a/b""#);
    assert!(serde_json::from_str::<ModelRef>(r#""""#).is_err());
}
